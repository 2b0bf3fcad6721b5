"""The API's answers, for the OpenAPI document and its checks. `serializers.py` makes them.

A field that is not required is only in answers to askers with a scope for it.
"""

from typing import Annotated, Any, Generic, Literal, NotRequired, Required, TypeVar

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict  # pydantic asks for it below Python 3.12

Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"}, description="UTC with microseconds and Z")]
Item = TypeVar("Item")
_closed = with_config(ConfigDict(extra="forbid"))


@_closed
class Problem(TypedDict):
    """An error, as JupyterHub has it."""

    status: int
    message: str | None


class OAuthProblem(TypedDict):
    """An error of OAuth (RFC 6749 5.2)."""

    error: str
    error_description: NotRequired[str]


@_closed
class Version(TypedDict):
    """The version of JupyterHub's API that this is."""

    version: str


@_closed
class Info(TypedDict):
    """What runs here."""

    version: str
    python: str
    sys_executable: str
    spawner: dict[str, str]
    authenticator: dict[str, str]


@_closed
class Server(TypedDict):
    """A server; `state` is shown with admin:server_state.

    `frozen` is hubless's own: since when a ready server does not answer, or null.
    """

    name: str
    display_name: str
    full_name: str
    last_activity: Instant | None
    started: Instant | None
    pending: Literal["spawn", "stop"] | None
    ready: bool
    stopped: bool
    frozen: Instant | None
    url: str
    user_options: dict[str, Any]
    progress_url: str
    full_url: str | None
    full_progress_url: str | None
    state: NotRequired[dict[str, Any]]


@_closed
class User(TypedDict, total=False):
    """A user."""

    kind: Required[Literal["user"]]
    name: Required[str]
    user_info: dict[str, Any] | None
    admin: bool
    roles: list[str]
    groups: list[str]
    server: str | None
    pending: Literal["spawn", "stop"] | None
    created: Instant
    last_activity: Instant | None
    servers: dict[str, Server]
    auth_state: dict[str, Any] | None


class Identity(TypedDict, total=False):
    """The sender of the request: a user's or a service's model, with its present scopes."""

    kind: Required[Literal["user", "service"]]
    name: Required[str]
    token_id: Required[str | None]
    session_id: Required[str | None]
    scopes: Required[list[str]]


@_closed
class Token(TypedDict):
    """A token; its secret is shown once, when it is issued."""

    user: str
    id: str
    kind: Literal["api_token"]
    roles: list[str]
    scopes: list[str]
    created: Instant
    last_activity: Instant | None
    expires_at: Instant | None
    note: str
    session_id: str | None
    oauth_client: str
    token: NotRequired[str]


@_closed
class Tokens(TypedDict):
    """A user's tokens."""

    api_tokens: list[Token]


@_closed
class Session(TypedDict):
    """A login in one browser."""

    id: str
    created: Instant
    expires_at: Instant
    agent: str


@_closed
class Sessions(TypedDict):
    """A user's sessions, oldest first."""

    sessions: list[Session]


@_closed
class SpareLaunch(TypedDict):
    """What a waiting task becomes a server with."""

    environment: dict[str, str]


@_closed
class LinkedIdentity(TypedDict):
    """A person at a provider, with which a user logs in."""

    issuer: str
    subject: str
    provider: str
    label: str
    linked: Instant
    by_admin: bool


@_closed
class SignUp(TypedDict):
    """A sign-up that waits."""

    name: str
    email: str
    created: Instant
    expires_at: Instant
    waits_for_mail: bool
    waits_for_admin: bool


class _Amounts(TypedDict):
    launches: int
    hours: float
    cpu_hours: float
    gb_hours: float
    gpu_hours: float
    cost: str


@_closed
class UsageRow(_Amounts):
    """What one user, group or profile used: launches that began, hours, and the cost as a decimal number."""

    subject: str
    name: str


@_closed
class UsageOfMonth(TypedDict):
    """What all servers used in a month; the largest time first."""

    month: str
    by: str
    currency: str
    rows: list[UsageRow]


@_closed
class UsageDay(_Amounts):
    """What was used on one day in UTC."""

    day: str


@_closed
class UsageOfDays(TypedDict):
    """What was used on each day of a month."""

    month: str
    currency: str
    days: list[UsageDay]


@_closed
class Doer(TypedDict):
    """Who did something, and from where."""

    kind: Literal["user", "service", "operator", "hub", "schedule", "nobody"]
    name: str | None
    address: str | None
    token: str | None


@_closed
class AuditRecord(TypedDict):
    """Who did what to whom. Failed logins of one name and address within an hour are one record with their number."""

    id: str
    at: Instant
    act: str
    by: Doer
    on: str | None
    about: dict[str, str]
    count: int
    others: int


@_closed
class AuditPage(TypedDict):
    """Some records, the newest first, and from where to go on."""

    records: list[AuditRecord]
    next: str | None


@_closed
class Announcement(TypedDict):
    """An announcement that admins made."""

    id: str
    text: str
    kind: str
    starts_at: Instant
    ends_at: Instant
    groups: list[str]
    made_by: str
    created: Instant


@_closed
class Announcements(TypedDict):
    """The announcements that have not ended."""

    announcements: list[Announcement]


@_closed
class Maintenance(TypedDict):
    """Whether maintenance is on, and until when."""

    on: bool
    text: str
    since: Instant | None
    ends_at: Instant | None
    admins_start: bool
    by: str


@_closed
class SignUps(TypedDict):
    """The sign-ups that wait, the oldest first."""

    sign_ups: list[SignUp]


@_closed
class CheckedPerson(TypedDict):
    """What became of a line: `new`, `known` for who is here already, or `fault`."""

    line: int
    name: str
    full_name: str
    email: str
    groups: list[str]
    outcome: str
    fault: str


@_closed
class PersonsLink(TypedDict):
    """A one-time link with which a person chooses a password."""

    name: str
    link: str


@_closed
class People(TypedDict):
    """What became of each line, and the links, which no later answer has."""

    people: list[CheckedPerson]
    links: list[PersonsLink]
    links_until: Instant | None


@_closed
class JoinLink(TypedDict):
    """A code with which people sign up until it expires, and the address that has it."""

    id: str
    code: str
    url: str
    group: str
    places: int
    used: int
    needs_approval: bool
    made_by: str
    created: Instant
    expires_at: Instant


@_closed
class JoinLinks(TypedDict):
    """The join links that have not ended, the newest first."""

    join_links: list[JoinLink]


@_closed
class SignUpState(TypedDict):
    """What has become of a sign-up: whether its account is made."""

    name: str
    is_made: bool


@_closed
class LinkedIdentities(TypedDict):
    """A user's identities, the one linked first at the beginning."""

    identities: list[LinkedIdentity]


class Email(TypedDict):
    """A user's e-mail addresses: the verified one, and the one that waits; "" where there is none."""

    email: str
    pending: str


@_closed
class UserNote(TypedDict):
    """What an admin wrote about a user; 0 is the revision where nobody did."""

    text: str
    revision: int
    written_by: str
    written_at: Instant | None


@_closed
class ReceivedMessage(TypedDict):
    """A message as its recipient has it."""

    id: str
    subject: str
    text: str
    sent_by: str
    sent_at: Instant
    expires_at: Instant
    read_at: Instant | None
    mailed_at: Instant | None
    deleted: bool


@_closed
class Messages(TypedDict):
    """The messages of a user, newest first."""

    messages: list[ReceivedMessage]


@_closed
class SentMessage(TypedDict):
    """A message that somebody sent, and how many people have it and have read it."""

    id: str
    subject: str
    text: str
    sent_by: str
    sent_at: Instant
    expires_at: Instant
    mail: bool
    reached: int
    read: int


@_closed
class SentMessages(TypedDict):
    """Messages that were sent, newest first; `next` is the `before` of the next page."""

    messages: list[SentMessage]
    next: str | None


@_closed
class Refusal(TypedDict):
    """Why somebody did not get a message, or not all of it."""

    name: str
    reason: str


@_closed
class NewMessage(SentMessage):
    """A message that was just sent."""

    refused: list[Refusal]


@_closed
class SecondFactors(TypedDict):
    """Which second factors a user has."""

    app: bool
    passkeys: int
    recovery_codes: int  # that are left
    demanded: bool  # whether settings demand one of this user


@_closed
class Group(TypedDict, total=False):
    """A group."""

    kind: Required[Literal["group"]]
    name: Required[str]
    users: list[str]
    properties: dict[str, Any]
    roles: list[str]


@_closed
class Service(TypedDict, total=False):
    """A service."""

    kind: Required[Literal["service"]]
    name: Required[str]
    admin: bool
    url: str
    prefix: str
    command: list[str]
    pid: int
    info: dict[str, Any]
    display: bool
    roles: list[str]


@_closed
class Named(TypedDict):
    """The name of a user or a group."""

    name: str


@_closed
class SharedServer(TypedDict):
    """A server, as users see it with whom it is shared; `frozen` is hubless's own, as of a server."""

    user: Named
    name: str
    url: str
    full_url: str | None
    ready: bool
    frozen: Instant | None


@_closed
class Share(TypedDict):
    """A share with one user or one group."""

    server: SharedServer
    scopes: list[str]
    user: Named | None
    group: Named | None
    kind: Literal["user", "group"]
    created_at: Instant


@_closed
class ShareCode(TypedDict):
    """A share code; the code itself is shown once, when it is made."""

    server: SharedServer
    scopes: list[str]
    id: str
    created_at: Instant
    expires_at: Instant
    exchange_count: int
    last_exchanged_at: Instant | None
    code: NotRequired[str]
    accept_url: NotRequired[str]
    full_accept_url: NotRequired[str | None]


@_closed
class LtiPlatform(TypedDict):
    """An LMS whose users may log in."""

    name: str
    kind: str
    issuer: str
    client_id: str
    deployment_ids: list[str]
    authorization_url: str
    token_url: str
    key_set_url: str
    from_settings: bool


@_closed
class LtiRegistration(TypedDict):
    """A link with which an LMS registers itself."""

    url: str
    expires_at: Instant


@_closed
class LtiCourse(TypedDict):
    """A course of an LMS, with its groups."""

    group: str
    teachers_group: str
    title: str
    platform: str
    context_id: str
    has_roster: bool
    has_grades: bool
    last_login: Instant | None


@_closed
class LtiRoster(TypedDict):
    """What filling a course's groups did."""

    people: int
    joined: int
    left: int
    refused: int
    is_whole: bool


@_closed
class Lesson(TypedDict):
    """A meeting of a class, and from when its servers start."""

    servers_start: Instant
    begins: Instant
    ends: Instant


@_closed
class Schedule(TypedDict):
    """When a class meets; *date* is that of one that meets once."""

    name: str
    days: list[str]
    date: str | None
    begins: str
    ends: str
    timezone: str
    groups: list[str]
    profile: str
    start_before: int
    stop: bool
    paused: bool
    from_settings: bool
    next: list[Lesson]


@_closed
class Amounts(TypedDict):
    """Hours, money in the hub's currency, servers and CPUs; null where a budget has no limit."""

    hours: float | None
    money: float | None
    servers: float | None
    cpus: float | None


@_closed
class Budget(Amounts):
    """A budget, its limits, and how much is used; null if each user has one, or if its user is gone."""

    name: str
    group: str
    user: str
    each_user: bool
    period: Literal["month", "total"]
    used: Amounts | None
    left: Amounts | None
    currency: str
    from_settings: bool


@_closed
class HomeLimit(TypedDict):
    """How large a home may be, in bytes on disk; null is no limit."""

    size: int | None
    is_set: Annotated[bool, Field(description="Whether it was set at run time, and for this user or group")]


@_closed
class Nothing(TypedDict):
    """An empty object."""


@_closed
class Route(TypedDict):
    """A route of the edge: a prefix and its target."""

    routespec: str
    target: str
    data: dict[str, Any]


@_closed
class Message(TypedDict):
    """A message for people."""

    message: str


@_closed
class Kept(TypedDict):
    """Until when an idle server runs, and how often its owner may put that off once more."""

    kept_until: str
    times_left: int


@_closed
class Following(TypedDict):
    """Where the next page is."""

    offset: int
    limit: int
    url: str


@_closed
class Frame(TypedDict):
    """The part of a list that a page holds."""

    offset: int
    limit: int
    total: int
    next: Following | None


@_closed
class Page(TypedDict, Generic[Item]):
    """A part of a list."""

    items: list[Item]
    _pagination: Frame


@_closed
class RoutePage(TypedDict):
    """A part of the route table."""

    items: dict[str, Route]
    _pagination: Frame
