"""The resume point of the sweep in SQLite."""

from hubless.adapters.sqlite.database import Database
from hubless.domain.errors import StoreConflictError


class SqliteSweepStore:
    """Stores where the next sweep resumes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def resume_point(self) -> str:
        place: str = self._database.read_one("SELECT place FROM sweep")[0]
        return place

    def set_resume_point(self, before: str, after: str) -> None:
        if not self._database.write("UPDATE sweep SET place = ? WHERE place = ?", (after, before)):
            raise StoreConflictError("Another sweep moved the resume point meanwhile")
