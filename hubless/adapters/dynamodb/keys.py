"""The keys of all items.

What belongs together shares a partition, so that one query reads it. Each key begins with a fixed word. Of two adjacent
parts the first has a fixed length, so that different items never share a key.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from hubless.domain import names
from hubless.domain.imported_secrets import prefix_in

MAX_PARTITION_KEY, MAX_SORT_KEY = 2048, 1024  # bytes, DynamoDB's limits
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Key(NamedTuple):
    """The key of an item."""

    pk: str
    sk: str


def user(user_id: str) -> str:
    """Return the partition of a user: the account and all that it owns."""
    return f"USER#{user_id}"


def account(user_id: str) -> Key:
    """Return the key of a user."""
    return Key(user(user_id), "ACCOUNT")


def seen(user_id: str) -> Key:
    """Return the key of a user's and its servers' activity: its own item, so that it conflicts with no other write."""
    return Key(user(user_id), "SEEN")


def name(kind: str, text: str) -> Key | None:
    """Return the key of a name, which leads to the id; None if *text* is too long for a key."""
    key = Key(f"NAMES#{kind}", f"={text}")
    return key if is_possible(key) else None


ALL_SKELETONS = Key("SKELETONS", "ALL")  # there once users from before skeletons have theirs


ADMINS = "ADMINS"  # the partition of the users whose admin flag is set
ALL_ADMINS = Key("ADMINSLISTED", "ALL")  # there once admins from before this list are in it


def admin(user_id: str) -> Key:
    """Return the key of a user in the list of admins."""
    return Key(ADMINS, user(user_id))


def skeleton(name: str) -> Key | None:
    """Return the key of the skeleton of a user's *name*; None where that is the name itself, whose key counts."""
    text = names.skeleton(name)
    return None if text == name else Key("NAMES#alike", f"={text}")


def is_possible(key: Key) -> bool:
    """Say whether an item can have this key: DynamoDB refuses to look for one that cannot be."""
    try:
        return len(key.pk.encode()) <= MAX_PARTITION_KEY and len(key.sk.encode()) <= MAX_SORT_KEY
    except UnicodeEncodeError:
        return False


def password(user_id: str) -> Key:
    """Return the key of a user's password hash."""
    return Key(user(user_id), "PASSWORD")


def email(user_id: str) -> Key:
    """Return the key of a user's e-mail address."""
    return Key(user(user_id), "EMAIL")


def user_note(user_id: str) -> Key:
    """Return the key of the note on a user."""
    return Key(user(user_id), "NOTE")


LETTERS = "LETTERS"  # the partition of all letters, by the time at which they were begun


def letter(letter_id: str) -> Key:
    """Return the key of a letter."""
    return Key(LETTERS, f"LETTER#{letter_id}")


def delivery(user_id: str, letter_id: str) -> Key:
    """Return the key of a letter's delivery, in its recipient's partition."""
    return Key(user(user_id), f"LETTER#{letter_id}")


def visits(*, by_role: bool, server_id: str = "") -> str:
    """Return with what the sort keys of visits begin, in their owner's partition."""
    return f"VISIT#{'ROLE' if by_role else 'SHARE'}#{server_id}{'#' if server_id else ''}"


def visit(owner_id: str, server_id: str, visitor_id: str, *, by_role: bool) -> Key:
    """Return the key of a visit."""
    return Key(user(owner_id), f"{visits(by_role=by_role, server_id=server_id)}{visitor_id}")


def audit_month(at: datetime) -> str:
    """Return the partition of all audit records of a month."""
    return f"AUDIT#{at.astimezone(UTC):%Y-%m}"


def audit_by(name: str) -> str:
    """Return the partition of what somebody of this *name* did."""
    return f"AUDITBY#{digest(name)}"


def audit_on(name: str) -> str:
    """Return the partition of what was done to somebody or something of this *name*."""
    return f"AUDITON#{digest(name)}"


def email_users(folded: str) -> str:
    """Return the partition of the users of an e-mail address, which is *folded* to lower case."""
    return f"EMAIL#{digest(folded)}"


def email_user(folded: str, user_id: str) -> Key:
    """Return the key that leads from an e-mail address to one of its users."""
    return Key(email_users(folded), f"USER#{user_id}")


SIGN_UPS = "SIGNUPS"  # the partition of sign-ups that wait


def sign_up(skeleton: str) -> Key:
    """Return the key of a sign-up: a digest of what its name looks like."""
    return Key(SIGN_UPS, f"SIGNUP#{digest(skeleton)}")


def join_code(sha256: str) -> Key:
    """Return the key of the count of a join code's uses."""
    return Key(f"JOINCODE#{sha256}", "USES")


JOIN_LINKS = "JOINLINKS"  # the partition of join links, of which there are a hundred at most


def join_link(sha256: str) -> Key:
    """Return the key of a join link, by the hash of its code."""
    return Key(JOIN_LINKS, f"LINK#{sha256}")


BULLETIN = "BULLETIN"  # the partition of what all pages tell, which one query reads
MAINTENANCE = Key(BULLETIN, "MAINTENANCE")


def announcement(announcement_id: str) -> Key:
    """Return the key of an announcement."""
    return Key(BULLETIN, f"ANNOUNCEMENT#{announcement_id}")


def maintenance_copy(number: int) -> Key:
    """Return the key of a copy of the maintenance, which starts check."""
    return Key(f"MAINTENANCE#{number}", "COPY")


HISTOGRAMS = "HISTOGRAMS"  # the partition of all counts, which one query reads


def histogram(name: str, labels: str, bucket: int) -> Key:
    """Return the key of the count of one bucket; *labels* are the values as JSON."""
    return Key(HISTOGRAMS, f"{bucket:02}#{name}#{labels}")


def factors(user_id: str) -> Key:
    """Return the key of a user's second factors."""
    return Key(user(user_id), "FACTORS")


def identity(issuer: str, subject: str) -> Key:
    """Return the key of an external identity: a digest, because both texts may have any characters."""
    return Key(f"IDENTITY#{_digest_of_two(issuer, subject)}", "IDENTITY")


def identity_of(user_id: str, issuer: str, subject: str) -> Key:
    """Return the key of an external identity in its user's list."""
    return Key(user(user_id), f"IDENTITY#{_digest_of_two(issuer, subject)}")


def auth_state(user_id: str) -> Key:
    """Return the key of a user's sealed auth_state."""
    return Key(user(user_id), "AUTHSTATE")


def pending_login(state_sha256: str) -> Key:
    """Return the key of a pending login."""
    return Key(f"LOGIN#{state_sha256}", "LOGIN")


def people_batch(batch_id: str) -> Key:
    """Return the key of a batch of people."""
    return Key(f"PEOPLE#{digest(batch_id)}", "BATCH")


def used(key: str) -> Key:
    """Return the key of what was used once."""
    return Key(f"USED#{digest(key)}", "USED")


def link(sha256: str) -> Key:
    """Return the key of a one-time link."""
    return Key(f"LINK#{sha256}", "LINK")


def group(group_id: str) -> str:
    """Return the partition of a group: itself and its members."""
    return f"GROUP#{group_id}"


def group_item(group_id: str) -> Key:
    """Return the key of a group."""
    return Key(group(group_id), "GROUP")


def member(group_id: str, user_id: str) -> Key:
    """Return the key of a membership."""
    return Key(group(group_id), f"MEMBER#{user_id}")


HINTS = Key("HINTS", "HINTS")  # the groups that a reader of users must also read


def server(server_id: str) -> str:
    """Return the partition of a server's owner, shares and share codes."""
    return f"SERVER#{server_id}"


def server_owner(server_id: str) -> Key:
    """Return the key that leads from a server to its owner."""
    return Key(server(server_id), "OWNER")


def server_item(owner_id: str, server_id: str) -> Key:
    """Return the key of a server: in its owner's partition, between `SEEN` and `SERVER$`."""
    return Key(user(owner_id), f"SERVER#{server_id}")


def in_state(state: str, entered_at: datetime, server_id: str) -> Key:
    """Return the key of a server in the list of its state."""
    return Key(f"STATE#{state}", f"{sortable(entered_at)}#{server_id}")


def place(server_id: str) -> Key:
    """Return the key of the place that an active server has in one of the counters of active servers."""
    return Key(server(server_id), "PLACE")


ACTIVE = "ACTIVE"  # the partition of the counters of active servers, which one query reads
ACTIVE_RECOUNTED = Key(ACTIVE, "RECOUNTED")  # the limit for which the counters were corrected, and when


def active_counter(number: int) -> Key:
    """Return the key of one of the counters of active servers."""
    return Key(ACTIVE, f"SHARD#{number:02}")


USER_NAMES = "NAMES#user"  # the partition of all users' names: small items, so a listing needs few pages
USERS = "USERS"  # the partition of the counters of users, which one query reads
USERS_RECOUNTED = Key(USERS, "RECOUNTED")  # how many users there were when the counters were corrected, and when


def user_counter(number: int) -> Key:
    """Return the key of one of the counters of users."""
    return Key(USERS, f"SHARD#{number:02}")


def share(server_id: str, *, user_id: str | None, group_id: str | None) -> Key:
    """Return where the share of a server with a user or a group."""
    return Key(server(server_id), f"SHARE#USER#{user_id}" if user_id is not None else f"SHARE#GROUP#{group_id}")


def share_id(identifier: str) -> Key:
    """Return the key of a share by its id."""
    return Key(f"SHARE#{identifier}", "SHARE")


def share_code(server_id: str, code_id: str) -> Key:
    """Return the key of a share code."""
    return Key(server(server_id), f"CODE#{code_id}")


def share_code_hash(sha256: str) -> Key:
    """Return the key of a share code by its secret's hash; imported ones share a partition with their prefix."""
    prefix = prefix_in(sha256)
    return Key(f"SHARECODE#{sha256}", "SHARECODE") if prefix is None else Key(imported_codes(prefix), sha256)


def imported_codes(prefix: str) -> str:
    """Return the partition of share codes with imported hashes of this prefix, which may have any characters."""
    return f"IMPORTEDCODE#{digest(prefix)}"


def owner(kind: str, owner_id: str) -> str:
    """Return the partition of a token's owner."""
    return user(owner_id) if kind == "user" else f"SERVICE#{owner_id}"


def token(kind: str, owner_id: str, token_id: str) -> Key:
    """Return the key of a token."""
    return Key(owner(kind, owner_id), f"TOKEN#{token_id}")


def token_hash(sha256: str) -> Key:
    """Return the key of a token by its secret's hash; imported ones share a partition with their prefix."""
    prefix = prefix_in(sha256)
    return Key(f"TOKENHASH#{sha256}", "TOKEN") if prefix is None else Key(imported_tokens(prefix), sha256)


def imported_tokens(prefix: str) -> str:
    """Return the partition of tokens with imported hashes of this prefix, which may have any characters."""
    return f"IMPORTEDTOKEN#{digest(prefix)}"


IMPORTED_SECRETS = Key("IMPORTED", "SECRETS")  # there if a token or a share code ever had an imported hash


def token_id(identifier: str) -> Key:
    """Return the key of a token by its id."""
    return Key(f"TOKENID#{identifier}", "TOKEN")


def session(session_id: str) -> str:
    """Return the partition of a session: its head, and what was issued in it."""
    return f"SESSION#{session_id}"


def session_item(user_id: str, session_id: str) -> Key:
    """Return the key of a session."""
    return Key(user(user_id), f"SESSION#{session_id}")


def session_head(session_id: str) -> Key:
    """Return the key of a session by its id."""
    return Key(session(session_id), "HEAD")


def cookie(sha256: str) -> Key:
    """Return the key of a session by its cookie's hash."""
    return Key(f"COOKIE#{sha256}", "SESSION")


def client(client_id: str) -> str:
    """Return the partition of an OAuth client: itself, and what was issued to it."""
    return f"CLIENT#{client_id}"


def client_head(client_id: str) -> Key:
    """Return the key of an OAuth client."""
    return Key(client(client_id), "HEAD")


def client_of(owner_id: str, client_id: str) -> Key:
    """Return the key of a user's client in its list."""
    return Key(user(owner_id), f"CLIENT#{client_id}")


def code(sha256: str) -> Key:
    """Return the key of an authorization code."""
    return Key(f"CODE#{sha256}", "CODE")


SERVICES_ADDED = Key("SERVICESADDED", "N")  # how often a service was added under a limit


def service(text: str) -> Key:
    """Return the key of a service."""
    return Key("SERVICES", f"={text}")


SERVICES_SEEN = "SERVICESSEEN"  # the partition of when services were last seen


def service_seen(text: str) -> Key:
    """Return the key of when a service was last seen."""
    return Key(SERVICES_SEEN, f"={text}")


def service_token(sha256: str) -> Key:
    """Return the key of a service by its token's hash."""
    return Key(f"SERVICETOKEN#{sha256}", "SERVICE")


def service_client(client_id: str) -> Key:
    """Return the key of a service by its OAuth client id."""
    return Key(f"SERVICECLIENT#{client_id}", "SERVICE")


LTI_KEYS = Key("LTI", "KEYS")  # the hub's own keys as an LTI tool, sealed
LTI_PLATFORMS, LTI_COURSES = "LTIPLATFORMS", "LTICOURSES"  # partitions that one query reads


def lti_platform(text: str) -> Key:
    """Return the key of a platform that registered itself."""
    return Key(LTI_PLATFORMS, f"={text}")


def lti_client(issuer: str, client_id: str) -> Key:
    """Return the key that leads from what a platform calls the hub to the platform; both may be long."""
    return Key(f"LTICLIENT#{digest(issuer)}{digest(client_id)}", "CLIENT")


def lti_course(text: str) -> Key:
    """Return the key of a course."""
    return Key(LTI_COURSES, text)


def lti_group(text: str) -> Key:
    """Return the key that leads from a group's name to its course."""
    return Key(f"LTIGROUP#{digest(text)}", "GROUP")


def route(prefix: str) -> Key:
    """Return the key of a route: its digest, because a prefix may be too long for a key."""
    return Key("ROUTES", digest(prefix))


def change(sequence: int) -> Key:
    """Return the key of a change of routes."""
    return Key("CHANGES", f"{sequence:020}")


SEQUENCE = Key("SEQUENCE", "ROUTES")  # number of the newest change


def edge(edge_id: str) -> Key:
    """Return the key of an edge's report."""
    return Key("EDGES", f"={edge_id}")


def attempts(key: str) -> str:
    """Return the partition of the guesses at *key*, which may be any text."""
    return f"ATTEMPTS#{digest(key)}"


def attempt_counter(key: str) -> Key:
    """Return the key of the counter of the guesses at *key*."""
    return Key(attempts(key), "COUNTER")


SWEEP = Key("SWEEP", "PLACE")  # where the next sweep resumes
UPTIMES = Key("SWEEP", "UPTIMES")  # when the hub and its edges were up

EDGE_DESIRED_STATE = Key("EDGE", "WISH")  # stored by this name since version 1

FORGOTTEN = Key("ATTEMPTS", "FORGOTTEN")  # wrong passwords before this instant no longer count


WAITING = "WAITING"  # the partition of those who wait for a place, in the order of the line


def waiting(since: datetime, owner_id: str) -> Key:
    """Return the key of a user's place in the line."""
    return Key(WAITING, f"{sortable(since)}#{owner_id}")


def waits(owner_id: str) -> Key:
    """Return the key that leads from a user to the place in the line."""
    return Key(user(owner_id), "WAITS")


def launch_times(profile: str) -> Key:
    """Return the key of how long the latest launches of a profile took."""
    return Key("LAUNCHTIMES", f"={profile}")


QUEUE_DIGEST = Key("PLACES", "REQUESTED")  # digest of the queue of launches
PREPARATION_DIGEST = Key("PLACES", "PREPARING")  # digest of the queue of those that must be prepared first
LAUNCH_SLOT = Key("PACE", "LAUNCHES")  # the next free slot, as `to_number` writes it
PREPARATION_SLOT = Key("PACE", "PREPARATIONS")


def leases(key: str) -> Key:
    """Return the key of the leases of *key*."""
    return Key(f"LEASES#{key}", "LEASES")


IMPORT_MARK = "MARK#"


def import_marks(origin: str) -> list[str]:
    """Return the partitions of what was imported from *origin*, the oldest first.

    There are sixteen, because one takes a thousand writes a second, and the one that held all of them before.
    """
    first = f"IMPORT#{digest(origin)}"
    return [first, *(f"{first}#{part}" for part in "0123456789abcdef")]


def import_mark(origin: str, place: str) -> Key:
    """Return the key of a mark."""
    return Key(f"IMPORT#{digest(origin)}#{digest(place)[0]}", f"{IMPORT_MARK}{place}")


def import_mark_before(origin: str, place: str) -> Key:
    """Return the key that a mark had before there were sixteen partitions."""
    return Key(f"IMPORT#{digest(origin)}", f"{IMPORT_MARK}{place}")


def usages(owner_id: str) -> str:
    """Return the partition of the usage of an owner's launches; it outlives the owner."""
    return f"USAGE#{owner_id}"


def usage(owner_id: str, launch_id: str) -> Key:
    """Return the key of a launch's usage."""
    return Key(usages(owner_id), f"LAUNCH#{launch_id}")


def usage_part(owner_id: str, launch_id: str, number: int) -> Key:
    """Return the key of the mark that a part of a long launch was added to the totals."""
    return Key(usages(owner_id), f"PART#{launch_id}#{number}")


def totals(of: str, month: str) -> str:
    """Return the partition of the totals of a month and its days."""
    return f"TOTALS#{of}#{month}"


def days_of_totals(subject: str) -> str:
    """Return with what the sort keys of one subject's days begin: a digest, because names may have any characters."""
    return f"DAY#{digest(subject)}#"


def totals_row(of: str, subject: str, period: str, share: int) -> Key:
    """Return the key of a share of the totals of a day (`2026-11-28`) or a month (`2026-11`)."""
    month, day = period[:7], period[8:]
    return Key(
        totals(of, month), f"{days_of_totals(subject)}{day}#{share}" if day else f"MONTH#{digest(subject)}#{share}"
    )


BUDGETS = "BUDGETS"  # the partition of all budgets that admins set


def budget(name: str) -> Key:
    """Return the key of a budget."""
    return Key(BUDGETS, f"={name}")


SCHEDULES = "SCHEDULES"  # the partition of all schedules that admins made


def schedule(name: str) -> Key:
    """Return the key of a schedule."""
    return Key(SCHEDULES, f"={name}")


SPARES = "SPARES"  # the partition of all spares that no launch has claimed


def spare(spare_id: str) -> Key:
    """Return the key of a spare."""
    return Key(SPARES, spare_id)


def spare_claim(spare_id: str) -> Key:
    """Return the key of the claim of a spare, which no sweep reads."""
    return Key(f"SPARE#{spare_id}", "CLAIM")


def ledger(key: str) -> Key:
    """Return the key of a ledger; its name may have any characters."""
    return Key(f"LEDGER#{digest(key)}", "LEDGER")


def begun(kind: str, identifier: str) -> Key:
    """Return the key of the note of a removal in progress."""
    return Key("BEGUN", f"{kind}#{identifier}")


def digest(text: str) -> str:
    """Return a digest of *text* of fixed length, for keys."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _digest_of_two(first: str, second: str) -> str:
    return digest(f"{len(first)}:{first}{second}")  # with the length, so that no two pairs make the same text


def map_key(text: str) -> str:
    """Return *text*, which may be empty or have any characters, as the key of a map."""
    return "n" + text.encode("utf-8", "surrogatepass").hex()


def to_number(at: datetime) -> int:
    """Return *at* as it is stored: microseconds since 1970 in UTC."""
    return (at - _EPOCH) // _MICROSECOND


def to_instant(number: int) -> datetime:
    """Return the instant of *number*."""
    return _EPOCH + timedelta(microseconds=number)


def sortable(at: datetime) -> str:
    """Return *at* as 20 digits, which sort like instants."""
    return f"{to_number(at):020}"
