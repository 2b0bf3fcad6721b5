"""Ledgers in SQLite."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from hubless.adapters.sqlite.database import Database
from hubless.domain.budgets import Claim, Ledger
from hubless.domain.errors import LedgerFullError, StoreConflictError
from hubless.domain.lifecycle import Server
from hubless.domain.usage import Totals


class SqliteLedgerStore:
    """Stores ledgers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get_many(self, keys: Iterable[str]) -> dict[str, Ledger]:
        rows = self._database.read(
            "SELECT facts FROM ledgers WHERE key IN (SELECT value FROM json_each(?))", (json.dumps(list(keys)),)
        )
        found = [Ledger(**json.loads(text)) for (text,) in rows]
        return {ledger.key: ledger for ledger in found}

    def create(self, ledger: Ledger) -> None:
        self._database.write(
            "INSERT INTO ledgers (key, facts) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (ledger.key, json.dumps(asdict(ledger))),
        )

    def replace(self, before: Ledger, after: Ledger) -> None:
        with self._database.transaction():
            if self.get_many([before.key]).get(before.key) != before:
                raise StoreConflictError(f"The ledger {before.key} has changed")
            self._put(after)

    def move(self, before: Server, after: Server | None, claims: Sequence[Claim], used: Totals) -> None:
        """Let a server join and leave ledgers, in the transaction that writes it; *after* None is its end.

        Raises:
            LedgerFullError: when a claim does not hold; the caller's transaction must end then.
        """
        old, new = before.ledgers, () if after is None else after.ledgers
        if old == new:
            return
        known, wanted = self.get_many({*old, *new}), {claim.key: claim for claim in claims}
        for key in new:
            if key in old or after is None:
                continue
            if (ledger := known.get(key)) is None:
                raise LedgerFullError(key)
            joined = ledger.joined(after)
            if key in wanted and not wanted[key].admits(joined):
                raise LedgerFullError(key)
            self._put(joined)
        for key in old:
            if key not in new and key in known:
                self._put(known[key].left(before, used))

    def _put(self, ledger: Ledger) -> None:
        self._database.write("UPDATE ledgers SET facts = ? WHERE key = ?", (json.dumps(asdict(ledger)), ledger.key))
