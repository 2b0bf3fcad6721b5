"""Visits in SQLite."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain.visits import KEPT_FOR, Visit


class SqliteVisitStore:
    """Stores visits. A new one removes its owner's old ones."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, visit: Visit) -> None:
        with self._database.transaction():
            self._database.write(
                "DELETE FROM visits WHERE owner_id = ? AND at <= ?",
                (visit.owner_id, to_number(visit.at - KEPT_FOR)),
            )
            self._database.write(
                "INSERT INTO visits (owner_id, by_role, server_id, visitor_id, server_name, visitor_name, at)"
                " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE EXISTS (SELECT 1 FROM users WHERE id = ?1)"
                " ON CONFLICT (owner_id, by_role, server_id, visitor_id)"
                " DO UPDATE SET server_name = ?5, visitor_name = ?6, at = ?7",
                (
                    visit.owner_id,
                    int(visit.by_role),
                    visit.server_id,
                    visit.visitor_id,
                    visit.server_name,
                    visit.visitor_name,
                    to_number(visit.at),
                ),
            )

    def by_role(self, owner_id: str, since: datetime, *, limit: int) -> list[Visit]:
        return self._read("by_role = 1", (owner_id,), since, limit)

    def by_share(self, owner_id: str, server_id: str, since: datetime, *, limit: int) -> list[Visit]:
        return self._read("by_role = 0 AND server_id = ?", (owner_id, server_id), since, limit)

    def _read(self, which: str, values: Sequence[Any], since: datetime, limit: int) -> list[Visit]:
        rows = self._database.read(
            "SELECT owner_id, server_id, server_name, visitor_id, visitor_name, by_role, at FROM visits"  # noqa: S608 fixed words
            f" WHERE owner_id = ? AND {which} AND at > ? ORDER BY at DESC, visitor_id LIMIT ?",
            (*values, to_number(since), limit),
        )
        return [
            Visit(owner, server, server_name, visitor, visitor_name, bool(by_role), instant)
            for owner, server, server_name, visitor, visitor_name, by_role, at in rows
            if (instant := to_instant(at)) is not None
        ]
