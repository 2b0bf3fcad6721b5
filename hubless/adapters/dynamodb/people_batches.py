"""Batches of people in DynamoDB."""

from datetime import datetime

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import Database, Delete, Put
from hubless.adapters.dynamodb.table import PeopleBatchItem
from hubless.domain.errors import StoreConflictError
from hubless.domain.people_batches import Batch


class DynamoPeopleBatchStore:
    """Stores batches of people. DynamoDB removes expired ones by their `ttl`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, batch: Batch) -> None:
        taken = StoreConflictError("Another batch of people has this id")
        # A transaction, because a repeated one has no second effect: the item would refuse its own repetition.
        self._database.transact([Put(_item(batch), PeopleBatchItem.pk.does_not_exist(), taken)])

    def get(self, batch_id: str, now: datetime) -> Batch | None:
        item = self._database.get(PeopleBatchItem, keys.people_batch(batch_id))
        if item is None or item.expires_at <= now:
            return None
        return Batch(batch_id, item.user_id, item.expires_at, item.sealed, int(item.revision))

    def change(self, before: Batch, after: Batch) -> None:
        changed = StoreConflictError("These people were changed or removed meanwhile")
        self._database.transact([Put(_item(after), PeopleBatchItem.revision == before.revision, changed)])

    def remove(self, batch_id: str) -> None:
        self._database.write(Delete(keys.people_batch(batch_id)))

    def delete_expired(self, now: datetime, limit: int) -> int:  # noqa: ARG002 DynamoDB removes items by their `ttl`
        return 0


def _item(batch: Batch) -> PeopleBatchItem:
    return PeopleBatchItem(
        *keys.people_batch(batch.id),
        user_id=batch.user_id,
        expires_at=batch.expires_at,
        ttl=batch.expires_at,
        sealed=batch.sealed,
        revision=batch.revision,
    )
