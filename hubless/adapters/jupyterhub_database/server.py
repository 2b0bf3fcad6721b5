"""A JupyterHub's database at PostgreSQL or MySQL, read in one read-only transaction by SQLAlchemy (extra `import`)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hubless.adapters.jupyterhub_database.source import Row, UnreadableSourceError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

# Hubs have other drivers in their URLs, such as psycopg2.
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg", "mysql": "mysql+pymysql"}
_DRIVERS["mariadb"] = _DRIVERS["mysql"]
# The URL may name an encoding that lacks characters; MySQL answers `?` for these. PostgreSQL's databases may have none.
_ENCODING = {"postgresql": {"client_encoding": "utf8"}, "mysql": {"charset": "utf8mb4"}}
_ENCODING |= {"postgres": _ENCODING["postgresql"], "mariadb": _ENCODING["mysql"]}
# MySQL would take the moment of the first row that is read, which is after the look at the columns.
_SNAPSHOT = {
    "postgresql": "SET TRANSACTION READ ONLY",
    "mysql": "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
}
_FORM = "KIND://USER:PASSWORD@HOST/NAME"
_PATIENCE = 10  # seconds until a server answers
_AT_ONCE = 1000  # rows
_MAX_SAID = 300  # characters of a driver


class ServerDatabase:
    """A database in a transaction."""

    def __init__(self, connection: "Connection", label: str) -> None:
        self._connection, self.label = connection, label

    def columns(self) -> Mapping[str, frozenset[str]]:
        from sqlalchemy import inspect  # noqa: PLC0415 an extra

        found = inspect(self._connection)
        return {t: frozenset(c["name"] for c in found.get_columns(t)) for t in found.get_table_names()}

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[Row]:
        from sqlalchemy import column, select  # noqa: PLC0415 an extra
        from sqlalchemy import table as table_of  # noqa: PLC0415 as above

        names: list[Any] = [column(name) for name in columns]
        statement = select(*names).select_from(table_of(table)).order_by(names[0])
        result = self._connection.execution_options(yield_per=_AT_ONCE).execute(statement)
        for row in result:
            yield dict(zip(columns, row, strict=True))


@contextmanager
def opened(source: str) -> Iterator[ServerDatabase]:
    """Connect to the database at a URL such as `postgresql://USER:PASSWORD@HOST/NAME`.

    All that is read of it is of one moment, also while others write: both servers keep it (REPEATABLE READ).

    Raises:
        UnreadableSourceError: when the URL is none, the driver is missing, or the server refuses; without the password.
    """
    try:
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 an extra
    except ImportError:
        raise UnreadableSourceError(_no_driver()) from None
    url = _url(source)
    label = url.set(query={}).render_as_string(hide_password=True)
    with _connected(url, label) as connection:
        try:
            connection.exec_driver_sql(_SNAPSHOT[url.get_backend_name()])
            yield ServerDatabase(connection, label)
        except (SQLAlchemyError, UnicodeDecodeError) as error:
            raise UnreadableSourceError(
                f"The database {label} cannot be read any further: {_why(error, url)}. "
                "Look whether its server works, and import again"
            ) from None


@contextmanager
def _connected(url: "URL", label: str) -> "Iterator[Connection]":
    from sqlalchemy import create_engine  # noqa: PLC0415 an extra

    try:
        engine = create_engine(url, connect_args={"connect_timeout": _PATIENCE}, isolation_level="REPEATABLE READ")
    except ImportError:
        raise UnreadableSourceError(_no_driver()) from None
    try:
        try:
            connection = engine.connect()
        except Exception as error:  # noqa: BLE001 drivers raise anything for options that they do not know
            raise UnreadableSourceError(
                f"The server of the database {label} lets nobody in: {_why(error, url)}. "
                "Mend the URL, or look whether the server works"
            ) from None
        with connection:
            yield connection
    finally:
        engine.dispose()


def _url(source: str) -> "URL":
    from sqlalchemy import make_url  # noqa: PLC0415 an extra
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415 as above

    try:
        url = make_url(source)
        kind = url.get_backend_name()
        url = url.set(drivername=_DRIVERS[kind]).update_query_dict(_ENCODING[kind])
    except (ArgumentError, ValueError):
        raise UnreadableSourceError(f"The URL of the database has another form than {_FORM}") from None
    except KeyError:
        raise UnreadableSourceError("hubless reads databases of SQLite, PostgreSQL and MySQL, and no others") from None
    if "@" in (url.host or ""):  # the host would show the end of a password
        raise UnreadableSourceError("The URL of the database has a second @: write one of the password as %40")
    if not url.database:
        raise UnreadableSourceError(f"The URL names no database: its form is {_FORM}")
    return url


def _no_driver() -> str:
    return "A database at a server needs drivers that are not here: pip install 'hubless[import]', and try again"


def _why(error: Exception, url: "URL") -> str:
    """Return what a driver said, in one line, without its number and without the password."""
    cause = getattr(error, "orig", None) or error
    said = " ".join(str(cause.args[-1] if cause.args else "").split()) or type(cause).__name__
    for secret in (url.password, url.query.get("password"), url.query.get("passwd")):
        if secret:
            said = said.replace(str(secret), "***")
    return said[:_MAX_SAID].rstrip(". ?")
