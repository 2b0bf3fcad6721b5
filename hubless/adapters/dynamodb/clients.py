"""OAuth clients of launches, and authorization codes, in DynamoDB."""

from datetime import datetime
from typing import Any

from hubless.adapters.dynamodb import expiry, keys, removals, scope_filters, user_records
from hubless.adapters.dynamodb.database import (
    TRANSACTION,
    Check,
    ConditionFailedError,
    Database,
    Delete,
    Put,
    Step,
    Update,
)
from hubless.adapters.dynamodb.table import ClientItem, CodeItem, Pointer, ServerItem
from hubless.adapters.dynamodb.tokens import is_revoked, revocation_keys, session_exists, steps_to_add, user_exists
from hubless.domain.errors import StoreConflictError
from hubless.domain.lifecycle import PENDING_START
from hubless.domain.tokens import Client, Code, Token

_FACTS = (
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
_CODE = (
    "sha256",
    "client_id",
    "user_id",
    "session_id",
    "redirect_uri",
    "scopes",
    "expires_at",
    "challenge",
    "challenge_method",
)


class DynamoClientStore:
    """Stores OAuth clients and authorization codes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, client_id: str) -> Client | None:
        item = self._database.get(ClientItem, keys.client_head(client_id))
        return None if item is None or item.gone else _client(item)

    def put(self, client: Client, token: Token) -> None:
        holds = scope_filters.held(self._database, token.scopes)
        self._database.retry(lambda: self._put(client, token, holds))

    def delete(self, client_id: str, launch_id: str) -> None:
        item = self._database.get(ClientItem, keys.client_head(client_id))
        if item is None or item.launch_id != launch_id:  # it belongs to a newer launch
            return
        ours = ClientItem.launch_id == launch_id
        listed = [] if item.owner_id is None else [keys.client_of(item.owner_id, client_id)]
        try:
            removals.remove_issued(
                self._database,
                keys.client(client_id),
                head=Delete(item.key, ours),
                mark=Update(item.key, [ClientItem.gone.set(True)], ours),
                note=removals.begin_client(client_id),
                more=listed,
            )
        except ConditionFailedError:
            return  # it was removed, or belongs to a newer launch

    def add_code(self, code: Code) -> None:
        item = CodeItem(
            *keys.code(code.sha256), ttl=code.expires_at, expiry=expiry.CODE, **{n: getattr(code, n) for n in _CODE}
        )
        listed: dict[str, Any] = {
            "sha256": code.sha256,
            "owner": code.user_id,
            "session": code.session_id,
            "client": code.client_id,
            "ttl": code.expires_at,
        }
        self._database.transact(
            [
                user_exists(code.user_id),
                session_exists(code.session_id),
                Put(item),
                *(Put(Pointer(*key, **listed)) for key in removals.keys_of_code(item) if key != item.key),
            ]
        )

    def find_code(self, sha256: str) -> Code | None:
        item = self._code(sha256)
        return None if item is None else _code(item)

    def take_code(self, sha256: str) -> Code | None:
        item = self._code(sha256)
        if item is None:
            return None
        return _code(item) if self._remove([item]) else None

    def delete_expired_codes(self, now: datetime, limit: int) -> int:
        return expiry.remove(self._database, expiry.CODE, CodeItem, now, limit=limit, remove_some=self._remove)

    def _code(self, sha256: str) -> CodeItem | None:
        item = self._database.get(CodeItem, keys.code(sha256))
        if item is None:
            return None
        found = self._database.get_many([*revocation_keys(item.session_id, item.client_id), keys.account(item.user_id)])
        over = is_revoked(found, item.session_id, item.client_id)
        return None if over or user_records.account_of(found, item.user_id) is None else item

    def _remove(self, items: list[CodeItem]) -> int:
        return sum(
            self._database.transact_each(
                [
                    [
                        Delete(item.key, CodeItem.pk.exists()),  # only one of two calls finds it
                        *(Delete(key) for key in removals.keys_of_code(item) if key != item.key),
                    ]
                    for item in items
                ]
            )
        )

    def _put(self, client: Client, token: Token, holds: str) -> None:
        there = self._database.get(ClientItem, keys.client_head(client.id))
        # The same launch has written all of this before: keep what browsers were issued since.
        if there is not None and not there.gone and there.launch_id == client.launch_id:
            return None
        as_read = ClientItem.pk.does_not_exist() if there is None else _is(there)
        new = _written(client, as_read, steps_to_add(token, client.id, holds))
        left = [] if there is None else removals.issued(self._database, keys.client(client.id))
        if there is not None and there.owner_id is not None and there.owner_id != client.owner_id:
            left.append(keys.client_of(there.owner_id, client.id))
        if there is not None and len(left) + len(new) >= TRANSACTION:
            self._clear(there, client, token)
            return self._put(client, token, holds)
        written = {step.key for step in new}
        self._database.transact(
            [
                *new,
                *(Delete(key) for key in dict.fromkeys(left) if key not in written),
                *([Delete(keys.begun("client", client.id))] if there is not None and there.gone else []),
            ]
        )
        return None

    def _clear(self, there: ClientItem, client: Client, token: Token) -> None:
        """Remove what an old launch left, if that is too much for one transaction; first revoke its client."""
        if not there.gone:
            taken = StoreConflictError(f"Token {token.id} is there already")
            self._database.transact(
                [
                    Update(there.key, [ClientItem.gone.set(True)], _is(there)),
                    # Only for a launch that is still starting.
                    _is_launching(client),
                    *(
                        Check(key, Pointer.pk.does_not_exist(), taken)
                        for key in (keys.token_hash(token.sha256), keys.token_id(token.id))
                    ),
                    removals.begin_client(client.id),
                ]
            )
        self._database.delete_many(removals.issued(self._database, keys.client(client.id)))


def _is(there: ClientItem) -> Any:
    """Return the condition that the client has not changed since it was read."""
    same = (
        ClientItem.launch_id == there.launch_id
        if there.launch_id is not None
        else ClientItem.launch_id.does_not_exist()
    )
    return same & (ClientItem.gone.exists() if there.gone else ClientItem.gone.does_not_exist())


def _written(client: Client, as_read: Any, token: list[Step]) -> list[Step]:
    facts = {name: getattr(client, name) for name in _FACTS}
    item = ClientItem(*keys.client_head(client.id), launch_id=client.launch_id, owner_id=client.owner_id, facts=facts)
    listed = (
        [] if client.owner_id is None else [Put(Pointer(*keys.client_of(client.owner_id, client.id), to=client.id))]
    )
    return [Put(item, as_read), _is_launching(client), *listed, *token]


def _is_launching(client: Client) -> Step:
    """Return the check that the client's launch is still starting."""
    coming = [state.value for state in sorted(PENDING_START)]
    return Check(
        keys.server_item(client.owner_id or "", client.server_id or ""),
        ServerItem.state.is_in(*coming) & (ServerItem.launch_id == client.launch_id),
        StoreConflictError(f"Launch {client.launch_id} has ended or is stopping"),
    )


def _client(item: ClientItem) -> Client | None:
    if item.facts is None:
        return None
    facts = dict(item.facts)
    for name in ("access_scopes", "allowed_scopes"):
        facts[name] = tuple(facts[name])
    return Client(**facts)


def _code(item: CodeItem) -> Code:
    return Code(**{name: getattr(item, name) for name in _CODE})
