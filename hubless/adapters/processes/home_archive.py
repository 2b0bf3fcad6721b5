"""An archive of a home: a compressed tar file that is there whole or not at all."""

import os
import secrets
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

from hubless.domain.errors import HomeTaskError
from hubless.domain.values import value

MAX_DEPTH = 200  # folders below each other; each is an open file
MAX_LINKED = 100_000  # files with several names that are remembered, so that each is stored once
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PRIVATE = 0o600


@value
class Archived:
    """How far an archive is: files in it, and files that no archive can hold or that lie too deep."""

    files: int = 0
    left_out: int = 0


def archive(home: Path, target: Path, owner: str) -> Iterator[Archived]:
    """Write the files of *home* to *target*, a new `.tar.gz` file, below a folder with the name *owner*.

    Links are stored as links. What belongs to the home's owner has *owner* as the name of its owner.

    Yields:
        how far it is, after each file.

    Raises:
        HomeTaskError: when *target* exists, or something cannot be read or written; then there is no archive.
    """
    if target.exists():
        raise HomeTaskError(f"{target} exists already. Choose another file with --output.")
    draft = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE), "wb") as file:
            with tarfile.open(mode="w:gz", fileobj=file, format=tarfile.PAX_FORMAT) as tar:
                yield from _Writing(tar, owner).folder(home)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, target)  # which never replaces a file
    except OSError as error:
        raise HomeTaskError(f"{home} cannot be archived as {target}: {error.strerror or error}.") from error
    finally:
        draft.unlink(missing_ok=True)


class _Writing:
    """Puts files into an archive."""

    def __init__(self, tar: tarfile.TarFile, owner: str) -> None:
        self._tar = tar
        self._owner = owner.replace("/", "_")
        self._uid = self._device = -1
        self._linked: dict[int, str] = {}
        self._files = self._left_out = 0

    def folder(self, home: Path) -> Iterator[Archived]:
        root = os.open(home, _DIRECTORY)
        status = os.fstat(root)
        self._uid, self._device = status.st_uid, status.st_dev
        self._tar.addfile(self._info(self._owner, status, tarfile.DIRTYPE))
        stack = [(root, self._owner, os.scandir(root))]
        try:
            while stack:
                descriptor, where, entries = stack[-1]
                entry = next(entries, None)
                if entry is None:
                    entries.close()
                    os.close(stack.pop()[0])
                    continue
                inner = self._add(descriptor, f"{where}/{entry.name}", entry, is_deep=len(stack) >= MAX_DEPTH)
                if inner is not None:
                    stack.append((inner, f"{where}/{entry.name}", os.scandir(inner)))
                yield Archived(self._files, self._left_out)
        finally:
            for descriptor, _, entries in stack:
                entries.close()
                os.close(descriptor)

    def _add(self, folder: int, name: str, entry: "os.DirEntry[str]", *, is_deep: bool) -> int | None:
        """Add one entry; return a descriptor of it if it is a folder whose entries are to be added."""
        status = entry.stat(follow_symlinks=False)
        self._files += 1
        if status.st_dev != self._device:
            self._left_out += 1
        elif stat.S_ISDIR(status.st_mode):
            self._tar.addfile(self._info(name, status, tarfile.DIRTYPE))
            if not is_deep:
                return os.open(entry.name, _DIRECTORY, dir_fd=folder)
            self._left_out += 1
        elif stat.S_ISLNK(status.st_mode):
            info = self._info(name, status, tarfile.SYMTYPE)
            info.linkname = os.readlink(entry.name, dir_fd=folder)
            self._tar.addfile(info)
        elif stat.S_ISREG(status.st_mode):
            self._add_file(folder, name, entry.name)
        else:
            self._left_out += 1  # a pipe, a socket or a device
        return None

    def _add_file(self, folder: int, name: str, own_name: str) -> None:
        with os.fdopen(os.open(own_name, _FILE, dir_fd=folder), "rb") as file:
            status = os.fstat(file.fileno())
            info = self._info(name, status, tarfile.REGTYPE)
            first = self._linked.get(status.st_ino)
            if status.st_nlink > 1 and first is not None:
                info.type, info.linkname = tarfile.LNKTYPE, first
                self._tar.addfile(info)
                return
            if status.st_nlink > 1 and len(self._linked) < MAX_LINKED:
                self._linked[status.st_ino] = name
            info.size = status.st_size
            self._tar.addfile(info, file)

    def _info(self, name: str, status: os.stat_result, kind: bytes) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.mtime = kind, stat.S_IMODE(status.st_mode), int(status.st_mtime)
        info.uid, info.gid = status.st_uid, status.st_gid
        info.uname = self._owner if status.st_uid == self._uid else ""
        return info
