"""The ids that the filters of a token's scopes refer to. So a new user with an old name does not inherit the scope.

Both the token and its hash store the ids, so one read returns the current names together with the token.
"""

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from hubless.adapters.dynamodb import keys, user_records
from hubless.adapters.dynamodb.database import Database, Found
from hubless.adapters.dynamodb.keys import Key
from hubless.adapters.dynamodb.table import GroupItem, Pointer, ServerItem
from hubless.domain import tokens
from hubless.domain.scopes import GROUP, SERVER, USER


class Hold(NamedTuple):
    """The target of a filter: a user, a group, or a server by its owner and, if it existed, its id."""

    kind: str
    id: str  # of a server: its owner's
    server_id: str | None = None
    server_name: str = ""


def held(database: Database, scopes: Iterable[str]) -> str:
    """Return the current targets of the filters of *scopes*, as tokens store them."""
    filters = {text.partition("!")[2] for text in scopes}
    named = {kept: key for kept in filters if (key := _name(kept)) is not None}
    found = database.get_many(named.values()) if named else Found()
    ids = {kept: pointer.to or "" for kept, key in named.items() if (pointer := found.item(Pointer, key)) is not None}
    owners = {owner for kept, owner in ids.items() if kept.startswith(f"{SERVER}=")}
    accounts = database.get_many(keys.account(owner) for owner in owners) if owners else Found()
    return json.dumps({kept: _hold(kept, identifier, accounts) for kept, identifier in sorted(ids.items())})


def keys_of(text: str | None) -> list[Key]:
    """Return the keys to read for *text*, which `held` returned."""
    return [key for hold in _holds(text).values() for key in _where(hold)]


def with_current_names(scopes: Iterable[str], text: str | None, found: Found) -> tuple[str, ...]:
    """Return *scopes* with current names from *found*, which has the items of `keys_of`."""
    return tokens.with_current_names(scopes, {kept: _name_now(hold, found) for kept, hold in _holds(text).items()})


def _name(kept: str) -> Key | None:
    """Return the key of the name of the user, group or server's owner that a filter names."""
    kind, _, value = kept.partition("=")
    if kind == SERVER and "/" in value:
        return keys.name("user", value.partition("/")[0])
    return keys.name(kind, value) if kind in {USER, GROUP} and "=" in kept else None


def _hold(kept: str, identifier: str, accounts: Found) -> Hold:
    kind, _, value = kept.partition("=")
    if kind != SERVER:
        return Hold(kind, identifier)
    name = value.partition("/")[2]
    account = user_records.account_of(accounts, identifier)
    return Hold(SERVER, identifier, account.servers.get(keys.map_key(name)) if account else None, name)


def _holds(text: str | None) -> Mapping[str, Hold]:
    return {kept: Hold(*hold) for kept, hold in json.loads(text or "{}").items()}


def _where(hold: Hold) -> list[Key]:
    if hold.kind == GROUP:
        return [keys.group_item(hold.id)]
    server = [] if hold.server_id is None else [keys.server_item(hold.id, hold.server_id)]
    return [keys.account(hold.id), *server]


def _name_now(hold: Hold, found: Found) -> str | None:
    if hold.kind == GROUP:
        group = found.item(GroupItem, keys.group_item(hold.id))
        return None if group is None or group.gone else group.name
    owner = user_records.account_of(found, hold.id)
    if owner is None or hold.kind == USER:
        return None if owner is None else owner.name
    if hold.server_id is None:
        return f"{owner.name}/{hold.server_name}"
    server = found.item(ServerItem, keys.server_item(hold.id, hold.server_id))
    return None if server is None else f"{owner.name}/{server.name}"
