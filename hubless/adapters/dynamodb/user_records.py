"""Reads users with their activity, groups and shares, in as few requests as possible.

Most users need one. Shares need one more, because they are returned with the current names of server and owner. Groups
with shares need one before that.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime

from hubless.adapters.dynamodb import keys, server_activity
from hubless.adapters.dynamodb.database import Database, Found
from hubless.adapters.dynamodb.keys import Key
from hubless.adapters.dynamodb.table import Account, GroupItem, Hints, Seen, ServerItem
from hubless.domain.external_identities import AwaitedLogin
from hubless.domain.shares import Share, on_server
from hubless.domain.users import FactorState, User
from hubless.domain.values import value


@value
class Grant:
    """A share, as the user or group that has it stores it."""

    share_id: str
    server_id: str
    owner_id: str  # of the server
    scopes: tuple[str, ...]
    created_at: datetime

    def text(self) -> str:
        """Return the stored text."""
        return json.dumps([self.share_id, self.owner_id, self.scopes, keys.to_number(self.created_at)])

    def share(self, *, user_id: str | None = None, group_id: str | None = None) -> Share:
        """Return the share."""
        return Share(self.share_id, self.server_id, self.scopes, self.created_at, user_id, group_id)


def grants(shared: Mapping[str, str]) -> list[Grant]:
    """Return the shares in the map of a user or a group."""
    found = []
    for server_id, text in shared.items():
        share_id, owner_id, scopes, created = json.loads(text)
        found.append(Grant(share_id, server_id, owner_id, tuple(scopes), keys.to_instant(created)))
    return found


def keys_of(user_ids: Iterable[str]) -> list[Key]:
    """Return the keys to read for users; more keys may be read with them."""
    return [keys.HINTS, *(key for user_id in user_ids for key in (keys.account(user_id), keys.seen(user_id)))]


def read(database: Database, user_ids: Iterable[str]) -> dict[str, User]:
    """Return the users that exist, by id."""
    wanted = list(user_ids)
    return users_of(database, database.get_many(keys_of(wanted)), wanted) if wanted else {}


def users_of(database: Database, found: Found, user_ids: Iterable[str]) -> dict[str, User]:
    """Return users by id from *found*, which has the items of `keys_of`."""
    accounts = [account for user_id in user_ids if (account := account_of(found, user_id)) is not None]
    hints = found.item(Hints, keys.HINTS) or Hints()
    gone, sharing = hints.gone or set(), (hints.sharing or set()) - (hints.gone or set())
    by_group = _of_groups(
        database, {group_id for account in accounts for group_id in account.groups if group_id in sharing}
    )
    held = {a.id: [*grants(a.shared), *(grant for g in a.groups for grant in by_group.get(g, ()))] for a in accounts}
    scopes = _scopes(database, held)
    return {a.id: _user(a, found.item(Seen, keys.seen(a.id)), gone, scopes[a.id]) for a in accounts}


def account_of(found: Found, user_id: str) -> Account | None:
    """Return the account, or None if the user is removed or being removed."""
    account = found.item(Account, keys.account(user_id))
    return None if account is None or account.gone else account


def last_seen(seen: Seen | None) -> datetime | None:
    """Return the last activity of the user or of one of its servers."""
    if seen is None:
        return None
    at = max(keys.to_number(seen.at) if seen.at else 0, server_activity.latest(seen))
    return keys.to_instant(at) if at else None


def _of_groups(database: Database, group_ids: set[str]) -> dict[str, list[Grant]]:
    if not group_ids:
        return {}
    found = database.get_many(keys.group_item(group_id) for group_id in group_ids)
    groups = [found.item(GroupItem, key) for key in found]
    return {group.id: grants(group.shared) for group in groups if group is not None}


def _scopes(database: Database, held: Mapping[str, list[Grant]]) -> dict[str, set[str]]:
    """Return each user's scopes on others' servers, with their current names."""
    named = {key for some in held.values() for grant in some for key in _names_of(grant)}
    found = database.get_many(named) if named else Found()
    return {user_id: {scope for grant in some for scope in _told(grant, found)} for user_id, some in held.items()}


def _names_of(grant: Grant) -> tuple[Key, Key]:
    return keys.account(grant.owner_id), keys.server_item(grant.owner_id, grant.server_id)


def _told(grant: Grant, found: Found) -> list[str]:
    owner, server = account_of(found, grant.owner_id), found.item(ServerItem, _names_of(grant)[1])
    return [] if owner is None or server is None else on_server(grant.scopes, owner.name, server.name)


def _user(account: Account, seen: Seen | None, gone: set[str], scopes: set[str]) -> User:
    return User(
        id=account.id,
        name=account.name,
        created_at=account.created_at,
        admin=account.admin,
        groups=tuple(sorted(name for group_id, name in account.groups.items() if group_id not in gone)),
        shared=tuple(sorted(scopes)),
        last_activity_at=last_seen(seen),
        user_info=account.user_info,
        revision=int(account.revision),
        factors=FactorState(account.factors or ""),
        awaited=_awaited(account.awaited),
        unread=tuple(sorted(account.unread or ())),
    )


def text_of_awaited(awaited: AwaitedLogin) -> str:
    """Return *awaited* as it is stored: two texts are equal if what they say is equal."""
    return json.dumps([awaited.provider, awaited.issuer, awaited.name, keys.to_number(awaited.until)])


def _awaited(text: str | None) -> AwaitedLogin | None:
    if text is None:
        return None
    provider, issuer, name, until = json.loads(text)
    return AwaitedLogin(provider, issuer, name, keys.to_instant(until))
