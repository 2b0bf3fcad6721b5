"""Whether the edge is to run: an edge that may sleep is one machine, which is stopped while no server needs it.

What is wanted of it is one record. Every change of it is one conditional write, and who wins that write is the one who calls
the machine. It says what was wanted last, and not how the machine is: whether the edge lives is known by its own reports.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

from hubless.domain.values import value

ASKED_AGAIN_AFTER = timedelta(
    seconds=15
)  # for so long whoever needs the edge trusts that somebody has called the machine
STOPPED_FOR_SURE = timedelta(
    minutes=5
)  # after which a stop that was decided has been carried out, or somebody will see the edge


class Wanted(StrEnum):
    """What is wanted of the edge."""

    UP = "up"
    UP_FOR_NOW = "up-for-now"  # nothing needs it: soon it may sleep
    ASLEEP = "asleep"


@value
class EdgeWish:
    """What is wanted of the edge, and since when; in `UP`, when the machine was last called."""

    wanted: Wanted
    since: datetime


FIRST = EdgeWish(Wanted.UP, datetime(1970, 1, 1, tzinfo=UTC))  # before anybody wished anything


def when_needed(wish: EdgeWish, now: datetime, *, lives: bool) -> EdgeWish | None:
    """Return what is to be wished by who calls the machine; None when it need not be called, or somebody just did."""
    if wish.wanted is Wanted.ASLEEP:
        return EdgeWish(Wanted.UP, now)
    was_just_called = wish.wanted is Wanted.UP and now - wish.since < ASKED_AGAIN_AFTER
    return None if lives or was_just_called else EdgeWish(Wanted.UP, now)


def when_kept(wish: EdgeWish, now: datetime) -> EdgeWish | None:
    """Return what is to be wished where the edge lives and is needed; None when that is wished already."""
    return EdgeWish(Wanted.UP, now) if wish.wanted is Wanted.UP_FOR_NOW else None


def when_unneeded(wish: EdgeWish, now: datetime, sleeps_after: timedelta) -> EdgeWish | None:
    """Return what is to be wished where nothing needs the edge; None when things stay as they are for now."""
    if wish.wanted is Wanted.UP:
        return EdgeWish(Wanted.UP_FOR_NOW, now)
    if wish.wanted is Wanted.UP_FOR_NOW and now - wish.since >= sleeps_after:
        return EdgeWish(Wanted.ASLEEP, now)
    return None


def is_to_be_stopped(wish: EdgeWish, now: datetime, *, lives: bool) -> bool:
    """Say whether the machine is to be told (again) to stop: who decided it may have died before, or been refused."""
    return wish.wanted is Wanted.ASLEEP and (lives or now - wish.since < STOPPED_FOR_SURE)
