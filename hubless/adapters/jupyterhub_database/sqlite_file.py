"""A JupyterHub's SQLite file. Whatever is read comes from a private copy; the file itself is only ever read.

A hub at work holds locks for milliseconds, so SQLite's own backup makes a copy of one moment, and the hub waits no
longer than that takes. When nobody is at work, but a crash left a journal or a write-ahead log, SQLite would have to
write beside the file to read it. Then the files are copied as they lie, and SQLite recovers the copy.
"""

import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from hubless.adapters.jupyterhub_database.source import Row, UnreadableSourceError

_HEADER = b"SQLite format 3\0"
_WAL_MODE = 2  # at byte 18 of the file (SQLite's file format 1.3.3)
_MAX_VALUE = 16_000_000  # bytes of one value
_PATIENCE = 10.0  # seconds in which a hub's transaction ends
_TRIES = 5


class SqliteCopy:
    """A private copy of a file."""

    def __init__(self, connection: sqlite3.Connection, label: str) -> None:
        self._connection, self.label = connection, label

    def columns(self) -> Mapping[str, frozenset[str]]:
        of_tables = "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'"
        found: dict[str, set[str]] = {}
        for table, column in self._all(of_tables):
            found.setdefault(_text(table), set()).add(_text(column))
        return {table: frozenset(columns) for table, columns in found.items()}

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[Row]:
        names = ", ".join(f'"{column}"' for column in columns)
        for row in self._all(f'SELECT {names} FROM "{table}" ORDER BY 1'):  # noqa: S608 names of this package
            yield dict(zip(columns, row, strict=True))

    def check(self) -> None:
        """Look at every page.

        Raises:
            UnreadableSourceError: when one is broken.
        """
        if (verdict := _text(next(self._all("PRAGMA quick_check(1)"))[0])) != "ok":
            raise _broken(self.label, verdict)

    def _all(self, statement: str) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._connection.execute(statement)
        except sqlite3.DatabaseError as error:
            raise _broken(self.label, str(error)) from None


@contextmanager
def opened(path: Path) -> Iterator[SqliteCopy]:
    """Copy the database at *path* and open the copy, which is gone afterwards.

    Raises:
        UnreadableSourceError: when it is no database of SQLite, is broken, or stays locked.
    """
    label = str(path)
    with TemporaryDirectory(prefix="hubless-import-") as folder:
        copy = Path(folder) / "copy.sqlite"
        try:
            _check_header(path)
            if not _copied_by_sqlite(path, copy):
                _copy_files(path, copy)
            with closing(sqlite3.connect(copy)) as connection:
                connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE)
                connection.text_factory = _text
                one = SqliteCopy(connection, label)
                one.check()
                yield one
        except OSError as error:
            raise UnreadableSourceError(f"The file {label} cannot be read: {error.strerror}") from None
        except sqlite3.DatabaseError as error:
            raise _broken(label, str(error)) from None


def _check_header(path: Path) -> None:
    with path.open("rb") as file:
        header = file.read(len(_HEADER))
    if header != _HEADER:
        why = "is empty" if not header else "is no database of SQLite, or it is encrypted"
        raise UnreadableSourceError(f"The file {path} {why}: name the file that the hub's setting db_url names")


def _copied_by_sqlite(path: Path, copy: Path) -> bool:
    """Copy by SQLite's backup; False when SQLite would have to write beside the file."""
    if _is_wal(path) and not _beside(path, "-shm").exists():
        return False  # nobody has it open
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    try:
        with (
            closing(sqlite3.connect(uri, uri=True, timeout=_PATIENCE)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()  # waits for a hub that writes
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}:
            return False
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise UnreadableSourceError(
                f"The database {path} stays locked for {_PATIENCE:.0f} s: stop the hub, and try again"
            ) from None
        raise
    return True


def _copy_files(path: Path, copy: Path) -> None:
    """Copy the file and what lies beside it, until nothing changed meanwhile."""
    for _ in range(_TRIES):
        before = _stamps(path)
        for end in ("", "-wal", "-journal"):
            _beside(copy, end).unlink(missing_ok=True)
            if _beside(path, end).exists():
                shutil.copyfile(_beside(path, end), _beside(copy, end))
        if _stamps(path) == before:
            return
    raise UnreadableSourceError(f"The database {path} changes all the time: stop the hub, and try again")


def _stamps(path: Path) -> list[tuple[int, int] | None]:
    files = [_beside(path, end) for end in ("", "-wal", "-journal")]
    return [(file.stat().st_mtime_ns, file.stat().st_size) if file.exists() else None for file in files]


def _is_wal(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(20)[18:19] == bytes([_WAL_MODE])


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode(errors="surrogateescape")


def _broken(label: str, why: str) -> UnreadableSourceError:
    return UnreadableSourceError(f"The database {label} is broken ({why[:200]}): restore a backup of it, and read that")
