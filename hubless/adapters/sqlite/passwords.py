"""Password hashes, one-time links and wrong passwords in SQLite."""

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain.errors import NotFoundError
from hubless.domain.passwords import PasswordLink, rehash_note, rehashed_from


class SqlitePasswordStore:
    """Stores a password hash for each user, and one-time links."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, user_id: str) -> str | None:
        row = self._database.read_one("SELECT hash FROM passwords WHERE user_id = ?", (user_id,))
        return None if row is None else str(row[0])

    def set(self, user_id: str, password_hash: str) -> None:
        with self._database.transaction():
            self._store(user_id, password_hash)

    def rehash(self, user_id: str, before: str, after: str) -> bool:
        statement = "UPDATE passwords SET hash = ?, rehashed = ? WHERE user_id = ? AND hash = ?"
        return self._database.write(statement, (after, rehash_note(before, after), user_id, before)) == 1

    def rehashed_from(self, user_id: str) -> str | None:
        row = self._database.read_one("SELECT hash, rehashed FROM passwords WHERE user_id = ?", (user_id,))
        return None if row is None else rehashed_from(*row)

    def remove(self, user_id: str, before: str) -> bool:
        statement = "DELETE FROM passwords WHERE user_id = ? AND hash = ?"
        return self._database.write(statement, (user_id, before)) == 1

    def change(self, user_id: str, before: str | None, after: str) -> bool:
        with self._database.transaction():
            if self.get(user_id) != before:
                return False
            try:
                self._store(user_id, after)
            except NotFoundError:
                return False
        return True

    def add(self, hashes: Mapping[str, str]) -> list[str]:
        with self._database.transaction():
            return [user_id for user_id, text in hashes.items() if not self.change(user_id, None, text)]

    def add_link(self, link: PasswordLink) -> None:
        within = None if link.within is None else json.dumps(link.within)
        try:
            with self._database.transaction():
                self.end_links(link.user_id)
                self._database.write(
                    "INSERT INTO password_links (sha256, user_id, expires_at, within) VALUES (?, ?, ?, ?)",
                    (link.sha256, link.user_id, to_number(link.expires_at), within),
                )
        except sqlite3.IntegrityError as missing:
            raise NotFoundError("User", link.user_id) from missing

    def find_link(self, sha256: str, now: datetime) -> PasswordLink | None:
        row = self._database.read_one(
            "SELECT user_id, expires_at, within FROM password_links WHERE sha256 = ? AND expires_at > ?",
            (sha256, to_number(now)),
        )
        if row is None:
            return None
        user_id, expires_at, within = row
        expiry = to_instant(expires_at)
        assert expiry is not None  # noqa: S101 the column has a value
        return PasswordLink(sha256, user_id, expiry, None if within is None else tuple(json.loads(within)))

    def use_link(self, sha256: str, password_hash: str, now: datetime) -> bool:
        with self._database.transaction():
            link = self.find_link(sha256, now)
            if link is not None:
                self._store(link.user_id, password_hash)
            self._database.write("DELETE FROM password_links WHERE expires_at <= ?", (to_number(now),))
        return link is not None

    def end_links(self, user_id: str) -> None:
        self._database.write("DELETE FROM password_links WHERE user_id = ?", (user_id,))

    def _store(self, user_id: str, password_hash: str) -> None:
        try:
            self._database.write(
                "INSERT INTO passwords (user_id, hash) VALUES (?, ?)"
                " ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash",
                (user_id, password_hash),
            )
        except sqlite3.IntegrityError as missing:
            raise NotFoundError("User", user_id) from missing
        self.end_links(user_id)


_COUNT = "SELECT count(*) FROM attempts WHERE key = ?1 AND at > ?2 AND (?3 IS NULL OR at <= ?3)"


class SqliteAttemptStore:
    """Counts wrong passwords."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def failures(self, key: str, since: datetime, until: datetime | None = None) -> int:
        found: int = self._database.read_one(_COUNT, (key, to_number(since), to_number(until)))[0]
        return found

    def add(self, key: str, at: datetime) -> None:
        self._database.write("INSERT INTO attempts (key, at) VALUES (?, ?)", (key, to_number(at)))

    def try_add(self, key: str, at: datetime, *, since: datetime, until: datetime, limit: int) -> bool:
        # One statement counts and writes, under the write lock.
        added = self._database.write(
            f"INSERT INTO attempts (key, at) SELECT ?1, ?4 WHERE ({_COUNT}) < ?5",
            (key, to_number(since), to_number(until), to_number(at), limit),
        )
        return added > 0

    def clear(self, key: str) -> None:
        self._database.write("DELETE FROM attempts WHERE key = ?", (key,))

    def delete_before(self, at: datetime) -> None:
        self._database.write("DELETE FROM attempts WHERE at < ?", (to_number(at),))
