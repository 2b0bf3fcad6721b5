"""The desired state of an edge that stops while idle: one machine, which is stopped while no server needs it.

The desired state is one record. Each change is one conditional write, and only the function that wins the write starts
or stops the machine. The record does not say how the machine is: the edge's own reports say whether it runs.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

from hubless.domain.values import value

RETRY_START_AFTER = timedelta(seconds=15)  # until then, other functions trust that the last start reached EC2
RETRY_STOP_FOR = timedelta(
    minutes=5
)  # the sweep repeats a stop for this long: the function that decided it may have crashed


class EdgePower(StrEnum):
    """What the edge's machine should do; the values are the stored ones of version 1."""

    RUNNING = "up"
    IDLE = "up-for-now"  # it runs and nothing needs it: the idle timeout counts
    STOPPED = "asleep"


@value
class DesiredEdgeState:
    """What the edge's machine should do, and since when; with `RUNNING`, when it was last asked to start."""

    power: EdgePower
    since: datetime


INITIAL_STATE = DesiredEdgeState(EdgePower.RUNNING, datetime(1970, 1, 1, tzinfo=UTC))  # before the first write


def when_needed(desired: DesiredEdgeState, now: datetime, *, lives: bool) -> DesiredEdgeState | None:
    """Return the state to write before the machine is started; None when it runs, or was asked to start just now."""
    if desired.power is EdgePower.STOPPED:
        return DesiredEdgeState(EdgePower.RUNNING, now)
    return None if lives or was_just_called(desired, now) else DesiredEdgeState(EdgePower.RUNNING, now)


def was_just_called(desired: DesiredEdgeState, now: datetime) -> bool:
    """Say whether a caller has asked for the machine a moment ago, so that others need not."""
    return desired.power is EdgePower.RUNNING and now - desired.since < RETRY_START_AFTER


def when_kept(desired: DesiredEdgeState, now: datetime) -> DesiredEdgeState | None:
    """Return the state to write when the edge runs and is needed; None when the record says so already."""
    return DesiredEdgeState(EdgePower.RUNNING, now) if desired.power is EdgePower.IDLE else None


def when_unneeded(desired: DesiredEdgeState, now: datetime, idle_timeout: timedelta) -> DesiredEdgeState | None:
    """Return the state to write when nothing needs the edge; None while nothing changes."""
    if desired.power is EdgePower.RUNNING:
        return DesiredEdgeState(EdgePower.IDLE, now)
    if desired.power is EdgePower.IDLE and now - desired.since >= idle_timeout:
        return DesiredEdgeState(EdgePower.STOPPED, now)
    return None


def should_stop(desired: DesiredEdgeState, now: datetime, *, lives: bool) -> bool:
    """Say whether to stop the machine (again): the function that decided it may have crashed, or EC2 refused."""
    return desired.power is EdgePower.STOPPED and (lives or now - desired.since < RETRY_STOP_FOR)
