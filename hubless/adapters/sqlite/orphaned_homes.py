"""Homes of removed users in SQLite."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain.orphaned_homes import HomeTask, OrphanedHome
from hubless.ports.home_usage import HomeSize

_COLUMNS = "owner_id, name, removed_at, size, is_whole, task, receiver_id, progress, failure"


class SqliteOrphanedHomeStore:
    """Stores what is known of the homes of removed users. `SqliteUserStore.delete` adds rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def user_names(self, ids: Iterable[str]) -> Mapping[str, str]:
        wanted = "SELECT value FROM json_each(?)"
        return dict(self._database.read(f"SELECT id, name FROM users WHERE id IN ({wanted})", (json.dumps([*ids]),)))  # noqa: S608 our own text

    def all(self) -> list[OrphanedHome]:
        return self._read("1 ORDER BY removed_at DESC NULLS LAST, owner_id DESC", ())

    def get(self, owner_id: str) -> OrphanedHome | None:
        return next(iter(self._read("owner_id = ?", (owner_id,))), None)

    def note(self, owner_ids: Iterable[str]) -> None:
        self._database.write(
            "INSERT OR IGNORE INTO orphaned_homes (owner_id, name) SELECT value, '' FROM json_each(?)"
            " WHERE value NOT IN (SELECT id FROM users)",
            (json.dumps(list(owner_ids)),),
        )

    def measured(self, owner_id: str, size: HomeSize, at: datetime) -> None:
        self._database.write(
            "UPDATE orphaned_homes SET size = ?, is_whole = ?, measured_at = ? WHERE owner_id = ?",
            (size.size, int(size.is_whole), to_number(at), owner_id),
        )

    def begin(self, owner_id: str, task: HomeTask, receiver_id: str = "") -> bool:
        changed = self._database.write(
            "UPDATE orphaned_homes SET task = ?, receiver_id = ?, progress = 0, failure = ''"
            " WHERE owner_id = ? AND task = '' AND owner_id NOT IN (SELECT id FROM users)",
            (task.value, receiver_id, owner_id),
        )
        return changed == 1

    def progress(self, owner_id: str, files: int) -> None:
        self._database.write("UPDATE orphaned_homes SET progress = ? WHERE owner_id = ?", (files, owner_id))

    def fail(self, owner_id: str, why: str) -> None:
        self._database.write(
            "UPDATE orphaned_homes SET task = '', receiver_id = '', failure = ? WHERE owner_id = ?", (why, owner_id)
        )

    def forget(self, owner_id: str) -> None:
        self._database.write("DELETE FROM orphaned_homes WHERE owner_id = ?", (owner_id,))

    def _read(self, where: str, values: Sequence[Any]) -> list[OrphanedHome]:
        rows = self._database.read(f"SELECT {_COLUMNS} FROM orphaned_homes WHERE {where}", values)  # noqa: S608 fixed words
        return [
            OrphanedHome(
                owner_id, name, to_instant(removed_at), size, bool(whole), HomeTask(task), receiver_id, done, failure
            )
            for owner_id, name, removed_at, size, whole, task, receiver_id, done, failure in rows
        ]
