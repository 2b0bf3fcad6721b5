"""Sizes of homes in SQLite."""

import json
from collections.abc import Iterable

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain.home_usage import HomeUsage


class SqliteHomeUsageStore:
    """Stores the last measurement of each home."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, usage: HomeUsage) -> None:
        self._database.write(
            "INSERT INTO home_usage (owner_id, size, is_whole, measured_at)"
            " SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM users WHERE id = ?1)"
            " ON CONFLICT (owner_id) DO UPDATE SET size = ?2, is_whole = ?3, measured_at = ?4",
            (usage.owner_id, usage.size, int(usage.is_whole), to_number(usage.measured_at)),
        )

    def get_many(self, owner_ids: Iterable[str]) -> dict[str, HomeUsage]:
        rows = self._database.read(
            "SELECT owner_id, size, is_whole, measured_at FROM home_usage"
            " WHERE owner_id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(owner_ids)),),
        )
        return {
            owner_id: HomeUsage(owner_id, size, bool(is_whole), at)
            for owner_id, size, is_whole, measured_at in rows
            if (at := to_instant(measured_at)) is not None
        }
