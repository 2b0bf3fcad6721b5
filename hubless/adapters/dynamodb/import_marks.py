"""What was imported, in DynamoDB: one item a mark."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import Database, Put, chunks
from hubless.adapters.dynamodb.table import ImportMark

_AT_ONCE = 100  # items of a transaction


class DynamoImportMarkStore:
    """Stores marks. Nothing spans the writes of an import: marks tell a second call what the first one did."""

    is_atomic = False

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, origin: str) -> dict[str, str]:
        found = self._database.query(ImportMark, keys.import_marks(origin))
        return {mark.sk.removeprefix(keys.IMPORT_MARK): mark.digest for mark in found}

    def put(self, origin: str, marks: Mapping[str, str | None]) -> None:
        kept = [(place, digest) for place, digest in marks.items() if digest is not None]
        for part in chunks(kept, _AT_ONCE):
            items = [ImportMark(*keys.import_mark(origin, place), digest=digest) for place, digest in part]
            self._database.transact([Put(item) for item in items])
        self._database.delete_many(keys.import_mark(origin, place) for place, digest in marks.items() if digest is None)

    def together(self) -> AbstractContextManager[None]:
        return nullcontext()

    def unchanging(self) -> AbstractContextManager[None]:
        return nullcontext()
