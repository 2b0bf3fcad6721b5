"""What sweeps remember, in SQLite."""

from hubless.adapters.sqlite.database import Database
from hubless.domain import downtime
from hubless.domain.downtime import Uptimes
from hubless.domain.errors import StoreConflictError


class SqliteSweepStore:
    """Stores where the next sweep resumes, and when the hub was up."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def resume_point(self) -> str:
        place: str = self._database.read_one("SELECT place FROM sweep")[0]
        return place

    def set_resume_point(self, before: str, after: str) -> None:
        if not self._database.write("UPDATE sweep SET place = ? WHERE place = ?", (after, before)):
            raise StoreConflictError("Another sweep moved the resume point meanwhile")

    def uptimes(self) -> Uptimes:
        return downtime.decode(self._database.read_one("SELECT uptimes FROM sweep")[0])

    def set_uptimes(self, before: Uptimes, after: Uptimes) -> None:
        was = "" if before == Uptimes() else downtime.encode(before)
        if not self._database.write("UPDATE sweep SET uptimes = ? WHERE uptimes = ?", (downtime.encode(after), was)):
            raise StoreConflictError("Another sweep noted meanwhile that the hub is up")
