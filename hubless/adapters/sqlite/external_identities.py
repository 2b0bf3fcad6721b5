"""External identities in SQLite."""

from collections.abc import Sequence
from typing import Any

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.adapters.sqlite.users import COLUMNS, SqliteUserStore, text_of_awaited, user_of
from hubless.domain.errors import IdentityTakenError, NameTakenError, NotFoundError, StoreConflictError
from hubless.domain.external_identities import AwaitedLogin, ExternalId, LinkedIdentity
from hubless.domain.users import User

_FACTS = "i.issuer, i.subject, i.user_id, i.provider, i.label, i.linked_at, i.by_admin"
_FACTS_COUNT = 7
_HAS_WAY_IN = "(u.identified OR EXISTS (SELECT 1 FROM passwords p WHERE p.user_id = u.id))"


class SqliteIdentityStore:
    """Stores external identities."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._users = SqliteUserStore(database)

    def find_with_user(self, identity: ExternalId) -> tuple[LinkedIdentity, User] | None:
        row = self._database.read_one(
            f"SELECT {_FACTS}, {COLUMNS} FROM identities i JOIN users u ON u.id = i.user_id"  # noqa: S608 constants
            " WHERE i.issuer = ? AND i.subject = ?",
            (identity.issuer, identity.subject),
        )
        return None if row is None else (_linked(row[:_FACTS_COUNT]), user_of(row[_FACTS_COUNT:]))

    def of_user(self, user_id: str) -> list[LinkedIdentity]:
        rows = self._database.read(
            f"SELECT {_FACTS} FROM identities i WHERE i.user_id = ? ORDER BY i.linked_at, i.issuer, i.subject",  # noqa: S608 constant
            (user_id,),
        )
        return [_linked(row) for row in rows]

    def link(self, linked: LinkedIdentity, *, only_way_in: bool = False, awaited: AwaitedLogin | None = None) -> None:
        with self._database.transaction():
            row = self._database.read_one(
                f"SELECT {_HAS_WAY_IN}, u.awaited, u.admin FROM users u WHERE u.id = ?",  # noqa: S608 constant
                (linked.user_id,),
            )
            if row is None:
                raise NotFoundError("User", linked.user_id)
            if only_way_in and row[0]:
                raise StoreConflictError("This user has another way in")
            if awaited is not None and (row[1] != text_of_awaited(awaited) or row[2]):
                raise StoreConflictError("This user does not await this login")
            self._write(linked)

    def await_login(self, user_id: str, awaited: AwaitedLogin) -> bool:
        statement = f"UPDATE users AS u SET awaited = ? WHERE u.id = ? AND NOT u.admin AND NOT ({_HAS_WAY_IN})"  # noqa: S608 constant
        return self._database.write(statement, (text_of_awaited(awaited), user_id)) > 0

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
            "INSERT INTO identities (issuer, subject, user_id, provider, label, linked_at, by_admin)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (issuer, subject) DO UPDATE"
            " SET provider = excluded.provider, label = excluded.label, by_admin = excluded.by_admin"
            " WHERE user_id = excluded.user_id",
            (
                linked.id.issuer,
                linked.id.subject,
                linked.user_id,
                linked.provider,
                linked.label,
                to_number(linked.linked_at),
                linked.by_admin,
            ),
        )
        if not written:
            raise IdentityTakenError(linked.provider, linked.label)
        self._database.write("UPDATE users SET identified = 1, awaited = NULL WHERE id = ?", (linked.user_id,))


def _linked(row: Sequence[Any]) -> LinkedIdentity:
    issuer, subject, user_id, provider, label, number, by_admin = row
    linked_at = to_instant(number)
    assert linked_at is not None  # noqa: S101 the column has a value
    return LinkedIdentity(ExternalId(issuer, subject), user_id, provider, label, linked_at, bool(by_admin))
