"""Secrets of another hub that nobody has used since the import: how many wait, and an end of them.

Each end replaces the imported hash, on condition that it is there, by one of a random secret that is thrown away. So
whoever uses a secret at the same moment keeps it, and after a crash the rest still waits. Tokens and share codes go
then; a password, an OAuth secret or a sign-up stays with a hash that nothing matches.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import field, replace
from enum import Enum
from typing import Any

from hubless.domain import imported_passwords, tokens
from hubless.domain.errors import StoreConflictError
from hubless.domain.imported_secrets import is_imported
from hubless.domain.tokens import OwnerKind
from hubless.domain.users import Service, User
from hubless.domain.values import value
from hubless.ports.passwords import PasswordHasher
from hubless.services.exporting import ALL, CHUNK, HubStores
from hubless.services.identifiers import new_secret
from hubless.services.side_by_side import in_order


class SecretKind(Enum):
    """What waits, in the order and the words of the report."""

    PASSWORD = "password"  # noqa: S105 a kind
    SIGN_UP = "sign-up"
    TOKEN = "token of a user"  # noqa: S105 a kind
    SERVICE_TOKEN = "token of a service"  # noqa: S105 a kind
    CLIENT_SECRET = "OAuth secret"  # noqa: S105 a kind
    SHARE_CODE = "share code"


@value
class UnusedSecret:
    """One secret that waits for its first use. *owner* is the name of its user or service."""

    kind: SecretKind
    owner: str
    end: Callable[[], bool] = field(repr=False, compare=False)
    """End it, and say whether it still waited."""


@value
class UnusedSecrets:
    """Finds and ends them."""

    stores: HubStores
    hasher: PasswordHasher
    configured: tuple[Service, ...] = ()  # services of the settings, whose tokens are in the store

    def all(self) -> Iterator[UnusedSecret]:
        """Yield all that wait. It reads what each user has, so it takes as long as an export."""
        users, _ = self.stores.users.page(offset=0, limit=ALL)
        nobodys = self.hasher.hash(new_secret())  # for all: one hash takes as long as a login
        chunks = (users[start : start + CHUNK] for start in range(0, len(users), CHUNK))

        def of_some(some: list[User]) -> list[UnusedSecret]:
            return list(self._of_users(some, nobodys))

        for found in in_order(of_some, chunks, self.stores.marks.at_once):
            yield from found
        for sign_up in self.stores.sign_ups.all(self.stores.clock.now()):
            if _is_of_another_hub(sign_up.password_hash):
                after = replace(sign_up, password_hash=nobodys, revision=sign_up.revision + 1)
                yield UnusedSecret(
                    SecretKind.SIGN_UP, sign_up.name, _changed(self.stores.sign_ups.change, sign_up, after)
                )
        added = self.stores.services.all()
        names = {service.name for service in self.configured}
        for service in (*self.configured, *(one for one in added if one.name not in names)):
            yield from self._tokens(SecretKind.SERVICE_TOKEN, OwnerKind.SERVICE, service.token_owner, service.name)
        for service in added:
            if is_imported(service.client_secret_hash or ""):
                other = replace(service, client_secret_hash=_hash_of_nothing())
                yield UnusedSecret(
                    SecretKind.CLIENT_SECRET, service.name, _changed(self.stores.services.change, service, other)
                )

    def _of_users(self, users: Iterable[User], nobodys: str) -> Iterator[UnusedSecret]:
        stores, names = self.stores, {user.id: user.name for user in users}
        for user_id, name in names.items():
            if (stored := stores.passwords.get(user_id)) is not None and _is_of_another_hub(stored):
                end = _changed(stores.passwords.rehash, user_id, stored, nobodys)
                yield UnusedSecret(SecretKind.PASSWORD, name, end)
            yield from self._tokens(SecretKind.TOKEN, OwnerKind.USER, user_id, name)
        for server in stores.servers.of_owners(list(names)):
            for code in stores.share_codes.page(offset=0, limit=ALL, server_id=server.id)[0]:
                if is_imported(code.sha256) and not code.is_expired(stores.clock.now()):
                    yield UnusedSecret(
                        SecretKind.SHARE_CODE,
                        names[server.owner_id],
                        _removed(
                            _changed(stores.share_codes.adopt, code, _hash_of_nothing(), stores.clock.now()),
                            _changed(stores.share_codes.delete, server.id, code_id=code.id),
                        ),
                    )

    def _tokens(self, kind: SecretKind, owner_kind: OwnerKind, owner_id: str, name: str) -> Iterator[UnusedSecret]:
        stores = self.stores
        for token in stores.tokens.of_owner(owner_kind, owner_id):
            if is_imported(token.sha256) and not token.is_expired(stores.clock.now()):
                yield UnusedSecret(
                    kind,
                    name,
                    _removed(
                        _changed(stores.tokens.adopt, token, _hash_of_nothing(), stores.clock.now()),
                        _changed(stores.tokens.delete, [token.id]),
                    ),
                )


def _is_of_another_hub(password_hash: str) -> bool:
    return imported_passwords.cost_of(password_hash) is not None


def _hash_of_nothing() -> str:
    return tokens.sha256(new_secret())


def _changed(change: Callable[..., Any], *arguments: Any, **named: Any) -> Callable[[], bool]:
    """Return a call of *change* that says whether it did something; a store that only raises conflicts did, if not."""

    def call() -> bool:
        with suppress(StoreConflictError):
            return change(*arguments, **named) is not False
        return False

    return call


def _removed(is_ended: Callable[[], bool], remove: Callable[[], bool]) -> Callable[[], bool]:
    """Return a call that removes a record once nobody can use it any more, and says whether it still waited."""

    def call() -> bool:
        return is_ended() and (remove() or True)

    return call
