"""Batches of people in SQLite."""

import sqlite3
from datetime import datetime

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain.errors import StoreConflictError
from hubless.domain.people_batches import Batch


class SqlitePeopleBatchStore:
    """Stores batches of people."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, batch: Batch) -> None:
        try:
            self._database.write(
                "INSERT INTO people_batches (id, user_id, expires_at, sealed, revision) VALUES (?, ?, ?, ?, ?)",
                (batch.id, batch.user_id, to_number(batch.expires_at), batch.sealed, batch.revision),
            )
        except sqlite3.IntegrityError as taken:
            raise StoreConflictError("Another batch of people has this id") from taken

    def get(self, batch_id: str, now: datetime) -> Batch | None:
        row = self._database.read_one(
            "SELECT user_id, expires_at, sealed, revision FROM people_batches WHERE id = ? AND expires_at > ?",
            (batch_id, to_number(now)),
        )
        if row is None:
            return None
        expires_at = to_instant(row[1])
        assert expires_at is not None  # noqa: S101 the column has values
        return Batch(batch_id, row[0], expires_at, row[2], row[3])

    def change(self, before: Batch, after: Batch) -> None:
        changed = self._database.write(
            "UPDATE people_batches SET expires_at = ?, sealed = ?, revision = ? WHERE id = ? AND revision = ?",
            (to_number(after.expires_at), after.sealed, after.revision, before.id, before.revision),
        )
        if not changed:
            raise StoreConflictError("These people were changed or removed meanwhile")

    def remove(self, batch_id: str) -> None:
        self._database.write("DELETE FROM people_batches WHERE id = ?", (batch_id,))

    def delete_expired(self, now: datetime, limit: int) -> int:
        return self._database.write(
            "DELETE FROM people_batches WHERE id IN (SELECT id FROM people_batches WHERE expires_at <= ? LIMIT ?)",
            (to_number(now), limit),
        )
