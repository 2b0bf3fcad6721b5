"""The data folder: creates it, makes its secret, and locks it for one hub at a time."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hubless.adapters.sqlite.private_file import make_private
from hubless.domain.errors import HublessError
from hubless.settings import Settings

SECRET_BYTES = 32
LEAST_FREE_BYTES = 50 * 1024 * 1024
LONGEST_RUN_FOLDER = 60  # bytes; a unix socket's path may have 107, and names follow
_LOCK, _TREE = "lock", "lock-tree"
_MARKER = "hubless-data"
_MARKED = "This is the data folder of a hub (hubless). Only the hub and its operator may read it.\n"
_OWN_FILES = frozenset({_MARKER, "hub.sqlite", "secret", _LOCK})  # one of them shows that the folder is a hub's
_HARMLESS = frozenset(
    {"hubless.toml", "lost+found"}
)  # what an operator and a new disk put there before the first start
_FULL = "Its disk has no room or no inode left (see `df` and `df -i`): remove files"
_REMEDIES = {
    errno.EROFS: "Its disk is mounted read-only: mount it for writing",
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
}


class DataFolderError(HublessError):
    """Raised when the hub cannot use the data folder; the message says why and what to do."""

    code = "data_folder"


@dataclass(frozen=True, slots=True)
class Lock:
    """Holds the folder. Every child inherits *tree*, so the folder stays locked until the last child has ended."""

    own: int
    tree: int

    def write_facts(self, facts: Mapping[str, Any]) -> None:
        """Write *facts* about this run, which `running_hub` returns."""
        os.truncate(self.own, 0)
        os.pwrite(self.own, json.dumps(facts).encode(), 0)

    def release(self) -> None:
        """Release the folder."""
        os.truncate(self.own, 0)
        os.close(self.tree)
        os.close(self.own)


def prepare(settings: Settings) -> None:
    """Create the data folder and everything that a hub needs in it; keep what exists.

    Raises:
        DataFolderError: when the folder is no hub's, cannot be created or written, has lost its database, or the disk
            is full.
    """
    prepare_folder(settings)
    try:
        _make_secret(settings.secret_file)
        if settings.epoch_file.exists() and not settings.database.exists():
            raise DataFolderError(f"The database {settings.database} is gone. {how_to_go_on(settings)}")
        make_private(settings.database)
    except OSError as error:
        raise _unusable(settings.data, error) from None
    if (free := shutil.disk_usage(settings.data).free) < LEAST_FREE_BYTES:
        raise DataFolderError(
            f"The disk of {settings.data} is full: {free // 1024**2} MB are free, and the hub needs "
            f"{LEAST_FREE_BYTES // 1024**2} MB to start. Free some space, or choose another folder with --data."
        )


def prepare_folder(settings: Settings) -> None:
    """Create the data folder and the folders in it, without a database and a secret.

    Raises:
        DataFolderError: when the folder is no hub's, or cannot be created or written.
    """
    try:
        require_own(settings.data)
        settings.data.mkdir(parents=True, exist_ok=True)
        _mark(settings.data)
        settings.data.chmod(stat.S_IRWXU | _way(settings))
        # A launch that is over needs no new folder for its log: the disk may be full then.
        for folder in (settings.launches, settings.launches / "ended", settings.homes, settings.data / "logs"):
            folder.mkdir(parents=True, exist_ok=True, mode=stat.S_IRWXU)
    except OSError as error:
        raise _unusable(settings.data, error) from None


def require_own(data: Path) -> None:
    """Refuse a folder that has files and is no hub's: a hub would take it away from everybody else.

    Raises:
        DataFolderError: naming some of the files, or when the folder cannot be read.
    """
    try:
        found = {entry.name for entry in data.iterdir()} if data.exists() else set()
    except OSError as error:
        raise _unusable(data, error) from None
    if found & _OWN_FILES or found <= _HARMLESS:
        return
    some = ", ".join(sorted(found - _HARMLESS)[:3])
    raise DataFolderError(
        f"{data} is not the data folder of a hub: it has other files ({some}). Choose a new or an empty folder with "
        f"--data. If it is a hub's after all, create the file {_MARKER} in it."
    )


def how_to_go_on(settings: Settings) -> str:
    """Return what an operator can do whose database is not there: only a hub's first start makes one."""
    return (
        "Put it back, or restore a backup with `hubless restore`. To begin anew without users and tokens, remove"
        f" {settings.epoch_file} too."
    )


def require_writable(data: Path) -> None:
    """Refuse a folder that exists and cannot be written, without writing to it.

    Raises:
        DataFolderError: saying why not.
    """
    for folder in (data, *data.parents):
        if folder.exists():
            break
    if not os.access(folder, os.W_OK | os.X_OK):
        is_read_only = bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
        number = errno.EROFS if is_read_only else errno.EACCES
        raise _unusable(data, OSError(number, os.strerror(number)))


def _unusable(data: Path, error: OSError) -> DataFolderError:
    remedy = _REMEDIES.get(error.errno or 0, "Make the user that runs the hub its owner")
    return DataFolderError(
        f"The data folder {data} cannot be used: {error.strerror}. {remedy}, or choose another folder with --data."
    )


def _mark(data: Path) -> None:
    """Write the marker by which `require_own` knows the folder; an existing one stays."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(data / _MARKER, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
        with os.fdopen(descriptor, "w") as file:
            file.write(_MARKED)


def _way(settings: Settings) -> int:
    """Return the bits by which servers with accounts of their own go through the folder: those that `homes` has."""
    if not settings.homes.is_relative_to(settings.data) or not settings.homes.is_dir():
        return 0
    return settings.homes.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH)


def _make_secret(file: Path) -> None:
    """Create the hub's secret, whole or not at all. Two processes at once use the same one."""
    if not file.exists():
        draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
        try:
            with os.fdopen(descriptor, "wb") as out:
                out.write(secrets.token_bytes(SECRET_BYTES))
                out.flush()
                os.fsync(out.fileno())
            os.link(draft, file)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    if file.stat().st_size != SECRET_BYTES:
        raise DataFolderError(
            f"{file} is damaged: it must have {SECRET_BYTES} bytes. Restore it from a backup. Or remove it: then all "
            "users must log in again, and all running servers must be restarted."
        )


def lock(data: Path, *, timeout_seconds: float = 15.0) -> Lock:
    """Lock the folder. Wait up to *timeout_seconds* for child processes that a killed hub left running.

    Raises:
        DataFolderError: when another hub runs in this folder; the message names it.
    """
    own = _open(data / _LOCK)
    if not _try_lock(own):
        os.close(own)
        raise DataFolderError(
            f"A hub runs in {data} already: {_description(running_hub(data))}. Stop it, or choose another --data."
        )
    tree = _open(data / _TREE)
    give_up_at = time.monotonic() + timeout_seconds
    while not _try_lock(tree):
        if time.monotonic() > give_up_at:
            os.close(tree)
            os.close(own)
            raise DataFolderError(
                f"Processes of an earlier hub still use {data}. End them (see `pgrep -af embedded`) and start again."
            )
        time.sleep(0.05)
    return Lock(own, tree)


def running_hub(data: Path) -> dict[str, Any] | None:
    """Return the facts of the hub that runs in *data*; None when none runs."""
    try:
        descriptor = os.open(data / _LOCK, os.O_RDONLY)
    except OSError:
        return None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _facts(os.pread(descriptor, 4096, 0))
        return None
    finally:
        os.close(descriptor)


def _facts(noted: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(noted))
    except ValueError:
        return {}  # it has just started


def _description(facts: dict[str, Any] | None) -> str:
    if not facts:
        return "it is just starting"
    return f"process {facts.get('pid')}, at {facts.get('url')}"


def _open(file: Path) -> int:
    return os.open(file, os.O_RDWR | os.O_CREAT, stat.S_IRUSR | stat.S_IWUSR)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def run_folder_path(data: Path) -> Path:
    """Return the folder for sockets: in the data folder, or in the temporary folder if that path is too long."""
    folder = data.resolve() / "run"
    if len(os.fsencode(folder)) <= LONGEST_RUN_FOLDER:
        return folder
    mark = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"hubless-{os.getuid()}-{mark}"


def make_run_folder(data: Path) -> Path:
    """Create the folder for sockets and return it.

    Raises:
        DataFolderError: when it belongs to another user, or other users can read it.
    """
    folder = run_folder_path(data)
    folder.mkdir(mode=stat.S_IRWXU, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise DataFolderError(
            f"{folder} belongs to another user, or others may read it. Remove it, or choose a shorter --data."
        )
    return folder


def remove_run_folder(folder: Path, data: Path) -> None:
    """Remove the folder for sockets, unless it is in the data folder."""
    if folder.parent != data.resolve():
        shutil.rmtree(folder, ignore_errors=True)
