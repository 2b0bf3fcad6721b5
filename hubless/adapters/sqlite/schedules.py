"""Schedules in SQLite."""

import json

from hubless.adapters.sqlite.database import Database
from hubless.domain.schedules import Schedule, facts_of, of_facts


class SqliteScheduleStore:
    """Stores schedules."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Schedule]:
        rows = self._database.read("SELECT facts, revision FROM schedules ORDER BY name")
        return [of_facts(json.loads(facts), revision) for facts, revision in rows]

    def add(self, schedule: Schedule) -> bool:
        added = self._database.write(
            "INSERT INTO schedules (name, facts, revision) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING",
            (schedule.name, json.dumps(facts_of(schedule)), schedule.revision),
        )
        return added > 0

    def replace(self, before: Schedule, after: Schedule) -> bool:
        replaced = self._database.write(
            "UPDATE schedules SET facts = ?, revision = ? WHERE name = ? AND revision = ?",
            (json.dumps(facts_of(after)), after.revision, before.name, before.revision),
        )
        return replaced > 0

    def remove(self, name: str, *, revision: int | None = None) -> bool:
        removed = self._database.write(
            "DELETE FROM schedules WHERE name = ?1 AND (?2 IS NULL OR revision = ?2)", (name, revision)
        )
        return removed > 0
