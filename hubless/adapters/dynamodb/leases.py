"""Leases in DynamoDB: one item a key, whose revision each write names. DynamoDB removes it some time after it ends."""

import secrets
from datetime import datetime
from functools import partial

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Put, Update
from hubless.adapters.dynamodb.table import LeasesItem
from hubless.domain import leases
from hubless.domain.leases import Lease, NoLease


class DynamoLeaseStore:
    """Gives leases to all functions of one hub."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(
        self,
        key: str,
        *,
        limit: int,
        now: datetime,
        until: datetime,
        latest: datetime | None = None,
        lease_id: str | None = None,
    ) -> Lease | NoLease:
        lease = Lease(key, lease_id or secrets.token_hex(8), until)
        return self._database.retry(partial(self._claim, lease, limit, now, max(until, latest or until)))

    def release(self, lease: Lease) -> None:
        held = LeasesItem.ends[lease.id]
        raised = LeasesItem.revision.add(1)  # so that no claim that has read the item before writes the lease again
        try:
            self._database.write(Update(keys.leases(lease.key), [held.remove(), raised], held.exists()))
        except ConditionFailedError:
            return  # it has ended, and another claim or DynamoDB has removed it

    def delete_expired(self, now: datetime, limit: int) -> int:  # noqa: ARG002 DynamoDB removes items by their `ttl`
        return 0

    def _claim(self, lease: Lease, limit: int, now: datetime, latest: datetime) -> Lease | NoLease:
        item = self._database.get(LeasesItem, keys.leases(lease.key))
        ends = {} if item is None else {held: keys.to_instant(end) for held, end in item.ends.items()}
        held = leases.live(ends, now, latest)
        if (known := leases.answer(held, lease.key, limit, lease.id)) is not None:
            return known
        ends = held | {lease.id: lease.until}
        written = LeasesItem(
            *keys.leases(lease.key),
            ends={one: keys.to_number(end) for one, end in ends.items()},
            revision=1 if item is None else int(item.revision) + 1,
            ttl=max(ends.values()),
        )
        as_read = LeasesItem.pk.does_not_exist() if item is None else LeasesItem.revision == item.revision
        self._database.write(Put(written, as_read))
        return lease
