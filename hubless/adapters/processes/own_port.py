"""Checks that a server's port is the server's own: any process of the machine could have taken it first."""

import logging
from pathlib import Path

import psutil

from hubless.adapters.processes import listeners
from hubless.adapters.processes.launch_folder import LaunchFolder
from hubless.domain.lifecycle import Server
from hubless.ports.readiness import Answer, Readiness

logger = logging.getLogger(__name__)


class OwnPortReadiness:
    """Says of a server that it answers if the process that listens on its port is one of its launch.

    Another user's program that listens there would get the owner's requests, with their cookies.
    """

    def __init__(self, servers: Path, readiness: Readiness) -> None:
        """Find launches below *servers*; *readiness* asks the port."""
        self._servers = servers
        self._readiness = readiness

    def answers(self, server: Server, prefix: str) -> Answer | None:
        answer = self._readiness.answers(server, prefix)
        if answer is None:
            return None
        port = int((server.address or "").rpartition(":")[2])
        folder = LaunchFolder(self._servers / (server.task or "none"))
        if _listens([pid for pid in (folder.server(), folder.pid()) if pid is not None], port):
            return answer
        logger.warning(
            "server %s: a process that is not its own listens on port %d, so it is not ready", server.id, port
        )
        return None


def _listens(pids: list[int], port: int) -> bool:
    """Say whether one of the processes, or a descendant, listens on *port*."""
    try:
        sockets = listeners.sockets_on(port)
    except OSError:
        return any(port in _ports_of(member) for pid in pids for member in _family(pid))
    if any(listeners.has_one_of(pid, sockets) for pid in pids):
        return True  # as a rule: the list of descendants is read from every process of the machine
    return bool(sockets) and any(listeners.has_one_of(member.pid, sockets) for pid in pids for member in _family(pid))


def _family(pid: int) -> list[psutil.Process]:
    """Return the process and its descendants; none if it has ended."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _ports_of(process: psutil.Process) -> set[int]:
    try:
        connections = process.net_connections("tcp")
    except psutil.Error:  # it has ended, or hides its files
        return set()
    return {one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN}
