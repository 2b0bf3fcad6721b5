"""Join links in SQLite."""

from datetime import datetime
from typing import Any

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain.join_links import JoinLink

_COLUMNS = "id, sha256, made_by, made_at, expires_at, places, group_name, needs_approval, used"


class SqliteJoinLinkStore:
    """Stores join links."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, link: JoinLink, now: datetime, *, most: int) -> bool:
        with self._database.transaction():
            self._database.write("DELETE FROM join_links WHERE expires_at <= ?", (to_number(now),))
            if self._database.read_one("SELECT count(*) FROM join_links")[0] >= most:
                return False
            self._database.write(
                f"INSERT INTO join_links ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 our names
                (
                    link.id,
                    link.sha256,
                    link.made_by,
                    to_number(link.made_at),
                    to_number(link.expires_at),
                    link.places,
                    link.group,
                    int(link.needs_approval),
                    link.used,
                ),
            )
        return True

    def find(self, sha256: str, now: datetime) -> JoinLink | None:
        row = self._database.read_one(
            f"SELECT {_COLUMNS} FROM join_links WHERE sha256 = ? AND expires_at > ?",  # noqa: S608 our names
            (sha256, to_number(now)),
        )
        return None if row is None else _link(row)

    def all(self, now: datetime) -> list[JoinLink]:
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM join_links WHERE expires_at > ? ORDER BY id DESC",  # noqa: S608 our names
            (to_number(now),),
        )
        return [_link(row) for row in rows]

    def use(self, sha256: str, now: datetime) -> bool:
        counted = self._database.write(
            "UPDATE join_links SET used = used + 1 WHERE sha256 = ? AND expires_at > ? AND used < places",
            (sha256, to_number(now)),
        )
        return counted > 0

    def give_back(self, sha256: str) -> None:
        self._database.write("UPDATE join_links SET used = used - 1 WHERE sha256 = ? AND used > 0", (sha256,))

    def end(self, sha256: str) -> None:
        self._database.write("DELETE FROM join_links WHERE sha256 = ?", (sha256,))

    def delete_expired(self, now: datetime, limit: int) -> int:
        return self._database.write(
            "DELETE FROM join_links WHERE sha256 IN (SELECT sha256 FROM join_links WHERE expires_at <= ? LIMIT ?)",
            (to_number(now), limit),
        )


def _link(row: Any) -> JoinLink:
    made_at, expires_at = to_instant(row[3]), to_instant(row[4])
    assert made_at is not None  # noqa: S101 the columns have values
    assert expires_at is not None  # noqa: S101
    return JoinLink(row[0], row[1], row[2], made_at, expires_at, row[5], row[6], bool(row[7]), row[8])
