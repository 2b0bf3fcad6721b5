"""Where each item is.

Whatever belongs to one thing shares its partition, so that one query reads it. Keys begin with a word of ours; where two
parts follow each other, the first has a fixed length, so that no two things meet in one key.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

MAX_SORT_KEY = 1024  # bytes (DynamoDB's)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Key(NamedTuple):
    """Where an item is."""

    pk: str
    sk: str


def user(user_id: str) -> str:
    """Return the partition of a user: the account, and all that it owns."""
    return f"USER#{user_id}"


def account(user_id: str) -> Key:
    """Return where a user is."""
    return Key(user(user_id), "ACCOUNT")


def seen(user_id: str) -> Key:
    """Return where a user's activity and that of its servers is: apart, so that activity disturbs no other write."""
    return Key(user(user_id), "SEEN")


def name(kind: str, text: str) -> Key | None:
    """Return where the id behind a name is; None for a text that can be no name, as no key holds it."""
    key = Key(f"NAMES#{kind}", f"={text}")
    try:
        return key if len(key.sk.encode()) <= MAX_SORT_KEY else None
    except UnicodeEncodeError:
        return None


def password(user_id: str) -> Key:
    """Return where a user's password hash is."""
    return Key(user(user_id), "PASSWORD")


def link(sha256: str) -> Key:
    """Return where a one-time link is."""
    return Key(f"LINK#{sha256}", "LINK")


def group(group_id: str) -> str:
    """Return the partition of a group: itself and its members."""
    return f"GROUP#{group_id}"


def group_item(group_id: str) -> Key:
    """Return where a group is."""
    return Key(group(group_id), "GROUP")


def member(group_id: str, user_id: str) -> Key:
    """Return where a membership is."""
    return Key(group(group_id), f"MEMBER#{user_id}")


HINTS = Key("HINTS", "HINTS")  # of which groups a reader of users must look further


def server(server_id: str) -> str:
    """Return the partition of what hangs on a server: who owns it, shares, share codes."""
    return f"SERVER#{server_id}"


def server_owner(server_id: str) -> Key:
    """Return where the owner of a server is found."""
    return Key(server(server_id), "OWNER")


def server_item(owner_id: str, server_id: str) -> Key:
    """Return where a server is: with its owner, between `SEEN` and `SERVER$`."""
    return Key(user(owner_id), f"SERVER#{server_id}")


def in_state(state: str, entered_at: datetime, server_id: str) -> Key:
    """Return where a server is listed by its state."""
    return Key(f"STATE#{state}", f"{sortable(entered_at)}#{server_id}")


def share(server_id: str, *, user_id: str | None, group_id: str | None) -> Key:
    """Return where the share of a server with a user or a group is."""
    return Key(server(server_id), f"SHARE#USER#{user_id}" if user_id is not None else f"SHARE#GROUP#{group_id}")


def share_id(identifier: str) -> Key:
    """Return where a share is found by its id."""
    return Key(f"SHARE#{identifier}", "SHARE")


def share_code(server_id: str, code_id: str) -> Key:
    """Return where a share code is."""
    return Key(server(server_id), f"CODE#{code_id}")


def share_code_hash(sha256: str) -> Key:
    """Return where a share code is found by its secret's hash."""
    return Key(f"SHARECODE#{sha256}", "SHARECODE")


def owner(kind: str, owner_id: str) -> str:
    """Return the partition of whom a token belongs to."""
    return user(owner_id) if kind == "user" else f"SERVICE#{owner_id}"


def token(kind: str, owner_id: str, token_id: str) -> Key:
    """Return where a token is."""
    return Key(owner(kind, owner_id), f"TOKEN#{token_id}")


def token_hash(sha256: str) -> Key:
    """Return where a token is found by its secret's hash."""
    return Key(f"TOKENHASH#{sha256}", "TOKEN")


def token_id(identifier: str) -> Key:
    """Return where a token is found by its id."""
    return Key(f"TOKENID#{identifier}", "TOKEN")


def session(session_id: str) -> str:
    """Return the partition of a browser session: where it is found, and what was issued in it."""
    return f"SESSION#{session_id}"


def session_item(user_id: str, session_id: str) -> Key:
    """Return where a session is."""
    return Key(user(user_id), f"SESSION#{session_id}")


def session_head(session_id: str) -> Key:
    """Return where a session is found by its id."""
    return Key(session(session_id), "HEAD")


def cookie(sha256: str) -> Key:
    """Return where a session is found by its cookie's hash."""
    return Key(f"COOKIE#{sha256}", "SESSION")


def client(client_id: str) -> str:
    """Return the partition of an OAuth client: itself, and what was issued to it."""
    return f"CLIENT#{client_id}"


def client_head(client_id: str) -> Key:
    """Return where an OAuth client is."""
    return Key(client(client_id), "HEAD")


def client_of(owner_id: str, client_id: str) -> Key:
    """Return where a user's client is listed."""
    return Key(user(owner_id), f"CLIENT#{client_id}")


def code(sha256: str) -> Key:
    """Return where an authorization code is."""
    return Key(f"CODE#{sha256}", "CODE")


def service(text: str) -> Key:
    """Return where a service is."""
    return Key("SERVICES", f"={text}")


def service_token(sha256: str) -> Key:
    """Return where a service is found by its token's hash."""
    return Key(f"SERVICETOKEN#{sha256}", "SERVICE")


def service_client(client_id: str) -> Key:
    """Return where a service is found by its OAuth client id."""
    return Key(f"SERVICECLIENT#{client_id}", "SERVICE")


def route(prefix: str) -> Key:
    """Return where a route is; by its digest, as a prefix may be longer than a key."""
    return Key("ROUTES", digest(prefix))


def change(sequence: int) -> Key:
    """Return where a change of routes is."""
    return Key("CHANGES", f"{sequence:020}")


SEQUENCE = Key("SEQUENCE", "ROUTES")  # the number of the newest change


def edge(edge_id: str) -> Key:
    """Return where an edge's report is."""
    return Key("EDGES", f"={edge_id}")


def attempts(key: str) -> str:
    """Return the partition of the wrong guesses of *key*, which may be any text at all."""
    return f"ATTEMPTS#{digest(key)}"


SWEEP = Key("SWEEP", "PLACE")  # where the next run of the sweep goes on

EDGE_WISH = Key("EDGE", "WISH")  # what is wanted of an edge that may sleep

FORGOTTEN = Key("ATTEMPTS", "FORGOTTEN")  # up to when wrong guesses do not count any more


QUEUE_DIGEST = Key("PLACES", "REQUESTED")  # the digest of the queue of those who asked for a start
LAUNCH_SLOT = Key("PACE", "LAUNCHES")  # the next turn to launch that nobody has, as `to_number` writes it


def usage(owner_id: str, launch_id: str) -> Key:
    """Return where the usage of a launch is; not with its owner, whom it outlives."""
    return Key(f"USAGE#{owner_id}", f"LAUNCH#{launch_id}")


def begun(kind: str, identifier: str) -> Key:
    """Return where a removal that was begun is noted until it is done."""
    return Key("BEGUN", f"{kind}#{identifier}")


def digest(text: str) -> str:
    """Return a text of fixed length that stands for *text* in a key."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def map_key(text: str) -> str:
    """Return *text*, which may be empty and hold anything, as the key of a map."""
    return "n" + text.encode("utf-8", "surrogatepass").hex()


def to_number(at: datetime) -> int:
    """Return *at* as it is stored: microseconds since 1970 in UTC."""
    return (at - _EPOCH) // _MICROSECOND


def to_instant(number: int) -> datetime:
    """Return the instant that *number* stands for."""
    return _EPOCH + timedelta(microseconds=number)


def sortable(at: datetime) -> str:
    """Return *at* as 20 digits, which sort as the instants do."""
    return f"{to_number(at):020}"
