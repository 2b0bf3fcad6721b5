"""Ledgers in DynamoDB: an item each, whose numbers the transactions of servers raise and lower."""

from collections.abc import Iterable, Sequence
from typing import Any

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Put, Step, Update
from hubless.adapters.dynamodb.table import LedgerItem
from hubless.domain.budgets import Claim, Ledger
from hubless.domain.errors import LedgerFullError, StoreConflictError
from hubless.domain.lifecycle import Server
from hubless.domain.usage import Totals

_NUMBERS = (
    "servers",
    "cpu_millis",
    "price_micros",
    "began",
    "price_began",
    "seconds",
    "cost",
    "seconds_before",
    "cost_before",
    "changes",
)


class DynamoLedgerStore:
    """Stores ledgers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get_many(self, keys_: Iterable[str]) -> dict[str, Ledger]:
        found = self._database.get_many(map(keys.ledger, keys_))
        items = [item for key in found if (item := found.item(LedgerItem, key)) is not None]
        return {item.key_: _ledger(item) for item in items}

    def create(self, ledger: Ledger) -> None:
        try:
            self._database.write(Put(_item(ledger), LedgerItem.pk.does_not_exist()))
        except ConditionFailedError:
            return

    def replace(self, before: Ledger, after: Ledger) -> None:
        changed = StoreConflictError(f"The ledger {before.key} has changed")
        self._database.write(Put(_item(after), LedgerItem.changes == before.changes, changed))


def steps_of_move(before: Server, after: Server | None, claims: Sequence[Claim], used: Totals) -> list[Step]:
    """Return the steps by which a server joins and leaves ledgers; *after* None is its end.

    The transaction raises LedgerFullError when a claim does not hold.
    """
    old, new = before.ledgers, () if after is None else after.ledgers
    wanted = {claim.key: claim for claim in claims}
    joins = [_join(key, after, wanted.get(key)) for key in new if after is not None and key not in old]
    return [*joins, *(_leave(key, before, used) for key in old if key not in new)]


def _join(key: str, server: Server, claim: Claim | None) -> Step:
    change = Ledger(key, "").joined(server)
    within = LedgerItem.pk.exists()
    if claim is not None:
        within &= LedgerItem.month == claim.month
        for name in ("servers", "cpu_millis", "price_micros"):
            if (limit := getattr(claim, name)) is not None:
                within &= getattr(LedgerItem, name) <= limit - getattr(change, name)
    return Update(keys.ledger(key), _added(change), within, LedgerFullError(key))


def _leave(key: str, server: Server, used: Totals) -> Step:
    return Update(keys.ledger(key), [*_added(Ledger(key, "").left(server, used)), LedgerItem.key_.set(key)])


def _added(change: Ledger) -> list[Any]:
    return [getattr(LedgerItem, name).add(number) for name in _NUMBERS if (number := getattr(change, name))]


def _item(ledger: Ledger) -> LedgerItem:
    return LedgerItem(
        *keys.ledger(ledger.key),
        key_=ledger.key,
        month=ledger.month,
        told=dict(ledger.told),
        **{name: getattr(ledger, name) for name in _NUMBERS},
    )


def _ledger(item: LedgerItem) -> Ledger:
    return Ledger(
        item.key_,
        item.month,
        told={name: int(at) for name, at in (item.told or {}).items()},
        **{name: int(getattr(item, name)) for name in _NUMBERS},
    )
