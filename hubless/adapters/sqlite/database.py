"""One SQLite file: connections, transactions, and readable errors."""

import contextlib
import itertools
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from hubless.adapters.sqlite import schema
from hubless.adapters.sqlite.private_file import make_private
from hubless.domain.errors import StoreBusyError, StoreUnavailableError
from hubless.domain.names import skeleton

BUSY_SECONDS = 5.0
STATEMENTS = 256  # prepared statements that a connection caches
WAL_BYTES = 16 * 2**20  # to which SQLite cuts the file of recent writes, once it needs no more of it
SPARE_PAGES, PAGES_AT_ONCE = 1_000, 500  # free pages that stay for the next rows; and that one call gives back
AUTO_VACUUM, _INCREMENTAL = "INCREMENTAL", 2  # how a file gives free pages back, and what SQLite says of such a file
_SYNCHRONOUS = {"normal": "PRAGMA synchronous = NORMAL", "full": "PRAGMA synchronous = FULL"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_memories = itertools.count()
_patience: ContextVar[float] = ContextVar("patience", default=BUSY_SECONDS)
"""For how many seconds a write waits for the write lock; readers never wait for it."""
T = TypeVar("T")
R = TypeVar("R")


def to_number(at: datetime | None) -> int | None:
    """Return *at* as it is stored: microseconds since 1970 in UTC."""
    return None if at is None else (at - _EPOCH) // _MICROSECOND


def to_instant(number: int | None) -> datetime | None:
    """Return the instant of *number*."""
    return None if number is None else datetime.fromtimestamp(number / 1e6, UTC)  # exact until the year 2242


class Database:
    """A file, or shared memory without one. Each thread of each process has its own connection.

    WAL with `synchronous=NORMAL`: committed writes survive the crash of any process. Only a power failure may lose the
    last moments, but never the file; with `synchronous=FULL` nothing.
    """

    def __init__(self, path: Path | None = None, *, create: bool = True, synchronous: str = "normal") -> None:
        """Open the file, and create missing tables; make the file if there is none and *create* allows it.

        With *synchronous* `full` a write waits until the disk has it (https://sqlite.org/pragma.html#pragma_synchronous).

        Raises:
            StoreUnavailableError: with what is wrong with the file, and what to do.
        """
        self._path = path
        self._synchronous = _SYNCHRONOUS[synchronous]
        self._identity: tuple[int, int] | None = None  # of the file, by which it is known from another at its place
        self._where = str(path) if path else f"file:hubless-{next(_memories)}?mode=memory&cache=shared"
        self._local = threading.local()
        self._is_held = False  # whether the last write that wanted the write lock, or the last look at it, missed it
        self._translate_errors = _TranslateErrors(self)
        if path is not None and not create and not path.exists():
            raise StoreUnavailableError(self._gone())
        if path is not None:
            with contextlib.suppress(OSError):  # SQLite says better what is wrong
                make_private(path)
        # Shared memory exists as long as one connection to it.
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
        """Run one writing statement, alone or in the thread's transaction; return the number of changed rows."""
        connection = self._connection()
        if connection.in_transaction:
            with self._translate_errors:
                return connection.execute(statement, values).rowcount
        with self._translate_errors:
            self._set_patience(connection)
            changed = connection.execute(statement, values).rowcount
        self._is_held = False
        self._require_same_file()
        return changed

    def write_many(self, statement: str, values: Iterable[Sequence[Any]]) -> int:
        """Run one writing statement for each of *values*; call it within a transaction."""
        with self._translate_errors:
            return self._connection().executemany(statement, values).rowcount

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all writes of the thread in this context together, or none. A nested one joins the outer one."""
        connection = self._connection()
        if connection.in_transaction:
            yield
            return
        with self._translate_errors:
            self._set_patience(connection)
            # The write lock comes first, so that two writers never deadlock when they upgrade a read lock.
            connection.execute("BEGIN IMMEDIATE")
            self._is_held = False
            try:
                yield
            except BaseException:
                if connection.in_transaction:  # SQLite rolls back itself when the disk is full
                    connection.execute("ROLLBACK")
                raise
            try:
                connection.execute("COMMIT")
            except sqlite3.Error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        self._require_same_file()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Have all reads of the thread in this context see one state; in a file, others may write meanwhile."""
        connection = self._connection()
        if connection.in_transaction:
            yield
            return
        with self._translate_errors:
            connection.execute("BEGIN")
            try:
                yield
            finally:
                connection.execute("ROLLBACK")

    def is_free(self) -> bool:
        """Say whether nobody holds the write lock; do not wait."""
        connection = self._connection()
        if self._path is None or connection.in_transaction:
            return True
        try:
            with self.wait_at_most(0), self._translate_errors:
                self._set_patience(connection)
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
        except StoreBusyError:
            return False
        self._is_held = False
        return True

    @contextmanager
    def wait_at_most(self, seconds: float) -> Iterator[None]:
        """Let each write of this context wait so long for the write lock.

        While somebody holds it for longer, only one of the writes waits, and the others try once: they may all be
        called by one thread, and their waits would add up.
        """
        before = _patience.set(seconds)
        try:
            yield
        finally:
            _patience.reset(before)

    def in_turns(
        self,
        things: Sequence[T],
        size: int,
        act: Callable[[Sequence[T]], R],
        sleep: Callable[[float], None] = time.sleep,
    ) -> list[R]:
        """Call *act* with *size* of *things* at a time, each in a transaction, and return the results.

        Between two transactions it rests as long as the last one took, so that others who wait for the write lock get
        it. Within a transaction of the thread it does all at once.
        """
        results = list[R]()
        for start in range(0, len(things), size):
            began = time.monotonic()
            with self.transaction():
                results.append(act(things[start : start + size]))
            if start + size < len(things) and not self._connection().in_transaction:
                sleep(time.monotonic() - began)
        return results

    def watcher(self) -> Callable[[], bool]:
        """Return a cheap test for one thread: whether any process may have written since its last call."""
        seen: list[tuple[int, int]] = []

        def changed() -> bool:
            with self._translate_errors:
                connection = self._connection()
                # data_version changes with writes of others, total_changes with our own.
                now = (connection.execute("PRAGMA data_version").fetchone()[0], connection.total_changes)
            if seen == [now]:
                return False
            seen[:] = [now]
            return True

        return changed

    def can_give_room_back(self) -> bool:
        """Say whether `give_room_back` has an effect: not in files that an older hubless made, before `rebuild`."""
        self.read("SELECT 1 FROM sqlite_master LIMIT 1")  # the pragma itself reads no file
        found: int = self.read_one("PRAGMA auto_vacuum")[0]
        return found == _INCREMENTAL

    def rebuild(self) -> None:
        """Write the whole file anew, so that it can give room back. Needs its size twice; all of it is one transaction.

        Raises:
            StoreUnavailableError: when there is too little room, or somebody uses the file; it stays as it was.
        """
        self.read(f"PRAGMA auto_vacuum = {AUTO_VACUUM}")
        self.read("VACUUM")
        self._require_same_file()

    def give_room_back(self) -> int:
        """Return some free pages to the disk, and how many; call it again and again. Some stay for the next rows."""
        free = self.read_one("PRAGMA freelist_count")[0] - SPARE_PAGES
        if free <= 0:
            return 0
        before: int = self.read_one("PRAGMA page_count")[0]
        with self._translate_errors:  # a script, because `execute` takes one step, which frees one page
            self._connection().executescript(f"PRAGMA incremental_vacuum({min(free, PAGES_AT_ONCE)})")
        self._require_same_file()
        after: int = self.read_one("PRAGMA page_count")[0]
        return before - after

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

    def _set_patience(self, connection: sqlite3.Connection) -> None:
        """Let SQLite wait for the write lock for as long as this context's writes may."""
        seconds = _patience.get()
        if self._is_held and seconds < BUSY_SECONDS:
            seconds = 0.0
        if seconds != self._local.patience:
            connection.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")
            self._local.patience = seconds

    def note_busy(self) -> None:
        """Remember that a write missed the write lock."""
        self._is_held = True

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
            self._local.patience = BUSY_SECONDS
            connection.execute("PRAGMA foreign_keys = ON")
            if self._path is not None:
                # In a file that has tables this takes the write lock, and changes nothing before `rebuild`.
                if not connection.execute("PRAGMA page_count").fetchone()[0]:
                    connection.execute(f"PRAGMA auto_vacuum = {AUTO_VACUUM}")
                _use_wal(connection)
                connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
                connection.execute(self._synchronous)
            else:
                connection.execute(
                    "PRAGMA read_uncommitted = ON"
                )  # shared memory has table locks, on which readers do not wait
        self._require_same_file()
        return connection

    def _require_same_file(self) -> None:
        """Raise StoreUnavailableError when another file, or none, is at the path: what is written here is lost then.

        SQLite itself goes on with a file that was removed. So this comes after a write, and before anybody is told.
        """
        if self._path is None:
            return
        try:
            found = self._path.stat()
        except OSError:
            raise StoreUnavailableError(self._gone()) from None
        if self._identity is None:
            self._identity = found.st_dev, found.st_ino
        elif self._identity != (found.st_dev, found.st_ino):
            raise StoreUnavailableError(self._gone())

    def _gone(self) -> str:
        return (
            f"The database {self._path} was removed or replaced, so nothing is written any more. Stop the hub, put the"
            " file back or restore a backup (`hubless restore`), and start the hub again."
        )

    def _prepare(self) -> None:
        found: int = self.read_one("PRAGMA user_version")[0]
        if found > schema.VERSION:
            raise StoreUnavailableError(
                f"{self._path} was written by a newer hubless (schema {found}; this one knows {schema.VERSION})."
                " Start the newer hubless. Or put an older file in its place, and remove its -wal and -shm beside it."
            )
        self._connection().create_function("skeleton_of", 1, skeleton, deterministic=True)
        for step in schema.STEPS[found:]:
            for statement in step.split(";\n"):
                if statement.strip():
                    self.write(statement)
        if found < schema.VERSION:
            self.write(f"PRAGMA user_version = {schema.VERSION}")

    def sentence(self, error: sqlite3.Error) -> str:
        """Return a message: what *error* means, and what to do."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        remedy = {
            sqlite3.SQLITE_FULL: "The disk is full: free some space. Committed data is safe.",
            sqlite3.SQLITE_CORRUPT: "The file is corrupt: stop the hub, and restore the file from a backup.",
            sqlite3.SQLITE_NOTADB: "The file is not a database of hubless: move it away, or restore it from a backup.",
            sqlite3.SQLITE_BUSY: "Another process writes to it for long: look for that process.",
            sqlite3.SQLITE_READONLY: "The hub cannot write it: make its system user the owner.",
            sqlite3.SQLITE_CANTOPEN: "The hub cannot open it: the folder must exist and belong to its system user.",
            sqlite3.SQLITE_IOERR: "Reading or writing failed: check the disk and its free space.",
        }.get(code, "")
        return f"SQLite cannot use the database {self._path or 'in memory'} ({error}). {remedy}".rstrip()


class _TranslateErrors:
    """Translates SQLite's errors, except IntegrityError, which stores handle.

    Every statement uses it, so it is a class: a generator would take as long as SQLite itself.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> None:
        return

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if not isinstance(error, sqlite3.Error) or isinstance(error, sqlite3.IntegrityError):
            return
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            self._database.note_busy()
            raise StoreBusyError(self._database.sentence(error)) from error
        raise StoreUnavailableError(self._database.sentence(error)) from error


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch the file to WAL; retry, because SQLite refuses some of several parallel calls on a new file at once."""
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
