"""Metrics of the hub, for its operators."""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from hubless.domain.histograms import BucketCount, Histogram


class Metric(StrEnum):
    """The metrics; each is a count unless its comment says otherwise."""

    SPAWNS = "Spawns"  # starts that ended, by `outcome`: ready, failed or stopped
    SPAWN_DURATION = "SpawnDuration"  # seconds from request to ready
    SERVER_CRASHES = "ServerCrashes"  # ready servers that ended although no one had stopped them
    THROTTLES = "Throttles"  # launches delayed by the launcher's limits
    SPARES_CLAIMED = "SparesClaimed"  # launches that got a spare instead of a task of their own
    WAITING_SPARES = "WaitingSpares"  # spares that wait for a launch now
    RUNNING_SERVERS = "RunningServers"  # servers now, those that start or stop included
    QUEUE_LENGTH = "QueueLength"  # messages now
    CULLS = "Culls"  # servers that the sweep stopped because they were idle or old
    ORPHANS = "Orphans"  # tasks without a live record that the sweep ended
    STALE_ROUTES = "StaleRoutes"  # routes without a live server that the sweep removed
    EDGE_STARTS = "EdgeStarts"  # starts of an edge that was stopped while idle
    EDGE_STOPS = "EdgeStops"  # stops of an idle edge
    EDGE_FAILURES = "EdgeStartStopFailures"  # its starts and stops that EC2 refused: no capacity, or no permission


class Metrics(Protocol):
    """Takes measurements; never raises, and waits for a store's write at most."""

    def count(self, metric: Metric, value: float = 1, *, outcome: str = "") -> None:
        """Add *value* to a metric, and to the metric of that *outcome* if there is one."""
        ...

    def duration(self, metric: Metric, took: timedelta) -> None:
        """Add a duration to a metric in seconds."""
        ...

    def observe(self, histogram: Histogram, took: timedelta, *labels: str) -> None:
        """Count a duration in a histogram of `/hub/metrics`, under these values of its labels."""
        ...


class HistogramStore(Protocol):
    """Keeps the histograms' counts of all processes."""

    def add(self, counts: Sequence[BucketCount]) -> None:
        """Add *counts*, one for each bucket, to what is stored. Two callers at once lose nothing.

        After a lost answer some may be counted twice or not at all: these numbers decide nothing.

        Raises:
            StoreUnavailableError: when the store cannot be reached.
        """
        ...

    def all(self) -> list[BucketCount]:
        """Return all counts, in no order.

        Raises:
            StoreUnavailableError: when the store cannot be reached.
        """
        ...
