"""JupyterHub authenticator classes, run unchanged: their forms, their handlers of tornado, and their hooks.

Nothing imports this package but a hub whose settings name a class: JupyterHub takes two seconds to import.
"""
