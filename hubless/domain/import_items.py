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

_CHANGING = "changing"
_PART = 16  # hex digits by which a mark knows a part of an item


class Kind(StrEnum):
    """What an item is; the order is the one in which an import writes."""

    USER = "user"
    FACTORS = "second factors"  # before passwords: after a crash no password opens alone what two factors closed
    PASSWORD = "password"  # noqa: S105 the kind's name
    EMAIL = "e-mail address"
    NOTE = "note"
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
    BUDGET = "budget"
    SCHEDULE = "schedule"  # after its groups
    ACTIVITY = "last activity"


Key = tuple[str, ...]
# What may change on both sides, each by itself: a digest of such an item has a part for each. `created_at` of a user is
# in it because somebody who was made anew there may be another person.
PARTS: Mapping[Kind, tuple[str, ...]] = {
    Kind.USER: ("admin", "user_info", "created_at"),
    Kind.GROUP: ("properties",),
    Kind.SERVICE: (
        "admin",
        "url",
        "oauth_client_id",
        "oauth_redirect_uri",
        "oauth_no_confirm",
        "oauth_client_allowed_scopes",
        "info",
        "display",
        "client_secret_hash",
        "token_hash",
    ),
    Kind.SERVER: ("display_name", "profile", "user_options"),
    Kind.TOKEN: ("owner", "scopes", "note", "expires_at"),
    Kind.SHARE: ("scopes",),
    Kind.SIGN_UP: ("password_hash", "address"),
}
# Facts that differ between two hubs or with every use: no digest has them.
_VOLATILE = frozenset({"id", "last_activity_at", "hashed", "exchange_count", "last_exchanged_at", "until", "linked_at"})
_OF_ACCOUNT: Mapping[str, Any] = {
    "password_hash": None,
    "email": "",
    "auth_state": None,
    "app": None,
    "passkeys": (),
    "recovery_codes": (),
    "identities": (),
    "awaited": None,
    "is_refused": False,
    "admin_note": None,
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
    before: Any = field(default=None, hash=False, repr=False)  # the record that is here and that an import changes
    mark: str = ""  # of the last import


def changing(mark: str) -> str:
    """Return the mark of an item that an import is about to delete and add anew: if it is gone, nobody else did it."""
    return mark if is_changing(mark) else f"{_CHANGING} {mark}".rstrip()


def is_changing(mark: str) -> bool:
    """Say whether an import that broke off may have deleted the item, or may have added it."""
    return mark.startswith(_CHANGING)


Marks = Mapping[str, str]  # the digest of each item as it was imported last, by `place_of`


def place_of(item: Item) -> str:
    """Return by what a mark knows an item: a digest, so that marks hold no names of people."""
    return place(item.kind, *item.key)


def place(kind: str, *key: str) -> str:
    """Return by what a mark knows the item of that kind and key."""
    return hashlib.sha256(json.dumps([kind, *key]).encode()).hexdigest()


def part_of(fact: Any) -> str:
    """Return the digest of a part of an item."""
    return digest(fact)[:_PART]


def parts_in(text: str) -> dict[str, str]:
    """Return the parts in a digest or mark, by name; it has none if an older version wrote it."""
    return dict(word.split("=", 1) for word in text.split(" ") if "=" in word)


def with_parts(parts: Mapping[str, str]) -> str:
    """Return the digest that has these parts."""
    return " ".join(f"{name}={part}" for name, part in parts.items())


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
    yield from (_item(Kind.BUDGET, (one.name,), one, one.user) for one in found.budgets)
    yield from (_item(Kind.SCHEDULE, (one.name,), one) for one in found.schedules)


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
    yield _item(Kind.USER, key, replace(user, **_OF_ACCOUNT), user.name, user.last_activity_at)
    if user.password_hash is not None:
        yield _item(Kind.PASSWORD, key, user.password_hash, user.name)
    if user.email:
        yield _item(Kind.EMAIL, key, user.email, user.name)
    if user.admin_note is not None:
        yield _item(Kind.NOTE, key, user.admin_note, user.name)
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
    if kind in PARTS:
        text = with_parts({name: part_of(getattr(record, name)) for name in PARTS[kind]})
    else:
        text = digest(record, without=_VOLATILE)
    return Item(kind, key, record, text, owner, last_activity_at)
