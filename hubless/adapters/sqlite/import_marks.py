"""What was imported, in SQLite."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

from hubless.adapters.sqlite.database import Database


class SqliteImportMarkStore:
    """Stores marks."""

    is_atomic = True
    at_once = 1  # a transaction belongs to its thread
    throttled = 0

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, origin: str) -> dict[str, str]:
        return dict(self._database.read("SELECT place, digest FROM import_marks WHERE origin = ?", (origin,)))

    def put(self, origin: str, marks: Mapping[str, str | None]) -> None:
        with self._database.transaction():
            self._database.write_many(
                "INSERT INTO import_marks (origin, place, digest) VALUES (?, ?, ?)"
                " ON CONFLICT (origin, place) DO UPDATE SET digest = excluded.digest",
                [(origin, place, digest) for place, digest in marks.items() if digest is not None],
            )
            self._database.write_many(
                "DELETE FROM import_marks WHERE origin = ? AND place = ?",
                [(origin, place) for place, digest in marks.items() if digest is None],
            )

    def together(self) -> AbstractContextManager[None]:
        return self._database.transaction()

    def unchanging(self) -> AbstractContextManager[None]:
        return self._database.snapshot()
