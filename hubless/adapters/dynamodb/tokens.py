"""Tokens in DynamoDB.

A token is in its owner's partition. The item of its hash leads there, and names its session and client. So one more
read returns the token, its owner, and whether any of them is gone.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from hubless.adapters.dynamodb import expiry, imported_secrets, keys, removals, scope_filters, user_records
from hubless.adapters.dynamodb.database import (
    Check,
    ConditionFailedError,
    Database,
    Delete,
    Found,
    Put,
    Step,
    Update,
)
from hubless.adapters.dynamodb.keys import Key
from hubless.adapters.dynamodb.table import Account, Pointer, TokenItem
from hubless.domain.errors import NotFoundError, QuotaExceededError, StoreConflictError
from hubless.domain.tokens import OwnerKind, Token
from hubless.domain.users import User


class DynamoTokenStore:
    """Stores tokens."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, sha256: str) -> Token | None:
        found = self._find(sha256)
        return None if found is None else found[0]

    def find_with_user(self, sha256: str) -> tuple[Token, User | None] | None:
        return self._with_user(self._find(sha256))

    def look_up(self, sha256: str, prefix: str) -> tuple[tuple[Token, User | None] | None, Sequence[str]]:
        where = keys.token_hash(sha256)
        first = imported_secrets.read(self._database, where)
        pointer = first.item(Pointer, where)
        if pointer is None:
            return None, imported_secrets.candidates(self._database, first, keys.imported_tokens(prefix))
        return self._with_user(self._behind(pointer)), ()

    def adopt(self, token: Token, sha256: str, now: datetime, /) -> bool:
        pointer = self._database.get(Pointer, keys.token_hash(token.sha256))
        if pointer is None:
            return False
        listed = {name: getattr(pointer, name) for name in _LISTED} | {"sha256": sha256}
        item = keys.token(token.owner_kind.value, token.owner_id, token.id)
        old = keys.token_hash(token.sha256)
        places = removals.token_keys(
            token.owner_kind.value,
            token.owner_id,
            token.id,
            token.sha256,
            session=token.session_id,
            client=token.client_id,
        )
        try:
            self._database.transact(
                [
                    Update(item, [TokenItem.sha256.set(sha256)], TokenItem.sha256 == token.sha256),
                    imported_secrets.adopted(old, now),
                    Put(Pointer(*keys.token_hash(sha256), **listed), Pointer.pk.does_not_exist()),
                    *(
                        Update(key, [Pointer.sha256.set(sha256)], Pointer.pk.exists())
                        for key in places
                        if key not in {item, old}
                    ),
                ]
            )
        except ConditionFailedError:
            return False
        return True

    def _with_user(self, found: tuple[Token, Found] | None) -> tuple[Token, User | None] | None:
        if found is None:
            return None
        token, read = found
        if token.owner_kind is not OwnerKind.USER:
            return token, None
        return token, user_records.users_of(self._database, read, [token.owner_id])[token.owner_id]

    def get(self, owner_kind: OwnerKind, owner_id: str, token_id: str) -> Token | None:
        item = self._database.get(TokenItem, keys.token(owner_kind.value, owner_id, token_id))
        return None if item is None else self._tokens([item])[0]

    def of_owner(self, owner_kind: OwnerKind, owner_id: str) -> list[Token]:
        return self._tokens(self._of_owner(owner_kind, owner_id))

    def issued(self, owner_id: str, client_id: str, number: int) -> list[Token]:
        items = [item for item in self._of_owner(OwnerKind.USER, owner_id) if item.client_id == client_id]
        return self._tokens(items[::-1][:number])

    def create(self, token: Token, *, limit: int = 0) -> None:
        steps = steps_to_add(token, token.client_id, scope_filters.held(self._database, token.scopes))
        with imported_secrets.noted(self._database, [token.sha256]):
            if limit and token.owner_kind is OwnerKind.USER:
                self._database.retry(lambda: self._create(token, steps, limit))
            else:
                self._database.transact(steps)

    def create_many(self, tokens: Sequence[Token]) -> None:
        bundles = [steps_to_add(one, None, scope_filters.held(self._database, one.scopes)) for one in tokens]
        with imported_secrets.noted(self._database, [token.sha256 for token in tokens]):
            self._database.transact_all(bundles)

    def keep_newest(self, session_id: str, client_id: str, number: int) -> None:
        where = Pointer.sk.startswith("TOKEN#")
        issued = [
            item for item in self._database.query(Pointer, keys.session(session_id), where) if item.client == client_id
        ]
        issued.sort(key=lambda item: item.sk)
        self._remove(issued[: max(0, len(issued) - number)])

    def delete(self, token_ids: Iterable[str]) -> None:
        found = self._database.get_many(keys.token_id(token_id) for token_id in token_ids)
        self._remove([pointer for key in found if (pointer := found.item(Pointer, key)) is not None])

    def delete_issued(self, owner_id: str, client_id: str) -> None:
        items = [item for item in self._of_owner(OwnerKind.USER, owner_id) if item.client_id == client_id]
        self._database.transact_each([[Delete(key) for key in removals.keys_of_token(item)] for item in items])

    def delete_session(self, session_id: str) -> None:
        where = Pointer.sk.startswith("TOKEN#")
        self._remove(list(self._database.query(Pointer, keys.session(session_id), where)))

    def touch(self, token_id: str, at: datetime, *, address: str = "", agent: str = "") -> None:
        pointer = self._database.get(Pointer, keys.token_id(token_id))
        if pointer is None:
            return
        known = TokenItem.last_activity_at
        try:
            self._database.write(
                Update(
                    keys.token(pointer.kind or "", pointer.owner or "", token_id),
                    [known.set(at), TokenItem.last_address.set(address), TokenItem.last_agent.set(agent)],
                    TokenItem.pk.exists() & (known.does_not_exist() | (known < at)),
                )
            )
        except ConditionFailedError:
            return  # the stored one is later, or the item is gone

    def delete_expired(self, now: datetime, limit: int) -> int:
        removals.finish(self._database)
        imported_secrets.tidy(self._database, now)
        return expiry.remove(
            self._database, expiry.TOKEN, TokenItem, now, limit=limit, remove_some=self._remove_expired
        )

    def _create(self, token: Token, steps: list[Step], limit: int) -> None:
        """Add the token if its owner has fewer than *limit*, and got no other since they were counted."""
        account = self._database.get(Account, keys.account(token.owner_id))
        if account is None or account.gone:
            raise NotFoundError("User", token.owner_id)
        held = self._of_owner(OwnerKind.USER, token.owner_id)
        if sum(_token(item, Found()).counts_at(token.created_at) for item in held) >= limit:
            raise QuotaExceededError(f"The limit of {limit} tokens is reached", limit=limit)
        added = Account.tokens_added
        as_read = added == account.tokens_added if account.tokens_added else added.does_not_exist()
        is_there = Account.pk.exists() & Account.gone.does_not_exist()
        counted = Update(account.key, [added.add(1)], is_there & as_read)
        self._database.transact([*(step for step in steps if step.key != account.key), counted])

    def _find(self, sha256: str) -> tuple[Token, Found] | None:
        pointer = self._database.get(Pointer, keys.token_hash(sha256))
        return None if pointer is None else self._behind(pointer)

    def _behind(self, pointer: Pointer) -> tuple[Token, Found] | None:
        kind, owner = pointer.kind or "", pointer.owner or ""
        where, of_user = keys.token(kind, owner, pointer.to or ""), kind == OwnerKind.USER.value
        issued_by = revocation_keys(pointer.session, pointer.client)
        users = user_records.keys_of([owner]) if of_user else []
        found = self._database.get_many([where, *issued_by, *users, *scope_filters.keys_of(pointer.holds)])
        item = found.item(TokenItem, where)
        owner_is_gone = of_user and user_records.account_of(found, owner) is None
        if item is None or owner_is_gone or is_revoked(found, pointer.session, pointer.client):
            return None
        return _token(item, found), found

    def _tokens(self, items: list[TokenItem]) -> list[Token]:
        named = [key for item in items for key in scope_filters.keys_of(item.holds)]
        found = self._database.get_many(named) if named else Found()
        return [_token(item, found) for item in items]

    def _of_owner(self, owner_kind: OwnerKind, owner_id: str) -> list[TokenItem]:
        where = TokenItem.sk.startswith("TOKEN#")
        return list(self._database.query(TokenItem, keys.owner(owner_kind.value, owner_id), where))

    def _remove(self, pointers: list[Pointer]) -> None:
        self._database.transact_each(
            [[Delete(key) for key in removals.keys_of_listed(pointer)] for pointer in pointers]
        )

    def _remove_expired(self, items: list[TokenItem]) -> int:
        return sum(
            self._database.transact_each(
                [
                    [
                        Delete(item.key, TokenItem.pk.exists()),
                        *(Delete(key) for key in removals.keys_of_token(item) if key != item.key),
                    ]
                    for item in items
                ]
            )
        )


def revocation_keys(session_id: str | None, client_id: str | None) -> list[Key]:
    """Return the keys that tell whether a session or client is being removed, which revokes what it issued."""
    found = [keys.session_head(session_id)] if session_id is not None else []
    return [*found, keys.client_head(client_id)] if client_id is not None else found


def is_revoked(found: Found, session_id: str | None, client_id: str | None) -> bool:
    """Say from *found*, which has the `revocation_keys`, whether the session or client is revoked."""
    session = None if session_id is None else found.item(Pointer, keys.session_head(session_id))
    client = None if client_id is None else found.item(Pointer, keys.client_head(client_id))
    ended = session_id is not None and (session is None or bool(session.gone))
    return ended or (client is not None and bool(client.gone))


def steps_to_add(token: Token, client_id: str | None, holds: str) -> list[Step]:
    """Return the steps that add *token*.

    Args:
        token: the token. If its hash is imported, they are written within `imported_secrets.noted`.
        client_id: the client that lists it: the token was issued to it, or is its own.
        holds: the targets of its filters (`scope_filters.held`).
    """
    there = StoreConflictError(f"Token {token.id} is there already")
    listed: dict[str, Any] = {
        "kind": token.owner_kind.value,
        "owner": token.owner_id,
        "to": token.id,
        "sha256": token.sha256,
        "session": token.session_id,
        "client": client_id,
        "ttl": token.expires_at,
        "holds": holds,
    }
    item = TokenItem(
        *keys.token(token.owner_kind.value, token.owner_id, token.id),
        ttl=token.expires_at,
        expiry=None if token.expires_at is None else expiry.TOKEN,
        **{name: getattr(token, name) for name in _FIELDS},
        owner_kind=token.owner_kind.value,
        holds=holds,
    )
    steps: list[Step] = [
        Put(item, TokenItem.pk.does_not_exist(), there),
        Put(
            Pointer(*keys.token_hash(token.sha256), **(listed | imported_secrets.listed(token.sha256))),
            imported_secrets.is_free(),
            there,
        ),
        Put(Pointer(*keys.token_id(token.id), **listed), Pointer.pk.does_not_exist(), there),
    ]
    if token.session_id is not None:
        steps.append(session_exists(token.session_id))
        steps.append(Put(Pointer(keys.session(token.session_id), f"TOKEN#{token.id}", **listed)))
    if client_id is not None:
        steps.append(Put(Pointer(keys.client(client_id), f"TOKEN#{token.id}", **listed)))
    if token.owner_kind is OwnerKind.USER:
        steps.append(user_exists(token.owner_id))
    return steps


def user_exists(user_id: str) -> Step:
    """Return the check that a user exists."""
    return Check(
        keys.account(user_id), Account.pk.exists() & Account.gone.does_not_exist(), NotFoundError("User", user_id)
    )


def session_exists(session_id: str) -> Step:
    """Return the check that a session has not ended."""
    lives = Pointer.pk.exists() & Pointer.gone.does_not_exist()
    return Check(keys.session_head(session_id), lives, NotFoundError("Session", session_id))


_LISTED = ("kind", "owner", "to", "session", "client", "ttl", "holds")
_FIELDS = (
    "id",
    "sha256",
    "owner_id",
    "scopes",
    "created_at",
    "note",
    "expires_at",
    "last_activity_at",
    "last_address",
    "last_agent",
    "session_id",
    "client_id",
    "server_id",
)


def _token(item: TokenItem, found: Found) -> Token:
    facts: dict[str, Any] = {name: getattr(item, name) for name in _FIELDS}
    facts["scopes"] = scope_filters.with_current_names(item.scopes, item.holds, found)
    return Token(owner_kind=OwnerKind(item.owner_kind), **facts)
