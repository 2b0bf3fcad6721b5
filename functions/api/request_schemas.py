"""What the API takes in bodies: pydantic models with JupyterHub's keys."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import to_json

from hubless.domain.announcements import MAX_GROUPS
from hubless.domain.announcements import MAX_TEXT as MAX_ANNOUNCEMENT
from hubless.domain.bounds import (
    MAX_IDENTIFIER,
    MAX_ISSUER,
    MAX_LABEL,
    MAX_MEMBERSHIPS,
    MAX_NAMES,
    MAX_PASSWORD,
    MAX_PROPERTIES,
    MAX_PROVIDER_NAME,
    MAX_SCOPE,
    MAX_SCOPES,
    MAX_SUBJECT,
    MAX_TYPED_NAME,
)
from hubless.domain.budgets import MOST_AMOUNT
from hubless.domain.errors import InvalidRequestError
from hubless.domain.home_limits import LARGEST as LARGEST_HOME
from hubless.domain.home_limits import SMALLEST as SMALLEST_HOME
from hubless.domain.join_links import MOST_PLACES
from hubless.domain.letters import MAX_SUBJECT as MAX_LETTER_SUBJECT
from hubless.domain.letters import MAX_TEXT as MAX_LETTER
from hubless.domain.letters import MOST_RECIPIENTS
from hubless.domain.mails import MAX_ADDRESS
from hubless.domain.maintenance import MAX_TEXT as MAX_MAINTENANCE_TEXT
from hubless.domain.pasted_people import MAX_COLUMNS, MAX_PASTE
from hubless.domain.schedules import LONGEST_LEAD, MOST_GROUPS
from hubless.domain.user_notes import MAX_REVISION
from hubless.domain.user_notes import MAX_TEXT as MAX_USER_NOTE


def _small(facts: dict[str, Any]) -> dict[str, Any]:
    if len(to_json(facts)) > MAX_PROPERTIES:
        raise ValueError(f"must have at most {MAX_PROPERTIES} bytes as JSON")
    return facts


def require_small(properties: dict[str, Any]) -> None:
    """Refuse properties that are too large to store.

    Raises:
        InvalidRequestError: with the bound.
    """
    try:
        _small(properties)
    except ValueError as large:
        raise InvalidRequestError(f"The properties {large}") from None


TypedName = Annotated[str, Field(max_length=MAX_TYPED_NAME)]
"""A user's name before it is normalised."""
Identifier = Annotated[str, Field(max_length=MAX_IDENTIFIER)]
ScopeText = Annotated[str, Field(max_length=MAX_SCOPE)]
Properties = Annotated[dict[str, Any], AfterValidator(_small)]


class Body(BaseModel):
    """A JSON object with known keys of known types; nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)  # built at the first such body


class Open(Body):
    """A JSON object whose unknown keys are ignored, where JupyterHub ignores them and clients may rely on it."""

    model_config = ConfigDict(extra="ignore")


def _instant(value: Any) -> datetime:
    if not isinstance(value, str) or len(value) > 64:  # noqa: PLR2004 no timestamp is longer
        raise ValueError("must be a timestamp in ISO 8601")
    try:
        at = datetime.fromisoformat(value.strip())
    except ValueError:
        raise ValueError(f"Not a valid ISO 8601 timestamp: {value!r}") from None
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"Not a possible time: {value!r}") from None


Instant = Annotated[datetime, BeforeValidator(_instant)]


class NewPeople(Body):
    """A list or table of people. *columns* says what the columns are where titles do not."""

    text: Annotated[str, Field(max_length=MAX_PASTE)]
    columns: Annotated[
        list[Literal["", "user", "person", "first", "last", "email", "group", "password"]],
        Field(max_length=MAX_COLUMNS),
    ] = []
    groups: Annotated[list[Identifier], Field(max_length=100)] = []
    links: Literal["new", "all", "none"] = "new"
    days: Annotated[int, Field(ge=1, le=30)] = 7
    admin: bool = False
    dry_run: bool = False


class ScheduleBody(Body):
    """PUT /schedules/{name}: a class that meets on days of each week, or once on a date."""

    days: Annotated[
        list[Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]],
        Field(max_length=7),
    ] = []
    date: Annotated[str, Field(max_length=16)] | None = None
    begins: Annotated[str, Field(max_length=16)]
    ends: Annotated[str, Field(max_length=16)]
    timezone: Annotated[str, Field(max_length=64)]
    groups: Annotated[list[Identifier], Field(min_length=1, max_length=MOST_GROUPS)]
    profile: Identifier = ""
    start_before: Annotated[int, Field(ge=0, le=LONGEST_LEAD // timedelta(minutes=1))] = 0  # minutes
    stop: bool = True
    paused: bool = False


Amount = Annotated[float, Field(ge=0, le=MOST_AMOUNT, allow_inf_nan=False)]


class BudgetBody(Body):
    """PUT /budgets/{name}: at least one limit, of the hub if neither *group* nor *user* is given."""

    group: Identifier = ""
    user: TypedName = ""
    each_user: bool = False
    period: Literal["month", "total"] = "month"
    hours: Amount | None = None
    money: Amount | None = None  # in the hub's currency
    servers: Annotated[int, Field(ge=0, le=MOST_AMOUNT)] | None = None  # at once
    cpus: Amount | None = None  # of servers at once


class HomeLimit(Body):
    """PUT /users/{name}/home-limit and /groups/{name}/home-limit: bytes on disk; null for no limit."""

    size: Annotated[int, Field(ge=SMALLEST_HOME, le=LARGEST_HOME)] | None


class NewJoinLink(Body):
    """POST /join-links."""

    group: Annotated[str, Field(max_length=MAX_IDENTIFIER)] = ""
    places: Annotated[int, Field(ge=1, le=MOST_PLACES)] = 30
    days: Annotated[int, Field(ge=1, le=365)] = 7
    needs_approval: bool = False


class NewUser(Body):
    """POST /users/{name}; the other fields of a user's model are accepted and ignored, as in JupyterHub."""

    admin: bool = False
    name: str = ""
    groups: list[Any] = Field(default_factory=list)
    roles: list[Any] = Field(default_factory=list)
    auth_state: dict[str, Any] = Field(default_factory=dict)


class NewUsers(NewUser):
    """POST /users."""

    usernames: list[TypedName] = Field(min_length=1, max_length=MAX_NAMES, fail_fast=True)


class UserChange(Body):
    """PATCH /users/{name}; a missing key changes nothing, and null is refused."""

    name: TypedName = ""
    admin: bool = False
    auth_state: dict[str, Any] = Field(default_factory=dict)


class NewEmail(Body):
    """PUT /users/{name}/email; "" removes the address."""

    email: Annotated[str, Field(max_length=MAX_ADDRESS)]


class UserNote(Body):
    """PUT /users/{name}/note; "" removes the note."""

    text: Annotated[str, Field(max_length=MAX_USER_NOTE, description="Plain text")]
    revision: Annotated[
        int | None, Field(ge=0, le=MAX_REVISION, description="Of the note that was read; default: whatever is there")
    ] = None


class ServerActivity(Open):
    """Activity of one server."""

    last_activity: Instant


class ActivityReport(Open):
    """POST /users/{name}/activity."""

    last_activity: Instant | None = None
    servers: dict[Identifier, ServerActivity] = Field(default_factory=dict, max_length=100)


class NewIdentity(Body):
    """POST /users/{name}/identities."""

    issuer: str = Field(min_length=1, max_length=MAX_ISSUER)
    subject: str = Field(min_length=1, max_length=MAX_SUBJECT)
    provider: str = Field(default="", max_length=MAX_PROVIDER_NAME)
    label: str = Field(default="", max_length=MAX_LABEL)


class PasswordLogin(Open):
    """Name and password in place of a token."""

    username: TypedName
    password: str = Field(max_length=MAX_PASSWORD)


class NewToken(Open):
    """POST /users/{name}/tokens."""

    note: str | None = None
    expires_in: int | None = Field(default=None, ge=1, le=10**9)
    scopes: list[ScopeText] | None = Field(default=None, max_length=MAX_SCOPES)
    roles: list[Identifier] | None = Field(default=None, max_length=50)
    auth: PasswordLogin | None = None


class ServerStart(Open):
    """PUT and POST of a server: JupyterHub 6's keys, or, without any of them, an object that is all options."""

    display_name: TypedName = ""
    user_options: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _old_form(cls, body: Any) -> Any:
        if isinstance(body, dict) and body and not cls.model_fields.keys() & body.keys():
            return {"user_options": body}
        return body


class ServerChange(Body):
    """PATCH of a server; an empty name or display name changes nothing."""

    name: Identifier | None = None
    display_name: TypedName | None = None
    user_options: dict[str, Any] = Field(default_factory=dict)


class Removal(Open):
    """DELETE of a server."""

    remove: bool | None = None


class Members(Body):
    """Members of a group."""

    users: list[Identifier] = Field(max_length=MAX_NAMES, fail_fast=True)


class NewGroup(Body):
    """POST /groups/{name}; name and roles are accepted and ignored, as in JupyterHub."""

    name: str = ""
    users: list[Identifier] = Field(default_factory=list, max_length=MAX_NAMES, fail_fast=True)
    roles: list[str] = Field(default_factory=list, max_length=50)
    properties: Properties = Field(default_factory=dict)


class NewGroups(Body):
    """POST /groups."""

    groups: list[TypedName] = Field(min_length=1, max_length=MAX_NAMES, fail_fast=True)
    users: list[Identifier] = Field(default_factory=list, max_length=MAX_NAMES, fail_fast=True)

    @model_validator(mode="after")
    def _few_enough(self) -> "NewGroups":
        if len(self.groups) * len(self.users) > MAX_MEMBERSHIPS:  # all are written in one transaction
            raise ValueError(f"At most {MAX_MEMBERSHIPS} members of all groups together: add fewer groups at once")
        return self


class ShareWith(Body):
    """POST and PATCH /shares/{owner}/{server}: exactly one of user and group."""

    user: Identifier | None = Field(default=None, min_length=1)
    group: Identifier | None = Field(default=None, min_length=1)
    scopes: list[ScopeText] | None = Field(default=None, max_length=MAX_SCOPES)

    @model_validator(mode="after")
    def _exactly_one(self) -> "ShareWith":
        if (self.user is None) == (self.group is None):
            raise ValueError("Specify exactly one of `user` or `group`")
        return self


class NewShareCode(Body):
    """POST /share-codes/{owner}/{server}; bounds (in seconds), default and conversion are JupyterHub's."""

    scopes: list[ScopeText] | None = Field(default=None, max_length=MAX_SCOPES)
    expires_in: int = Field(default=86_400, ge=60, le=31_536_000, strict=False)


class NewService(Body):
    """POST /services/{name}: an external service. A key that would make it a process of the hub is refused by name."""

    name: str | None = None
    admin: bool = False
    url: str = Field(default="", max_length=2000)
    api_token: str | None = Field(default=None, min_length=8, max_length=64)
    oauth_client_id: Identifier | None = None
    oauth_redirect_uri: str | None = Field(default=None, max_length=2000)
    oauth_no_confirm: bool = False
    oauth_client_allowed_scopes: list[ScopeText] = Field(default_factory=list, max_length=MAX_SCOPES)
    info: Properties = Field(default_factory=dict)
    display: bool = True
    command: list[Any] = Field(default_factory=list)
    cwd: str | None = None
    environment: dict[str, Any] | None = None
    user: str | None = None


class Shutdown(Open):
    """POST /shutdown."""

    proxy: bool | None = None
    servers: bool | None = None


class NewLineItem(Body):
    """POST /lti/courses/{name}/line-items: a column of grades (AGS 2.0 3.2)."""

    label: str = Field(min_length=1, max_length=255)
    score_maximum: float = Field(gt=0, le=1e9, strict=False)
    resource_id: str = Field(default="", max_length=255)
    tag: str = Field(default="", max_length=255)
    resource_link_id: str = Field(default="", max_length=255)


class NewScore(Body):
    """POST /lti/courses/{name}/scores: a score of one person (AGS 2.0 3.4)."""

    line_item: str = Field(min_length=1, max_length=4096)
    user: TypedName
    score_given: float | None = Field(default=None, ge=0, le=1e9, strict=False)
    score_maximum: float | None = Field(default=None, gt=0, le=1e9, strict=False)
    comment: str = Field(default="", max_length=10_000)
    activity_progress: Literal["Initialized", "Started", "InProgress", "Submitted", "Completed"] = "Completed"
    grading_progress: Literal["NotReady", "Failed", "Pending", "PendingManual", "FullyGraded"] = "FullyGraded"

    @model_validator(mode="after")
    def _has_both_or_none(self) -> "NewScore":
        if (self.score_given is None) != (self.score_maximum is None):
            raise ValueError("score_given and score_maximum belong together")
        return self


class Announcement(Body):
    """An announcement to make, or what one becomes."""

    text: Annotated[str, Field(max_length=MAX_ANNOUNCEMENT, description="In Markdown")]
    ends_at: Instant
    starts_at: Annotated[Instant | None, Field(description="When pages begin to show it; default: now")] = None
    kind: Literal["info", "warning"] = "info"
    groups: Annotated[
        list[Identifier], Field(max_length=MAX_GROUPS, description="Whose members it is for; empty for everybody")
    ] = []


class NewMessage(Body):
    """POST /messages: a message to people."""

    users: Annotated[list[TypedName], Field(max_length=MOST_RECIPIENTS, description="Names")] = []
    groups: Annotated[list[Identifier], Field(max_length=MAX_GROUPS, description="Whose members get it")] = []
    subject: Annotated[str, Field(max_length=MAX_LETTER_SUBJECT, description="One line")]
    text: Annotated[str, Field(max_length=MAX_LETTER, description="Plain text")]
    mail: Annotated[bool, Field(description="Whether those with a verified address get a mail too")] = False


class MaintenanceWish(Body):
    """What people read of maintenance, and until when it is on."""

    text: Annotated[str, Field(max_length=MAX_MAINTENANCE_TEXT, description="In Markdown")] = ""
    ends_at: Annotated[Instant | None, Field(description="When it ends by itself")] = None
    admins_start: Annotated[bool, Field(description="Whether admins' own servers start all the same")] = False
