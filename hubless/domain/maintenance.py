"""Maintenance: while it is on, nobody starts a server. Servers that run go on."""

from datetime import datetime, timedelta
from typing import Final

from hubless.domain.errors import InvalidRequestError, MaintenanceError
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value

MAX_TEXT: Final = 1_000  # characters
LONGEST: Final = timedelta(days=366)  # from now to the end


@value
class StartCheck:
    """What a start tells the store, so that its write fails while maintenance is on."""

    at: datetime
    of_admin: bool  # whether the server's owner is an admin


@value
class Maintenance:
    """Why nobody starts a server, and until when. It ends by itself at `ends_at`, where it has one."""

    id: str  # of this turn: each change has a new one
    text: str  # Markdown; "" for no more than that there is maintenance
    began_at: datetime
    by: str  # the name of who turned it on
    ends_at: datetime | None = None
    admins_start: bool = False  # whether admins' own servers start all the same

    def is_on(self, now: datetime) -> bool:
        """Say whether it is on at *now*. It has begun with its write, whatever another machine's clock says."""
        return self.ends_at is None or now < self.ends_at

    def refuses(self, start: StartCheck) -> bool:
        """Say whether it refuses *start*: the rule that every store keeps in the write of a start."""
        return self.is_on(start.at) and not (self.admins_start and start.of_admin)

    def refusal(self, now: datetime) -> MaintenanceError:
        """Return the error of a start that it refuses at *now*."""
        said = _("Nobody can start a server now: the hub is under maintenance.")
        return MaintenanceError(said, after=None if self.ends_at is None else self.ends_at - now)


def seen_id(found: Maintenance | None) -> str:
    """Return by which id somebody who has read that maintenance is on, or off, can name what they read."""
    return "" if found is None else found.id


def check(wanted: Maintenance, now: datetime) -> None:
    """Refuse what may not be stored at *now*.

    Raises:
        InvalidRequestError: naming what is wrong.
    """
    if len(wanted.text) > MAX_TEXT:
        raise InvalidRequestError(_("The text may have at most %(most)s characters.", most=MAX_TEXT))
    if wanted.ends_at is not None and not now < wanted.ends_at <= now + LONGEST:
        raise InvalidRequestError(
            _("The end must be in the future, and at most %(days)s days away.", days=LONGEST.days)
        )
