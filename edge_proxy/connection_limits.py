"""How many connections one HAProxy can hold, by the machine's open files and memory."""

import os
import resource
from pathlib import Path

MAX_CONNECTIONS = 20_000
BUFFER_BYTES = 49_152  # holds 32 kB of headers and what HAProxy adds; HAProxy 2.8 answers 400 beyond it
_BUFFERS = 2  # of a connection at most: one for each direction. An idle connection has none
_SHARE_OF_MEMORY = 0.5
_LEAST = 100
ENOUGH = 4_000  # for a class of 300
_CONTROL_GROUPS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def connection_limit() -> int:
    """Return how many connections fit: each needs two open files, and at most two buffers."""
    return max(_LEAST, min(MAX_CONNECTIONS, _by_files(), by_memory(_memory_bytes())))


def connection_limit_in_words() -> str:
    """Return how many connections fit and why not more, as a sentence; empty where they are enough for a class."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = connection_limit()
    if most >= ENOUGH:
        return ""
    if by_memory(_memory_bytes()) <= most:
        return f"Connections: at most {most:,} at once, because this machine's memory holds no more."
    return (
        f"Connections: at most {most:,} at once, because a process may open {hard:,} files. A class of 300 needs some"
        f" {ENOUGH:,} connections: raise the limit (`ulimit -Hn`, or LimitNOFILE in a unit of systemd) to 10,000."
    )


def by_memory(memory_bytes: int) -> int:
    """Return how many connections with full buffers fit into half of *memory_bytes*."""
    return int(memory_bytes * _SHARE_OF_MEMORY) // (BUFFER_BYTES * _BUFFERS)


def _by_files() -> int:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if hard == resource.RLIM_INFINITY else (hard - 200) // 2


def _memory_bytes() -> int:
    """Return the memory of this machine, or of the container."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *(limit for file in _CONTROL_GROUPS if (limit := _limit_in(file)) is not None)])


def _limit_in(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
