"""Sealed auth_state in SQLite."""

import sqlite3

from hubless.adapters.sqlite.database import Database
from hubless.domain.errors import NotFoundError


class SqliteAuthStateStore:
    """Stores one sealed text a user."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, user_id: str) -> str | None:
        row = self._database.read_one("SELECT sealed FROM auth_states WHERE user_id = ?", (user_id,))
        return None if row is None else str(row[0])

    def set(self, user_id: str, sealed: str | None) -> None:
        if sealed is None:
            self._database.write("DELETE FROM auth_states WHERE user_id = ?", (user_id,))
            return
        try:
            self._database.write(
                "INSERT INTO auth_states (user_id, sealed) VALUES (?, ?)"
                " ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed",
                (user_id, sealed),
            )
        except sqlite3.IntegrityError as missing:
            raise NotFoundError("User", user_id) from missing
