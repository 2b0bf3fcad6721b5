"""The log of uptime: which sweeps note, and by which deadlines and idleness are judged (ADR 66)."""

import logging
from datetime import datetime, timedelta

from hubless.domain import lifecycle
from hubless.domain.downtime import Uptimes
from hubless.domain.errors import StoreConflictError
from hubless.domain.lifecycle import Server
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.sweeps import SweepStore
from hubless.services.routing import Routing

logger = logging.getLogger(__name__)


@value
class UptimeLog:
    """Notes when the hub and its edges are up."""

    sweeps: SweepStore
    routing: Routing
    clock: Clock
    longest_pause: timedelta  # between two sweeps, that is no downtime
    edges_see_traffic: bool = True  # a load balancer reports nothing, so that nothing is missed without it

    def note(self, *, is_start: bool = False, took: timedelta = timedelta()) -> Uptimes:
        """Note that the hub is up now, and its edges if they report; return what is known.

        Args:
            is_start: whether the process is new, and may have missed reports for however short a time.
            took: how long the caller has worked since it noted this last, by a clock that nobody sets.
        """
        before, now = self.sweeps.uptimes(), self.clock.now()
        edges_report = not self.edges_see_traffic or self.routing.has_edge()
        after = before.seen(now, self.longest_pause + took, edges_report=edges_report, is_start=is_start)
        try:
            self.sweeps.set_uptimes(before, after)
        except StoreConflictError:  # another sweep has just noted it
            return self.sweeps.uptimes()
        if after.hub.downtimes != before.hub.downtimes and before.hub.up_at is not None and not is_start:
            logger.warning(
                "the hub was down for %s, or its clock jumped: this time counts for no idleness and no deadline",
                now - before.hub.up_at,
            )
        return after

    def sure_at(self, uptimes: Uptimes, now: datetime) -> datetime:
        """Return the instant by which to remove what has expired, or grown too old, at *now*."""
        return uptimes.sure_at(now, self.longest_pause)

    def is_overdue(self, server: Server, now: datetime) -> bool:
        """Say whether *server* has been in its state for longer than its deadline allows, without downtimes."""
        if not lifecycle.is_overdue(server, now):
            return False
        down = self.sweeps.uptimes().hub.down_between(server.entered_at, now, self.longest_pause)
        return lifecycle.is_overdue(server, now - down)
