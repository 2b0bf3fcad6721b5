"""What preflight asks of this machine: Docker, Node and DNS."""

import re
import shutil
import subprocess

_NAME_SERVER = re.compile(r"nameserver = (\S+)")
_NODE = re.compile(r"v(\d+)\.")
_TIMEOUT_SECONDS = 20


def has_docker() -> bool:
    """Return whether a Docker daemon answers on this machine."""
    return (
        shutil.which("docker") is not None and _output("docker", "info", "--format", "{{.ServerVersion}}") is not None
    )


def node_version() -> int | None:
    """Return the major version of Node on this machine. None if there is no Node."""
    found = _NODE.match(_output("node", "--version") or "")
    return int(found[1]) if found else None


def name_servers(name: str) -> tuple[str, ...] | None:
    """Return the name servers of *name* in public DNS. None if DNS cannot be asked on this machine."""
    if shutil.which("nslookup") is None:
        return None
    said = _output("nslookup", "-type=NS", name)
    if said is None or "no servers could be reached" in said:
        return None
    return tuple(server.rstrip(".").lower() for server in _NAME_SERVER.findall(said))


def _output(*command: str) -> str | None:
    """Return the output of a program. None if it failed or ran into the time-out; nslookup may exit with an error."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 or command[0] == "nslookup" else None
