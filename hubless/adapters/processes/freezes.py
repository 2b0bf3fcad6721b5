"""Finds frozen servers: their process exists, and nobody gets an answer.

A signal (SIGSTOP) or a debugger has stopped it, or it is deaf: swapped out, or stuck. A deaf server is known by those
who wait at its port. The kernel takes their connections, and the server none of them.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from hubless.adapters.processes import process_use
from hubless.adapters.processes.isolation import sandbox_processes
from hubless.adapters.processes.launch_folder import LaunchFolder
from hubless.adapters.processes.listeners import waiting_by_port

STOPPED_SECONDS = 2.0  # a program that looks into another one stops it for moments
DEAF_SECONDS = 30.0  # a busy server takes connections late
MEMORY_SECONDS = 15.0  # between two looks that tell of one and the same freeze; after the first come others soon
LIKELY_SECONDS = 2.0  # between two looks at the processes of all servers
WAITING_SECONDS = 10.0  # between two looks at the ports of all servers
AGREED_SECONDS = 60.0
_QUEUES_SECONDS = 1.0  # for which what the kernel said of all ports is good enough
_STOPPED = frozenset("Tt")  # states of proc_pid_stat(5)


class Freezes:
    """Says of each launch whether its server is frozen. It takes two looks to be sure."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[float, float]] = {}  # the first and the last look that found a freeze, by launch id
        self._servers: dict[str, tuple[int, float | None]] = {}  # its process, and when two looks agreed
        self._ports: dict[str, int] = {}
        self._asked_at = -LIKELY_SECONDS
        self._queues: tuple[float, Mapping[int, int]] = (-_QUEUES_SECONDS, {})

    def look(self, folder: LaunchFolder, port: int) -> bool | None:
        """Say whether the server of a running launch is frozen; None while that is not sure."""
        task, now = folder.path.name, self._clock()
        self._ports[task] = port
        if (patience := self._patience(folder, port, now)) is None:
            self._seen.pop(task, None)
            return False
        first, last = self._seen.get(task, (now, now))
        first = now if now - last > MEMORY_SECONDS else first
        self._seen[task] = first, now
        return True if now - first >= patience else None

    def are_likely(self) -> bool:
        """Say at little cost whether to look soon: the last look found a freeze, or a server is stopped or deaf now.

        However often this is asked, it looks at all processes once in `LIKELY_SECONDS`, and at all ports once in
        `WAITING_SECONDS`.
        """
        if self._seen:
            return True
        if (now := self._clock()) - self._asked_at < LIKELY_SECONDS:
            return False
        self._asked_at = now
        if any(process_use.state_of(pid) in _STOPPED for pid, _ in list(self._servers.values())):
            return True
        is_due = now - self._queues[0] >= WAITING_SECONDS
        return is_due and any(self._waiting(port, now) for port in list(self._ports.values()))

    def forget(self, launch_id: str) -> None:
        """Forget a launch that has ended."""
        self._seen.pop(launch_id, None)
        self._servers.pop(launch_id, None)
        self._ports.pop(launch_id, None)

    def _patience(self, folder: LaunchFolder, port: int, now: float) -> float | None:
        """Return for how many seconds the server must be as it is to count as frozen; None if it runs."""
        if self._state(folder, now) in _STOPPED:
            return STOPPED_SECONDS
        return DEAF_SECONDS if self._waiting(port, now) else None

    def _state(self, folder: LaunchFolder, now: float) -> str:
        """Return the state of the server's process; "" if there is none.

        Which process that is takes many files to know, and changes when a sandbox becomes a server, but hardly later.
        So what two looks agree on is good enough for `AGREED_SECONDS`, while there is such a process.
        """
        known, agreed_at = self._servers.get(folder.path.name, (None, None))
        is_sure = agreed_at is not None and now - agreed_at < AGREED_SECONDS
        if known is not None and is_sure and (state := process_use.state_of(known)):
            return state
        if (server := sandbox_processes.server_of(folder)) is None:
            return ""
        self._servers[folder.path.name] = server, now if server == known else None
        return process_use.state_of(server)

    def _waiting(self, port: int, now: float) -> int:
        """Return how many connections at *port* no server has taken yet."""
        if now - self._queues[0] >= _QUEUES_SECONDS:
            queues: Mapping[int, int] = {}
            with suppress(OSError):  # the kernel does not tell
                queues = waiting_by_port()
            self._queues = now, queues
        return self._queues[1].get(port, 0)
