"""Makes records of API tokens, and counts those that stay behind."""

import re
from collections import Counter
from collections.abc import Mapping

from hubless.adapters.jupyterhub_database import values
from hubless.adapters.jupyterhub_database.hashes import hash_of
from hubless.adapters.jupyterhub_database.people import scopes_of_roles
from hubless.adapters.jupyterhub_database.source import Row
from hubless.adapters.jupyterhub_database.tables import Tables
from hubless.domain.archive import ArchivedToken
from hubless.domain.tokens import OwnerKind

_HUB = "jupyterhub"  # the OAuth client of tokens that people ask for (JupyterHub 2 and later)
_OF_SERVER = re.compile(r"Server at /.*")  # the note of a server's own token
_SERVERS_SCOPE = "users:activity!user"  # which such a token has, since 2.0
_EVERYTHING = ("inherit",)  # what a token of 1.x may: all that its owner may

# What stays behind: why, and what to do.
_LEFT = {
    "expired": ("expired", ""),
    "server": ("belong to servers", "Each start of a server makes a new one"),
    "oauth": ("were issued to OAuth clients, which are services and servers", "Clients ask for new ones by themselves"),
    "ownerless": ("belong to no user and no service", ""),
}


class Tokens:
    """Makes records of one database's tokens."""

    def __init__(self, tables: Tables, people: Mapping[int, str], services: Mapping[int, str]) -> None:
        self._tables, self._people, self._services = tables, people, services
        self._left: Counter[str] = Counter()
        self._of_roles = _scopes_by_token(tables)

    def all(self) -> tuple[ArchivedToken, ...]:
        """Return the tokens that go on working, and remark on the others."""
        found = tuple(self._tables.made("token", "api_tokens", self._made))
        self._left["oauth"] += sum(1 for _ in self._tables.rows("oauth_access_tokens"))
        for why, (are, to_do) in _LEFT.items():
            if count := self._left[why]:
                self._tables.remark("token", "", f"Tokens that {are}: {count:,}", to_do, number=count)
        return found

    def _made(self, row: Row) -> ArchivedToken | None:
        owner = self._owner(row)
        scopes = self._scopes(row)
        expires_at = values.optional_instant(row["expires_at"], "expires_at")
        if owner is None:
            why = "ownerless"
        elif row.get("client_id") not in {None, _HUB}:
            why = "oauth"
        elif self._is_of_server(row, scopes):
            why = "server"
        elif expires_at is not None and expires_at <= self._tables.now:
            why = "expired"
        else:
            return ArchivedToken(
                owner_kind=owner[0],
                owner=owner[1],
                hashed=hash_of(row["hashed"], row["prefix"]),
                scopes=scopes,
                created_at=values.optional_instant(row["created"], "created") or self._tables.now,
                note=values.note(row["note"]),
                expires_at=expires_at,
                last_activity_at=values.optional_instant(row["last_activity"], "last_activity"),
            )
        self._left[why] += 1
        return None

    def _owner(self, row: Row) -> tuple[OwnerKind, str] | None:
        if row["user_id"] is not None:
            name = self._people.get(row["user_id"])
            return (OwnerKind.USER, name) if name else None
        name = self._services.get(row["service_id"])
        return (OwnerKind.SERVICE, name) if name else None

    def _scopes(self, row: Row) -> tuple[str, ...]:
        """Return what a token may: each version says it in another way (RBAC came with 2.0, token scopes with 3.0)."""
        if "scopes" in row:
            return values.scopes(row["scopes"])
        return _EVERYTHING if self._tables.major == 1 else self._of_roles.get(row["id"], ())

    def _is_of_server(self, row: Row, scopes: tuple[str, ...]) -> bool:
        is_noted = _OF_SERVER.fullmatch(values.note(row["note"])) is not None
        return is_noted and row["user_id"] is not None and (self._tables.major == 1 or _SERVERS_SCOPE in scopes)


def _scopes_by_token(tables: Tables) -> dict[int, tuple[str, ...]]:
    """Return the scopes of 2.x's tokens, which have roles; a token without one may only say whose it is."""
    if tables.major != 2:  # noqa: PLR2004 JupyterHub 2
        return {}
    of_role = scopes_of_roles(tables)
    found: dict[int, dict[str, None]] = {}
    for row in tables.rows("api_token_role_map"):
        scopes = of_role.get(row["role_id"], ())
        found.setdefault(row["api_token_id"], {}).update(dict.fromkeys(scopes))
    return {token: tuple(scopes) for token, scopes in found.items()}
