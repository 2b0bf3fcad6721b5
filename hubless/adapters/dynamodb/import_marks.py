"""What was imported, in DynamoDB: one item a mark."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import Database, Put, chunks
from hubless.adapters.dynamodb.pace import AT_ONCE, Pace
from hubless.adapters.dynamodb.table import ImportMark

_AT_ONCE = 100  # items of a transaction


class DynamoImportMarkStore:
    """Stores marks. Nothing spans the writes of an import: marks tell a second call what the first one did."""

    is_atomic = False
    at_once = AT_ONCE

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pace = Pace()

    @property
    def throttled(self) -> int:
        return self._pace.throttled

    def all(self, origin: str) -> dict[str, str]:
        return {
            mark.sk.removeprefix(keys.IMPORT_MARK): mark.digest
            for partition in keys.import_marks(origin)
            for mark in self._database.query(ImportMark, partition)
        }

    def put(self, origin: str, marks: Mapping[str, str | None]) -> None:
        kept = [(place, digest) for place, digest in marks.items() if digest is not None]
        for part in chunks(kept, _AT_ONCE):
            items = [ImportMark(*keys.import_mark(origin, place), digest=digest) for place, digest in part]
            self._database.transact([Put(item) for item in items])
        self._database.delete_many(
            key
            for place, digest in marks.items()
            if digest is None
            for key in (keys.import_mark(origin, place), keys.import_mark_before(origin, place))
        )

    def together(self) -> AbstractContextManager[None]:
        return self._patiently()

    def unchanging(self) -> AbstractContextManager[None]:
        return self._patiently()

    @contextmanager
    def _patiently(self) -> Iterator[None]:
        with self._database.patiently() as self._pace:
            yield
