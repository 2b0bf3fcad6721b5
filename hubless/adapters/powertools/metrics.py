"""Metrics in CloudWatch's embedded metric format: one log line each, without a network request."""

from datetime import timedelta

from aws_lambda_powertools.metrics import MetricUnit, single_metric

from hubless.ports.metrics import Metric

NAMESPACE = "hubless"


class EmfMetrics:
    """Writes the metrics of one hub."""

    def __init__(self, hub: str) -> None:
        self._hub = hub

    def count(self, metric: Metric, value: float = 1, *, outcome: str = "") -> None:
        self._write(metric, MetricUnit.Count, value, outcome)

    def duration(self, metric: Metric, took: timedelta) -> None:
        self._write(metric, MetricUnit.Seconds, took.total_seconds(), "")

    def _write(self, metric: Metric, unit: MetricUnit, value: float, outcome: str) -> None:
        with single_metric(
            metric.value, unit, value, namespace=NAMESPACE, default_dimensions={"hub": self._hub}
        ) as written:
            if outcome:
                written.add_dimension("outcome", outcome)
