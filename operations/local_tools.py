"""What this machine says: which programs run, and what names lead to."""

import re
import shutil
import subprocess

_SERVER = re.compile(r"nameserver = (\S+)")
_NODE = re.compile(r"v(\d+)\.")
_SECONDS = 20


def has_docker() -> bool:
    """Say whether a Docker answers here."""
    return shutil.which("docker") is not None and _said("docker", "info", "--format", "{{.ServerVersion}}") is not None


def node_version() -> int | None:
    """Return which Node runs here, by its first number; None where none does."""
    found = _NODE.match(_said("node", "--version") or "")
    return int(found[1]) if found else None


def name_servers(name: str) -> tuple[str, ...] | None:
    """Return the name servers of *name* as the internet knows them; None where it cannot be asked here."""
    if shutil.which("nslookup") is None:
        return None
    said = _said("nslookup", "-type=NS", name)
    if said is None or "no servers could be reached" in said:
        return None
    return tuple(server.rstrip(".").lower() for server in _SERVER.findall(said))


def _said(*command: str) -> str | None:
    """Return what a program said, whether it was content or not: None where it did not end."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 or command[0] == "nslookup" else None
