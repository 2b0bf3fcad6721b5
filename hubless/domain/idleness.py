"""When a running server has been alone long enough: pure verdicts with one *now* a sweep."""

from datetime import datetime, timedelta

from hubless.domain.lifecycle import Server
from hubless.domain.values import value


@value
class IdlePolicy:
    """How long a server may be idle and how old it may grow; None means for ever."""

    idle_after: timedelta | None = None
    max_age: timedelta | None = None

    def overridden_by(self, other: "IdlePolicy") -> "IdlePolicy":
        """Return these limits with each that *other* sets in its place."""
        return IdlePolicy(
            idle_after=self.idle_after if other.idle_after is None else other.idle_after,
            max_age=self.max_age if other.max_age is None else other.max_age,
        )


@value
class Keep:
    """The server may go on."""


@value
class Reap:
    """The server is to be stopped; *why* goes to the log and the audit trail."""

    why: str


def verdict(server: Server, idle_policy: IdlePolicy, now: datetime) -> Keep | Reap:
    """Say whether a ready *server* is to be stopped at *now*. At the limit counts as over it."""
    if server.started_at is None:
        return Keep()
    if idle_policy.max_age is not None and now - server.started_at >= idle_policy.max_age:
        return Reap(f"it ran for its maximum age of {idle_policy.max_age}")
    active_at = max(server.started_at, server.last_activity_at or server.started_at)
    if idle_policy.idle_after is not None and now - active_at >= idle_policy.idle_after:
        return Reap(f"it was idle for {idle_policy.idle_after}")
    return Keep()
