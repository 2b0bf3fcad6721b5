"""Passwords, apps and identities that the authenticators of a JupyterHub keep outside its own tables."""
