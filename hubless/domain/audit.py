"""Audit records: who did what to whom, from where. They are added, and never changed; retention alone removes them.

A record has names as they were then, and ids of tokens, but no secret: what a person typed is never in it.
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from enum import StrEnum, auto
from typing import Final

from hubless.domain.bounds import MAX_USER_NAME
from hubless.domain.errors import InvalidRequestError
from hubless.domain.values import value

READ_SCOPE: Final = "custom:audit"  # hubless's own; admins have it
MAX_TEXT: Final = 200  # of a detail, in characters
MAX_PAGE: Final = 200  # records
MAX_EXAMINED: Final = 1000  # records that one page may read to find those that match
MAX_CURSOR: Final = 100
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_LATEST = 10**17  # of a cursor's instant: the year 5138


class DoerKind(StrEnum):
    """What kind of someone acts."""

    USER = auto()
    SERVICE = auto()
    OPERATOR = auto()  # by a command of a shell
    HUB = auto()  # the hub itself
    SCHEDULE = auto()  # the hub, because a schedule says so
    NOBODY = auto()  # nobody known, such as before a login


class Act(StrEnum):
    """What was done. The values are stored, and are in the API: they stay."""

    LOGIN = "login"
    LOGIN_FAILED = "login-failed"
    LOGOUT = "logout"
    SESSIONS_ENDED = "sessions-ended"
    PASSWORD_CHANGED = "password-changed"  # noqa: S105 no secret
    PASSWORD_LINK_MADE = "password-link-made"  # noqa: S105 no secret
    EMAIL_CHANGED = "email-changed"
    LOGIN_LINKED = "login-linked"
    LOGIN_UNLINKED = "login-unlinked"
    FACTORS_CHANGED = "second-factors-changed"
    FACTORS_RESET = "second-factors-reset"
    TOKEN_ISSUED = "token-issued"  # noqa: S105 no secret
    TOKEN_REVOKED = "token-revoked"  # noqa: S105 no secret
    SHARE_GRANTED = "share-granted"
    SHARE_ENDED = "share-ended"
    SHARE_CODE_MADE = "share-code-made"
    SHARE_CODE_ACCEPTED = "share-code-accepted"
    SHARE_CODE_ENDED = "share-code-ended"
    USER_ADDED = "user-added"
    USER_RENAMED = "user-renamed"
    USER_REMOVED = "user-removed"
    FILES_GIVEN = "files-given"
    FILES_ARCHIVED = "files-archived"
    FILES_DELETED = "files-deleted"
    ADMIN_GIVEN = "admin-rights-given"
    ADMIN_TAKEN = "admin-rights-taken"
    AUTH_STATE_CHANGED = "auth-state-changed"
    NOTE_CHANGED = "user-note-changed"
    HOME_LIMIT_SET = "home-limit-set"
    HOME_LIMIT_REMOVED = "home-limit-removed"
    JOIN_LINK_MADE = "join-link-made"
    JOIN_LINK_ENDED = "join-link-ended"
    SIGN_UP_APPROVED = "sign-up-approved"
    SIGN_UP_REFUSED = "sign-up-refused"
    GROUP_ADDED = "group-added"
    GROUP_CHANGED = "group-changed"
    GROUP_REMOVED = "group-removed"
    MEMBER_ADDED = "member-added"
    MEMBER_REMOVED = "member-removed"
    SERVER_OPENED = "server-opened"
    SERVER_STARTED = "server-started"
    SERVER_STOPPED = "server-stopped"
    SERVER_ADOPTED = "server-adopted"
    SERVER_CHANGED = "server-changed"
    SERVER_REMOVED = "server-removed"
    SERVICE_ADDED = "service-added"
    SERVICE_REMOVED = "service-removed"
    LMS_ADDED = "lms-added"
    LMS_LINK_MADE = "lms-link-made"
    LMS_REMOVED = "lms-removed"
    BUDGET_SET = "budget-set"
    BUDGET_REMOVED = "budget-removed"
    BUDGET_NEARLY_USED = "budget-nearly-used"
    BUDGET_USED = "budget-used-up"
    SCHEDULE_SET = "schedule-set"
    SCHEDULE_REMOVED = "schedule-removed"
    SERVER_KEPT = "server-kept"
    LESSON_FAILED = "lesson-failed"
    ANNOUNCEMENT_MADE = "announcement-made"
    ANNOUNCEMENT_CHANGED = "announcement-changed"
    ANNOUNCEMENT_REMOVED = "announcement-removed"
    MESSAGE_SENT = "message-sent"
    MESSAGE_TAKEN_BACK = "message-taken-back"
    MAINTENANCE_ON = "maintenance-on"
    MAINTENANCE_OFF = "maintenance-off"
    SETTINGS_CHANGED = "settings-changed"
    DATA_DOWNLOADED = "data-downloaded"
    AUDIT_DOWNLOADED = "audit-downloaded"


@value
class Doer:
    """Who acts, and from where. It is passed to whatever records acts."""

    kind: DoerKind = DoerKind.NOBODY
    name: str = ""
    address: str = ""  # the client's, "" if there is none
    token_id: str = ""  # of the token that stood for the doer


@value
class AuditRecord:
    """One act. Several failed logins of one name and one address within an hour are one record with their number."""

    id: str
    at: datetime
    act: Act
    by: Doer
    on: str = ""  # the name of whom or what it is about: a user, for servers their owner; a group, a service
    about: Mapping[str, str] = field(default_factory=dict, hash=False)
    count: int = 1
    others: int = 0  # more of the same hour by other names or addresses, which had no room of their own

    @property
    def place(self) -> "Place":
        """Return the record's place in the order of all."""
        return Place(self.at, self.id)


@value
class Place:
    """The place of a record: its instant, and among those of one instant its id. A cursor says it as a text."""

    at: datetime
    id: str

    @property
    def cursor(self) -> str:
        """Return the place as a text."""
        return f"{(self.at - _EPOCH) // _MICROSECOND}~{self.id}"

    @classmethod
    def of_cursor(cls, text: str) -> "Place":
        """Return the place that *text* says.

        Raises:
            InvalidRequestError: when it is no cursor.
        """
        number, mark, identifier = text.partition("~")
        is_possible = number.isascii() and number.isdigit() and len(text) <= MAX_CURSOR and mark and identifier
        if not is_possible or int(number) > _LATEST:
            raise InvalidRequestError("This is no place in the audit record: take `next` of an answer as it is")
        return cls(_EPOCH + int(number) * _MICROSECOND, identifier)


@value
class AuditQuery:
    """Which records to return: those between two instants. Another part that is not set selects all."""

    since: datetime  # its records are returned too
    until: datetime  # its records are not
    by: str = ""
    on: str = ""
    act: Act | None = None
    before: Place | None = None  # records that come after it in the order, which is newest first

    def fits(self, record: AuditRecord) -> bool:
        """Say whether *record* has the names and the act of the query."""
        is_of = (not self.by or record.by.name == self.by) and (not self.on or record.on == self.on)
        return is_of and (self.act is None or record.act is self.act)


@value
class AuditPage:
    """Some records, the newest first, and the place after which more may come; None at the end.

    A page may have fewer records than were asked for, or none, and yet not be the last: it examines only so many.
    """

    records: tuple[AuditRecord, ...]
    after: Place | None


def bounded(texts: Mapping[str, str]) -> dict[str, str]:
    """Return details as they are stored: short, and none that is empty."""
    return {key: text[:MAX_TEXT] for key, text in texts.items() if text}


def bounded_name(name: str) -> str:
    """Return the name of someone or something as it is stored."""
    return name[:MAX_USER_NAME]
