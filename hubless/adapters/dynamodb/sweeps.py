"""The resume point of the sweep in DynamoDB."""

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import Database, Delete, Put
from hubless.adapters.dynamodb.table import Pointer
from hubless.domain.errors import StoreConflictError


class DynamoSweepStore:
    """Stores where the next sweep resumes; without an item it starts at the beginning."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def resume_point(self) -> str:
        there = self._database.get(Pointer, keys.SWEEP)
        return "" if there is None else there.to or ""

    def set_resume_point(self, before: str, after: str) -> None:
        as_read = Pointer.to == before if before else Pointer.pk.does_not_exist()
        cut = StoreConflictError("Another sweep moved the resume point meanwhile")
        if after:
            self._database.write(Put(Pointer(*keys.SWEEP, to=after), as_read, cut))
        else:
            self._database.write(Delete(keys.SWEEP, as_read, cut))
