"""Pending logins in SQLite."""

import json
import sqlite3
from datetime import datetime

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain.errors import StoreConflictError
from hubless.ports.pending_logins import PendingLogin

_FACTS = ("browser_sha256", "provider", "nonce", "verifier", "next", "link_to_user_id")


class SqlitePendingLoginStore:
    """Stores pending logins."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, pending: PendingLogin) -> None:
        facts = {name: getattr(pending, name) for name in _FACTS} | {"facts": dict(pending.facts)}
        try:
            self._database.write(
                "INSERT INTO pending_logins (state_sha256, created_at, expires_at, facts) VALUES (?, ?, ?, ?)",
                (
                    pending.state_sha256,
                    to_number(pending.created_at),
                    to_number(pending.expires_at),
                    json.dumps(facts),
                ),
            )
        except sqlite3.IntegrityError as taken:
            raise StoreConflictError("Another login has this state") from taken

    def take(self, state_sha256: str, now: datetime) -> PendingLogin | None:
        # One statement: of concurrent calls one gets the row.
        row = self._database.read_one(
            "DELETE FROM pending_logins WHERE state_sha256 = ? AND expires_at > ?"
            " RETURNING created_at, expires_at, facts",
            (state_sha256, to_number(now)),
        )
        if row is None:
            return None
        created_at, expires_at = to_instant(row[0]), to_instant(row[1])
        assert created_at is not None  # noqa: S101 the columns have values
        assert expires_at is not None  # noqa: S101
        return PendingLogin(
            state_sha256=state_sha256, created_at=created_at, expires_at=expires_at, **json.loads(row[2])
        )

    def delete_expired(self, now: datetime, limit: int) -> int:
        return self._database.write(
            "DELETE FROM pending_logins WHERE state_sha256 IN"
            " (SELECT state_sha256 FROM pending_logins WHERE expires_at <= ? LIMIT ?)",
            (to_number(now), limit),
        )
