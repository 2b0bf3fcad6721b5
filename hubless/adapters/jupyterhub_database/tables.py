"""What all makers of records share: the rows of a database, and the remarks about them."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TypeVar

from hubless.adapters.jupyterhub_database import schema
from hubless.adapters.jupyterhub_database.source import Database, Row
from hubless.adapters.jupyterhub_database.values import BrokenRowError
from hubless.domain.archive import Remark
from hubless.domain.names import shown

T = TypeVar("T")
_MAX_REMARKS = 1000  # of one kind about single rows: others are counted


class Tables:
    """The rows of one database at *now*; and remarks, which it collects."""

    def __init__(self, database: Database, now: datetime) -> None:
        self.major = schema.major_version(database)
        self.now = now
        self._database, self._columns = database, schema.columns_of(self.major)
        self._remarks: list[Remark] = []
        self._broken: Counter[str] = Counter()

    def rows(self, table: str) -> Iterator[Row]:
        """Return the rows of *table*; none if the version has no such table."""
        columns = self._columns.get(table)
        return self._database.rows(table, columns) if columns else iter(())

    def made(self, kind: str, table: str, make: Callable[[Row], T | None]) -> Iterator[T]:
        """Return what *make* makes of each row of *table*; a broken row becomes a remark."""
        for row in self.rows(table):
            try:
                record = make(row)
            except BrokenRowError as error:
                self._remark_broken(kind, table, row, error)
            else:
                if record is not None:
                    yield record

    def remark(
        self, kind: str, subject: str, what: str, to_do: str = "", *, is_left_out: bool = True, number: int = 1
    ) -> None:
        """Collect a remark about *number* records."""
        self._remarks.append(Remark(kind, subject, what, to_do, is_left_out, number))

    @property
    def are_whole(self) -> bool:
        """Say whether no row of so far was broken."""
        return not self._broken

    def remarks(self) -> tuple[Remark, ...]:
        """Return all remarks of so far."""
        beyond = [
            Remark(kind, "", f"{more:,} more rows of this kind are broken", is_left_out=True, number=more)
            for kind, count in self._broken.items()
            if (more := count - _MAX_REMARKS) > 0
        ]
        return (*self._remarks, *beyond)

    def _remark_broken(self, kind: str, table: str, row: Row, error: BrokenRowError) -> None:
        self._broken[kind] += 1
        if self._broken[kind] <= _MAX_REMARKS:
            name = row.get("name")
            subject = shown(name) if isinstance(name, str) and name.isprintable() else ""
            where = f"Row {str(next(iter(row.values())))[:20]} of the table {table} is broken: {error}"
            self.remark(kind, subject, where, "Mend the row in the old hub, and import again")
