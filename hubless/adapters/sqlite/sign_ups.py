"""Sign-ups and uses of join codes in SQLite."""

import json
import sqlite3
from dataclasses import fields
from datetime import datetime
from typing import Any

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain.errors import NameTakenError, StoreConflictError
from hubless.domain.names import skeleton
from hubless.domain.sign_ups import SignUp

_NAMES = tuple(one.name for one in fields(SignUp))
_INSTANTS = ("created_at", "expires_at")


class SqliteSignUpStore:
    """Stores sign-ups."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, sign_up: SignUp, now: datetime, *, most: int | None) -> bool:
        try:
            with self._database.transaction():
                self._database.write("DELETE FROM sign_ups WHERE expires_at <= ?", (to_number(now),))
                if most is not None and self._database.read_one("SELECT count(*) FROM sign_ups")[0] >= most:
                    return False
                self._database.write(
                    "INSERT INTO sign_ups (skeleton, revision, expires_at, facts) VALUES (?, ?, ?, ?)",
                    (skeleton(sign_up.name), sign_up.revision, to_number(sign_up.expires_at), _text(sign_up)),
                )
        except sqlite3.IntegrityError as taken:
            raise NameTakenError("User", sign_up.name) from taken
        return True

    def find(self, name: str, now: datetime) -> SignUp | None:
        row = self._database.read_one(
            "SELECT revision, facts FROM sign_ups WHERE skeleton = ? AND expires_at > ?",
            (skeleton(name), to_number(now)),
        )
        found = None if row is None else _sign_up(*row)
        return found if found is not None and found.name == name else None

    def all(self, now: datetime) -> list[SignUp]:
        rows = self._database.read("SELECT revision, facts FROM sign_ups WHERE expires_at > ?", (to_number(now),))
        return sorted((_sign_up(*row) for row in rows), key=lambda one: (one.created_at, one.name))

    def change(self, before: SignUp, after: SignUp) -> None:
        changed = self._database.write(
            "UPDATE sign_ups SET revision = ?, expires_at = ?, facts = ? WHERE skeleton = ? AND revision = ?"
            " AND json_extract(facts, '$.user_id') = ?",
            (
                after.revision,
                to_number(after.expires_at),
                _text(after),
                skeleton(before.name),
                before.revision,
                before.user_id,
            ),
        )
        if not changed:
            raise StoreConflictError(f"The sign-up of {before.name} was changed or removed meanwhile")

    def remove(self, sign_up: SignUp) -> bool:
        removed = self._database.write(
            "DELETE FROM sign_ups WHERE skeleton = ? AND revision = ? AND json_extract(facts, '$.user_id') = ?",
            (skeleton(sign_up.name), sign_up.revision, sign_up.user_id),
        )
        return removed > 0

    def delete_expired(self, now: datetime, limit: int) -> int:
        return self._database.write(
            "DELETE FROM sign_ups WHERE skeleton IN (SELECT skeleton FROM sign_ups WHERE expires_at <= ? LIMIT ?)",
            (to_number(now), limit),
        )


class SqliteJoinCodeStore:
    """Counts uses of join codes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def use(self, sha256: str, limit: int) -> bool:
        counted = self._database.write(
            "INSERT INTO join_codes (sha256, uses) VALUES (?1, 1)"
            " ON CONFLICT (sha256) DO UPDATE SET uses = uses + 1 WHERE ?2 = 0 OR uses < ?2",
            (sha256, limit),
        )
        return counted > 0

    def give_back(self, sha256: str) -> None:
        self._database.write("UPDATE join_codes SET uses = uses - 1 WHERE sha256 = ? AND uses > 0", (sha256,))

    def uses(self, sha256: str) -> int:
        row = self._database.read_one("SELECT uses FROM join_codes WHERE sha256 = ?", (sha256,))
        return 0 if row is None else int(row[0])


def _text(sign_up: SignUp) -> str:
    facts: dict[str, Any] = {name: getattr(sign_up, name) for name in _NAMES if name != "revision"}
    return json.dumps(facts | {name: to_number(facts[name]) for name in _INSTANTS})


def _sign_up(revision: int, text: str) -> SignUp:
    facts = json.loads(text)
    return SignUp(**facts | {name: to_instant(facts[name]) for name in _INSTANTS}, revision=revision)
