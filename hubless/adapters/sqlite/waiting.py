"""Who waits for a place, in SQLite."""

from datetime import datetime

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain.waiting import GONE_AFTER, MOST_AHEAD, Waiting

_WAITS = "seen_at > ? AND seen_at < ?"


class SqliteWaitingList:
    """Keeps who waits. Each question removes those who have gone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ask(self, owner_id: str, now: datetime) -> Waiting:
        number = to_number(now)
        with self._database.transaction():
            self._database.write(f"DELETE FROM waiting WHERE NOT ({_WAITS})", _limits(now))  # noqa: S608 constant
            self._database.write(
                "INSERT INTO waiting (owner_id, since, seen_at) SELECT ?1, ?2, ?2"
                " WHERE EXISTS (SELECT 1 FROM users WHERE id = ?1) ON CONFLICT DO UPDATE SET seen_at = ?2",
                (owner_id, number),
            )
            return self.find(owner_id, now) or Waiting(owner_id, now, now)

    def find(self, owner_id: str, now: datetime) -> Waiting | None:
        row = self._database.read_one(
            f"SELECT since, seen_at FROM waiting WHERE {_WAITS} AND owner_id = ?",  # noqa: S608 constant
            (*_limits(now), owner_id),
        )
        since, seen_at = (None, None) if row is None else (to_instant(row[0]), to_instant(row[1]))
        return None if since is None or seen_at is None else Waiting(owner_id, since, seen_at)

    def ahead(self, of: Waiting | None, now: datetime) -> int:
        before, values = (
            ("", ()) if of is None else (" AND (since, owner_id) < (?, ?)", (to_number(of.since), of.owner_id))
        )
        found: int = self._database.read_one(
            f"SELECT count(*) FROM (SELECT 1 FROM waiting WHERE {_WAITS}{before} LIMIT {MOST_AHEAD})",  # noqa: S608 constants
            (*_limits(now), *values),
        )[0]
        return found

    def leave(self, owner_id: str) -> None:
        self._database.write("DELETE FROM waiting WHERE owner_id = ?", (owner_id,))


def _limits(now: datetime) -> tuple[int | None, int | None]:
    return to_number(now - GONE_AFTER), to_number(now + GONE_AFTER)
