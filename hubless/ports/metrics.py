"""What is counted of the hub's work, for its operators."""

from datetime import timedelta
from enum import StrEnum
from typing import Protocol


class Metric(StrEnum):
    """What is counted; a count unless it says otherwise."""

    SPAWNS = "Spawns"  # launches that came to an end, by `outcome`: ready, failed or stopped
    SPAWN_DURATION = "SpawnDuration"  # seconds from being asked for to being ready
    SERVER_CRASHES = "ServerCrashes"  # servers that were ready and ended unasked
    THROTTLES = "Throttles"  # launches put off because the launcher's limits were reached
    RUNNING_SERVERS = "RunningServers"  # at the moment
    QUEUE_LENGTH = "QueueLength"  # messages at the moment
    CULLS = "Culls"  # servers stopped because they were idle or old
    ORPHANS = "Orphans"  # tasks without a record, ended
    STALE_ROUTES = "StaleRoutes"  # routes without a server, removed
    EDGE_STARTS = "EdgeStarts"  # starts of an edge that slept
    EDGE_STOPS = "EdgeStops"  # stops of an edge that nothing needed
    EDGE_FAILURES = "EdgeStartStopFailures"  # starts and stops of it that were refused, for want of room or of rights


class Metrics(Protocol):
    """Takes measurements; never fails and never waits."""

    def count(self, metric: Metric, value: float = 1, *, outcome: str = "") -> None:
        """Add a measurement; what has an *outcome* is counted by it too."""
        ...

    def duration(self, metric: Metric, took: timedelta) -> None:
        """Add a measurement of time."""
        ...
