"""Keeps the file of the database to its owner: it has hashes of secrets, and names of people."""

import contextlib
import glob
import os
import stat
from pathlib import Path

_OWNER_ALONE = stat.S_IRUSR | stat.S_IWUSR


def make_private(database: Path) -> None:
    """Create the file for its owner alone, and take it and all files that begin with its name away from others.

    SQLite gives the files beside it the permissions of the file. An existing file is not opened: on closing any
    descriptor of a file, a process loses all its locks on it (POSIX), and with them those of SQLite's connections.

    Raises:
        OSError: when the file cannot be made, or belongs to another account.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ALONE))
    for file in database.parent.glob(f"{glob.escape(database.name)}*"):
        with contextlib.suppress(FileNotFoundError):  # SQLite has just removed it
            if stat.S_IMODE(file.stat().st_mode) & ~_OWNER_ALONE:
                file.chmod(_OWNER_ALONE)
