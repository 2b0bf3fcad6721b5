"""Leases in SQLite."""

import secrets
from datetime import datetime

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain import leases
from hubless.domain.leases import Lease, NoLease


class SqliteLeaseStore:
    """Gives leases under the write lock."""

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
        latest = max(until, latest or until)
        lease = Lease(key, lease_id or secrets.token_hex(8), until)
        if (known := leases.answer(self._live(key, now, latest), key, limit, lease.id)) is not None:
            return known  # without the write lock
        with self._database.transaction():
            if (known := leases.answer(self._live(key, now, latest), key, limit, lease.id)) is not None:
                return known
            self._database.write(
                "DELETE FROM leases WHERE key = ? AND (ends_at <= ? OR ends_at > ?)",
                (key, to_number(now), to_number(latest + leases.WRONG_CLOCK)),
            )
            self._database.write(
                "INSERT INTO leases (key, id, ends_at) VALUES (?, ?, ?)", (key, lease.id, to_number(until))
            )
        return lease

    def release(self, lease: Lease) -> None:
        self._database.write("DELETE FROM leases WHERE key = ? AND id = ?", (lease.key, lease.id))

    def delete_expired(self, now: datetime, limit: int) -> int:
        return self._database.write(
            "DELETE FROM leases WHERE (key, id) IN (SELECT key, id FROM leases WHERE ends_at <= ? LIMIT ?)",
            (to_number(now), limit),
        )

    def _live(self, key: str, now: datetime, latest: datetime) -> dict[str, datetime]:
        rows = self._database.read("SELECT id, ends_at FROM leases WHERE key = ?", (key,))
        ends = {held: end for held, ends_at in rows if (end := to_instant(ends_at)) is not None}
        return leases.live(ends, now, latest)
