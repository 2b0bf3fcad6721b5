"""Spares in DynamoDB: one partition, which one query reads. A claim is one transaction with its server's record.

It moves the spare out of the partition. So a sweep reads those that are free, however many servers were spares.
"""

from pynamodb.expressions.condition import Condition

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Delete, Put
from hubless.adapters.dynamodb.servers import DynamoServerStore
from hubless.adapters.dynamodb.table import SpareClaimItem, SpareItem
from hubless.domain.errors import HublessError
from hubless.domain.lifecycle import Server
from hubless.domain.spares import Spare, SpareClaim

_FIELDS = (
    "id",
    "profile",
    "kind",
    "recorded_at",
    "task",
    "waits_since",
    "ended_at",
    "failure",
)


class _TakenError(HublessError):
    """Raised when the spare of a claim has changed; nothing was written."""


class DynamoSpareStore:
    """Stores spares and their claims."""

    def __init__(self, database: Database) -> None:
        self._database, self._servers = database, DynamoServerStore(database)

    def all(self) -> list[Spare]:
        return [_spare(item) for item in self._database.query(SpareItem, keys.SPARES)]  # ids sort by creation

    def find(self, spare_id: str) -> Spare | None:
        item = self._database.get(SpareItem, keys.spare(spare_id))
        return None if item is None else _spare(item)

    def claim_of(self, spare_id: str) -> SpareClaim | None:
        item = self._database.get(SpareClaimItem, keys.spare_claim(spare_id))
        return None if item is None else SpareClaim(spare_id, item.server_id, item.launch_id)

    def add(self, spare: Spare) -> bool:
        return self._put(spare, SpareItem.pk.does_not_exist())

    def replace(self, before: Spare, after: Spare) -> bool:
        return self._put(after, _as_read(before))

    def remove(self, spare: Spare) -> bool:
        return self._database.take(SpareItem, keys.spare(spare.id), _as_read(spare)) is not None

    def claim(self, spare: Spare, claim: SpareClaim, *, server: Server, launched: Server) -> bool:
        item = SpareClaimItem(*keys.spare_claim(spare.id), server_id=claim.server_id, launch_id=claim.launch_id)
        taken = Delete(keys.spare(spare.id), _as_read(spare), _TakenError())
        try:
            self._servers.write_with(server, launched, [taken, Put(item)])
        except _TakenError:
            return False
        return True

    def remove_claim(self, spare_id: str) -> None:
        self._database.write(Delete(keys.spare_claim(spare_id)))

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
