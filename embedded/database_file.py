"""The database's file at a start: upgrades it, after a copy, and notices that it was restored or replaced."""

import os
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from embedded.data_folder import DataFolderError, how_to_go_on, running_hub
from hubless.adapters.processes.strays import mark_strays, strays
from hubless.adapters.sqlite import schema
from hubless.adapters.sqlite.database import Database
from hubless.adapters.sqlite.epoch import read_epoch, write_epoch
from hubless.adapters.sqlite.private_file import make_private
from hubless.bootstrap import machine
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.lifecycle import ACTIVE
from hubless.domain.strays import Stray
from hubless.settings import Settings

_EPOCH_BYTES = 8


def begin_run(settings: Settings, tell: Callable[[str], None]) -> str:
    """Make the database ready for a run of the hub, and return the run's epoch; call it with the folder locked.

    Raises:
        DataFolderError: when the file is empty though the hub had one.
        StoreUnavailableError: when the file cannot be used, or is a newer hubless's.
    """
    upgrade(settings, tell)
    database = machine.open_database(settings)
    _let_give_room_back(database, tell)
    noted, stored = _noted(settings), read_epoch(database)
    if noted != stored:
        mark_strays(settings.launches, _known(database))
        if found := strays(settings.launches):
            tell(in_words(found))
    epoch = secrets.token_hex(_EPOCH_BYTES)
    write_epoch(database, epoch)
    database.close()
    draft = settings.epoch_file.with_name("epoch.new")
    draft.write_text(epoch)
    draft.replace(settings.epoch_file)
    return epoch


def _let_give_room_back(database: Database, tell: Callable[[str], None]) -> None:
    """Rebuild a file that an older hubless made; if that cannot be, it goes on without giving room back."""
    if database.can_give_room_back():
        return
    tell("Rebuilding the database once, so that it gives the disk back what it needs no more.")
    try:
        database.rebuild()
    except StoreUnavailableError as error:
        tell(f"The database stays as it is, and the next start tries again: {error}")


def upgrade(settings: Settings, tell: Callable[[str], None]) -> None:
    """Say that an older file will be upgraded, and copy it first.

    Raises:
        DataFolderError: when the file is empty though the hub had one, or the copy cannot be written.
    """
    found = schema_of(settings.database)
    if found == 0 and settings.epoch_file.exists():
        raise DataFolderError(f"The database {settings.database} is empty. {how_to_go_on(settings)}")
    if found is None or not 0 < found < schema.VERSION:
        return
    copy = settings.database.with_name(f"{settings.database.name}.schema-{found}")
    tell(
        f"Upgrading the database from schema {found} to {schema.VERSION}. The file as it was is kept as {copy}:"
        " an older hubless cannot read the new one."
    )
    copy_database(settings.database, copy)


def require_same_schema_beside_a_hub(settings: Settings) -> None:
    """Refuse to upgrade the database under a hub of an older hubless that runs.

    Raises:
        DataFolderError: when one does.
    """
    found = schema_of(settings.database)
    if found is not None and 0 < found < schema.VERSION and running_hub(settings.data) is not None:
        raise DataFolderError(
            f"A hub of an older hubless runs in {settings.data}. Stop it and start this one first: a command of this"
            " one would change the database under it."
        )


def schema_of(file: Path) -> int | None:
    """Return the schema's version of a database; 0 for an empty file, None for one that cannot be read."""
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error:
        return None  # whoever opens it says better why


def copy_database(source: Path, target: Path) -> None:
    """Copy a database that may be in use: the copy is one state of it, whole and for its owner alone.

    Raises:
        DataFolderError: when it cannot be read or written.
    """
    draft = target.with_name(f"{target.name}.new")
    draft.unlink(missing_ok=True)
    try:
        make_private(draft)
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?{_mode(source)}", uri=True)) as from_,
            closing(sqlite3.connect(draft)) as to,
        ):
            from_.backup(to)
            to.execute("PRAGMA journal_mode = DELETE")  # one file, which can be moved
        draft.replace(target)
    except (OSError, sqlite3.Error) as error:
        draft.unlink(missing_ok=True)
        raise DataFolderError(
            f"Cannot copy the database {source} to {target}: {error}. Free some space, or mend the file's rights."
        ) from None


def _mode(source: Path) -> str:
    """Return how to open a database that others may write, or that is on a disk which is mounted read-only.

    SQLite needs a file of shared memory beside it. Where it can make none, nobody writes either (`immutable`).
    """
    if not os.statvfs(source).f_flag & os.ST_RDONLY:
        return "mode=rw"
    return "mode=ro" if source.with_name(f"{source.name}-shm").exists() else "mode=ro&immutable=1"


def forget_epoch(file: Path) -> None:
    """Let the database belong to no run, so that the start after a restore notices it."""
    with closing(sqlite3.connect(file)) as connection, connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'epoch'").fetchone():
            connection.execute("DELETE FROM epoch")


def is_whole(file: Path) -> bool:
    """Say whether SQLite finds no damage in the file."""
    try:
        with closing(sqlite3.connect(file)) as connection:
            return bool(connection.execute("PRAGMA integrity_check").fetchone() == ("ok",))
    except sqlite3.Error:
        return False


def in_words(found: list[Stray]) -> str:
    """Return what a start says of strays."""
    lines = [
        f"The database was restored or replaced. Servers run that it does not know: {len(found)}. They run on:",
        *(f"  {one.launch_id}  {one.called}  {one.home}" for one in found),
        "`hubless strays` lists them again; with --adopt it gives them back to their owners, with --end it ends them.",
    ]
    return "\n".join(lines)


def _noted(settings: Settings) -> str:
    try:
        return settings.epoch_file.read_text().strip()
    except FileNotFoundError:
        return ""


def _known(database: Database) -> set[str]:
    states = {state.value for state in ACTIVE}
    rows = database.read("SELECT launch_id, state FROM servers WHERE launch_id IS NOT NULL")
    return {launch_id for launch_id, state in rows if state in states}
