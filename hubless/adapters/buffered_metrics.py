"""The metrics of one process of several on one machine: collected in memory, and added to the store now and then."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from hubless.domain.errors import StoreUnavailableError
from hubless.domain.histograms import BucketCount, Histogram, added_up
from hubless.ports.metrics import HistogramStore, Metric

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 5.0  # docs/compatibility.md names it
_ENOUGH = 1_000  # counts of one bucket each, which are then added up


class BufferedMetrics:
    """Counts durations. Its process calls `flush_when_due` again and again, and `flush` at its end.

    A write for each would be one for each request. What a killed process had not yet written is lost, and no more.
    """

    def __init__(self, store: HistogramStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._lock = threading.Lock()
        self._counts: list[BucketCount] = []
        self._due_at: float | None = None  # None while nothing is to be written

    def count(self, metric: Metric, value: float = 1, *, outcome: str = "") -> None:
        """Do nothing: `/hub/metrics` reads its other numbers from the store."""

    def duration(self, metric: Metric, took: timedelta) -> None:
        """Do nothing: histograms have the durations."""

    def observe(self, histogram: Histogram, took: timedelta, *labels: str) -> None:
        with self._lock:
            self._counts.append(histogram.counted(took, *labels))
            if len(self._counts) >= _ENOUGH:
                self._counts = added_up(self._counts)
            if self._due_at is None:
                self._due_at = self._clock() + FLUSH_SECONDS

    def flush_when_due(self) -> None:
        """Write what was counted, if some of it is `FLUSH_SECONDS` old. Cheap, if not."""
        if self._due_at is not None and self._clock() >= self._due_at:
            self.flush()

    def flush(self) -> None:
        """Write what was counted; keep it for the next time if the store cannot be reached."""
        with self._lock:
            taken, self._counts, self._due_at = added_up(self._counts), [], None
        if not taken:
            return
        try:
            self._store.add(taken)
        except StoreUnavailableError as away:
            logger.warning("cannot write the metrics, retry in %g s: %s", FLUSH_SECONDS, away)
            with self._lock:
                self._counts = [*taken, *self._counts]
                self._due_at = self._clock() + FLUSH_SECONDS
