"""Memory that no process shows as its own: files in memory that processes have open, and the tmpfs of a sandbox.

A file in memory counts in a process's share (PSS) only as far as that has mapped it. What is not seen here: files on
their way through a socket, System V segments that nobody has attached, and what a process hides (PR_SET_DUMPABLE).
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import field
from functools import cache
from itertools import islice
from pathlib import Path

from hubless.domain.values import value

DESCRIPTORS = 20_000  # of one launch in one look
SMAPS_BYTES = 64 * 2**20  # of one launch in one look: some ninety thousand mappings
_BLOCK = 512  # bytes of st_blocks (stat(2))
_KIB = 1024
_SHARED = "/dev/shm"  # noqa: S108 where POSIX shared memory is
_PREFIXES = ("/memfd:", f"{_SHARED}/")
_MAPPING = re.compile(rb"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ (\S+) (\d+)")

File = tuple[str, int]  # a device, as /proc writes it, and an inode


@value
class MemoryFiles:
    """Files in memory of one launch.

    Args:
        files: bytes of each file that a process has open.
        holders: the ids of the processes that have it open.
        devices: bytes in use of each tmpfs that is the sandbox's own.
    """

    files: Mapping[File, int] = field(default_factory=dict, hash=False)
    holders: Mapping[File, frozenset[int]] = field(default_factory=dict, hash=False)
    devices: Mapping[str, int] = field(default_factory=dict, hash=False)

    @property
    def size(self) -> int:
        """Return the bytes of them all, mapped or not."""
        return sum(self.files.values()) + sum(self.devices.values())

    def unmapped(self, pids: Iterable[int]) -> tuple[dict[File, int], int]:
        """Return the bytes of each file, and of the sandbox, that do not count in the shares of these processes."""
        if not self.size:
            return {}, 0
        mapped = self._mapped_by(pids)
        of_files = {file: max(0, size - mapped[file]) for file, size in self.files.items()}
        of_devices = Counter[str]()
        for (device, _), size in mapped.items():
            of_devices[device] += size
        return of_files, sum(max(0, size - of_devices[device]) for device, size in self.devices.items())

    def _mapped_by(self, pids: Iterable[int]) -> Counter[File]:
        """Return the processes' shares of each file, which are part of their PSS (proc_pid_smaps(5))."""
        found, file = Counter[File](), None
        for line in _smaps(pids):
            if mapping := _MAPPING.match(line):
                file = (mapping[1].decode(), int(mapping[2]))
            elif line.startswith(b"Pss:") and file and (file in self.files or file[0] in self.devices):
                found[file] += int(line.split()[1]) * _KIB
        return found


def _smaps(pids: Iterable[int]) -> Iterator[bytes]:
    """Yield the lines of the processes' smaps, `SMAPS_BYTES` in all: a program can have very many mappings."""
    left = SMAPS_BYTES
    for pid in pids:
        with suppress(OSError), Path(f"/proc/{pid}/smaps").open("rb") as smaps:
            lines = smaps.readlines(left)
            left -= sum(map(len, lines))
            yield from lines
        if left <= 0:
            return


def find(pids: Iterable[int], in_sandbox: int | None) -> MemoryFiles:
    """Return the files in memory of the processes *pids*; *in_sandbox* is the first process of their sandbox."""
    files, holders = dict[File, int](), dict[File, frozenset[int]]()
    descriptors = ((pid, name) for pid in pids for name in _names_in(f"/proc/{pid}/fd"))
    for pid, name in islice(descriptors, DESCRIPTORS):
        if (status := _in_memory(pid, name)) is not None:
            file = (_device(status), status.st_ino)
            files[file] = status.st_blocks * _BLOCK
            holders[file] = holders.get(file, frozenset()) | {pid}
    return MemoryFiles(files, holders, {} if in_sandbox is None else _own_devices(in_sandbox))


def _names_in(folder: str) -> Iterator[str]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            yield entry.name


def _in_memory(pid: int, descriptor: str) -> os.stat_result | None:
    """Return the status of an open file in memory; None for other files.

    Names alone say nothing: a file of that name in a program's own file system could let the hub wait for ever.
    """
    with suppress(OSError):
        file = Path(f"/proc/{pid}/fd/{descriptor}")
        is_named = str(file.readlink()).startswith(_PREFIXES)
        if is_named and _mount_of(f"/proc/{pid}/fdinfo/{descriptor}") in _mounts():
            return file.stat()
    return None


@cache
def _mounts() -> frozenset[int]:
    """Return the ids of the kernel's own mount of files without a place, and of this machine's /dev/shm."""
    opened = []
    with suppress(OSError, AttributeError):  # not on Linux
        opened.append(os.memfd_create("hubless"))
        opened.append(os.open(_SHARED, os.O_PATH | os.O_CLOEXEC))
    try:
        found = {_mount_of(f"/proc/self/fdinfo/{descriptor}") for descriptor in opened}
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return frozenset(one for one in found if one is not None)


def _mount_of(fdinfo: str) -> int | None:
    """Return the id of the mount of an open file (proc_pid_fdinfo(5))."""
    with suppress(OSError):
        for line in Path(fdinfo).read_text().splitlines():
            if line.startswith("mnt_id:"):
                return int(line.split()[1])
    return None


def _own_devices(pid: int) -> dict[str, int]:
    """Return the bytes in use of each tmpfs that this process sees and the hub does not."""
    theirs, ours = _tmpfs_of(str(pid)), _tmpfs_of("self")
    found = {}
    for device in theirs.keys() - ours.keys():
        for point in theirs[device]:
            with suppress(OSError):
                path = Path(f"/proc/{pid}/root{point}")
                if _device(path.stat()) == device:  # nothing else is mounted over it
                    facts = os.statvfs(path)
                    found[device] = (facts.f_blocks - facts.f_bfree) * facts.f_frsize
    return found


def _tmpfs_of(pid: str) -> dict[str, list[str]]:
    """Return where each tmpfs is mounted that the process sees, by device (proc_pid_mountinfo(5))."""
    found = dict[str, list[str]]()
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
            ours, _, theirs = line.partition(" - ")
            if theirs.startswith("tmpfs "):
                _, _, device, _, point, *_ = ours.split()
                found.setdefault(_as_in_maps(device), []).append(point)
    return found


def _device(status: os.stat_result) -> str:
    return f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"


def _as_in_maps(device: str) -> str:
    """Return a device of mountinfo, in decimal numbers, as maps have it."""
    major, minor = map(int, device.split(":"))
    return f"{major:02x}:{minor:02x}"
