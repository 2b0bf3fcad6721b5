"""Versions of JupyterHub: the hub implements one, and a server's image may hold another."""

import re

HUB = "6.1.1"
"""The version of JupyterHub's API that this hub implements."""
LONGEST = 40  # characters; PEP 440 names are shorter
_NAME = re.compile(r"(\d{1,4})\.(\d{1,4})(?:[.a-zA-Z+!-][0-9a-zA-Z.+!-]*)?", re.ASCII)


def version_in(header: str | None) -> str:
    """Return the version that a server names in `X-JupyterHub-Version`, or "" if *header* holds none."""
    text = (header or "").strip() if len(header or "") <= LONGEST else ""
    return text if _NAME.fullmatch(text) else ""


def is_other(server_version: str) -> bool:
    """Say whether major or minor of *server_version* is not the hub's; of an unknown version ("") nothing is said."""
    known = _NAME.fullmatch(server_version)
    return known is not None and tuple(map(int, known.groups())) != _PARTS


def warning(server_version: str) -> str:
    """Return JupyterHub's warning (its `jupyterhub/_version.py`), which admins look for."""
    return (
        f"jupyterhub version {HUB} != jupyterhub-singleuser version {server_version}."
        " This could cause failure to authenticate and result in redirect loops!"
    )


_PARTS = tuple(map(int, HUB.split(".")[:2]))
