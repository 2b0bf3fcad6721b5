"""The data folder: what lies where, who may read it, and that one hub at a time uses it."""

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

from hubless.domain.errors import HublessError
from hubless.settings import Settings

SECRET_BYTES = 32
LEAST_FREE_BYTES = 50 * 1024 * 1024
LONGEST_RUN_FOLDER = 60  # a unix socket's path may have 107 bytes, and folders and names follow
_LOCK, _TREE = "lock", "lock-tree"


class DataFolderError(HublessError):
    """Raised when the data folder cannot be used; the message says why and what to do."""

    code = "data_folder"


@dataclass(frozen=True, slots=True)
class Lock:
    """A held folder: *tree* is handed to every child, so that it stays held until the last of them has ended."""

    own: int
    tree: int

    def write_facts(self, facts: Mapping[str, Any]) -> None:
        """Write *facts* about this run, for whoever asks who runs."""
        os.truncate(self.own, 0)
        os.pwrite(self.own, json.dumps(facts).encode(), 0)

    def release(self) -> None:
        """Let go."""
        os.truncate(self.own, 0)
        os.close(self.tree)
        os.close(self.own)


def prepare(settings: Settings) -> None:
    """Make the data folder with all that a hub expects in it; what is there stays.

    Raises:
        DataFolderError: when it cannot be made or written, or the disk is full.
    """
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
        settings.data.chmod(stat.S_IRWXU)
        for folder in (settings.launches, settings.homes, settings.data / "logs"):
            folder.mkdir(parents=True, exist_ok=True, mode=stat.S_IRWXU)
        _make_secret(settings.secret_file)
    except OSError as error:
        raise DataFolderError(
            f"The data folder {settings.data} cannot be used: {error.strerror}. "
            "Give its folder to the user that runs the hub, or choose another with --data."
        ) from None
    if (free := shutil.disk_usage(settings.data).free) < LEAST_FREE_BYTES:
        raise DataFolderError(
            f"The disk of {settings.data} is full: {free // 1024**2} MB are free, the hub needs "
            f"{LEAST_FREE_BYTES // 1024**2} MB to start. Make room, or choose another folder with --data."
        )


def _make_secret(file: Path) -> None:
    """Make the hub's key whole or not at all: of two processes at once, both use the one that came first."""
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
            f"{file} is damaged: it must have {SECRET_BYTES} bytes. Bring it back from a backup, or remove it; "
            "then everybody has to log in again and running servers have to be restarted."
        )


def lock(data: Path, *, timeout_seconds: float = 15.0) -> Lock:
    """Hold the folder, waiting for what a killed hub left running to end.

    Raises:
        DataFolderError: when another hub runs here, saying which.
    """
    own = _open(data / _LOCK)
    if not _hold(own):
        os.close(own)
        raise DataFolderError(
            f"A hub runs in {data} already: {_told(running_hub(data))}. Stop it, or choose another --data."
        )
    tree = _open(data / _TREE)
    give_up_at = time.monotonic() + timeout_seconds
    while not _hold(tree):
        if time.monotonic() > give_up_at:
            os.close(tree)
            os.close(own)
            raise DataFolderError(f"Processes of an earlier hub in {data} do not end. Stop them, then start again.")
        time.sleep(0.05)
    return Lock(own, tree)


def running_hub(data: Path) -> dict[str, Any] | None:
    """Return what the hub that runs in *data* noted about itself, or None when none runs."""
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
        return {}  # it has only just begun


def _told(facts: dict[str, Any] | None) -> str:
    if not facts:
        return "it is just starting"
    return f"process {facts.get('pid')}, at {facts.get('url')}"


def _open(file: Path) -> int:
    return os.open(file, os.O_RDWR | os.O_CREAT, stat.S_IRUSR | stat.S_IWUSR)


def _hold(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def run_folder_path(data: Path) -> Path:
    """Return the folder for sockets: in the data folder, or a short one where that path is too long."""
    folder = data.resolve() / "run"
    if len(os.fsencode(folder)) <= LONGEST_RUN_FOLDER:
        return folder
    mark = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"hubless-{os.getuid()}-{mark}"


def make_run_folder(data: Path) -> Path:
    """Return the folder for sockets, made.

    Raises:
        DataFolderError: when somebody else has made it.
    """
    folder = run_folder_path(data)
    folder.mkdir(mode=stat.S_IRWXU, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise DataFolderError(f"{folder} is not this user's alone. Remove it, or choose a shorter --data.")
    return folder


def remove_run_folder(folder: Path, data: Path) -> None:
    """Remove the folder where it is not in the data folder and nothing uses it any more."""
    if folder.parent != data.resolve():
        shutil.rmtree(folder, ignore_errors=True)
