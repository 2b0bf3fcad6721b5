"""The table: the models of its items, and its indexes. docs/dynamodb.md draws the same as a picture.

Every item carries the version `v` of its shape. Whoever adds an attribute gives it a default, so that older items read on.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pynamodb.attributes import (
    Attribute,
    BooleanAttribute,
    JSONAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
)
from pynamodb.models import Model

from hubless.adapters.dynamodb.keys import Key, to_instant, to_number

VERSION = 1  # of the items that this code writes
ACTIVITY, EXPIRY = "activity", "expiry"  # the two indexes

# --- attributes ---


class Instant(Attribute[datetime]):
    """Microseconds since 1970: exact, and compared as numbers."""

    attr_type = "N"

    def serialize(self, value: datetime) -> str:
        return str(to_number(value))

    def deserialize(self, value: str) -> datetime:
        return to_instant(int(value))


class EpochSeconds(Attribute[datetime]):
    """What DynamoDB's own expiry asks for: whole seconds, not before the instant."""

    attr_type = "N"

    def serialize(self, value: datetime) -> str:
        return str(-(-to_number(value) // 1_000_000))

    def deserialize(self, value: str) -> datetime:
        return to_instant(int(value) * 1_000_000)


class Text(Attribute["str | None"]):
    """A text that may be missing."""

    attr_type = "S"
    null = True


class Names(Attribute[tuple[str, ...]]):
    """Texts in their order."""

    attr_type = "S"

    def serialize(self, value: tuple[str, ...]) -> str:
        return json.dumps(value)

    def deserialize(self, value: str) -> tuple[str, ...]:
        return tuple(json.loads(value))


class Texts(Attribute[Mapping[str, str]]):
    """A map of texts, each of which one write can set or take away."""

    attr_type = "M"

    def serialize(self, value: Mapping[str, str]) -> dict[str, Any]:
        return {key: {"S": text} for key, text in value.items()}

    def deserialize(self, value: dict[str, Any]) -> Mapping[str, str]:
        return {key: text["S"] for key, text in value.items()}


class Numbers(Attribute[Mapping[str, int]]):
    """A map of numbers, each of which one write can set or take away."""

    attr_type = "M"

    def serialize(self, value: Mapping[str, int]) -> dict[str, Any]:
        return {key: {"N": str(number)} for key, number in value.items()}

    def deserialize(self, value: dict[str, Any]) -> Mapping[str, int]:
        return {key: int(number["N"]) for key, number in value.items()}


# --- items ---


class Item(Model):
    """What every item has. Models know shapes and speak of no table: the database does."""

    class Meta:
        """Only here because a model must have one."""

        table_name = "hubless"

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    v = NumberAttribute(null=True, default_for_new=VERSION)
    ttl = EpochSeconds(null=True)  # DynamoDB removes the item some time after this

    @property
    def key(self) -> Key:
        """Return where the item is."""
        return Key(self.pk, self.sk)


class Pointer(Item):
    """Leads from one way of finding a thing to where it is; each kind uses what it needs."""

    to = Text()  # an id
    owner = Text()
    kind = Text()
    sha256 = Text()
    session = Text()
    client = Text()
    ids = Names(null=True)
    holds = Text()
    gone = BooleanAttribute(null=True)  # its removal was begun
    expires_at = Instant(null=True)


class Account(Item):
    """A user, with all that must be known of it at every request."""

    id = UnicodeAttribute()
    name = UnicodeAttribute()
    created_at = Instant()
    admin = BooleanAttribute(default=False)
    user_info = JSONAttribute(null=True)
    revision = NumberAttribute(default=0)
    groups = Texts(default=dict)  # names by id; a group's name never changes
    shared = Texts(default=dict)  # shares with this very user by the server's id, each as JSON
    servers = Texts(default=dict)  # ids by `map_key` of the name
    active = NumberAttribute(default=0)  # how many servers are neither stopped nor failed
    gone = BooleanAttribute(null=True)  # its removal was begun: to every reader it is not there


class Seen(Item):
    """When a user and its servers were last active. In the index of activity."""

    activity = UnicodeAttribute(default="user")  # the index's partition
    user_id = UnicodeAttribute()
    at = Instant(null=True)
    servers = Numbers(default=dict)  # by id; 0: never


class Password(Item):
    """A password's hash."""

    hash = UnicodeAttribute()


class GroupItem(Item):
    """A group."""

    id = UnicodeAttribute()
    name = UnicodeAttribute()
    properties = JSONAttribute()
    shared = Texts(default=dict)  # shares with this group, as a user's
    gone = BooleanAttribute(null=True)


class Hints(Item):
    """Which groups had a share once (they must be looked at), and which are being removed (they count no more)."""

    sharing = UnicodeSetAttribute(null=True)
    gone = UnicodeSetAttribute(null=True)


class ServerItem(Item):
    """A server."""

    id = UnicodeAttribute()
    owner_id = UnicodeAttribute()
    name = UnicodeAttribute()
    created_at = Instant()
    entered_at = Instant()
    state = UnicodeAttribute()
    display_name = UnicodeAttribute(default="")
    profile = UnicodeAttribute(default="")
    user_options = JSONAttribute(default=dict)
    launch_id = Text()
    task = Text()
    address = Text()
    requested_at = Instant(null=True)
    started_at = Instant(null=True)
    deadline_at = Instant(null=True)
    last_activity_at = Instant(null=True)  # as transitions know it; what is reported is in `SEEN`
    failure = Text()
    log_tail = Names(default=())
    revision = NumberAttribute(default=0)


class QueueDigestItem(Item):
    """A digest of the queue of those who asked for a start, and who is at writing it anew: since when."""

    claimed_at = Instant(null=True)
    at = Instant(null=True)
    length = NumberAttribute(default=0)
    step = NumberAttribute(default=1)
    marks = JSONAttribute(null=True)


class ShareItem(Item):
    """A share."""

    id = UnicodeAttribute()
    owner_id = UnicodeAttribute()  # of the server
    server_id = UnicodeAttribute()
    scopes = Names()
    created_at = Instant()
    user_id = Text()
    group_id = Text()


class Expiring(Item):
    """What ends by itself. In the index of expiry where it has an end."""

    expiry = Text()  # the index's partition: what kind of thing
    expires_at = Instant(null=True)


class ShareCodeItem(Expiring):
    """A share code."""

    id = UnicodeAttribute()
    sha256 = UnicodeAttribute()
    server_id = UnicodeAttribute()
    scopes = Names()
    created_at = Instant()
    exchange_count = NumberAttribute(default=0)
    last_exchanged_at = Instant(null=True)


class TokenItem(Expiring):
    """A token."""

    id = UnicodeAttribute()
    sha256 = UnicodeAttribute()
    owner_kind = UnicodeAttribute()
    owner_id = UnicodeAttribute()
    scopes = Names()
    holds = Text()  # whom the filters of the scopes mean
    created_at = Instant()
    note = UnicodeAttribute(default="")
    last_activity_at = Instant(null=True)
    session_id = Text()
    client_id = Text()
    server_id = Text()


class ClientItem(Item):
    """An OAuth client; one that is only being removed has no facts."""

    launch_id = Text()
    owner_id = Text()
    token_id = Text()  # the server's own
    facts = JSONAttribute(null=True)
    gone = BooleanAttribute(null=True)


class CodeItem(Expiring):
    """An authorization code."""

    sha256 = UnicodeAttribute()
    client_id = UnicodeAttribute()
    user_id = UnicodeAttribute()
    session_id = UnicodeAttribute()
    redirect_uri = UnicodeAttribute()
    scopes = Names()
    challenge = Text()
    challenge_method = Text()


class SessionItem(Expiring):
    """A browser session."""

    id = UnicodeAttribute()
    sha256 = UnicodeAttribute()
    user_id = UnicodeAttribute()
    created_at = Instant()
    agent = UnicodeAttribute(default="")


class ServiceItem(Item):
    """A service; found whole by its name, its token and its client id, as it never changes."""

    name = UnicodeAttribute()
    facts = JSONAttribute()


class RouteItem(Item):
    """A route."""

    prefix = UnicodeAttribute()
    address = UnicodeAttribute()
    launch_id = UnicodeAttribute()
    sequence = NumberAttribute()
    server_id = Text()
    owner_id = Text()


class ChangeItem(Item):
    """A change of routes."""

    sequence = NumberAttribute()
    prefix = UnicodeAttribute()
    address = Text()
    server_id = Text()
    owner_id = Text()


class Counter(Item):
    """A number."""

    n = NumberAttribute()


class EdgeItem(Item):
    """An edge's newest report."""

    id = UnicodeAttribute()
    sequence = NumberAttribute()
    seen_at = Instant()


class EdgeWishItem(Item):
    """What is wanted of an edge that may sleep."""

    wanted = UnicodeAttribute()
    since = Instant()


class Attempt(Item):
    """A wrong guess, or the instant up to which they are forgotten."""

    at = Instant()


class UsageItem(Item):
    """What a launch used."""

    launch_id = UnicodeAttribute()
    server_id = UnicodeAttribute()
    owner_id = UnicodeAttribute()
    profile = UnicodeAttribute()
    started_at = Instant()
    ended_at = Instant()
    outcome = UnicodeAttribute()


# --- the table itself ---

SCHEMA: Mapping[str, Any] = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
        {"AttributeName": "activity", "AttributeType": "S"},
        {"AttributeName": "expiry", "AttributeType": "S"},
        {"AttributeName": "expires_at", "AttributeType": "N"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": ACTIVITY,
            "KeySchema": [
                {"AttributeName": "activity", "KeyType": "HASH"},
                {"AttributeName": "pk", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        },
        {
            "IndexName": EXPIRY,
            "KeySchema": [
                {"AttributeName": "expiry", "KeyType": "HASH"},
                {"AttributeName": "expires_at", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        },
    ],
}
TTL = "ttl"
