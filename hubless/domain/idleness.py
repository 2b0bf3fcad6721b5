"""Whether a ready server is stopped because it was idle or too old: pure verdicts with one *now* per sweep (ADR 29)."""

from datetime import UTC, datetime, timedelta
from enum import Enum

from hubless.domain.downtime import Uptime
from hubless.domain.lifecycle import Server, State
from hubless.domain.stop_reasons import StopCause, StopReason
from hubless.domain.translatable import Message
from hubless.domain.values import value

LONGEST_INTERVAL = timedelta(minutes=5)  # between two looks at a server: JupyterHub's interval of activity reports
UNUSED_REPORT_INTERVAL = timedelta(minutes=30)  # of reports that count for nothing once the server is ready
SHORTEST_INTERVAL = timedelta(seconds=10)
LOOKS_PER_LIMIT = 3  # within the idle limit, so that one look may fail
LONGEST_AGE = timedelta(days=3650)  # no server lives so long: beyond it, a clock or an answer is wrong
LATEST = datetime(9999, 1, 1, tzinfo=UTC)  # when a server stops that is kept for ever
TOLERATED_SKEW = timedelta(minutes=1)  # between a server's clock and the times of its kernels


@value
class IdlePolicy:
    """How long a server may be idle and how old it may grow; None means no limit."""

    idle_after: timedelta | None = None
    max_age: timedelta | None = None

    def overridden_by(self, other: "IdlePolicy") -> "IdlePolicy":
        """Return these limits with each that *other* sets in its place."""
        return IdlePolicy(
            idle_after=self.idle_after if other.idle_after is None else other.idle_after,
            max_age=self.max_age if other.max_age is None else other.max_age,
        )

    @property
    def look_interval(self) -> timedelta:
        """Return how often to learn whether a server works, in whole seconds: it follows the idle limit."""
        if self.idle_after is None:
            return LONGEST_INTERVAL
        wanted = timedelta(seconds=int(self.idle_after.total_seconds() / LOOKS_PER_LIMIT))
        return max(SHORTEST_INTERVAL, min(LONGEST_INTERVAL, wanted))


@value
class ServerWork:
    """What a Jupyter server says of its kernels and terminals, by its own clock."""

    said_at: datetime
    busy_kernels: int = 0
    moved_at: tuple[datetime, ...] = ()  # the last activity of each kernel and terminal

    def last_worked_at(self, now: datetime, *, count_busy: bool) -> datetime | None:
        """Return when the server last worked, by the hub's clock at *now*; None if it never did.

        A kernel that computes silently works now, if *count_busy*. Times are read as ages, so that the clocks of hub
        and server need not agree. A time in the server's future proves nothing: its clock was set back since.
        """
        if count_busy and self.busy_kernels:
            return now
        ages = [self.said_at - at for at in self.moved_at if self.said_at - at >= -TOLERATED_SKEW]
        age = max(min(ages), timedelta()) if ages else LONGEST_AGE
        return now - age if age < LONGEST_AGE else None


class NoAnswer(Enum):
    """Why the hub does not know a server's kernels."""

    SILENT = "it did not answer"
    NOT_JUPYTER = "it has no kernels of Jupyter"
    NOT_ASKED = "there was no time to ask it"


@value
class Keep:
    """The server stays."""


@value
class Reap:
    """The server should be stopped; *why* completes the sentence «it …» in the log, *reason* is for its owner."""

    why: str
    reason: StopReason


@value
class NextStop:
    """When a ready server will be stopped if nothing happens, and why.

    The hub looks now and then, and asks the server first whether it works: so the stop is never earlier, and may be
    later.
    """

    at: datetime
    reason: StopReason

    @property
    def expectation(self) -> Message:
        """Return the limit behind it, for the owner."""
        return self.reason.expectation


def verdict(
    server: Server,
    idle_policy: IdlePolicy,
    now: datetime,
    *,
    worked_at: datetime | None = None,
    report_interval: timedelta = timedelta(),
    uptime: Uptime | None = None,
    aged_at: datetime | None = None,
) -> Keep | Reap:
    """Return whether a ready *server* stays at *now*. A server that reaches a limit exactly is stopped.

    Args:
        server: the record, with the last activity that was seen.
        idle_policy: the server's limits.
        now: by the hub's clock.
        worked_at: when its kernels or terminals last worked, by what it says.
        report_interval: how long ago activity may be that edges have not reported yet; the server stays for as long.
        uptime: when activity could be reported; other time counts for no idleness. None: always.
        aged_at: the instant by which its age counts; None for *now*.
    """
    if server.started_at is None:
        return Keep()
    if is_too_old(server, idle_policy, aged_at or now):
        return Reap(
            f"reached its maximum age of {idle_policy.max_age}", StopReason(StopCause.AGE, limit=idle_policy.max_age)
        )
    idle_at = _idle_at(server, idle_policy, worked_at, report_interval)
    if idle_at is not None and _counted(server, now, worked_at, report_interval, uptime) >= idle_at:
        return Reap(f"was idle for {idle_policy.idle_after}", StopReason(StopCause.IDLE, limit=idle_policy.idle_after))
    return Keep()


def next_stop(server: Server, idle_policy: IdlePolicy, *, report_interval: timedelta = timedelta()) -> NextStop | None:
    """Return when *server* will be stopped by its limits, if it is not used again; None if it is not, or not ready.

    Args:
        server: the record, with the last activity that was seen.
        idle_policy: the server's limits.
        report_interval: how long ago activity may be that edges have not reported yet.
    """
    if server.state is not State.READY or server.started_at is None:
        return None
    idle_at = _idle_at(server, idle_policy, None, report_interval)
    old_at = None if idle_policy.max_age is None else _later(server.started_at, idle_policy.max_age)
    if old_at is not None and (idle_at is None or old_at <= idle_at):
        return NextStop(old_at, StopReason(StopCause.AGE, limit=idle_policy.max_age))
    return None if idle_at is None else NextStop(idle_at, StopReason(StopCause.IDLE, limit=idle_policy.idle_after))


def frozen_stop(server: Server, frozen_after: timedelta | None) -> NextStop | None:
    """Return when a frozen *server* will be stopped if it stays so, however busy it was; None if it will not be."""
    at = None if server.frozen_at is None or frozen_after is None else _later(server.frozen_at, frozen_after)
    return None if at is None else NextStop(at, StopReason(StopCause.FROZEN, limit=frozen_after))


def kept_until(
    server: Server, idle_policy: IdlePolicy, extension: timedelta, now: datetime, *, report_interval: timedelta
) -> datetime | None:
    """Return until when *server* runs if its owner keeps it once more; None if that changes nothing.

    It is *extension* after the stop for idleness that is next, or after *now* if that is late already. The maximum age
    stays a limit.
    """
    following = next_stop(server, idle_policy, report_interval=report_interval)
    if following is None or following.reason.cause is not StopCause.IDLE or server.started_at is None:
        return None
    until = _later(max(following.at, now), extension)
    old_at = None if idle_policy.max_age is None else _later(server.started_at, idle_policy.max_age)
    return min((at for at in (until, old_at) if at is not None), default=LATEST)


def _idle_at(
    server: Server, idle_policy: IdlePolicy, worked_at: datetime | None, report_interval: timedelta
) -> datetime | None:
    """Return when a started *server* counts as idle; None if never."""
    if idle_policy.idle_after is None:
        return None
    idle_at = _later(_active_at(server, worked_at) + report_interval, idle_policy.idle_after)
    return idle_at if server.kept_until is None or idle_at is None else max(idle_at, server.kept_until)


def _active_at(server: Server, worked_at: datetime | None) -> datetime:
    """Return when a started *server* was active last."""
    return max(at for at in (server.started_at, server.last_activity_at, worked_at) if at is not None)


def _counted(
    server: Server, now: datetime, worked_at: datetime | None, report_interval: timedelta, uptime: Uptime | None
) -> datetime:
    """Return *now* without the time in which nobody could report that a started *server* was active."""
    if uptime is None:
        return now
    active_at = _active_at(server, worked_at)
    return now - uptime.down_between(active_at, now) if uptime.knows(now, report_interval) else active_at


def _later(at: datetime, by: timedelta) -> datetime | None:
    """Return *at* and *by* together; None beyond the calendar's end."""
    try:
        return at + by
    except OverflowError:
        return None


def is_too_old(server: Server, idle_policy: IdlePolicy, now: datetime) -> bool:
    """Say whether *server* has reached its maximum age, however busy it is."""
    return (
        server.started_at is not None
        and idle_policy.max_age is not None
        and now - server.started_at >= idle_policy.max_age
    )


def is_look_due(server: Server, idle_policy: IdlePolicy, now: datetime, looked_at: datetime | None) -> bool:
    """Say whether to ask a ready *server* for its work: its activity is old, and the last look is.

    Args:
        server: the record.
        idle_policy: the server's limits; a server that reaches the idle limit is always asked.
        now: by the hub's clock.
        looked_at: when it was last asked in this launch; a time after *now* means that the clock was set back.
    """
    if server.started_at is None or is_too_old(server, idle_policy, now):
        return False
    if isinstance(verdict(server, idle_policy, now), Reap):
        return True
    interval = idle_policy.look_interval
    if now - (server.last_activity_at or server.started_at) < interval:
        return False
    return looked_at is None or looked_at > now or now - looked_at >= interval
