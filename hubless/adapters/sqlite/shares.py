"""Shares and share codes in SQLite."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from hubless.adapters.sqlite import imported_secrets
from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain.errors import NotFoundError, QuotaExceededError
from hubless.domain.imported_secrets import prefix_in
from hubless.domain.shares import Share, ShareCode

_SHARE = "h.id, h.server_id, h.scopes, h.created_at, h.user_id, h.group_id"
_CODE = (
    "c.id, c.sha256, c.server_id, c.scopes, c.created_at, c.expires_at, c.exchange_count,"
    " c.last_exchanged_at, c.max_uses"
)
_OF_OWNER = "server_id IN (SELECT s.id FROM servers s WHERE s.owner_id = ?)"


class SqliteShareStore:
    """Stores shares."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def grant(self, share: Share, *, limit: int = 0) -> Share:
        with self._database.transaction():  # the write lock: so a parallel grant loses no scope
            there = self.find(share.server_id, user_id=share.user_id, group_id=share.group_id)
            if there is None:
                # Counted under the write lock, so parallel calls cannot exceed the limit.
                if limit and self._most(share) >= limit:
                    raise QuotaExceededError(f"The limit of {limit} shares is reached", limit=limit)
                self._insert(share)
                return share
            return self._with_scopes(there, {*there.scopes, *share.scopes})

    def revoke(self, share_id: str, scopes: Iterable[str] | None = None) -> Share | None:
        with self._database.transaction():
            there = self._one("h.id = ?", (share_id,))
            left = set() if there is None or scopes is None else set(there.scopes) - set(scopes)
            if there is None or not left:
                self._database.write("DELETE FROM shares WHERE id = ?", (share_id,))
                return None
            return self._with_scopes(there, left)

    def find(self, server_id: str, *, user_id: str | None = None, group_id: str | None = None) -> Share | None:
        if user_id is not None:
            return self._one("h.server_id = ? AND h.user_id = ?", (server_id, user_id))
        return self._one("h.server_id = ? AND h.group_id = ?", (server_id, group_id))

    def delete_of_server(self, server_id: str) -> None:
        self._database.write("DELETE FROM shares WHERE server_id = ?", (server_id,))

    def page(
        self,
        *,
        offset: int,
        limit: int,
        server_id: str | None = None,
        owner_id: str | None = None,
        user_id: str | None = None,
        group_id: str | None = None,
    ) -> tuple[list[Share], int]:
        if server_id is not None:
            where, values = "h.server_id = ?", [server_id]
        elif owner_id is not None:
            where, values = f"h.{_OF_OWNER}", [owner_id]
        elif user_id is not None:
            where = "h.user_id = ? OR h.group_id IN (SELECT m.group_id FROM members m WHERE m.user_id = ?)"
            values = [user_id, user_id]
        else:
            where, values = "h.group_id = ?", [group_id or ""]
        total: int = self._database.read_one(f"SELECT count(*) FROM shares h WHERE {where}", values)[0]  # noqa: S608 fixed words
        rows = self._database.read(
            f"SELECT {_SHARE} FROM shares h WHERE {where} ORDER BY h.id LIMIT ? OFFSET ?",  # noqa: S608 fixed words
            [*values, limit, offset],
        )
        return [_share(row) for row in rows], total

    def _most(self, share: Share) -> int:
        """Return how many shares the server has, or its user or group, whichever are more."""
        counts: tuple[int, int, int] = self._database.read_one(
            "SELECT (SELECT count(*) FROM shares WHERE server_id = ?), (SELECT count(*) FROM shares WHERE user_id = ?),"
            " (SELECT count(*) FROM shares WHERE group_id = ?)",
            (share.server_id, share.user_id, share.group_id),
        )
        return max(counts)

    def _insert(self, share: Share) -> None:
        try:
            self._database.write(
                "INSERT INTO shares (id, server_id, scopes, created_at, user_id, group_id) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    share.id,
                    share.server_id,
                    json.dumps(share.scopes),
                    to_number(share.created_at),
                    share.user_id,
                    share.group_id,
                ),
            )
        except sqlite3.IntegrityError as gone:
            raise NotFoundError("Server, user or group", share.server_id) from gone

    def _with_scopes(self, share: Share, scopes: set[str]) -> Share:
        names = tuple(sorted(scopes))
        self._database.write("UPDATE shares SET scopes = ? WHERE id = ?", (json.dumps(names), share.id))
        return Share(share.id, share.server_id, names, share.created_at, share.user_id, share.group_id)

    def _one(self, where: str, values: Sequence[Any]) -> Share | None:
        row = self._database.read_one(f"SELECT {_SHARE} FROM shares h WHERE {where}", values)  # noqa: S608 fixed words
        return None if row is None else _share(row)


class SqliteShareCodeStore:
    """Stores share codes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._shares = SqliteShareStore(database)

    def create(self, code: ShareCode, *, limit: int = 0) -> None:
        with self._database.transaction():
            # Counted under the write lock, so parallel calls cannot exceed the limit.
            if limit and self._count(code) >= limit:
                raise QuotaExceededError(f"The limit of {limit} share codes is reached", limit=limit)
            self._insert(code)

    def _count(self, code: ShareCode) -> int:
        found: int = self._database.read_one(
            "SELECT count(*) FROM share_codes WHERE server_id = ? AND expires_at > ?",
            (code.server_id, to_number(code.created_at)),
        )[0]
        return found

    def _insert(self, code: ShareCode) -> None:
        try:
            self._database.write(
                "INSERT INTO share_codes (id, sha256, server_id, scopes, created_at, expires_at, exchange_count,"
                " last_exchanged_at, max_uses, imported_prefix) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    code.id,
                    code.sha256,
                    code.server_id,
                    json.dumps(code.scopes),
                    to_number(code.created_at),
                    to_number(code.expires_at),
                    code.exchange_count,
                    to_number(code.last_exchanged_at),
                    code.max_uses,
                    prefix_in(code.sha256),
                ),
            )
        except sqlite3.IntegrityError as gone:
            raise NotFoundError("Server", code.server_id) from gone

    def find(self, sha256: str) -> ShareCode | None:
        row = self._database.read_one(f"SELECT {_CODE} FROM share_codes c WHERE c.sha256 = ?", (sha256,))  # noqa: S608 constant
        return None if row is None else _code(row)

    def look_up(self, sha256: str, prefix: str) -> tuple[ShareCode | None, Sequence[str]]:
        if found := self.find(sha256):
            return found, ()
        candidates = imported_secrets.candidates(self._database, "share_codes", prefix, sha256)
        return (self.find(sha256), ()) if sha256 in candidates else (None, candidates)

    def adopt(self, code: ShareCode, sha256: str, _now: datetime, /) -> bool:
        return imported_secrets.adopt(self._database, "share_codes", code.id, before=code.sha256, after=sha256)

    def exchange(self, code: ShareCode, share: Share, at: datetime, *, limit: int = 0) -> Share | None:
        with self._database.transaction():
            counted = self._database.write(
                "UPDATE share_codes SET exchange_count = exchange_count + 1, last_exchanged_at = ?"
                " WHERE id = ? AND (max_uses = 0 OR exchange_count < max_uses)",
                (to_number(at), code.id),
            )
            return self._shares.grant(share, limit=limit) if counted else None

    def delete(self, server_id: str, *, code_id: str | None = None, sha256: str | None = None) -> int:
        return self._database.write(
            "DELETE FROM share_codes WHERE server_id = ?1 AND id = coalesce(?2, id) AND sha256 = coalesce(?3, sha256)",
            (server_id, code_id, sha256),
        )

    def page(
        self, *, offset: int, limit: int, server_id: str | None = None, owner_id: str | None = None
    ) -> tuple[list[ShareCode], int]:
        where = "c.server_id = ?" if server_id is not None else f"c.{_OF_OWNER}"
        value = server_id if server_id is not None else owner_id
        total: int = self._database.read_one(f"SELECT count(*) FROM share_codes c WHERE {where}", (value,))[0]  # noqa: S608 fixed words
        rows = self._database.read(
            f"SELECT {_CODE} FROM share_codes c WHERE {where} ORDER BY c.id LIMIT ? OFFSET ?",  # noqa: S608 fixed words
            (value, limit, offset),
        )
        return [_code(row) for row in rows], total

    def delete_expired(self, now: datetime, limit: int) -> int:
        return self._database.write(
            "DELETE FROM share_codes WHERE id IN (SELECT id FROM share_codes WHERE expires_at <= ? LIMIT ?)",
            (to_number(now), limit),
        )


def _share(row: Sequence[Any]) -> Share:
    share_id, server_id, scopes, created, user_id, group_id = row
    created_at = to_instant(created)
    assert created_at is not None  # noqa: S101 the column is NOT NULL
    return Share(share_id, server_id, tuple(json.loads(scopes)), created_at, user_id, group_id)


def _code(row: Sequence[Any]) -> ShareCode:
    code_id, sha256, server_id, scopes, created, expires, count, last, max_uses = row
    created_at, expires_at = to_instant(created), to_instant(expires)
    assert created_at is not None  # noqa: S101 the column is NOT NULL
    assert expires_at is not None  # noqa: S101 the column is NOT NULL
    return ShareCode(
        code_id, sha256, server_id, tuple(json.loads(scopes)), created_at, expires_at, count, to_instant(last), max_uses
    )
