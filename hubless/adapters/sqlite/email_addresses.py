"""Users' e-mail addresses in SQLite."""

import sqlite3

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain.email_addresses import EmailAddress
from hubless.domain.errors import NotFoundError, StoreConflictError
from hubless.domain.mails import folded
from hubless.ports.email_addresses import MOST_USERS


class SqliteEmailAddressStore:
    """Stores addresses."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, user_id: str) -> EmailAddress | None:
        row = self._database.read_one(
            "SELECT user_id, address, pending, pending_sha256, pending_until FROM email_addresses WHERE user_id = ?",
            (user_id,),
        )
        return None if row is None else _address(*row)

    def save(self, before: EmailAddress | None, after: EmailAddress) -> None:
        values = (
            after.address,
            folded(after.address),
            after.pending,
            after.pending_sha256,
            to_number(after.pending_until),
            after.user_id,
        )
        with self._database.transaction():
            if self.get(after.user_id) != before:
                raise StoreConflictError("The e-mail address was changed meanwhile")
            try:
                self._database.write(
                    "INSERT INTO email_addresses (address, folded, pending, pending_sha256, pending_until, user_id)"
                    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (user_id) DO UPDATE SET address = excluded.address,"
                    " folded = excluded.folded, pending = excluded.pending, pending_sha256 = excluded.pending_sha256,"
                    " pending_until = excluded.pending_until",
                    values,
                )
            except sqlite3.IntegrityError as missing:
                raise NotFoundError("User", after.user_id) from missing

    def users_of(self, address: str) -> list[str]:
        rows = self._database.read(
            "SELECT user_id FROM email_addresses WHERE folded = ? AND folded != '' ORDER BY user_id LIMIT ?",
            (folded(address), MOST_USERS),
        )
        return [row[0] for row in rows]


def _address(user_id: str, address: str, pending: str, pending_sha256: str, until: int | None) -> EmailAddress:
    return EmailAddress(user_id, address, pending, pending_sha256, to_instant(until))
