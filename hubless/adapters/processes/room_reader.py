"""Reads how much room this machine has for servers, or the container that the hub runs in."""

import os
from contextlib import suppress
from math import ceil
from pathlib import Path

import psutil

from hubless.adapters.processes.small_files import words
from hubless.domain.launch_turns import Room

CONTROL_GROUPS = Path("/sys/fs/cgroup")  # in a container, its own group
PRESSURE = Path("/proc/pressure/memory")
_PERCENT = 100


def read_room(groups: Path = CONTROL_GROUPS, pressure: Path = PRESSURE) -> Room:
    """Return what the machine has now; a container's limits count where they are narrower.

    Memory is what `MemAvailable` says (proc_meminfo(5)). Of a container it is the limit without what it uses, and file
    pages that nobody used lately count as free.
    """
    memory = psutil.virtual_memory()
    total, free = memory.total, memory.available
    if (own := _memory_of_group(groups)) is not None and own[0] < total:
        total, free = own[0], min(free, max(0, own[0] - own[1]))
    return Room(_processors(groups), total, free, _stalled(pressure))


def _processors(groups: Path) -> int:
    """Return the processors that this process may use: by its affinity, and by the container's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parts = [*words(groups / "cpu/cpu.cfs_quota_us"), *words(groups / "cpu/cpu.cfs_period_us")]
    for limit in (words(groups / "cpu.max"), parts):
        with suppress(ValueError, IndexError, ZeroDivisionError):  # "max", or no such files
            if (given := int(limit[0]) / int(limit[1])) > 0:
                count = min(count, ceil(given))
    return count


def _memory_of_group(groups: Path) -> tuple[int, int] | None:
    """Return the limit of the container, and what it uses; None without a limit."""
    places = (
        (groups, "memory.max", "memory.current", "inactive_file"),
        (groups / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    )
    for folder, limit, used, idle in places:
        with suppress(ValueError, IndexError):  # "max", or no such file
            stat = words(folder / "memory.stat")
            unused = int(stat[stat.index(idle) + 1]) if idle in stat else 0
            return int(words(folder / limit)[0]), max(0, int(words(folder / used)[0]) - unused)
    return None


def _stalled(pressure: Path) -> float:
    """Return the share of time in which some process waited for memory, as proc(5) says it; 0 where nobody knows."""
    said = words(pressure)
    return next((float(one.removeprefix("avg10=")) / _PERCENT for one in said if one.startswith("avg10=")), 0.0)
