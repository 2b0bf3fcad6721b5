"""Reads the database of a JupyterHub 1.5 to 6.1 as it lies, and never changes it.

`reading.read` is the way in. `source`, `sqlite_file` and `server` open a database, `schema` tells its version and
whether it is whole, `values` checks what a row has, and the other modules make records of `hubless.domain.archive`.
"""
