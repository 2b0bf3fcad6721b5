"""The settings of a JupyterHub as a hubless.toml: what has no counterpart becomes a comment, and no secret gets in.

Readers make `OldSettings` of a file: traits by class, as JupyterHub knows them. The modules below `mapping` write them
into a `Draft`, which checks each value as the loader does.
"""
