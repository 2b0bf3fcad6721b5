"""Announcements and the maintenance in SQLite."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain.announcements import Announcement, Bulletin, Kind
from hubless.domain.errors import MaintenanceError, StoreConflictError
from hubless.domain.maintenance import Maintenance, StartCheck

_COLUMNS = "id, text, kind, starts_at, ends_at, made_by, made_at, groups, revision"


class SqliteBulletinStore:
    """Stores the bulletin."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, now: datetime) -> Bulletin:
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM announcements WHERE ends_at > ? ORDER BY starts_at, id",  # noqa: S608 our names
            (to_number(now),),
        )
        return Bulletin(tuple(map(_announcement, rows)), maintenance_in(self._database))

    def add(self, announcement: Announcement, now: datetime, *, most: int) -> bool:
        with self._database.transaction():
            self._database.write("DELETE FROM announcements WHERE ends_at <= ?", (to_number(now),))
            if self._database.read_one("SELECT count(*) FROM announcements")[0] >= most:
                return False
            self._database.write(
                f"INSERT INTO announcements ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 our names
                _row(announcement),
            )
        return True

    def replace(self, before: Announcement, after: Announcement) -> None:
        written = self._database.write(
            "UPDATE announcements SET text = ?, kind = ?, starts_at = ?, ends_at = ?, made_by = ?, made_at = ?,"
            " groups = ?, revision = ? WHERE id = ? AND revision = ?",
            (*_row(after)[1:], before.id, before.revision),
        )
        if not written:
            raise StoreConflictError("Somebody else has changed this announcement, or removed it")

    def remove(self, announcement_id: str, *, revision: int) -> bool:
        removed = self._database.write(
            "DELETE FROM announcements WHERE id = ? AND revision = ?", (announcement_id, revision)
        )
        return removed > 0

    def set_maintenance(self, before: Maintenance | None, after: Maintenance | None) -> None:
        with self._database.transaction():
            found = maintenance_in(self._database)
            if (found and found.id) != (before and before.id):
                raise StoreConflictError("Somebody else has just turned maintenance on or off")
            self._database.write("DELETE FROM maintenance")
            if after is not None:
                self._database.write("INSERT INTO maintenance (facts) VALUES (?)", (_facts(after),))

    def delete_expired(self, now: datetime, limit: int) -> int:
        return self._database.write(
            "DELETE FROM announcements WHERE id IN (SELECT id FROM announcements WHERE ends_at <= ? LIMIT ?)",
            (to_number(now), limit),
        )


def require_no_maintenance(database: Database, start: StartCheck) -> None:
    """Refuse a start, within the transaction of its write.

    Raises:
        MaintenanceError: when maintenance refuses it.
    """
    found = maintenance_in(database)
    if found is not None and found.refuses(start):
        raise MaintenanceError("Maintenance is on")


def maintenance_in(database: Database) -> Maintenance | None:
    """Return the maintenance that is stored; it may have ended."""
    row = database.read_one("SELECT facts FROM maintenance")
    if row is None:
        return None
    facts: dict[str, Any] = json.loads(row[0])
    began_at = to_instant(facts.pop("began_at"))
    assert began_at is not None  # noqa: S101 each has one
    return Maintenance(began_at=began_at, ends_at=to_instant(facts.pop("ends_at")), **facts)


def _facts(maintenance: Maintenance) -> str:
    facts = asdict(maintenance)
    return json.dumps(facts | {name: to_number(facts[name]) for name in ("began_at", "ends_at")})


def _row(one: Announcement) -> tuple[Any, ...]:
    return (
        one.id,
        one.text,
        one.kind.value,
        to_number(one.starts_at),
        to_number(one.ends_at),
        one.made_by,
        to_number(one.made_at),
        json.dumps(one.groups),
        one.revision,
    )


def _announcement(row: Any) -> Announcement:
    starts_at, ends_at, made_at = to_instant(row[3]), to_instant(row[4]), to_instant(row[6])
    assert starts_at is not None  # noqa: S101 the columns have values
    assert ends_at is not None  # noqa: S101
    assert made_at is not None  # noqa: S101
    return Announcement(
        row[0], row[1], Kind(row[2]), starts_at, ends_at, row[5], made_at, tuple(json.loads(row[7])), row[8]
    )
