"""Whether a ready server is stopped because it was idle or grew old: pure verdicts with one *now* per sweep."""

from datetime import datetime, timedelta

from hubless.domain.lifecycle import Server
from hubless.domain.values import value


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


@value
class Keep:
    """The server stays."""


@value
class Reap:
    """The server should be stopped; *why* completes the sentence «it …» in the log."""

    why: str


def verdict(server: Server, idle_policy: IdlePolicy, now: datetime) -> Keep | Reap:
    """Return whether a ready *server* stays at *now*. A server that reaches a limit exactly is stopped."""
    if server.started_at is None:
        return Keep()
    if idle_policy.max_age is not None and now - server.started_at >= idle_policy.max_age:
        return Reap(f"it reached its maximum age of {idle_policy.max_age}")
    active_at = max(server.started_at, server.last_activity_at or server.started_at)
    if idle_policy.idle_after is not None and now - active_at >= idle_policy.idle_after:
        return Reap(f"it was idle for {idle_policy.idle_after}")
    return Keep()
