"""How large a home is: a walk in small steps that follows no link and leaves neither the home nor its file system.

Whoever owns the home can change it meanwhile, make it as deep and as wide as they like, and put links and pipes into
it. So directories are opened below each other by descriptors, and what the walk keeps is bounded.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from hubless.adapters.processes.launch_folder import LaunchFolder
from hubless.ports.home_usage import HomeSize

BATCH = 500  # entries in one step
MAX_ENTRIES = 10_000_000
MAX_DEPTH = 200  # directories below each other; each is an open file
MAX_LINKED = 100_000  # files with several names that are remembered, so that each counts once
BLOCK = 512  # bytes of `st_blocks`, whatever the file system's block is (stat(2))
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class LocalHomes:
    """The homes on this machine."""

    def __init__(self, launches: Path, homes: Path) -> None:
        """Find homes in the notes below *launches*, else in *homes*."""
        self._launches = launches
        self._homes = homes

    def walk(self, owner_id: str, task: str | None) -> Iterator[HomeSize] | None:
        note = LaunchFolder(self._launches / task).note() if task else None
        home = Path(note.home) if note else self._homes / owner_id
        return walk(home) if home.is_dir() else None


def walk(home: Path) -> Iterator[HomeSize]:
    """Measure *home* in steps of `BATCH` entries; the last size is the whole one."""
    counter = _Counter()
    try:
        root = _Folder(home)
    except OSError:
        yield HomeSize(0, is_whole=False)
        return
    device = root.status.st_dev
    open_folders = [root]
    counter.add(root.status)
    try:
        while open_folders and counter.entries < MAX_ENTRIES:
            entry = open_folders[-1].next()
            if entry is None:
                open_folders.pop().close()
                continue
            counter.add_entry(entry, open_folders, device)
            if counter.entries % BATCH == 0:
                yield counter.total
    finally:
        if open_folders:
            counter.is_whole = False
        for folder in open_folders:
            folder.close()
    yield counter.total


class _Folder:
    """An open directory and what is left of its entries."""

    def __init__(self, path: Path | str, parent: int | None = None) -> None:
        self.descriptor = os.open(path, _DIRECTORY, dir_fd=parent)
        try:
            self.status = os.fstat(self.descriptor)
            self._entries = os.scandir(self.descriptor)  # opens it once more, for which there may be no descriptor
        except OSError:
            os.close(self.descriptor)
            raise

    def next(self) -> "os.DirEntry[str] | None":
        try:
            return next(self._entries, None)
        except OSError:
            return None

    def close(self) -> None:
        self._entries.close()
        os.close(self.descriptor)


class _Counter:
    """What has been counted."""

    def __init__(self) -> None:
        self.entries = 0
        self.is_whole = True
        self._size = 0
        self._linked: set[int] = set()

    @property
    def total(self) -> HomeSize:
        return HomeSize(self._size, self.is_whole)

    def add_entry(self, entry: "os.DirEntry[str]", open_folders: list[_Folder], device: int) -> None:
        """Count *entry* of the last open folder; open it if it is a directory."""
        self.entries += 1
        try:
            found = entry.stat(follow_symlinks=False)
        except OSError:
            return  # it was removed meanwhile
        if found.st_dev != device:
            return
        self.add(found)
        if not stat.S_ISDIR(found.st_mode):
            return
        if len(open_folders) >= MAX_DEPTH:
            self.is_whole = False
            return
        try:
            inner = _Folder(entry.name, open_folders[-1].descriptor)
        except OSError:
            self.is_whole = False
            return
        if inner.status.st_dev == device:
            open_folders.append(inner)
        else:
            inner.close()

    def add(self, found: os.stat_result) -> None:
        """Count a file or directory; one with several names once."""
        if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
            if found.st_ino in self._linked:
                return
            if len(self._linked) >= MAX_LINKED:
                self._size += found.st_blocks * BLOCK // found.st_nlink
                return
            self._linked.add(found.st_ino)
        self._size += found.st_blocks * BLOCK
