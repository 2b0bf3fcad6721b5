"""Measures what launches use: a few a step, so that many servers cost no more at once than few."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import psutil

from hubless.adapters.processes import cgroups, limit_record, process_tree, process_use
from hubless.adapters.processes.launch_folder import LaunchFolder
from hubless.adapters.processes.limit_record import LimitRecord
from hubless.adapters.processes.loads_file import LoadsFile
from hubless.adapters.processes.process_tree import Process
from hubless.domain.loads import Load

BATCH = 5  # launches in one step


class LoadSampler:
    """Measures launches by their cgroups; where there are none, by the server's process and all below it.

    Without cgroups, a program that has left its parents and files in a sandbox's memory do not count here, and time of
    a program that has left its parents and ended does not either.
    """

    def __init__(self, servers: Path, loads: LoadsFile, clock: Callable[[], float] = time.monotonic) -> None:
        """Measure the launches whose folders are below *servers*; *clock* returns seconds."""
        self._servers = servers
        self._loads = loads
        self._clock = clock
        self._before: dict[str, tuple[float, float]] = {}  # seconds of the clock, and of processors until then

    def steps(self, now: Callable[[], datetime]) -> Iterator[None]:
        """Measure each launch whose process lives, `BATCH` of them a step, and write what was found.

        Raises:
            OSError: when the disk fails.
        """
        found: dict[str, Load] = {}
        before, self._before = self._before, {}
        processes: dict[int, Process] | None = None  # one look for all of a round, if any launch needs it
        for number, folder in enumerate(self._launches(), start=1):
            record = limit_record.read(folder.path) or LimitRecord()
            if record.cgroups:
                used = cgroups.used(record.cgroups)
            else:
                processes = process_tree.look() if processes is None else processes
                used = _used_by(_members(folder, processes))
            if used is not None:
                launch_id = folder.path.name
                cpus = self._cpus(launch_id, used[1], before.get(launch_id))
                found[launch_id] = Load(used[0], cpus, now(), record.memory)
            if number % BATCH == 0:
                yield
        self._loads.replace(found)

    def _launches(self) -> Iterator[LaunchFolder]:
        with suppress(FileNotFoundError):
            for entry in sorted(os.scandir(self._servers), key=lambda one: one.name):
                folder = LaunchFolder(Path(entry.path))
                if folder.is_held():
                    yield folder

    def _cpus(self, launch_id: str, seconds: float, before: tuple[float, float] | None) -> float | None:
        """Return how many processors the launch has used since *before*, of which this takes note for the next time."""
        at = self._clock()
        self._before[launch_id] = at, seconds
        if before is None or at <= before[0]:
            return None
        return max(0.0, seconds - before[1]) / (at - before[0])  # what has ended may take its time with it


def _members(folder: LaunchFolder, processes: dict[int, Process]) -> list[int]:
    """Return the ids of the server's process and of all below; a server that was forked is below none of the launch."""
    roots = [processes[pid] for pid in (folder.pid(), folder.server()) if pid in processes]
    return [one.pid for one in process_tree.unique(kin for root in roots for kin in process_tree.family(root))]


def _used_by(pids: Iterable[int]) -> tuple[int, float] | None:
    """Return bytes and seconds of processors that the processes use; None if none of them is there any more."""
    memory, seconds, some = 0, 0.0, False
    for pid in pids:
        with suppress(psutil.Error, OSError):  # it has ended meanwhile
            seconds += process_use.cpu_seconds(pid)
            memory += process_use.memory(pid) or psutil.Process(pid).memory_info().rss
            some = True
    return (memory, seconds) if some else None
