"""The version of JupyterHub's API that this implements."""

VERSION = "6.1.1"
