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


class EdgePower(StrEnum):
    """What is wanted of the edge."""

    RUNNING = "up"
    IDLE = "up-for-now"  # nothing needs it: soon it may sleep
    STOPPED = "asleep"


@value
class DesiredEdgeState:
    """What is wanted of the edge, and since when; in `UP`, when the machine was last called."""

    power: EdgePower
    since: datetime


INITIAL_STATE = DesiredEdgeState(EdgePower.RUNNING, datetime(1970, 1, 1, tzinfo=UTC))  # before anybody wished anything


def when_needed(wish: DesiredEdgeState, now: datetime, *, lives: bool) -> DesiredEdgeState | None:
    """Return what is to be wished by who calls the machine; None when it need not be called, or somebody just did."""
    if wish.power is EdgePower.STOPPED:
        return DesiredEdgeState(EdgePower.RUNNING, now)
    was_just_called = wish.power is EdgePower.RUNNING and now - wish.since < ASKED_AGAIN_AFTER
    return None if lives or was_just_called else DesiredEdgeState(EdgePower.RUNNING, now)


def when_kept(wish: DesiredEdgeState, now: datetime) -> DesiredEdgeState | None:
    """Return what is to be wished where the edge lives and is needed; None when that is wished already."""
    return DesiredEdgeState(EdgePower.RUNNING, now) if wish.power is EdgePower.IDLE else None


def when_unneeded(wish: DesiredEdgeState, now: datetime, idle_timeout: timedelta) -> DesiredEdgeState | None:
    """Return what is to be wished where nothing needs the edge; None when things stay as they are for now."""
    if wish.power is EdgePower.RUNNING:
        return DesiredEdgeState(EdgePower.IDLE, now)
    if wish.power is EdgePower.IDLE and now - wish.since >= idle_timeout:
        return DesiredEdgeState(EdgePower.STOPPED, now)
    return None


def should_stop(wish: DesiredEdgeState, now: datetime, *, lives: bool) -> bool:
    """Say whether the machine is to be told (again) to stop: who decided it may have died before, or been refused."""
    return wish.power is EdgePower.STOPPED and (lives or now - wish.since < STOPPED_FOR_SURE)
