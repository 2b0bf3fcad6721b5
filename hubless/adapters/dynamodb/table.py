"""The table: the models of its items, and its indexes. docs/dynamodb.md shows it as a diagram.

Every item has the version `v` of its shape. A new attribute needs a default, so that older items stay readable.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
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
from hubless.domain.lifecycle import StartStep, State
from hubless.domain.limits import LimitReached, Resource
from hubless.domain.metering import Metering
from hubless.domain.stop_reasons import StopCause, StopReason

VERSION = 13  # of the items that this code writes
ACTIVITY, EXPIRY = "activity", "expiry"  # the two indexes

# --- attributes ---


class Instant(Attribute[datetime]):
    """Microseconds since 1970: exact, and comparable as numbers."""

    attr_type = "N"

    def serialize(self, value: datetime) -> str:
        return str(to_number(value))

    def deserialize(self, value: str) -> datetime:
        return to_instant(int(value))


class EpochSeconds(Attribute[datetime]):
    """Whole seconds since 1970, rounded up, as DynamoDB's TTL requires."""

    attr_type = "N"

    def serialize(self, value: datetime) -> str:
        return str(-(-to_number(value) // 1_000_000))

    def deserialize(self, value: str) -> datetime:
        return to_instant(int(value) * 1_000_000)


class Text(Attribute["str | None"]):
    """An optional text."""

    attr_type = "S"
    null = True


class Names(Attribute[tuple[str, ...]]):
    """An ordered list of texts."""

    attr_type = "S"

    def serialize(self, value: tuple[str, ...]) -> str:
        return json.dumps(value)

    def deserialize(self, value: str) -> tuple[str, ...]:
        return tuple(json.loads(value))


class Texts(Attribute[Mapping[str, str]]):
    """A map of texts; a write can set or remove single ones."""

    attr_type = "M"

    def serialize(self, value: Mapping[str, str]) -> dict[str, Any]:
        return {key: {"S": text} for key, text in value.items()}

    def deserialize(self, value: dict[str, Any]) -> Mapping[str, str]:
        return {key: text["S"] for key, text in value.items()}


class Numbers(Attribute[Mapping[str, int]]):
    """A map of numbers; a write can set or remove single ones."""

    attr_type = "M"

    def serialize(self, value: Mapping[str, int]) -> dict[str, Any]:
        return {key: {"N": str(number)} for key, number in value.items()}

    def deserialize(self, value: dict[str, Any]) -> Mapping[str, int]:
        return {key: int(number["N"]) for key, number in value.items()}


class Instants(Attribute[tuple[datetime, ...]]):
    """A list of instants; a write can append one."""

    attr_type = "L"

    def serialize(self, value: tuple[datetime, ...]) -> list[dict[str, str]]:
        return [{"N": str(to_number(at))} for at in value]

    def deserialize(self, value: list[dict[str, str]]) -> tuple[datetime, ...]:
        return tuple(to_instant(int(one["N"])) for one in value)


class StopReasonAttribute(Attribute[StopReason]):
    """Why a server was stopped."""

    attr_type = "S"

    def serialize(self, value: StopReason) -> str:
        return json.dumps([value.cause, value.by, None if value.limit is None else value.limit.total_seconds()])

    def deserialize(self, value: str) -> StopReason:
        cause, by, limit = json.loads(value)
        return StopReason(StopCause(cause), by, None if limit is None else timedelta(seconds=limit))


class LimitsReached(Attribute[tuple[LimitReached, ...]]):
    """The limits that a launch has reached."""

    attr_type = "S"

    def serialize(self, value: tuple[LimitReached, ...]) -> str:
        return json.dumps(
            [[one.resource, one.limit, one.count, to_number(one.at) if one.at else None] for one in value]
        )

    def deserialize(self, value: str) -> tuple[LimitReached, ...]:
        return tuple(
            LimitReached(Resource(resource), limit, count, None if at is None else to_instant(at))
            for resource, limit, count, at in json.loads(value)
        )


class MeteringAttribute(Attribute[Metering]):
    """What of a launch is metered."""

    attr_type = "S"

    def serialize(self, value: Metering) -> str:
        return json.dumps(
            [value.cpu_millis, value.memory_mib, value.gpus, value.price_micros, value.currency, value.groups]
        )

    def deserialize(self, value: str) -> Metering:
        cpu_millis, memory_mib, gpus, price_micros, currency, groups = json.loads(value)
        return Metering(cpu_millis, memory_mib, gpus, price_micros, currency, tuple(groups))


class StartSteps(Attribute[tuple[StartStep, ...]]):
    """The steps of a start."""

    attr_type = "S"

    def serialize(self, value: tuple[StartStep, ...]) -> str:
        return json.dumps([[one.state, to_number(one.began_at)] for one in value])

    def deserialize(self, value: str) -> tuple[StartStep, ...]:
        return tuple(StartStep(State(state), to_instant(at)) for state, at in json.loads(value))


# --- items ---


class Item(Model):
    """The attributes of every item. Models define shapes only; `Database` talks to the table."""

    class Meta:
        """Required by PynamoDB."""

        table_name = "hubless"

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    v = NumberAttribute(null=True, default_for_new=VERSION)
    ttl = EpochSeconds(null=True)  # DynamoDB removes the item at some time after this

    @property
    def key(self) -> Key:
        """Return the key of the item."""
        return Key(self.pk, self.sk)


class Pointer(Item):
    """Leads from a lookup key to an item; each kind uses some of the attributes."""

    to = Text()  # an id
    owner = Text()
    kind = Text()
    sha256 = Text()
    session = Text()
    client = Text()
    ids = Names(null=True)
    holds = Text()
    added = NumberAttribute(null=True)  # of a server: how often a share or a code was added under a limit
    gone = BooleanAttribute(null=True)  # its removal has begun
    expires_at = Instant(null=True)
    within = Names(null=True)
    expiry = Text()  # of an imported secret's: its partition in the expiry index, as long as nobody has used it


class ImportedSecrets(Item):
    """That there may be secrets of another hub which nobody has used yet."""

    written = NumberAttribute(null=True)  # grows with each write of some; older items have nothing
    seen_written = NumberAttribute(null=True)  # the same when a sweep found none that waits
    seen_at = Instant(null=True)  # when it did so first


class Account(Item):
    """A user, with all that every request needs."""

    id = UnicodeAttribute()
    name = UnicodeAttribute()
    created_at = Instant()
    admin = BooleanAttribute(default=False)
    user_info = JSONAttribute(null=True)
    revision = NumberAttribute(default=0)
    groups = Texts(default=dict)  # names by id; a group's name never changes
    shared = Texts(default=dict)  # direct shares with the user by server id, each as JSON
    servers = Texts(default=dict)  # ids by `map_key` of the name
    active = NumberAttribute(default=0)  # how many servers are neither stopped nor failed
    gone = BooleanAttribute(null=True)  # its removal has begun: readers treat it as missing
    tokens_added = NumberAttribute(null=True)  # how often a token was added under a limit
    identified = BooleanAttribute(null=True)  # whether it has, or once had, an external identity
    awaited = UnicodeAttribute(null=True)  # the first login that an imported user awaits, as JSON
    unread = UnicodeSetAttribute(null=True)  # ids of letters that the user has not read
    factors = Text()  # the state of the user's second factors; older items have nothing


class Seen(Item):
    """The last activity of a user and its servers; in the activity index."""

    activity = UnicodeAttribute(default="user")  # the index's partition
    user_id = UnicodeAttribute()
    at = Instant(null=True)
    server_activity = Numbers(null=True, default_for_new=dict)  # by server's id; 0: never. Edges may write it
    servers = Numbers(default=dict)  # the same in version 1 (hubless/adapters/dynamodb/server_activity.py)


class Password(Item):
    """A password's hash, and which one-time link is valid."""

    hash = Text()  # none as long as the user has a link only
    rehashed = Text()  # digests of the hash and of the one from which a login made it; older items have nothing
    link = Text()  # the hash of the valid link's secret, or a text for none; older items have nothing


class EmailItem(Item):
    """A user's e-mail address, and the one that waits for its confirmation."""

    address = UnicodeAttribute()
    pending = UnicodeAttribute()
    pending_sha256 = UnicodeAttribute()
    pending_until = Instant(null=True)


class UserNoteItem(Item):
    """What admins wrote about a user."""

    text = UnicodeAttribute()
    revision = NumberAttribute()
    written_by = UnicodeAttribute()
    written_at = Instant(null=True)


class LetterItem(Item):
    """A letter."""

    id = UnicodeAttribute()
    subject = UnicodeAttribute()
    text = UnicodeAttribute()
    sent_by = UnicodeAttribute()
    sent_at = Instant()
    expires_at = Instant()
    sender = UnicodeAttribute()
    by_mail = BooleanAttribute(default=False)
    reached = NumberAttribute(default=0)
    read = NumberAttribute(default=0)
    erased = UnicodeAttribute(null=True)  # the digest of a letter that was taken back


class DeliveryItem(Item):
    """That a user has a letter, which has its text."""

    letter_id = UnicodeAttribute()
    read_at = Instant(null=True)
    is_put_away = BooleanAttribute(null=True)
    mailed_at = Instant(null=True)


class SignUpItem(Item):
    """A sign-up that waits."""

    user_id = UnicodeAttribute()  # of the account that it will be
    revision = NumberAttribute()
    expires_at = Instant()
    facts = JSONAttribute()


class JoinCodeItem(Item):
    """How often a join code was used."""

    uses = NumberAttribute(default=0)


class JoinLinkItem(Item):
    """A join link, with how often it was used."""

    id = UnicodeAttribute()
    made_by = UnicodeAttribute()
    made_at = Instant()
    expires_at = Instant()
    places = NumberAttribute()
    group = UnicodeAttribute()
    needs_approval = BooleanAttribute()
    used = NumberAttribute()


class AnnouncementItem(Item):
    """An announcement."""

    id = UnicodeAttribute()
    text = UnicodeAttribute()
    kind = UnicodeAttribute()
    starts_at = Instant()
    ends_at = Instant()
    made_by = UnicodeAttribute()
    made_at = Instant()
    groups = JSONAttribute()
    revision = NumberAttribute()


class MaintenanceItem(Item):
    """The maintenance, or one of its copies."""

    id = UnicodeAttribute()
    text = UnicodeAttribute()
    began_at = Instant()
    by = UnicodeAttribute()
    ends_at = Instant(null=True)
    admins_start = BooleanAttribute()


class FactorsItem(Item):
    """A user's second factors."""

    revision = NumberAttribute()
    facts = JSONAttribute()


class IdentityItem(Item):
    """An external identity: found by its own key, and listed in its user's partition."""

    issuer = UnicodeAttribute()
    subject = UnicodeAttribute()
    user_id = UnicodeAttribute()
    provider = UnicodeAttribute(default="")
    label = UnicodeAttribute(default="")
    linked_at = Instant()
    by_admin = BooleanAttribute(default=False)


class PendingLoginItem(Item):
    """A login that waits for somebody's answer."""

    facts = JSONAttribute()
    created_at = Instant()
    expires_at = Instant()


class PeopleBatchItem(Item):
    """People whom somebody adds together."""

    user_id = UnicodeAttribute()
    expires_at = Instant()
    sealed = UnicodeAttribute()
    revision = NumberAttribute()


class Used(Item):
    """Something that was used, and may not be used again."""


class ImportMark(Item):
    """What something was like in another hub when it was imported last."""

    digest = UnicodeAttribute()


class AuthStateItem(Item):
    """A user's sealed auth_state."""

    sealed = UnicodeAttribute()


class GroupItem(Item):
    """A group."""

    id = UnicodeAttribute()
    name = UnicodeAttribute()
    properties = JSONAttribute()
    shared = Texts(default=dict)  # shares with this group, as a user's
    gone = BooleanAttribute(null=True)


class Hints(Item):
    """The groups that ever had a share (readers must read them), and those being removed (readers ignore them)."""

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
    frozen_at = Instant(null=True)
    last_activity_at = Instant(null=True)  # at the last transition; reported activity is in `SEEN`
    jupyterhub_version = UnicodeAttribute(default="")
    spare_id = UnicodeAttribute(default="")
    failure = Text()
    log_tail = Names(default=())
    stop_reason = StopReasonAttribute(null=True)
    kept_until = Instant(null=True)
    times_kept = NumberAttribute(default=0)
    limits_reached = LimitsReached(null=True)
    metering = MeteringAttribute(null=True)  # of the present or the last launch; older items have nothing
    ledgers = Names(null=True)  # those in which the active server is; older items have nothing
    start_steps = StartSteps(null=True)
    revision = NumberAttribute(default=0)


class WaitingItem(Item):
    """A user who waits for a place: in the line, and in the user's partition."""

    since = Instant()
    seen_at = Instant()  # in the line only it moves on


class LaunchTimesItem(Item):
    """How long the latest launches of a profile took: pairs of when, and how long, both in microseconds."""

    times = JSONAttribute()
    revision = NumberAttribute()


class QueueDigestItem(Item):
    """The digest of the queue of launches, and when a function last claimed to write a new one."""

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


class VisitItem(Item):
    """A person's latest login at somebody else's server."""

    server_id = UnicodeAttribute()
    server_name = UnicodeAttribute()
    visitor_id = UnicodeAttribute()
    visitor_name = UnicodeAttribute()
    by_role = BooleanAttribute(default=False)
    at = Instant()


class AuditItem(Item):
    """An audit record, in one of the partitions in which it is found."""

    id = UnicodeAttribute()
    at = Instant()
    act = UnicodeAttribute()
    by_kind = UnicodeAttribute()
    by_name = Text()
    address = Text()
    token_id = Text()
    on = Text()
    about = Texts(default=dict)
    count_ = NumberAttribute(attr_name="n", default=1)  # PynamoDB's models have a method `count`
    others = NumberAttribute(default=0)


class Expiring(Item):
    """An item that may expire; in the expiry index if it does."""

    expiry = Text()  # the index's partition: the kind of item
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
    max_uses = NumberAttribute(null=True)  # none: any number


class TokenItem(Expiring):
    """A token."""

    id = UnicodeAttribute()
    sha256 = UnicodeAttribute()
    owner_kind = UnicodeAttribute()
    owner_id = UnicodeAttribute()
    scopes = Names()
    holds = Text()  # the ids that the filters of the scopes refer to
    created_at = Instant()
    note = UnicodeAttribute(default="")
    last_activity_at = Instant(null=True)
    last_address = UnicodeAttribute(default="")
    last_agent = UnicodeAttribute(default="")
    session_id = Text()
    client_id = Text()
    server_id = Text()


class ClientItem(Item):
    """An OAuth client; during its removal it may have no facts."""

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
    provider = UnicodeAttribute(default="")
    provider_session = UnicodeAttribute(default="")
    address = UnicodeAttribute(default="")


class ServiceItem(Item):
    """A service, stored three times: by name, token and client id."""

    name = UnicodeAttribute()
    facts = JSONAttribute()


class LtiItem(Item):
    """The hub's keys, a platform or a course of LTI."""

    facts = JSONAttribute()
    revision = NumberAttribute()


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
    """A number; those of active servers also tell how often they have changed, or when they were corrected."""

    n = NumberAttribute()
    changes = NumberAttribute(null=True)
    at = Instant(null=True)


class EdgeItem(Item):
    """An edge's newest report."""

    id = UnicodeAttribute()
    sequence = NumberAttribute()
    seen_at = Instant()


class DesiredEdgeStateItem(Item):
    """The desired state of the edge."""

    wanted = UnicodeAttribute()
    since = Instant()


class LeasesItem(Item):
    """All leases of one key."""

    ends = Numbers(default=dict)  # by the lease's id
    revision = NumberAttribute()


class Attempt(Item):
    """The instant before which guesses no longer count. Older items are a guess each."""

    at = Instant()


class AttemptCounter(Item):
    """The guesses at one key (hubless/adapters/dynamodb/attempt_counters.py)."""

    instants = Instants(default=tuple)
    generation = Text()  # another one after the list was shortened


class UsageItem(Item):
    """The usage of a launch."""

    launch_id = UnicodeAttribute()
    server_id = UnicodeAttribute()
    owner_id = UnicodeAttribute()
    profile = UnicodeAttribute()
    started_at = Instant()
    ended_at = Instant()
    outcome = UnicodeAttribute()
    metering = MeteringAttribute(null=True)  # older items have nothing


class UsageTotalsItem(Item):
    """A part of the totals of a day or a month."""

    subject = UnicodeAttribute()
    period = UnicodeAttribute()
    launches = NumberAttribute(default=0)
    seconds = NumberAttribute(default=0)
    cpu_millis = NumberAttribute(default=0)
    mib_seconds = NumberAttribute(default=0)
    gpu_seconds = NumberAttribute(default=0)
    cost_micros = NumberAttribute(default=0)


class BudgetItem(Item):
    """A budget that an admin set."""

    facts = JSONAttribute()


class ScheduleItem(Item):
    """A schedule that an admin made."""

    facts = JSONAttribute()
    revision = NumberAttribute(default=0)


class SpareItem(Item):
    """A spare: a task that waits for a launch."""

    id = UnicodeAttribute()
    profile = UnicodeAttribute()
    kind = UnicodeAttribute()
    recorded_at = Instant()
    task = UnicodeAttribute(default="")
    waits_since = Instant(null=True)
    ended_at = Instant(null=True)
    failure = UnicodeAttribute(default="")
    revision = NumberAttribute(default=0)


class SpareClaimItem(Item):
    """To which launch a spare was given."""

    server_id = UnicodeAttribute()
    launch_id = UnicodeAttribute()


class LedgerItem(Item):
    """A ledger: what the servers of a user, a group or the hub use together."""

    key_ = UnicodeAttribute(attr_name="of")  # PynamoDB's models have a property `key` of ours
    month = UnicodeAttribute()
    servers = NumberAttribute(default=0)
    cpu_millis = NumberAttribute(default=0)
    price_micros = NumberAttribute(default=0)
    began = NumberAttribute(default=0)
    price_began = NumberAttribute(default=0)
    seconds = NumberAttribute(default=0)
    cost = NumberAttribute(default=0)
    seconds_before = NumberAttribute(default=0)
    cost_before = NumberAttribute(default=0)
    told = JSONAttribute(null=True)
    changes = NumberAttribute(default=0)


class HistogramItem(Item):
    """The count of one bucket of a histogram."""

    histogram = UnicodeAttribute()
    labels = JSONAttribute()  # their values
    bucket = NumberAttribute()
    count_ = NumberAttribute(attr_name="n")  # PynamoDB's models have a method `count`
    microseconds = NumberAttribute()


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
