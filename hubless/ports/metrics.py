"""Metrics of the hub, for its operators."""

from datetime import timedelta
from enum import StrEnum
from typing import Protocol


class Metric(StrEnum):
    """The metrics; each is a count unless its comment says otherwise."""

    SPAWNS = "Spawns"  # starts that ended, by `outcome`: ready, failed or stopped
    SPAWN_DURATION = "SpawnDuration"  # seconds from request to ready
    SERVER_CRASHES = "ServerCrashes"  # ready servers that ended although no one had stopped them
    THROTTLES = "Throttles"  # launches delayed by the launcher's limits
    RUNNING_SERVERS = "RunningServers"  # servers now, those that start or stop included
    QUEUE_LENGTH = "QueueLength"  # messages now
    CULLS = "Culls"  # servers that the sweep stopped because they were idle or old
    ORPHANS = "Orphans"  # tasks without a live record that the sweep ended
    STALE_ROUTES = "StaleRoutes"  # routes without a live server that the sweep removed
    EDGE_STARTS = "EdgeStarts"  # starts of an edge that was stopped while idle
    EDGE_STOPS = "EdgeStops"  # stops of an idle edge
    EDGE_FAILURES = "EdgeStartStopFailures"  # its starts and stops that EC2 refused: no capacity, or no permission


class Metrics(Protocol):
    """Takes measurements; never raises and never waits."""

    def count(self, metric: Metric, value: float = 1, *, outcome: str = "") -> None:
        """Add *value* to a metric, and to the metric of that *outcome* if there is one."""
        ...

    def duration(self, metric: Metric, took: timedelta) -> None:
        """Add a duration to a metric in seconds."""
        ...
