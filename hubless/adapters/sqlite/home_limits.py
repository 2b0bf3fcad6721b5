"""Limits of homes in SQLite."""

import json
import sqlite3
from collections.abc import Collection

from hubless.adapters.sqlite.database import Database
from hubless.domain.errors import NotFoundError
from hubless.domain.home_limits import SetLimits
from hubless.ports.home_limits import LimitOf

_TABLES = {LimitOf.USER: "user_home_limits", LimitOf.GROUP: "group_home_limits"}


class SqliteHomeLimitStore:
    """Stores the limits of homes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, user_ids: Collection[str], group_names: Collection[str]) -> SetLimits:
        rows = self._database.read(
            "SELECT 1, id, size FROM user_home_limits WHERE id IN (SELECT value FROM json_each(?1))"
            " UNION ALL SELECT 0, name, size FROM groups JOIN group_home_limits USING (id)"
            " WHERE name IN (SELECT value FROM json_each(?2))",
            (json.dumps(list(user_ids)), json.dumps(list(group_names))),
        )
        found = [(bool(is_user), key, size) for is_user, key, size in rows]
        return SetLimits(
            {key: size for is_user, key, size in found if is_user},
            {key: size for is_user, key, size in found if not is_user},
        )

    def all(self, limit: int) -> list[tuple[LimitOf, str, int | None]]:
        rows = self._database.read(
            "SELECT 'group', name, size FROM groups JOIN group_home_limits USING (id)"
            " UNION ALL SELECT 'user', name, size FROM users JOIN user_home_limits USING (id)"
            " ORDER BY 1, 2 LIMIT ?",
            (limit,),
        )
        return [(LimitOf(of), name, size) for of, name, size in rows]

    def put(self, of: LimitOf, its_id: str, size: int | None) -> None:
        try:
            self._database.write(
                f"INSERT INTO {_TABLES[of]} (id, size) VALUES (?1, ?2)"  # noqa: S608 our names
                " ON CONFLICT (id) DO UPDATE SET size = ?2",
                (its_id, size),
            )
        except sqlite3.IntegrityError as missing:
            raise NotFoundError(of.capitalize(), its_id) from missing

    def remove(self, of: LimitOf, its_id: str) -> bool:
        return bool(self._database.write(f"DELETE FROM {_TABLES[of]} WHERE id = ?", (its_id,)))  # noqa: S608 our names
