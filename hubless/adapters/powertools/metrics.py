"""Metrics of functions: CloudWatch's embedded metric format, one log line each, and `/hub/metrics` in the store."""

import logging
from datetime import timedelta

from aws_lambda_powertools.metrics import MetricUnit, single_metric

from hubless.domain import histograms
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.histograms import Histogram
from hubless.ports.metrics import HistogramStore, Metric

logger = logging.getLogger(__name__)
NAMESPACE = "hubless"


class EmfMetrics:
    """Writes the metrics of one hub."""

    def __init__(self, hub: str, store: HistogramStore) -> None:
        self._hub, self._store = hub, store

    def count(self, metric: Metric, value: float = 1, *, outcome: str = "") -> None:
        self._write(metric, MetricUnit.Count, value, outcome)

    def duration(self, metric: Metric, took: timedelta) -> None:
        self._write(metric, MetricUnit.Seconds, took.total_seconds(), "")

    def observe(self, histogram: Histogram, took: timedelta, *labels: str) -> None:
        """Add to the store at once: Lambda freezes a function after its answer. What is frequent is left out."""
        if histogram.name in histograms.FREQUENT:
            return
        try:
            self._store.add([histogram.counted(took, *labels)])
        except StoreUnavailableError as away:
            logger.warning("cannot write to the histogram %s: %s", histogram.name, away)

    def _write(self, metric: Metric, unit: MetricUnit, value: float, outcome: str) -> None:
        with single_metric(
            metric.value, unit, value, namespace=NAMESPACE, default_dimensions={"hub": self._hub}
        ) as written:
            if outcome:
                written.add_dimension("outcome", outcome)
