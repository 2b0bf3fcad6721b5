"""What sweeps remember, in DynamoDB."""

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import Database, Delete, Put
from hubless.adapters.dynamodb.table import Pointer
from hubless.domain import downtime
from hubless.domain.downtime import Uptimes
from hubless.domain.errors import StoreConflictError


class DynamoSweepStore:
    """Stores where the next sweep resumes, and when the hub was up; without an item it starts at the beginning."""

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

    def uptimes(self) -> Uptimes:
        there = self._database.get(Pointer, keys.UPTIMES)
        return downtime.decode("" if there is None else there.to or "")

    def set_uptimes(self, before: Uptimes, after: Uptimes) -> None:
        as_read = Pointer.to == downtime.encode(before) if before != Uptimes() else Pointer.pk.does_not_exist()
        cut = StoreConflictError("Another sweep noted meanwhile that the hub is up")
        self._database.write(Put(Pointer(*keys.UPTIMES, to=downtime.encode(after)), as_read, cut))
