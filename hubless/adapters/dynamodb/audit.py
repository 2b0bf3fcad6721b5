"""Audit records in DynamoDB: each in the partition of its month, and once more under whom it names (ADR 54)."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pynamodb.expressions.condition import Condition

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Put, Update
from hubless.adapters.dynamodb.table import AuditItem
from hubless.domain.audit import MAX_EXAMINED, Act, AuditPage, AuditQuery, AuditRecord, Doer, DoerKind


class DynamoAuditLog:
    """Stores audit records. DynamoDB removes them by their `ttl`."""

    def __init__(self, database: Database, keep: timedelta) -> None:
        """Use *database*; each record expires after *keep*."""
        self._database, self._keep = database, keep

    def add(self, records: Sequence[AuditRecord]) -> None:
        bundles = [[Put(self._item(record, pk)) for pk in _partitions(record)] for record in records]
        if len(bundles) == 1 == len(bundles[0]):
            self._database.write(bundles[0][0])  # at half the price of a transaction
        elif bundles:
            self._database.transact_all(bundles)

    def count(self, record: AuditRecord, ids: Sequence[str]) -> None:
        same = _same(record)
        for one in ids:
            steps = [
                Update(
                    keys.Key(pk, _sort_key(record.at, one)),
                    [*self._actions(record, one), AuditItem.count_.add(1)],
                    same if number == 0 else None,
                )
                for number, pk in enumerate(_partitions(record))
            ]
            try:
                self._database.transact(steps)
            except ConditionFailedError:  # another record has this id
                continue
            return
        key = keys.Key(keys.audit_month(record.at), _sort_key(record.at, ids[0]))
        self._database.write(Update(key, [AuditItem.others.add(1)]))

    def page(self, query: AuditQuery, *, limit: int) -> AuditPage:
        found, examined, place = list[AuditRecord](), 0, query.before
        for record in self._newest_first(query, limit + 1):
            if len(found) == limit or examined == MAX_EXAMINED:
                return AuditPage(tuple(found), place)
            examined, place = examined + 1, record.place
            if query.fits(record):
                found.append(record)
        return AuditPage(tuple(found), None)

    def delete_before(self, at: datetime, limit: int) -> int:  # noqa: ARG002 DynamoDB does it
        return 0

    def _newest_first(self, query: AuditQuery, piece: int) -> Iterator[AuditRecord]:
        """Yield the records of the query's partition or months, *piece* of them with each request."""
        end = query.until if query.before is None else min(query.until, query.before.at)
        for pk in _read(query, end):
            last = _sort_key(query.before.at, query.before.id) if query.before else keys.sortable(query.until)
            while True:
                where = AuditItem.sk.between(keys.sortable(query.since), last)
                items = list(self._database.query(AuditItem, pk, where, limit=piece, descending=True))
                yield from (_record(item) for item in items if item.sk != last)
                if len(items) < piece:
                    break
                last = items[-1].sk

    def _item(self, record: AuditRecord, pk: str) -> AuditItem:
        sk = _sort_key(record.at, record.id)
        return AuditItem(
            pk, sk, ttl=record.at + self._keep, count_=record.count, others=record.others, **_facts(record)
        )

    def _actions(self, record: AuditRecord, identifier: str) -> list[Any]:
        facts = _facts(record) | {"id": identifier, "ttl": record.at + self._keep}
        attributes = AuditItem.get_attributes()
        return [attributes[name].set(fact) for name, fact in facts.items() if fact is not None]


def _partitions(record: AuditRecord) -> list[str]:
    """Return the partitions that have *record*: the month's first."""
    found = [keys.audit_month(record.at)]
    if record.by.name:
        found.append(keys.audit_by(record.by.name))
    if record.on:
        found.append(keys.audit_on(record.on))
    return found


def _read(query: AuditQuery, end: datetime) -> Iterator[str]:
    """Yield the partitions that have all records of the query, the newest first."""
    if query.on or query.by:
        yield keys.audit_on(query.on) if query.on else keys.audit_by(query.by)
        return
    month, first = end.astimezone(UTC), keys.audit_month(query.since)
    while (pk := keys.audit_month(month)) >= first:
        yield pk
        month = month.replace(day=1) - timedelta(days=1)


def _sort_key(at: datetime, identifier: str) -> str:
    return f"{keys.sortable(at)}#{identifier}"


def _same(record: AuditRecord) -> Condition:
    """Return the condition that an item is not there, or has the act, the doer and the `on` of *record*."""
    facts = _facts(record)
    attributes = AuditItem.get_attributes()
    same: Any = AuditItem.act == record.act
    for name in ("by_kind", "by_name", "address", "on"):
        one: Any = attributes[name]
        same &= one.does_not_exist() if facts[name] is None else one == facts[name]
    free_or_same: Condition = AuditItem.pk.does_not_exist() | same
    return free_or_same


def _facts(record: AuditRecord) -> dict[str, Any]:
    by = record.by
    return {
        "id": record.id,
        "at": record.at,
        "act": record.act.value,
        "by_kind": by.kind.value,
        "by_name": by.name or None,
        "address": by.address or None,
        "token_id": by.token_id or None,
        "on": record.on or None,
        "about": dict(record.about),
    }


def _record(item: AuditItem) -> AuditRecord:
    by = Doer(DoerKind(item.by_kind), item.by_name or "", item.address or "", item.token_id or "")
    return AuditRecord(
        item.id, item.at, Act(item.act), by, item.on or "", item.about, int(item.count_), int(item.others)
    )
