"""Services added by the API, in SQLite."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain.errors import NameTakenError, QuotaExceededError, StoreConflictError
from hubless.domain.tokens import OwnerKind
from hubless.domain.users import Service

_FACTS = (
    "admin",
    "url",
    "oauth_redirect_uri",
    "oauth_no_confirm",
    "oauth_client_allowed_scopes",
    "info",
    "display",
    "id",
    "client_secret_hash",
)
_COLUMNS = "name, client_id, token_sha256, facts"


class SqliteServiceStore:
    """Stores services."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, name: str) -> Service | None:
        return self._one("name = ?", name)

    def of_token(self, sha256: str) -> Service | None:
        return self._one("token_sha256 = ?", sha256)

    def of_client(self, client_id: str) -> Service | None:
        return self._one("client_id = ?", client_id)

    def all(self) -> list[Service]:
        return [_service(row) for row in self._database.read(f"SELECT {_COLUMNS} FROM services ORDER BY name")]  # noqa: S608 constant

    def create(self, service: Service, *, limit: int = 0) -> None:
        with self._database.transaction():
            # Counted under the write lock, so parallel calls cannot exceed the limit.
            if limit and self._database.read_one("SELECT count(*) FROM services")[0] >= limit:
                raise QuotaExceededError(f"The limit of {limit} services is reached", limit=limit)
            self._write(f"INSERT INTO services ({_COLUMNS}) VALUES (?, ?, ?, ?)", service)  # noqa: S608 constant

    def change(self, before: Service, after: Service) -> bool:
        with self._database.transaction():
            if self.find(before.name) != before:
                return False
            if after.oauth_client_id != before.oauth_client_id:
                self._remove_issued(before.oauth_client_id)
            self._write("UPDATE services SET client_id = ?2, token_sha256 = ?3, facts = ?4 WHERE name = ?1", after)
        return True

    def _write(self, statement: str, service: Service) -> None:
        facts = {name: getattr(service, name) for name in _FACTS}
        try:
            self._database.write(
                statement, (service.name, service.oauth_client_id, service.token_sha256, json.dumps(facts))
            )
        except sqlite3.IntegrityError as taken:
            if taken.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
                raise NameTakenError("Service", service.name) from taken
            raise StoreConflictError("This token or OAuth client id belongs to another service") from taken

    def touch(self, name: str, at: datetime) -> None:
        self._database.write(
            "INSERT INTO services_seen (name, at) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET at = excluded.at WHERE excluded.at > at",
            (name, to_number(at)),
        )

    def last_seen(self) -> dict[str, datetime]:
        rows = self._database.read("SELECT name, at FROM services_seen")
        return {name: at for name, number in rows if (at := to_instant(number))}

    def delete(self, service: Service) -> None:
        with self._database.transaction():
            self._remove_issued(service.oauth_client_id)
            self._database.write(
                "DELETE FROM tokens WHERE owner_id = ? AND owner_kind = ?",
                (service.token_owner, OwnerKind.SERVICE.value),
            )
            self._database.write("DELETE FROM services_seen WHERE name = ?", (service.name,))
            self._database.write("DELETE FROM services WHERE name = ?", (service.name,))

    def _remove_issued(self, client_id: str | None) -> None:
        self._database.write("DELETE FROM tokens WHERE client_id = ?", (client_id,))
        self._database.write("DELETE FROM codes WHERE client_id = ?", (client_id,))

    def _one(self, where: str, value: str) -> Service | None:
        row = self._database.read_one(f"SELECT {_COLUMNS} FROM services WHERE {where}", (value,))  # noqa: S608 fixed words
        return None if row is None else _service(row)


def _service(row: Sequence[Any]) -> Service:
    name, client_id, token_sha256, facts = row
    known = json.loads(facts)
    known["oauth_client_allowed_scopes"] = tuple(known["oauth_client_allowed_scopes"])
    return Service(name=name, oauth_client_id=client_id, token_sha256=token_sha256, from_settings=False, **known)
