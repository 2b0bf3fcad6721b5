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
            "INSERT INTO home_usage (owner_id, size, is_whole, measured_at, over_since)"
            " SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM users WHERE id = ?1)"
            " ON CONFLICT (owner_id) DO UPDATE SET size = ?2, is_whole = ?3, measured_at = ?4, over_since = ?5",
            (
                usage.owner_id,
                usage.size,
                int(usage.is_whole),
                to_number(usage.measured_at),
                to_number(usage.over_since),
            ),
        )

    def get_many(self, owner_ids: Iterable[str]) -> dict[str, HomeUsage]:
        rows = self._database.read(
            "SELECT owner_id, size, is_whole, measured_at, over_since FROM home_usage"
            " WHERE owner_id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(owner_ids)),),
        )
        return {
            owner_id: HomeUsage(owner_id, size, bool(is_whole), at, to_instant(over_since))
            for owner_id, size, is_whole, measured_at, over_since in rows
            if (at := to_instant(measured_at)) is not None
        }
