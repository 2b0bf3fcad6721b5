"""Ends servers that root runs: hubs before ADR 25 started them, and they outlive their hub."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from hubless.adapters.processes.launch_folder import NONE, LaunchFolder

ROOT = 0
SECONDS = 5.0  # for a server to end its kernels and itself


def end_all(servers: Path) -> int:
    """End all servers below *servers* that root runs without isolation, and return how many they were.

    Whoever has one could read all users' files and become the hub's admin. Their files stay.
    """
    if os.geteuid() != ROOT or not servers.is_dir():
        return 0
    found = list(_of_root(LaunchFolder(path) for path in servers.iterdir()))
    families = [one for server in found for one in (server, *_below(server))]
    for server in found:
        with suppress(psutil.NoSuchProcess):
            server.terminate()
    for left in psutil.wait_procs(families, timeout=SECONDS if found else 0)[1]:
        with suppress(psutil.NoSuchProcess):
            left.kill()
    return len(found)


def _of_root(folders: Iterable[LaunchFolder]) -> Iterator[psutil.Process]:
    for folder in folders:
        note, pid = folder.note(), folder.pid()
        if note is None or pid is None or (note.uid, note.isolation) != (ROOT, NONE) or not folder.is_held():
            continue
        with suppress(psutil.NoSuchProcess):
            yield psutil.Process(pid)


def _below(server: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return list(server.children(recursive=True))
    return []
