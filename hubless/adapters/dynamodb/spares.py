"""Spares in DynamoDB: one partition, which one query reads. A claim is one transaction with its server's record."""

from pynamodb.expressions.condition import Condition

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Put
from hubless.adapters.dynamodb.servers import DynamoServerStore
from hubless.adapters.dynamodb.table import SpareItem
from hubless.domain.errors import HublessError
from hubless.domain.lifecycle import Server
from hubless.domain.spares import Spare

_FIELDS = (
    "id",
    "profile",
    "kind",
    "recorded_at",
    "task",
    "waits_since",
    "server_id",
    "launch_id",
    "ended_at",
    "failure",
)


class _TakenError(HublessError):
    """Raised when the spare of a claim has changed; nothing was written."""


class DynamoSpareStore:
    """Stores spares."""

    def __init__(self, database: Database) -> None:
        self._database, self._servers = database, DynamoServerStore(database)

    def all(self) -> list[Spare]:
        return [_spare(item) for item in self._database.query(SpareItem, keys.SPARES)]  # ids sort by creation

    def find(self, spare_id: str) -> Spare | None:
        item = self._database.get(SpareItem, keys.spare(spare_id))
        return None if item is None else _spare(item)

    def add(self, spare: Spare) -> bool:
        return self._put(spare, SpareItem.pk.does_not_exist())

    def replace(self, before: Spare, after: Spare) -> bool:
        return self._put(after, _as_read(before))

    def remove(self, spare: Spare) -> bool:
        return self._database.take(SpareItem, keys.spare(spare.id), _as_read(spare)) is not None

    def claim(self, before: Spare, after: Spare, *, server: Server, launched: Server) -> bool:
        try:
            self._servers.write_with(server, launched, [Put(_item(after), _as_read(before), _TakenError())])
        except _TakenError:
            return False
        return True

    def _put(self, spare: Spare, condition: Condition) -> bool:
        try:
            self._database.transact([Put(_item(spare), condition)])  # a repeated one has no second effect
        except ConditionFailedError:
            return False
        return True


def _as_read(spare: Spare) -> Condition:
    as_read: Condition = SpareItem.revision == spare.revision
    return as_read


def _item(spare: Spare) -> SpareItem:
    facts = {name: getattr(spare, name) for name in _FIELDS}
    return SpareItem(*keys.spare(spare.id), revision=spare.revision, **facts)


def _spare(item: SpareItem) -> Spare:
    return Spare(**{name: getattr(item, name) for name in _FIELDS}, revision=int(item.revision))
