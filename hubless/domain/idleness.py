"""Whether a ready server is stopped because it was idle or too old: pure verdicts with one *now* per sweep (ADR 29)."""

from datetime import datetime, timedelta
from enum import Enum

from hubless.domain.lifecycle import Server
from hubless.domain.values import value

LONGEST_INTERVAL = timedelta(minutes=5)  # between two looks at a server: JupyterHub's interval of activity reports
UNUSED_REPORT_INTERVAL = timedelta(minutes=30)  # of reports that count for nothing once the server is ready
SHORTEST_INTERVAL = timedelta(seconds=10)
LOOKS_PER_LIMIT = 3  # within the idle limit, so that one look may fail
LONGEST_AGE = timedelta(days=3650)  # no server lives so long: beyond it, a clock or an answer is wrong
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
    """The server should be stopped; *why* completes the sentence «it …» in the log."""

    why: str


def verdict(
    server: Server,
    idle_policy: IdlePolicy,
    now: datetime,
    *,
    worked_at: datetime | None = None,
    report_interval: timedelta = timedelta(),
) -> Keep | Reap:
    """Return whether a ready *server* stays at *now*. A server that reaches a limit exactly is stopped.

    Args:
        server: the record, with the last activity that was seen.
        idle_policy: the server's limits.
        now: by the hub's clock.
        worked_at: when its kernels or terminals last worked, by what it says.
        report_interval: how long ago activity may be that edges have not reported yet; the server stays for as long.
    """
    if server.started_at is None:
        return Keep()
    if is_too_old(server, idle_policy, now):
        return Reap(f"reached its maximum age of {idle_policy.max_age}")
    active_at = max(at for at in (server.started_at, server.last_activity_at, worked_at) if at is not None)
    if idle_policy.idle_after is not None and now - report_interval - active_at >= idle_policy.idle_after:
        return Reap(f"was idle for {idle_policy.idle_after}")
    return Keep()


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
