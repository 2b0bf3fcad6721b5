"""External identities in SQLite."""

from collections.abc import Sequence
from typing import Any

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.adapters.sqlite.users import COLUMNS, SqliteUserStore, user_of
from hubless.domain.errors import IdentityTakenError, NameTakenError, NotFoundError
from hubless.domain.external_identities import ExternalId, LinkedIdentity
from hubless.domain.users import User


class SqliteIdentityStore:
    """Stores external identities."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._users = SqliteUserStore(database)

    def find(self, identity: ExternalId) -> User | None:
        row = self._database.read_one(
            f"SELECT {COLUMNS} FROM users u"  # noqa: S608 constant
            " WHERE u.id = (SELECT user_id FROM identities WHERE issuer = ? AND subject = ?)",
            (identity.issuer, identity.subject),
        )
        return None if row is None else user_of(row)

    def of_user(self, user_id: str) -> list[LinkedIdentity]:
        rows = self._database.read(
            "SELECT issuer, subject, user_id, provider, label, linked_at FROM identities WHERE user_id = ?"
            " ORDER BY linked_at, issuer, subject",
            (user_id,),
        )
        return [_linked(row) for row in rows]

    def link(self, linked: LinkedIdentity) -> None:
        with self._database.transaction():
            if self._database.read_one("SELECT 1 FROM users WHERE id = ?", (linked.user_id,)) is None:
                raise NotFoundError("User", linked.user_id)
            self._write(linked)

    def create_user(self, user: User, linked: LinkedIdentity) -> None:
        with self._database.transaction():
            if not self._users.create([user]):
                raise NameTakenError("User", user.name)
            self._write(linked)

    def unlink(self, user_id: str, identity: ExternalId) -> bool:
        statement = "DELETE FROM identities WHERE issuer = ? AND subject = ? AND user_id = ?"
        return self._database.write(statement, (identity.issuer, identity.subject, user_id)) > 0

    def _write(self, linked: LinkedIdentity) -> None:
        written = self._database.write(
            "INSERT INTO identities (issuer, subject, user_id, provider, label, linked_at) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (issuer, subject) DO UPDATE SET provider = excluded.provider, label = excluded.label"
            " WHERE user_id = excluded.user_id",
            (
                linked.id.issuer,
                linked.id.subject,
                linked.user_id,
                linked.provider,
                linked.label,
                to_number(linked.linked_at),
            ),
        )
        if not written:
            raise IdentityTakenError(linked.provider, linked.label)


def _linked(row: Sequence[Any]) -> LinkedIdentity:
    issuer, subject, user_id, provider, label, number = row
    linked_at = to_instant(number)
    assert linked_at is not None  # noqa: S101 the column has a value
    return LinkedIdentity(ExternalId(issuer, subject), user_id, provider, label, linked_at)
