"""The folder of homes: links by name, and moving and deleting the homes of removed users.

Whoever owned a home made what is in it, and may still have a process that changes it. So nothing here follows a link
of theirs: folders are opened below each other by descriptors, and only a bounded number at once.
"""

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from hubless.adapters.processes import disk_usage
from hubless.adapters.processes.isolation import Isolation
from hubless.adapters.processes.isolation.homes import PRIVATE, hand_over
from hubless.domain import ids
from hubless.domain.errors import HomeTaskError
from hubless.domain.home_names import file_name
from hubless.domain.users import User
from hubless.ports.home_usage import HomeSize

BY_NAME = "by-name"
BATCH = 500  # entries in one step
MAX_DEPTH = 100  # folders below each other that are open at once
MAX_FOLDERS = 100  # in one home that are named after the same removed user
_SHOWN = 200  # characters of a path in a message
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class LocalHomeFolders:
    """The homes on this machine."""

    def __init__(self, homes: Path, lock: Path, isolation: Callable[[], Isolation]) -> None:
        """Find homes in *homes*. *lock* is a file by which processes take turns; *isolation* knows whose files are."""
        self._homes = homes
        self._lock = lock
        self._isolation = isolation
        self._linked: dict[str, str] = {}

    def owner_ids(self) -> set[str]:
        with os.scandir(self._homes) as entries:
            return {one.name for one in entries if ids.is_identifier(one.name, "u") and _is_folder(one)}

    def exists(self, owner_id: str) -> bool:
        return ids.is_identifier(owner_id, "u") and (self._homes / owner_id).is_dir()

    def path(self, owner_id: str) -> str:
        return str(self._homes / owner_id)

    def link_names(self, names: Mapping[str, str]) -> None:
        if self._linked == names:
            return
        folder = self._homes / BY_NAME
        folder.mkdir(mode=PRIVATE, exist_ok=True)
        missing = {file_name(name): f"../{owner_id}" for owner_id, name in names.items()}
        with os.scandir(folder) as entries:
            for entry in list(entries):
                target = _target_of_ours(entry)
                if target is None or missing.get(entry.name) == target:
                    missing.pop(entry.name, None)  # there already, or an operator's own file
                else:
                    Path(entry.path).unlink(missing_ok=True)
        for name, target in missing.items():
            with suppress(FileExistsError):  # another process was faster
                (folder / name).symlink_to(target)
        self._linked = dict(names)

    @contextmanager
    def work(self) -> Iterator[None]:
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def walk(self, owner_id: str) -> Iterator[HomeSize]:
        return disk_usage.walk(self._home(owner_id))

    def delete(self, owner_id: str) -> Iterator[int]:
        home = self._home(owner_id)
        with suppress(FileNotFoundError):
            yield from _Removal(home).steps()

    def give(self, owner_id: str, name: str, to: User) -> str:
        home = self._home(owner_id)
        if not home.is_dir():
            return ""
        isolation = self._isolation()
        account = isolation.account(to.name, to.id)
        try:
            isolation.prepare(account)
            if account.uid is not None and account.gid is not None:
                hand_over(home, account.uid, account.gid)
            return _move(home, account.home, f"files-of-{file_name(name or owner_id)}")
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise HomeTaskError(
                    f"{account.home} is on another file system than {home}. Archive the files, and unpack them there."
                ) from error
            raise HomeTaskError(f"{home} cannot be moved into {account.home}: {error.strerror}.") from error
        except RecursionError:
            raise HomeTaskError(f"{home} has too many folders in each other to change their owner.") from None

    def _home(self, owner_id: str) -> Path:
        if not ids.is_identifier(owner_id, "u"):
            raise HomeTaskError(f"{owner_id!r} is no user's id")
        return self._homes / owner_id


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    return entry.is_dir(follow_symlinks=False)


def _target_of_ours(entry: "os.DirEntry[str]") -> str | None:
    """Return where a link leads that the hub has made; None for anything else."""
    try:
        target = str(Path(entry.path).readlink()) if entry.is_symlink() else ""
    except FileNotFoundError:
        return None
    return target if target.startswith("../") and ids.is_identifier(target[3:], "u") else None


def _move(home: Path, into: Path, wanted: str) -> str:
    """Move *home* into the folder *into*, as *wanted* or with a number; return its name.

    Raises:
        OSError: when it cannot be moved there.
        HomeTaskError: when all names are taken.
    """
    folder = os.open(into, _DIRECTORY)
    try:
        for number in range(1, MAX_FOLDERS + 1):
            name = _shortened(wanted, f"-{number}" if number > 1 else "")
            with suppress(FileExistsError):
                os.mkdir(name, PRIVATE, dir_fd=folder)  # so that the move replaces this folder, and nothing else
                try:
                    os.rename(home, name, dst_dir_fd=folder)
                except OSError:
                    with suppress(OSError):
                        os.rmdir(name, dir_fd=folder)
                    raise
                return name
    finally:
        os.close(folder)
    raise HomeTaskError(f"{into} has {MAX_FOLDERS} folders with this name. Remove some.")


def _shortened(name: str, end: str) -> str:
    return name.encode()[: 255 - len(end)].decode(errors="ignore") + end


class _Removal:
    """Removes a folder with all that is in it, and nothing else."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._device = home.lstat().st_dev
        self._names = [str(home)]
        self._open = [_open_for_removal(home, None)]
        self._gone = 0

    def steps(self) -> Iterator[int]:
        """Remove it bit by bit, and yield how many files are gone.

        Raises:
            HomeTaskError: naming what cannot be removed.
        """
        try:
            while self._open:
                try:
                    self._step()
                except OSError as error:
                    raise HomeTaskError(self._sentence(error)) from error
                yield self._gone
        finally:
            for descriptor in self._open:
                os.close(descriptor)

    def _step(self) -> None:
        """Remove some entries of the innermost folder, or go into the first that is not empty, or leave it."""
        with os.scandir(self._open[-1]) as entries:
            some = list(islice(entries, BATCH))
        for entry in some:
            if _is_folder(entry) and not self._is_removed(entry.name):
                self._enter(entry.name)
                return
            if not _is_folder(entry):
                with suppress(FileNotFoundError):
                    os.unlink(entry.name, dir_fd=self._open[-1])
                self._gone += 1
        if not some:
            self._leave()

    def _is_removed(self, name: str) -> bool:
        try:
            os.rmdir(name, dir_fd=self._open[-1])
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                return False
            raise
        self._gone += 1
        return True

    def _enter(self, name: str) -> None:
        if len(self._open) >= MAX_DEPTH:
            # One that lies too deep becomes a neighbour of the outermost.
            os.rename(name, f".{secrets.token_hex(8)}", src_dir_fd=self._open[-1], dst_dir_fd=self._open[0])
            return
        descriptor = _open_for_removal(name, self._open[-1])
        self._open.append(descriptor)
        self._names.append(name)
        if os.fstat(descriptor).st_dev != self._device:
            raise OSError(errno.EBUSY, "another file system is mounted there")

    def _leave(self) -> None:
        os.close(self._open.pop())
        name = self._names.pop()
        with suppress(FileNotFoundError):
            if self._open:
                os.rmdir(name, dir_fd=self._open[-1])
            else:
                self._home.rmdir()
        self._gone += 1

    def _sentence(self, error: OSError) -> str:
        where = ("/".join(self._names) or str(self._home))[-_SHOWN:]  # its owner chose it: perhaps it is no text
        return f"Something in {where!r} cannot be deleted: {error.strerror}. Look at that folder, and try again."


def _open_for_removal(name: Path | str, parent: int | None) -> int:
    """Open a folder, and let the hub's account write in it: who owned it may have forbidden that to themselves."""
    place = os.open(name, _PLACE, dir_fd=parent)
    try:
        if os.geteuid() and (mode := stat.S_IMODE(os.fstat(place).st_mode)) & PRIVATE != PRIVATE:
            Path(f"/proc/self/fd/{place}").chmod(mode | PRIVATE)
        return os.open(".", _DIRECTORY, dir_fd=place)
    finally:
        os.close(place)
