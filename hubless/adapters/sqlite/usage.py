"""The usage log in SQLite."""

import json

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain.usage import Usage


class SqliteUsageLog:
    """Stores the usage of each launch."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, usage: Usage) -> None:
        facts = {
            "server_id": usage.server_id,
            "profile": usage.profile,
            "ended_at": to_number(usage.ended_at),
            "outcome": usage.outcome,
        }
        self._database.write(
            "INSERT INTO usage (launch_id, owner_id, started_at, facts) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (usage.launch_id, usage.owner_id, to_number(usage.started_at), json.dumps(facts)),
        )

    def of_owner(self, owner_id: str) -> list[Usage]:
        rows = self._database.read(
            "SELECT launch_id, owner_id, started_at, facts FROM usage WHERE owner_id = ? ORDER BY started_at",
            (owner_id,),
        )
        return [_usage(*row) for row in rows]


def _usage(launch_id: str, owner_id: str, started: int, text: str) -> Usage:
    facts = json.loads(text)
    started_at, ended_at = to_instant(started), to_instant(facts["ended_at"])
    assert started_at is not None  # noqa: S101 the column is NOT NULL
    assert ended_at is not None  # noqa: S101 written with every usage
    return Usage(launch_id, facts["server_id"], owner_id, facts["profile"], started_at, ended_at, facts["outcome"])
