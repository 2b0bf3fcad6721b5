"""Ports for servers, outside the range from which the system takes those of outgoing connections.

A server listens some seconds after its port was chosen. On a hub with thousands of connections one of them may have
taken a port of that range by then, and the server would fail.
"""

import secrets
import socket
from pathlib import Path

PORTS = range(10_000, 20_000)
TRIES = 200
_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
_ANY = 0


def find() -> int:
    """Return a port of 127.0.0.1 that is free now; one that the system chooses if there is none in `PORTS`."""
    if PORTS.stop <= _first_outgoing():
        for _ in range(TRIES):
            port = secrets.choice(PORTS)
            if _bound(port):
                return port
    return _bound(_ANY)


def _bound(port: int) -> int:
    """Return the port that can be bound, or 0 if *port* is taken."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            if port == _ANY:
                raise
            return 0
        found: int = probe.getsockname()[1]
        return found


def _first_outgoing() -> int:
    """Return the first port of the system's range for outgoing connections; 0 if it is not known."""
    try:
        return int(_OUTGOING.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0
