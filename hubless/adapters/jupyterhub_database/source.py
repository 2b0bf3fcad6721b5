"""Tables of a database, and which kind of database a source means."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from hubless.domain.errors import HublessError

Row = Mapping[str, Any]
_FILE = "jupyterhub.sqlite"  # JupyterHub's default `db_url`


class UnreadableSourceError(HublessError):
    """Raised when nothing of a source can be read; the message says why, and what to do."""

    code = "unreadable-source"


class Database(Protocol):
    """An open database. All that is read of it is of one moment."""

    @property
    def label(self) -> str:
        """Return what people call it; it has no password."""
        ...

    def columns(self) -> Mapping[str, frozenset[str]]:
        """Return the names of columns by table."""
        ...

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[Row]:
        """Return rows one after the other, in the order of the first of *columns*; each has these columns.

        Raises:
            UnreadableSourceError: when the database cannot be read any further.
        """
        ...


def opened(source: str) -> AbstractContextManager[Database]:
    """Open the database that *source* means: a file, a folder that has `jupyterhub.sqlite`, or SQLAlchemy's URL.

    Raises:
        UnreadableSourceError: when there is no database, or it cannot be read.
    """
    from hubless.adapters.jupyterhub_database import server, sqlite_file  # noqa: PLC0415 one of them is needed

    kind, separator, rest = source.partition("://")
    if not separator:
        return sqlite_file.opened(_file_of(Path(source)))
    if kind.partition("+")[0] == "sqlite":
        return sqlite_file.opened(_file_of(Path(rest.removeprefix("/").partition("?")[0])))
    return server.opened(source)


def _file_of(path: Path) -> Path:
    if path.is_dir():
        path /= _FILE
    if not path.is_file():
        raise UnreadableSourceError(f"There is no file {path}: name the file that the hub's setting db_url names")
    return path
