"""Tokens, OAuth clients, codes and sessions in SQLite."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from hubless.adapters.sqlite import imported_secrets
from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.adapters.sqlite.users import COLUMNS as USER_COLUMNS
from hubless.adapters.sqlite.users import user_of
from hubless.domain.errors import NotFoundError, QuotaExceededError, StoreConflictError
from hubless.domain.imported_secrets import prefix_in
from hubless.domain.lifecycle import PENDING_START
from hubless.domain.tokens import (
    Client,
    Code,
    OwnerKind,
    Session,
    Token,
    with_current_names,
)
from hubless.domain.users import User

# The targets of a token's filters: {"user=bob": <id>, "group=g": <id>, "server=bob/lab": <id> or <owner's id>/lab}.
_HOLDS = """(SELECT json_group_object(filter, id) FROM (
    SELECT filter, CASE
        WHEN filter GLOB 'user=*' THEN (SELECT u.id FROM users u WHERE u.name = substr(filter, 6))
        WHEN filter GLOB 'group=*' THEN (SELECT g.id FROM groups g WHERE g.name = substr(filter, 7))
        WHEN filter GLOB 'server=*/*' THEN (
            SELECT coalesce(s.id, u.id || substr(filter, instr(filter, '/')))
            FROM users u LEFT JOIN servers s ON s.owner_id = u.id AND s.name = substr(filter, instr(filter, '/') + 1)
            WHERE u.name = substr(filter, 8, instr(filter, '/') - 8))
    END AS id FROM (SELECT DISTINCT substr(value, instr(value, '!') + 1) AS filter FROM json_each(?6)))
    WHERE id IS NOT NULL)"""
# The same with current names, or null for what is gone.
_NAMES = """CASE t.holds WHEN '{}' THEN '{}' ELSE (SELECT json_group_object(h.key, coalesce(
    (SELECT name FROM users WHERE id = h.value),
    (SELECT name FROM groups WHERE id = h.value),
    (SELECT o.name || '/' || s.name FROM servers s JOIN users o ON o.id = s.owner_id WHERE s.id = h.value),
    (SELECT o.name || substr(h.value, instr(h.value, '/')) FROM users o
     WHERE o.id = substr(h.value, 1, instr(h.value, '/') - 1))
)) FROM json_each(t.holds) h) END"""
_COLUMNS = (
    "t.id, t.sha256, t.owner_kind, t.owner_id, t.scopes, t.created_at, t.note, t.expires_at, t.last_activity_at,"
    f" t.last_address, t.last_agent, t.session_id, t.client_id, t.server_id, {_NAMES}"
)
_WIDTH = 15
_SESSION = "s.id, s.sha256, s.user_id, s.created_at, s.expires_at, s.agent, s.provider, s.provider_session, s.address"


class SqliteTokenStore:
    """Stores tokens."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, sha256: str) -> Token | None:
        row = self._database.read_one(f"SELECT {_COLUMNS} FROM tokens t WHERE t.sha256 = ?", (sha256,))  # noqa: S608 constant
        return None if row is None else _token(row)

    def find_with_user(self, sha256: str) -> tuple[Token, User | None] | None:
        row = self._database.read_one(
            f"SELECT {_COLUMNS}, {USER_COLUMNS} FROM tokens t LEFT JOIN users u ON u.id = t.user_id"  # noqa: S608 constant
            " WHERE t.sha256 = ?",
            (sha256,),
        )
        if row is None:
            return None
        user = row[_WIDTH:]
        return _token(row[:_WIDTH]), None if user[0] is None else user_of(user)

    def look_up(self, sha256: str, prefix: str) -> tuple[tuple[Token, User | None] | None, Sequence[str]]:
        if found := self.find_with_user(sha256):
            return found, ()
        candidates = imported_secrets.candidates(self._database, "tokens", prefix, sha256)
        return (self.find_with_user(sha256), ()) if sha256 in candidates else (None, candidates)

    def adopt(self, token: Token, sha256: str, _now: datetime, /) -> bool:
        return imported_secrets.adopt(self._database, "tokens", token.id, before=token.sha256, after=sha256)

    def get(self, owner_kind: OwnerKind, owner_id: str, token_id: str) -> Token | None:
        row = self._database.read_one(
            f"SELECT {_COLUMNS} FROM tokens t WHERE t.id = ? AND t.owner_id = ? AND t.owner_kind = ?",  # noqa: S608 constant
            (token_id, owner_id, owner_kind.value),
        )
        return None if row is None else _token(row)

    def of_owner(self, owner_kind: OwnerKind, owner_id: str) -> list[Token]:
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM tokens t WHERE t.owner_id = ? AND t.owner_kind = ? ORDER BY t.id",  # noqa: S608 constant
            (owner_id, owner_kind.value),
        )
        return [_token(row) for row in rows]

    def issued(self, owner_id: str, client_id: str, number: int) -> list[Token]:
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM tokens t WHERE t.client_id = ? AND t.user_id = ? ORDER BY t.id DESC LIMIT ?",  # noqa: S608 constant
            (client_id, owner_id, number),
        )
        return [_token(row) for row in rows]

    def create(self, token: Token, *, limit: int = 0) -> None:
        with self._database.transaction():
            # Counted under the write lock, so parallel calls cannot exceed the limit.
            if limit and self._count(token) >= limit:
                raise QuotaExceededError(f"The limit of {limit} tokens is reached", limit=limit)
            insert(self._database, token)

    def create_many(self, tokens: Sequence[Token]) -> None:
        with self._database.transaction():
            for token in tokens:
                insert(self._database, token)

    def keep_newest(self, session_id: str, client_id: str, number: int) -> None:
        self._database.write(
            "DELETE FROM tokens WHERE id IN (SELECT id FROM tokens WHERE session_id = ? AND client_id = ?"
            " ORDER BY id DESC LIMIT -1 OFFSET ?)",
            (session_id, client_id, number),
        )

    def delete(self, token_ids: Iterable[str]) -> None:
        self._database.write(
            "DELETE FROM tokens WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(token_ids)),)
        )

    def delete_issued(self, owner_id: str, client_id: str) -> None:
        self._database.write("DELETE FROM tokens WHERE client_id = ? AND user_id = ?", (client_id, owner_id))

    def delete_session(self, session_id: str) -> None:
        self._database.write("DELETE FROM tokens WHERE session_id = ?", (session_id,))

    def touch(self, token_id: str, at: datetime, *, address: str = "", agent: str = "") -> None:
        self._database.write(
            "UPDATE tokens SET last_activity_at = ?1, last_address = ?3, last_agent = ?4"
            " WHERE id = ?2 AND coalesce(last_activity_at, -1) < ?1",
            (to_number(at), token_id, address, agent),
        )

    def delete_expired(self, now: datetime, limit: int) -> int:
        return self._database.write(
            "DELETE FROM tokens WHERE id IN"
            " (SELECT id FROM tokens WHERE expires_at IS NOT NULL AND expires_at <= ? LIMIT ?)",
            (to_number(now), limit),
        )

    def _count(self, token: Token) -> int:
        """Return how many of the owner's tokens count when *token* is created (`Token.counts_at`)."""
        found: int = self._database.read_one(
            "SELECT count(*) FROM tokens WHERE owner_id = ? AND owner_kind = ? AND client_id IS NULL"
            " AND server_id IS NULL AND (expires_at IS NULL OR expires_at > ?)",
            (token.owner_id, token.owner_kind.value, to_number(token.created_at)),
        )[0]
        return found


class SqliteClientStore:
    """Stores OAuth clients of launches, and authorization codes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, client_id: str) -> Client | None:
        row = self._database.read_one("SELECT facts FROM clients WHERE id = ?", (client_id,))
        return None if row is None else _client(row[0])

    def put(self, client: Client, token: Token) -> None:
        with self._database.transaction():
            kept = self._database.read_one("SELECT launch_id FROM clients WHERE id = ?", (client.id,))
            # The same launch has written all of this before: keep what browsers were issued since.
            if kept is not None and kept[0] == client.launch_id:
                return
            self._check_launch(client)
            self._remove(client.id, token.server_id)
            self._database.write(
                "INSERT INTO clients (id, launch_id, owner_id, facts) VALUES (?, ?, ?, ?)",
                (client.id, client.launch_id, client.owner_id, json.dumps(_client_facts(client))),
            )
            insert(self._database, token)

    def delete(self, client_id: str, launch_id: str) -> None:
        with self._database.transaction():
            client = self.get(client_id)
            if client is not None and client.launch_id == launch_id:  # otherwise it belongs to a newer launch
                self._remove(client_id, client.server_id)

    def add_code(self, code: Code) -> None:
        facts = {
            "redirect_uri": code.redirect_uri,
            "scopes": list(code.scopes),
            "challenge": code.challenge,
            "challenge_method": code.challenge_method,
        }
        values = (
            code.sha256,
            code.client_id,
            code.user_id,
            code.session_id,
            to_number(code.expires_at),
            json.dumps(facts),
        )
        try:
            added = self._database.write(
                "INSERT INTO codes (sha256, client_id, user_id, session_id, expires_at, facts)"
                " SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM sessions WHERE id = ?4)",
                values,
            )
        except sqlite3.IntegrityError as gone:
            raise NotFoundError("User", code.user_id) from gone
        if not added:
            raise NotFoundError("Session", code.session_id)

    def find_code(self, sha256: str) -> Code | None:
        return _code(self._database.read_one("SELECT * FROM codes WHERE sha256 = ?", (sha256,)))

    def take_code(self, sha256: str) -> Code | None:
        with self._database.transaction():
            code = self.find_code(sha256)
            self._database.write("DELETE FROM codes WHERE sha256 = ?", (sha256,))
            return code

    def delete_expired_codes(self, now: datetime, limit: int) -> int:
        return self._database.write(
            "DELETE FROM codes WHERE sha256 IN (SELECT sha256 FROM codes WHERE expires_at <= ? LIMIT ?)",
            (to_number(now), limit),
        )

    def _check_launch(self, client: Client) -> None:
        found = self._database.read_one(
            "SELECT state FROM servers WHERE id = ? AND launch_id = ?", (client.server_id, client.launch_id)
        )
        if found is None or found[0] not in PENDING_START:
            raise StoreConflictError(f"Launch {client.launch_id} has ended or is stopping")

    def _remove(self, client_id: str, server_id: str | None) -> None:
        self._database.write("DELETE FROM tokens WHERE client_id = ?", (client_id,))
        self._database.write("DELETE FROM tokens WHERE server_id = ?", (server_id,))
        self._database.write("DELETE FROM codes WHERE client_id = ?", (client_id,))
        self._database.write("DELETE FROM clients WHERE id = ?", (client_id,))


class SqliteSessionStore:
    """Stores browser sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_with_user(self, sha256: str) -> tuple[Session, User] | None:
        row = self._database.read_one(
            f"SELECT {_SESSION}, {USER_COLUMNS} FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.sha256 = ?",  # noqa: S608 constant
            (sha256,),
        )
        return None if row is None else (_session(row[:9]), user_of(row[9:]))

    def create(self, session: Session) -> None:
        try:
            self._database.write(
                "INSERT INTO sessions (id, sha256, user_id, created_at, expires_at, agent, provider, provider_session,"
                " address) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    session.id,
                    session.sha256,
                    session.user_id,
                    to_number(session.created_at),
                    to_number(session.expires_at),
                    session.agent,
                    session.provider,
                    session.provider_session,
                    session.address,
                ),
            )
        except sqlite3.IntegrityError as gone:
            raise NotFoundError("User", session.user_id) from gone

    def of_user(self, user_id: str) -> list[Session]:
        rows = self._database.read(
            f"SELECT {_SESSION} FROM sessions s WHERE s.user_id = ? ORDER BY s.created_at, s.id",  # noqa: S608 constant
            (user_id,),
        )
        return [_session(row) for row in rows]

    def keep_newest(self, user_id: str, number: int) -> None:
        with self._database.transaction():
            rows = self._database.read(
                "SELECT id FROM sessions WHERE user_id = ? ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET ?",
                (user_id, number),
            )
            for (session_id,) in rows:
                self._end("id = ?", session_id)

    def end(self, session_id: str) -> None:
        with self._database.transaction():
            self._end("id = ?", session_id)

    def end_all(self, user_id: str) -> None:
        with self._database.transaction():
            self._end("user_id = ?", user_id)

    def delete_expired(self, now: datetime, limit: int) -> int:
        with self._database.transaction():
            rows = self._database.read("SELECT id FROM sessions WHERE expires_at <= ? LIMIT ?", (to_number(now), limit))
            for (session_id,) in rows:
                self._end("id = ?", session_id)
            return len(rows)

    def _end(self, which: str, value: str) -> None:
        ended = f"(SELECT id FROM sessions WHERE {which})"  # noqa: S608 fixed words
        self._database.write(f"DELETE FROM tokens WHERE session_id IN {ended}", (value,))  # noqa: S608 fixed words
        self._database.write(f"DELETE FROM codes WHERE session_id IN {ended}", (value,))  # noqa: S608 fixed words
        self._database.write(f"DELETE FROM sessions WHERE {which}", (value,))  # noqa: S608 fixed words


def insert(database: Database, token: Token) -> None:
    """Add *token*, alone or in a transaction; the port describes the errors."""
    user_id = token.owner_id if token.owner_kind is OwnerKind.USER else None
    scopes = json.dumps(token.scopes)
    try:
        # One statement checks and writes: a session that ends now ends before it, or also removes the token.
        added = database.write(
            "INSERT INTO tokens (id, sha256, owner_kind, owner_id, user_id, scopes, created_at, note, expires_at,"  # noqa: S608 constant
            " last_activity_at, session_id, client_id, server_id, imported_prefix, last_address, last_agent, holds)"
            f" SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, {_HOLDS}"
            " WHERE ?11 IS NULL OR EXISTS (SELECT 1 FROM sessions WHERE id = ?11)",
            (
                token.id,
                token.sha256,
                token.owner_kind.value,
                token.owner_id,
                user_id,
                scopes,
                to_number(token.created_at),
                token.note,
                to_number(token.expires_at),
                to_number(token.last_activity_at),
                token.session_id,
                token.client_id,
                token.server_id,
                prefix_in(token.sha256),
                token.last_address,
                token.last_agent,
            ),
        )
    except sqlite3.IntegrityError as broken:
        if broken.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
            raise NotFoundError("User", token.owner_id) from broken
        raise StoreConflictError(f"Token {token.id} is there already") from broken
    if not added:
        raise NotFoundError("Session", token.session_id or "")


def _token(row: Sequence[Any]) -> Token:
    (
        token_id,
        sha256,
        kind,
        owner_id,
        scopes,
        created,
        note,
        expires,
        active,
        address,
        agent,
        session_id,
        client_id,
        server_id,
        names,
    ) = row
    created_at = to_instant(created)
    assert created_at is not None  # noqa: S101 the column is NOT NULL
    return Token(
        id=token_id,
        sha256=sha256,
        owner_kind=OwnerKind(kind),
        owner_id=owner_id,
        scopes=with_current_names(json.loads(scopes), json.loads(names)),
        created_at=created_at,
        note=note,
        expires_at=to_instant(expires),
        last_activity_at=to_instant(active),
        last_address=address,
        last_agent=agent,
        session_id=session_id,
        client_id=client_id,
        server_id=server_id,
    )


_CLIENT_FIELDS = (
    "id",
    "secret_sha256",
    "redirect_uri",
    "description",
    "access_scopes",
    "allowed_scopes",
    "no_confirm",
    "server_id",
    "launch_id",
    "owner_id",
)


def _client_facts(client: Client) -> dict[str, Any]:
    return {name: getattr(client, name) for name in _CLIENT_FIELDS}


def _client(facts: str) -> Client:
    known = json.loads(facts)
    for name in ("access_scopes", "allowed_scopes"):
        known[name] = tuple(known[name])
    return Client(**known)


def _code(row: Sequence[Any] | None) -> Code | None:
    if row is None:
        return None
    sha256, client_id, user_id, session_id, expires, facts = row
    known, expires_at = json.loads(facts), to_instant(expires)
    assert expires_at is not None  # noqa: S101 the column is NOT NULL
    return Code(
        sha256=sha256,
        client_id=client_id,
        user_id=user_id,
        session_id=session_id,
        redirect_uri=known["redirect_uri"],
        scopes=tuple(known["scopes"]),
        expires_at=expires_at,
        challenge=known["challenge"],
        challenge_method=known["challenge_method"],
    )


def _session(row: Sequence[Any]) -> Session:
    session_id, sha256, user_id, created, expires, *more = row  # agent, provider, provider_session
    created_at, expires_at = to_instant(created), to_instant(expires)
    assert created_at is not None  # noqa: S101 the column is NOT NULL
    assert expires_at is not None  # noqa: S101 the column is NOT NULL
    return Session(session_id, sha256, user_id, created_at, expires_at, *more)
