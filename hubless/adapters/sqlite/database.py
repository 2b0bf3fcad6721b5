"""One SQLite file: connections, transactions, and its errors in words."""

import itertools
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from hubless.adapters.sqlite import schema
from hubless.domain.errors import StoreUnavailableError

BUSY_SECONDS = 5.0
STATEMENTS = 256  # prepared statements that a connection keeps
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_memories = itertools.count()


def to_number(at: datetime | None) -> int | None:
    """Return *at* as it is stored: microseconds since 1970 in UTC."""
    return None if at is None else (at - _EPOCH) // _MICROSECOND


def to_instant(number: int | None) -> datetime | None:
    """Return the instant that *number* stands for."""
    return None if number is None else datetime.fromtimestamp(number / 1e6, UTC)  # exact until the year 2242


class Database:
    """A file (or, without one, memory that all threads share). Each thread of each process has its own connection.

    WAL with `synchronous=NORMAL`: what was acknowledged survives the death of every process; only a machine that loses
    its power may lose the last moments, and never the file.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Open the file and make the tables that it lacks.

        Raises:
            StoreUnavailableError: saying what is wrong with the file and what to do.
        """
        self._path = path
        self._where = str(path) if path else f"file:hubless-{next(_memories)}?mode=memory&cache=shared"
        self._local = threading.local()
        self._translate_errors = _TranslateErrors(self)
        # Memory lives as long as one connection to it does.
        self._keeper = None if path else self._connect()
        with self.transaction():
            self._prepare()

    def read(self, statement: str, values: Sequence[Any] | dict[str, Any] = ()) -> list[Any]:
        """Return all rows of a query."""
        with self._translate_errors:
            rows: list[Any] = self._connection().execute(statement, values).fetchall()
            return rows

    def read_one(self, statement: str, values: Sequence[Any] | dict[str, Any] = ()) -> Any:
        """Return the first row of a query, or None."""
        with self._translate_errors:
            return self._connection().execute(statement, values).fetchone()

    def write(self, statement: str, values: Sequence[Any] | dict[str, Any] = ()) -> int:
        """Run one writing statement, by itself or within the thread's transaction, and return how many rows it changed."""
        with self._translate_errors:
            return self._connection().execute(statement, values).rowcount

    def write_many(self, statement: str, values: Iterable[Sequence[Any]]) -> int:
        """Run one writing statement for each of *values*; call it within a transaction."""
        with self._translate_errors:
            return self._connection().executemany(statement, values).rowcount

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all that the thread writes within it happen together or not at all; one in another is part of it."""
        connection = self._connection()
        if connection.in_transaction:
            yield
            return
        with self._translate_errors:
            connection.execute(
                "BEGIN IMMEDIATE"
            )  # the lock comes first: two writers never deadlock on upgrading a read
            try:
                yield
            except BaseException:
                if connection.in_transaction:  # a full disk has rolled it back already
                    connection.execute("ROLLBACK")
                raise
            try:
                connection.execute("COMMIT")
            except sqlite3.Error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def watcher(self) -> Callable[[], bool]:
        """Return a cheap test: whether anybody may have written since it was asked last. For one thread."""
        seen: list[tuple[int, int]] = []

        def changed() -> bool:
            with self._translate_errors:
                connection = self._connection()
                # data_version changes with others' writes, total_changes with our own.
                now = (connection.execute("PRAGMA data_version").fetchone()[0], connection.total_changes)
            if seen == [now]:
                return False
            seen[:] = [now]
            return True

        return changed

    def close(self) -> None:
        """Close this thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            del self._local.connection

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
        return connection

    def _connect(self) -> sqlite3.Connection:
        with self._translate_errors:
            connection = sqlite3.connect(
                self._where,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=STATEMENTS,
                uri=self._path is None,
            )
            connection.execute("PRAGMA foreign_keys = ON")
            if self._path is not None:
                _use_wal(connection)
                connection.execute("PRAGMA synchronous = NORMAL")
            else:
                connection.execute("PRAGMA read_uncommitted = ON")  # shared memory has table locks, and no reader waits
            return connection

    def _prepare(self) -> None:
        found: int = self.read_one("PRAGMA user_version")[0]
        if found > schema.VERSION:
            raise StoreUnavailableError(
                f"{self._path} was written by a newer hubless (schema {found}; this one knows {schema.VERSION})."
                " Start that one, or bring an older file back from a backup."
            )
        for step in schema.STEPS[found:]:
            for statement in step.split(";\n"):
                if statement.strip():
                    self.write(statement)
        if found < schema.VERSION:
            self.write(f"PRAGMA user_version = {schema.VERSION}")

    def sentence(self, error: sqlite3.Error) -> str:
        """Return what *error* means, and what to do."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        remedy = {
            sqlite3.SQLITE_FULL: "The disk is full: make room, then go on; what was acknowledged is safe.",
            sqlite3.SQLITE_CORRUPT: "The file is broken: stop the hub and bring it back from a backup.",
            sqlite3.SQLITE_NOTADB: "The file is no hubless database: move it away, or bring it back from a backup.",
            sqlite3.SQLITE_BUSY: f"Another process has held it for over {BUSY_SECONDS:.0f} s: end that one.",
            sqlite3.SQLITE_READONLY: "It may not be written: give it to the user that runs the hub.",
            sqlite3.SQLITE_CANTOPEN: "It cannot be opened: the folder must exist and belong to the user that runs the hub.",
            sqlite3.SQLITE_IOERR: "Reading or writing failed: look at the disk and its free space.",
        }.get(code, "")
        return f"The database {self._path or 'in memory'} does not work ({error}). {remedy}".rstrip()


class _TranslateErrors:
    """Translates SQLite's errors, here and nowhere else; a broken promise of ours goes through as it is.

    Every statement goes through it, so it is no generator: that would take as long as SQLite does.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> None:
        return

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.IntegrityError):
            raise StoreUnavailableError(self._database.sentence(error)) from error


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch the file to WAL. Of several who open a new file at once SQLite refuses some without waiting: they try again."""
    give_up_at = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                raise
            time.sleep(0.01)
        else:
            return
