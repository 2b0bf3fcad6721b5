"""The version of JupyterHub's API that this implements."""

from hubless.domain import jupyterhub_versions

VERSION = jupyterhub_versions.HUB
