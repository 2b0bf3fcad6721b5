"""No metrics: where `/hub/metrics` tells of the store what there is to tell."""

from datetime import timedelta

from hubless.ports.metrics import Metric


class NullMetrics:
    """Forgets every measurement."""

    def count(self, metric: Metric, value: float = 1, *, outcome: str = "") -> None: ...

    def duration(self, metric: Metric, took: timedelta) -> None: ...
