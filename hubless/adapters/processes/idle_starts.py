"""Finds starts that do nothing: their processes use no processor, wait for none, and wait for no disk."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from hubless.adapters.processes import process_use, small_files
from hubless.adapters.processes.launch_folder import LaunchFolder
from hubless.domain.values import value

IDLE_SECONDS = 0.5  # without work; a start that waits for an answer of the hub waits for less
_BUSY_SHARE = 0.1  # of a processor: a program that hangs may still look at its clock
_WORKING = frozenset("RD")  # states of proc_pid_stat(5): runs or wants to, waits for a disk


@value
class _Look:
    """What a look at a start found: the seconds of processors until then, and when it was last busy."""

    at: float
    seconds: float
    busy_at: float


class IdleStarts:
    """Says which launches have done nothing for a while, by the server's process and all below it.

    Nobody knows that at the first look, and a start that cannot be seen counts as busy.
    """

    def __init__(self, servers: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Look at the launches whose folders are below *servers*; *clock* returns seconds."""
        self._servers, self._clock = servers, clock
        self._seen: dict[str, _Look] = {}

    def among(self, launches: Iterable[str]) -> frozenset[str]:
        """Look at these launches, and return those that have been idle for `IDLE_SECONDS`; forget all others."""
        self._seen = {launch: self._look(launch) for launch in launches}
        return frozenset(launch for launch, look in self._seen.items() if look.at - look.busy_at >= IDLE_SECONDS)

    def _look(self, launch: str) -> _Look:
        now, before = self._clock(), self._seen.get(launch)
        try:
            seconds, is_working = _use(LaunchFolder(self._servers / launch))
        except OSError:  # it begins or ends just now, or the kernel does not tell
            return _Look(now, 0.0, now)
        if before is None or is_working or abs(seconds - before.seconds) > _BUSY_SHARE * (now - before.at):
            return _Look(now, seconds, now)
        return _Look(now, seconds, before.busy_at)


def _use(folder: LaunchFolder) -> tuple[float, bool]:
    """Return the seconds of processors that a launch has used, and whether a thread of it works or wants to.

    It walks down from the launch's own processes: a look at all of a machine would cost more with each server.

    Raises:
        OSError: when a process has ended meanwhile, there is none yet, or the kernel does not tell.
    """
    ahead = {pid for pid in (folder.living_pid(), folder.server()) if pid is not None}
    if not ahead:
        raise ProcessLookupError("the launch has no process yet")
    seconds, is_working, seen = 0.0, False, set[int]()
    while ahead:
        seen.add(pid := ahead.pop())
        seconds += process_use.cpu_seconds(pid)
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 names alone
            is_working |= process_use.state_of(int(thread)) in _WORKING
            children = small_files.read(f"/proc/{pid}/task/{thread}/children").split()
            ahead |= {int(child) for child in children} - seen
    return seconds, is_working
