"""The log of usage in DynamoDB, with its totals.

A launch's record and what it adds to the totals are one transaction, whose condition is that there is no record yet.
The totals of the hub, of profiles and of groups are spread over several items, because a class ends at once.
"""

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Put, Step, Update, chunks
from hubless.adapters.dynamodb.table import UsageItem, UsageTotalsItem, Used
from hubless.domain.metering import NOTHING
from hubless.domain.usage import Totals, TotalsOf, TotalsRow, Usage, days_of, rows_of

SHARES = 8  # items over which the totals of what many people share are spread
AT_ONCE = 90  # rows of a transaction, which may have a hundred steps
_FIELDS = ("launch_id", "server_id", "owner_id", "profile", "started_at", "ended_at", "outcome")
_SUMS = ("launches", "seconds", "cpu_millis", "mib_seconds", "gpu_seconds", "cost_micros")


class DynamoUsageLog:
    """Stores the usage of each launch, and totals."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, usage: Usage, *, expires_at: datetime | None = None) -> None:
        rows = rows_of(usage)
        record = Put(
            UsageItem(
                *keys.usage(usage.owner_id, usage.launch_id),
                metering=usage.metering,
                ttl=expires_at,
                **{name: getattr(usage, name) for name in _FIELDS},
            ),
            UsageItem.pk.does_not_exist(),
        )
        try:
            if len(rows) <= AT_ONCE:
                self._database.transact([record, *_raised(rows)])
                return
            self._database.write(record)
        except ConditionFailedError:
            rows = rows_of(self._stored(usage))  # a call before this one may have seen another end
        if len(rows) > AT_ONCE:
            self._add_in_parts(usage, rows, expires_at)

    def of_owner(self, owner_id: str) -> list[Usage]:
        return sorted(
            map(_usage, self._database.query(UsageItem, keys.usages(owner_id), UsageItem.sk.startswith("LAUNCH#"))),
            key=lambda usage: usage.started_at,
        )

    def of_month(self, of: TotalsOf, month: str) -> list[TotalsRow]:
        return self._rows(of, month, "MONTH#")

    def of_users(self, user_ids: Iterable[str], month: str) -> dict[str, Totals]:
        found = self._database.get_many(keys.totals_row(TotalsOf.USER.value, one, month, 0) for one in set(user_ids))
        items = [item for key in found if (item := found.item(UsageTotalsItem, key)) is not None]
        return {item.subject: _sums(item) for item in items}

    def of_days(self, of: TotalsOf, subject: str, month: str) -> list[TotalsRow]:
        days_of(month)  # raises for what is no month
        return sorted(self._rows(of, month, keys.days_of_totals(subject)), key=lambda row: row.period)

    def delete_expired(self, now: datetime, limit: int) -> int:  # noqa: ARG002 DynamoDB does it
        return 0

    def _stored(self, usage: Usage) -> Usage:
        item = self._database.get(UsageItem, keys.usage(usage.owner_id, usage.launch_id))
        return usage if item is None else _usage(item)

    def _add_in_parts(self, usage: Usage, rows: list[TotalsRow], expires_at: datetime | None) -> None:
        """Add *rows* of a long launch: each part once, and again from the first missing one after a crash."""
        for number, part in enumerate(chunks(rows, AT_ONCE)):
            mark = Used(*keys.usage_part(usage.owner_id, usage.launch_id, number), ttl=expires_at)
            try:
                self._database.transact([Put(mark, Used.pk.does_not_exist()), *_raised(part)])
            except ConditionFailedError:
                continue  # it was added before

    def _rows(self, of: TotalsOf, month: str, beginning: str) -> list[TotalsRow]:
        found = dict[tuple[str, str], Totals]()
        for item in self._database.query(
            UsageTotalsItem, keys.totals(of.value, month), UsageTotalsItem.sk.startswith(beginning)
        ):
            key = (item.subject, item.period)
            found[key] = found.get(key, Totals()) + _sums(item)
        return [TotalsRow(of, *key, totals) for key, totals in sorted(found.items(), key=lambda one: one[0])]


def _raised(rows: Sequence[TotalsRow]) -> list[Step]:
    share = secrets.randbelow(SHARES)
    return [_step(row, 0 if row.of is TotalsOf.USER else share) for row in rows]


def _step(row: TotalsRow, share: int) -> Step:
    amounts = [(name, getattr(row.totals, name)) for name in _SUMS]
    return Update(
        keys.totals_row(row.of.value, row.subject, row.period, share),
        [
            UsageTotalsItem.subject.set(row.subject),
            UsageTotalsItem.period.set(row.period),
            *(getattr(UsageTotalsItem, name).add(amount) for name, amount in amounts if amount),
        ],
    )


def _sums(item: UsageTotalsItem) -> Totals:
    return Totals(*(int(getattr(item, name)) for name in _SUMS))


def _usage(item: UsageItem) -> Usage:
    return Usage(**{name: getattr(item, name) for name in _FIELDS}, metering=item.metering or NOTHING)
