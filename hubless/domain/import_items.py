"""The items into which an archive is cut so that an import can compare it with a hub.

An item is a user, the user's password, a membership, a token and so on, each with a key. Names are names here.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from hubless.domain.archive import (
    Archive,
    ArchivedShare,
    ArchivedShareCode,
    ArchivedToken,
    ArchivedUser,
)
from hubless.domain.archive_form import digest
from hubless.domain.ids import RANDOM_BYTES, identifier
from hubless.domain.tokens import OwnerKind
from hubless.domain.values import value


class Kind(StrEnum):
    """What an item is; the order is the one in which an import writes."""

    USER = "user"
    FACTORS = "second factors"  # before passwords: after a crash no password opens alone what two factors closed
    PASSWORD = "password"  # noqa: S105 the kind's name
    EMAIL = "e-mail address"
    AUTH_STATE = "auth_state"
    IDENTITY = "identity"
    AWAITED = "awaited login"
    GROUP = "group"
    MEMBER = "membership"
    SERVICE = "service"
    SERVER = "server"
    TOKEN = "token"  # noqa: S105 the kind's name
    SHARE = "share"
    SHARE_CODE = "share code"
    SIGN_UP = "sign-up"
    ACTIVITY = "last activity"


Key = tuple[str, ...]
ADMIN = " admin"  # ends the digest of a user who is an admin: so a mark says whether the import gave the flag
# Facts that differ between two hubs or with every use: no digest has them.
_VOLATILE = frozenset({"id", "last_activity_at", "hashed", "exchange_count", "last_exchanged_at", "until"})
_PARTS: Mapping[str, Any] = {
    "password_hash": None,
    "email": "",
    "auth_state": None,
    "app": None,
    "passkeys": (),
    "recovery_codes": (),
    "identities": (),
    "awaited": None,
}


@value
class Item:
    """A piece of an archive: *record* is of `hubless.domain.archive`, or a part of a user."""

    kind: Kind
    key: Key
    record: Any = field(hash=False, repr=False)
    digest: str = ""
    owner: str = ""  # the user's name to whom it belongs, if it does
    last_activity_at: datetime | None = None


def place_of(item: Item) -> str:
    """Return by what a mark knows an item: a digest, so that marks hold no names of people."""
    return hashlib.sha256(json.dumps([item.kind, *item.key]).encode()).hexdigest()


def items_of(found: Archive) -> Iterator[Item]:
    """Return the items of an archive whose names are names here."""
    for user in found.users:
        yield from _items_of_user(user)
    for group in found.groups:
        yield _item(Kind.GROUP, (group.name,), replace(group, users=()))
        for name in group.users:
            yield _item(Kind.MEMBER, (group.name, name), name, name)
    yield from (_item(Kind.SERVICE, (one.name,), one) for one in found.services)
    for server in found.servers:
        yield _item(Kind.SERVER, (server.owner, server.name), server, server.owner, server.last_activity_at)
    yield from map(_item_of_token, found.tokens)
    yield from map(_item_of_share, found.shares)
    yield from map(_item_of_share_code, found.share_codes)
    yield from (_item(Kind.SIGN_UP, (one.name,), one) for one in found.sign_ups)


def in_words(item: Item) -> str:
    """Return what people call this item; never a secret."""
    match item.kind:
        case Kind.TOKEN:
            return token_in_words(item.record)
        case Kind.SHARE_CODE:
            return f"{item.record.owner}/{item.record.server}"
        case Kind.MEMBER:
            return f"{item.key[0]}: {item.key[1]}"
        case Kind.SHARE:
            return f"{item.key[0]}/{item.key[1]} with {item.key[3]}"
        case Kind.IDENTITY:
            return f"{item.owner} at {item.key[0]}"
        case _:
            return "/".join(item.key)


def token_in_words(token: ArchivedToken) -> str:
    """Return whose token it is, and since when."""
    note = f" ({token.note[:40]})" if token.note else ""
    return f"{token.owner[:60]}{note}, of {token.created_at:%Y-%m-%d}"


def _items_of_user(user: ArchivedUser) -> Iterator[Item]:
    key = (user.name,)
    account = _item(Kind.USER, key, replace(user, **_PARTS), user.name, user.last_activity_at)
    yield replace(account, digest=f"{account.digest}{ADMIN}") if user.admin else account
    if user.password_hash is not None:
        yield _item(Kind.PASSWORD, key, user.password_hash, user.name)
    if user.email:
        yield _item(Kind.EMAIL, key, user.email, user.name)
    if user.auth_state is not None:
        yield _item(Kind.AUTH_STATE, key, user.auth_state, user.name)
    if user.app is not None or user.passkeys:
        held = ArchivedUser(
            user.name, app=user.app, passkeys=user.passkeys, recovery_codes=user.recovery_codes, id=user.id
        )
        yield _item(Kind.FACTORS, key, held, user.name)
    for one in user.identities:
        made = _item(Kind.IDENTITY, (one.id.issuer, one.id.subject), one, user.name)
        yield replace(made, digest=f"{made.digest} {user.name}")  # whose it is counts too
    if user.awaited is not None:
        yield _item(Kind.AWAITED, key, user.awaited, user.name)


def _item_of_token(token: ArchivedToken) -> Item:
    kept = replace(token, id=token.id or _id_of("a", token.hashed, token.created_at))
    owner = token.owner if token.owner_kind is OwnerKind.USER else ""
    return _item(Kind.TOKEN, (kept.id,), kept, owner, token.last_activity_at)


def _item_of_share(share: ArchivedShare) -> Item:
    whose = ("group", share.group or "") if share.user is None else ("user", share.user)
    return _item(Kind.SHARE, (share.owner, share.server, *whose), share, share.owner)


def _item_of_share_code(code: ArchivedShareCode) -> Item:
    kept = replace(code, id=code.id or _id_of("sc_", code.hashed, code.created_at))
    return _item(Kind.SHARE_CODE, (kept.id,), kept, code.owner)


def _id_of(prefix: str, hashed: str, created_at: datetime) -> str:
    """Return the id of an imported secret: the same at each import, whatever its hash becomes here."""
    return identifier(prefix, created_at, hashlib.sha256(hashed.encode()).digest()[:RANDOM_BYTES])


def _item(kind: Kind, key: Key, record: Any, owner: str = "", last_activity_at: datetime | None = None) -> Item:
    return Item(kind, key, record, digest(record, without=_VOLATILE), owner, last_activity_at)
