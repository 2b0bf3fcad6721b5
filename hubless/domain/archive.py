"""An archive: everything that a hub knows, under names and not ids, so that another hub can take it over.

`hubless export` writes one, the readers of other hubs make one, and `hubless import` brings one over. A record refers
to users, groups, services and servers by name. Processes, sessions and tokens of running servers are in no archive.
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from hubless.domain.external_identities import AwaitedLogin, ExternalId
from hubless.domain.tokens import OwnerKind
from hubless.domain.values import value

VERSION = 1  # of the form as JSON lines: a reader refuses a higher one


@value
class ArchivedApp:
    """A user's authenticator app: its secret as base 32, in the clear."""

    secret: str = field(repr=False)
    added_at: datetime | None = field(default=None)
    is_imported: bool = False  # it comes from another program and may be shorter than ours


@value
class ArchivedPasskey:
    """A user's passkey, which works at a hub of the same host only."""

    id: str  # the credential's, base64url without padding
    public_key: bytes  # COSE
    sign_count: int
    rp_id: str
    name: str
    added_at: datetime
    last_used_at: datetime | None = None


@value
class ArchivedIdentity:
    """A user's identity at a provider."""

    id: ExternalId
    provider: str
    label: str
    linked_at: datetime
    by_admin: bool = False


@value
class ArchivedNote:
    """What an admin wrote about a user."""

    text: str
    written_by: str = ""  # a name, as it was then
    written_at: datetime | None = None


@value
class ArchivedUser:
    """A user with everything that is the user's alone."""

    name: str
    admin: bool = False
    created_at: datetime | None = None  # None: the source does not say
    last_activity_at: datetime | None = None
    user_info: Mapping[str, Any] | None = field(default=None, hash=False)
    password_hash: str | None = field(default=None, repr=False)  # Argon2's, or bcrypt's of another hub
    email: str = ""  # verified
    auth_state: Mapping[str, Any] | None = field(default=None, hash=False, repr=False)  # in the clear
    app: ArchivedApp | None = None
    passkeys: tuple[ArchivedPasskey, ...] = ()
    recovery_codes: tuple[str, ...] = field(default=(), repr=False)  # hashes
    identities: tuple[ArchivedIdentity, ...] = ()
    awaited: AwaitedLogin | None = None  # if it has no identity and no password
    id: str = ""  # of a hub of ours: passkeys and recovery codes work for this id only
    is_refused: bool = False  # an admin there took back that the user may log in with a password
    admin_note: ArchivedNote | None = field(default=None, repr=False)


@value
class ArchivedSignUp:
    """Somebody who signed up and waits for an admin."""

    name: str
    password_hash: str = field(repr=False)
    created_at: datetime | None = field(default=None)
    address: str = ""


@value
class ArchivedGroup:
    """A group with the names of its members."""

    name: str
    users: tuple[str, ...] = ()
    properties: Mapping[str, Any] = field(default_factory=dict, hash=False)


@value
class ArchivedRole:
    """A role and who has it. Roles live in settings, so an import shows them as settings and writes none."""

    name: str
    scopes: tuple[str, ...] = ()
    description: str = ""
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    managed_by_auth: bool = False  # the login made it; JupyterHub's `managed_by_auth`
    users_by_auth: tuple[str, ...] = ()  # those of *users* to whom a login gave it, and may take it
    groups_by_auth: tuple[str, ...] = ()  # those of *groups*, likewise


@value
class ArchivedService:
    """A service; its tokens are records of their own."""

    name: str
    admin: bool = False
    url: str | None = None
    oauth_client_id: str | None = None
    oauth_redirect_uri: str | None = None
    oauth_no_confirm: bool = False
    oauth_client_allowed_scopes: tuple[str, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict, hash=False)
    display: bool = True
    client_secret_hash: str | None = field(default=None, repr=False)  # which is no token by itself
    from_settings: bool = False  # its hub's settings had it: JupyterHub's `from_config`
    token_hash: str | None = field(default=None, repr=False)  # of a hub of ours: what it was added with


@value
class ArchivedServer:
    """A server that does not run: the default one (*name* empty) or a named one."""

    owner: str
    name: str = ""
    display_name: str = ""
    profile: str = ""
    user_options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    created_at: datetime | None = None
    last_activity_at: datetime | None = None


@value
class ArchivedToken:
    """An API token; *hashed* is SHA-256 (64 hex digits) or another hub's form (`hubless.domain.imported_secrets`)."""

    owner_kind: OwnerKind
    owner: str  # a user's or a service's name
    hashed: str = field(repr=False)
    scopes: tuple[str, ...] = field()
    created_at: datetime = field()
    note: str = ""
    expires_at: datetime | None = None
    last_activity_at: datetime | None = None
    id: str = ""  # of a hub of ours


@value
class ArchivedShare:
    """A share of a server with exactly one user or one group; scopes are bare names."""

    owner: str
    server: str
    scopes: tuple[str, ...]
    created_at: datetime
    user: str | None = None
    group: str | None = None
    expires_at: datetime | None = None


@value
class ArchivedShareCode:
    """A share code; *hashed* is as a token's."""

    owner: str
    server: str
    hashed: str = field(repr=False)
    scopes: tuple[str, ...] = field()
    created_at: datetime = field()
    expires_at: datetime = field()
    exchange_count: int = 0
    last_exchanged_at: datetime | None = None
    id: str = ""  # of a hub of ours
    max_uses: int = 0


@value
class ArchivedBudget:
    """A budget that admins set while the hub ran: `hubless.domain.budgets.Budget` says what its fields are."""

    name: str
    group: str = ""
    user: str = ""  # the name
    is_each: bool = False
    is_monthly: bool = True
    servers: int | None = None
    cpu_millis: int | None = None
    seconds: int | None = None
    cost_micros: int | None = None


@value
class ArchivedSchedule:
    """A schedule that admins made while the hub ran; times and dates are ISO 8601, in the time zone *zone*."""

    name: str
    begins: str
    ends: str
    zone: str
    groups: tuple[str, ...]
    days: tuple[int, ...] = ()  # Monday is 0
    on: str = ""  # the date of a class that meets once
    profile: str = ""
    stops: bool = True
    lead: int = 0  # seconds
    is_paused: bool = False


@value
class Remark:
    """A line of the report: what about the source needs a look, and what to do about it.

    *is_left_out* says whether the record is not brought over because of it.
    """

    kind: str  # of the record, such as "user" or "token"; "source" for the whole
    subject: str  # its name; never a secret
    what: str  # a sentence
    to_do: str = ""  # a sentence
    is_left_out: bool = False
    number: int = 1  # of records that it is about


@value
class Archive:
    """All records of a hub, and what their reader remarked."""

    source: str  # what it was read from, for people: without passwords
    users: tuple[ArchivedUser, ...] = ()
    sign_ups: tuple[ArchivedSignUp, ...] = ()
    groups: tuple[ArchivedGroup, ...] = ()
    roles: tuple[ArchivedRole, ...] = ()
    services: tuple[ArchivedService, ...] = ()
    servers: tuple[ArchivedServer, ...] = ()
    tokens: tuple[ArchivedToken, ...] = ()
    shares: tuple[ArchivedShare, ...] = ()
    share_codes: tuple[ArchivedShareCode, ...] = ()
    budgets: tuple[ArchivedBudget, ...] = ()
    schedules: tuple[ArchivedSchedule, ...] = ()
    remarks: tuple[Remark, ...] = ()
    is_whole: bool = True  # whether its reader could read all records: else nothing counts as removed there
    has_secrets: bool = True  # whether password hashes, tokens and alike are in it where their owners have some
