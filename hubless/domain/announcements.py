"""Announcements that admins make at run time: who reads them, and from when to when."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from enum import StrEnum, auto
from typing import Final

from hubless.domain import names
from hubless.domain.characters import is_visible
from hubless.domain.errors import InvalidRequestError
from hubless.domain.maintenance import Maintenance
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value

MOST: Final = 20  # at once, those included that have not begun: each page may show all of them
MAX_TEXT: Final = 2_000  # characters
MAX_GROUPS: Final = 20
LONGEST: Final = timedelta(days=366)  # from now to the end
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)  # start: some clocks cannot show the first day of the year 1
MAX_PUT_AWAY: Final = 2 * MOST  # ids that a browser keeps


class Kind(StrEnum):
    """How urgent an announcement is. The values are stored, and are in the API: they stay."""

    INFO = auto()  # its readers can put it away
    WARNING = auto()  # it stays until its end


@value
class Announcement:
    """A text that pages show from `starts_at` until `ends_at`: to everybody, or to members of some groups."""

    id: str
    text: str  # Markdown
    kind: Kind
    starts_at: datetime
    ends_at: datetime
    made_by: str  # a name
    made_at: datetime
    groups: tuple[str, ...] = ()  # names; empty: everybody, also who is not logged in
    revision: int = 0

    def is_shown(self, now: datetime) -> bool:
        """Say whether pages show it at *now*."""
        return self.starts_at <= now < self.ends_at

    def is_for(self, groups: Collection[str] | None) -> bool:
        """Say whether it is meant for a member of these groups; None stands for who is not logged in."""
        return not self.groups or (groups is not None and not set(self.groups).isdisjoint(groups))


@value
class Bulletin:
    """What the store has for all pages: the announcements that have not ended, and the maintenance."""

    announcements: tuple[Announcement, ...] = ()  # those that start first come first
    maintenance: Maintenance | None = None  # it may have ended


def check(announcement: Announcement, now: datetime) -> None:
    """Refuse what may not be stored at *now*.

    Raises:
        InvalidRequestError: naming what is wrong.
    """
    check_text(announcement.text)
    if not now < announcement.ends_at <= now + LONGEST:
        raise InvalidRequestError(
            _("The end must be in the future, and at most %(days)s days away.", days=LONGEST.days)
        )
    if announcement.starts_at < EARLIEST:
        raise InvalidRequestError(_("The start must be in the year %(year)s or later.", year=EARLIEST.year))
    if announcement.starts_at >= announcement.ends_at:
        raise InvalidRequestError(_("The end must come after the start."))
    if len(announcement.groups) > MAX_GROUPS:
        raise InvalidRequestError(_("An announcement names at most %(most)s groups.", most=MAX_GROUPS))
    for group in announcement.groups:
        names.check_group_name(group)


def check_text(text: str) -> None:
    """Refuse a text that says nothing or too much.

    Raises:
        InvalidRequestError: with the bound.
    """
    if not is_visible(text):
        raise InvalidRequestError(_("Write what people shall read."))
    if len(text) > MAX_TEXT:
        raise InvalidRequestError(_("The text may have at most %(most)s characters.", most=MAX_TEXT))
