"""What the token page offers to allow, in plain sentences, and the end of a token's last day."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from hubless.domain import scopes
from hubless.domain.errors import InvalidRequestError
from hubless.domain.scopes import Bearer, Scopes
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value

A_DAY = timedelta(days=1)
USUAL = timedelta(days=30)  # of a token whose last day nobody chose
MAX_CHOICES = 100  # settings define custom scopes as they like


@value
class Choice:
    """One thing that a token may be allowed, with the scope for it."""

    scope: str
    words: str


OWN = (
    Choice("read:users!user", _("See your name, your groups and when you were active.")),
    Choice("read:servers!user", _("See your servers.")),
    Choice("servers!user", _("Start and stop your servers.")),
    Choice("access:servers!user", _("Use your servers: run programs there, read and change your files.")),
    Choice("shares!user", _("Share your servers with others.")),
    Choice("users:shares!user", _("See and leave what others share with you.")),
    Choice("tokens!user", _("Create and revoke your tokens.")),
)
"""What everybody understands. A user is offered those that they may grant."""
_ELSEWHERE = (
    "list:users",
    "admin:users",
    "read:servers",
    "servers",
    "admin:servers",
    "access:servers",
    "access:services",
    "shares",
    "tokens",
    "admin:groups",
    "admin:services",
    "read:roles",
    "read:hub",
    "read:metrics",
)


def of_own(held: Scopes, user: str, groups: Iterable[str]) -> tuple[Choice, ...]:
    """Return what *user*, who is in *groups* and holds *held*, may allow a token with their own account."""
    return tuple(one for one in OWN if _covers(held, one.scope, user, groups))


def of_others(held: Scopes, user: str, groups: Iterable[str]) -> tuple[Choice, ...]:
    """Return what *user* may allow a token beyond their own account, such as admins do, and what services define."""
    custom = sorted(str(one) for one in held.all if scopes.is_custom(one.name))[:MAX_CHOICES]
    known = [name for name in _ELSEWHERE if _covers(held, name, user, groups)]
    return tuple(Choice(text, scopes.described(text)) for text in (*known, *custom))


def _covers(held: Scopes, scope: str, user: str, groups: Iterable[str]) -> bool:
    mine = tuple(groups)
    return all(
        held.covers(one, lambda name: mine if name == user else ())
        for one in scopes.expand([scope], Bearer(user=user)).all
    )


def last_day(now: datetime, longest: timedelta | None) -> date | None:
    """Return the last day (UTC) that a token may have, or None if it may last for ever."""
    return None if longest is None else (now + longest).astimezone(UTC).date()


def usual_day(now: datetime, longest: timedelta | None) -> date:
    """Return the last day (UTC) that the page proposes."""
    return (now + (USUAL if longest is None else min(USUAL, longest))).astimezone(UTC).date()


def lifetime_until(day: str, now: datetime, longest: timedelta | None) -> timedelta:
    """Return how long a token lasts that ends with *day* (UTC, ISO 8601), or at *longest* on the last day of that.

    Raises:
        InvalidRequestError: when *day* is no date, is over, or lies beyond *longest*.
    """
    try:
        chosen = date.fromisoformat(day)
        end = datetime.combine(chosen, datetime.min.time(), UTC) + A_DAY
    except (ValueError, OverflowError):
        raise InvalidRequestError(_("Choose the last day of the token as a date, such as 2030-12-31.")) from None
    if end <= now:
        raise InvalidRequestError(_("The last day of the token is over. Choose today or a later day."))
    if longest is None:
        return end - now
    if chosen > (last := (now + longest).astimezone(UTC).date()):
        raise InvalidRequestError(
            _("On this hub a token may last until %(day)s at most. Choose an earlier day.", day=last.isoformat())
        )
    return min(end - now, longest)
