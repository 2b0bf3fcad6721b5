"""No metrics, for one machine: `/hub/metrics` reads its numbers from the store."""

from datetime import timedelta

from hubless.ports.metrics import Metric


class NullMetrics:
    """Discards every measurement."""

    def count(self, metric: Metric, value: float = 1, *, outcome: str = "") -> None: ...

    def duration(self, metric: Metric, took: timedelta) -> None: ...
