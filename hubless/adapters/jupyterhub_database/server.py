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
_PATIENCE = 10  # seconds until a server answers
_AT_ONCE = 1000  # rows


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

    Raises:
        UnreadableSourceError: when the URL is none, the driver is missing, or the server refuses; without the password.
    """
    try:
        from sqlalchemy import create_engine  # noqa: PLC0415 an extra
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 as above
    except ImportError:
        raise UnreadableSourceError(_no_driver()) from None
    url = _url(source)
    label = url.set(query={}).render_as_string(hide_password=True)
    try:
        engine = create_engine(url, connect_args={"connect_timeout": _PATIENCE}, isolation_level="REPEATABLE READ")
    except ImportError:
        raise UnreadableSourceError(_no_driver()) from None
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(
                "SET TRANSACTION READ ONLY" if url.get_backend_name() == "postgresql" else "START TRANSACTION READ ONLY"
            )
            yield ServerDatabase(connection, label)
    except SQLAlchemyError as error:
        why = _without_password(str(getattr(error, "orig", None) or error), url)
        raise UnreadableSourceError(f"The database {label} cannot be read: {why}") from None
    finally:
        engine.dispose()


def _url(source: str) -> "URL":
    from sqlalchemy import make_url  # noqa: PLC0415 an extra
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415 as above

    try:
        url = make_url(source)
        return url.set(drivername=_DRIVERS[url.get_backend_name()])
    except (ArgumentError, ValueError):
        raise UnreadableSourceError(
            "The URL of the database has another form than KIND://USER:PASSWORD@HOST/NAME"
        ) from None
    except KeyError:
        raise UnreadableSourceError("hubless reads databases of SQLite, PostgreSQL and MySQL, and no others") from None


def _no_driver() -> str:
    return "A database at a server needs drivers that are not here: install hubless[import], and try again"


def _without_password(text: str, url: "URL") -> str:
    lines: Any = text.strip().splitlines() or [""]
    said = str(lines[-1])[:300]
    return said.replace(str(url.password), "***") if url.password else said
