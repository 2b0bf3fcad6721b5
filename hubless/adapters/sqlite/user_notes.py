"""Notes on users in SQLite."""

import sqlite3

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain.errors import NotFoundError, StoreConflictError
from hubless.domain.user_notes import UserNote


class SqliteUserNoteStore:
    """Stores one note a user."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, user_id: str) -> UserNote | None:
        row = self._database.read_one(
            "SELECT user_id, text, revision, written_by, written_at FROM user_notes WHERE user_id = ?", (user_id,)
        )
        return None if row is None else _note(*row)

    def save(self, before: UserNote | None, after: UserNote) -> None:
        with self._database.transaction():
            stored = self.get(after.user_id)
            if (stored and stored.revision) != (before and before.revision):
                raise StoreConflictError("The note was changed meanwhile")
            try:
                self._database.write(
                    "INSERT INTO user_notes (user_id, text, revision, written_by, written_at) VALUES (?, ?, ?, ?, ?)"
                    " ON CONFLICT (user_id) DO UPDATE SET text = excluded.text, revision = excluded.revision,"
                    " written_by = excluded.written_by, written_at = excluded.written_at",
                    (after.user_id, after.text, after.revision, after.written_by, to_number(after.written_at)),
                )
            except sqlite3.IntegrityError as missing:
                raise NotFoundError("User", after.user_id) from missing


def _note(user_id: str, text: str, revision: int, written_by: str, written_at: int | None) -> UserNote:
    return UserNote(user_id, text, revision, written_by, to_instant(written_at))
