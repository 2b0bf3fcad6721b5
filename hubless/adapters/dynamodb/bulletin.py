"""Announcements and the maintenance in DynamoDB.

They are in one partition, which pages read by one query. A start checks a copy of the maintenance in its transaction.
There are some copies, because DynamoDB takes about fifty transactions a second on one item, and a class starts at once.
"""

import secrets
from datetime import datetime
from typing import Final

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import (
    Check,
    Database,
    Delete,
    Put,
    Step,
)
from hubless.adapters.dynamodb.keys import Key
from hubless.adapters.dynamodb.table import AnnouncementItem, MaintenanceItem
from hubless.domain.announcements import Announcement, Bulletin, Kind
from hubless.domain.errors import MaintenanceError, StoreConflictError
from hubless.domain.maintenance import Maintenance, StartCheck

COPIES: Final = 16
_ANNOUNCEMENT: Final = "ANNOUNCEMENT#"


class DynamoBulletinStore:
    """Stores the bulletin. DynamoDB removes announcements that have ended by their `ttl`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, now: datetime) -> Bulletin:
        found = self._database.all_of(keys.BULLETIN)
        there = [_announcement(item) for item in found.each(AnnouncementItem, _ANNOUNCEMENT) if item.ends_at > now]
        maintenance = found.item(MaintenanceItem, keys.MAINTENANCE)
        return Bulletin(
            tuple(sorted(there, key=lambda one: (one.starts_at, one.id))),
            None if maintenance is None else _maintenance(maintenance),
        )

    def add(self, announcement: Announcement, now: datetime, *, most: int) -> bool:
        if len(self.read(now).announcements) >= most:
            return False
        self._database.write(Put(_item(announcement)))
        return True

    def replace(self, before: Announcement, after: Announcement) -> None:
        as_read = AnnouncementItem.revision == before.revision
        conflict = StoreConflictError("Somebody else has changed this announcement, or removed it")
        self._database.transact([Put(_item(after), as_read, conflict)])  # a transaction may be repeated

    def remove(self, announcement_id: str, *, revision: int) -> bool:
        as_read = AnnouncementItem.revision == revision
        return self._database.take(AnnouncementItem, keys.announcement(announcement_id), as_read) is not None

    def set_maintenance(self, before: Maintenance | None, after: Maintenance | None) -> None:
        as_read = MaintenanceItem.pk.does_not_exist() if before is None else MaintenanceItem.id == before.id
        conflict = StoreConflictError("Somebody else has just turned maintenance on or off")
        copies = [keys.maintenance_copy(number) for number in range(COPIES)]
        steps: list[Step]
        if after is None:
            steps = [Delete(keys.MAINTENANCE, as_read, conflict), *map(Delete, copies)]
        else:
            steps = [
                Put(_maintenance_item(keys.MAINTENANCE, after), as_read, conflict),
                *(Put(_maintenance_item(key, after)) for key in copies),
            ]
        self._database.retry(lambda: self._database.transact(steps))

    def delete_expired(self, now: datetime, limit: int) -> int:  # noqa: ARG002 DynamoDB removes items by their `ttl`
        return 0


def steps_of_start(start: StartCheck | None) -> list[Step]:
    """Return the check that maintenance does not refuse *start*, for the transaction of its write."""
    if start is None:
        return []
    is_off = MaintenanceItem.pk.does_not_exist() | (MaintenanceItem.ends_at <= start.at)
    if start.of_admin:
        is_off |= MaintenanceItem.admins_start == True  # noqa: E712 a condition of PynamoDB
    copy = keys.maintenance_copy(secrets.randbelow(COPIES))
    return [Check(copy, is_off, MaintenanceError("Maintenance is on"))]


def _item(one: Announcement) -> AnnouncementItem:
    return AnnouncementItem(
        *keys.announcement(one.id),
        id=one.id,
        text=one.text,
        kind=one.kind.value,
        starts_at=one.starts_at,
        ends_at=one.ends_at,
        ttl=one.ends_at,
        made_by=one.made_by,
        made_at=one.made_at,
        groups=list(one.groups),
        revision=one.revision,
    )


def _announcement(item: AnnouncementItem) -> Announcement:
    return Announcement(
        item.id,
        item.text,
        Kind(item.kind),
        item.starts_at,
        item.ends_at,
        item.made_by,
        item.made_at,
        tuple(item.groups),
        int(item.revision),
    )


def _maintenance_item(key: Key, one: Maintenance) -> MaintenanceItem:
    return MaintenanceItem(
        *key,
        id=one.id,
        text=one.text,
        began_at=one.began_at,
        by=one.by,
        ends_at=one.ends_at,
        admins_start=one.admins_start,
    )


def _maintenance(item: MaintenanceItem) -> Maintenance:
    return Maintenance(item.id, item.text, item.began_at, item.by, item.ends_at, bool(item.admins_start))
