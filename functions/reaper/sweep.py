"""Runs the sweep on a schedule.

A sweep without enough time reports `is_incomplete`. Its resume point is in the store, and the next scheduled run goes
on from there within a minute. A message to this function would start a little sooner, but may be lost or repeated, or
loop.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from hubless.bootstrap.hub import Hub
from hubless.domain.errors import StoreUnavailableError
from hubless.ports.metrics import Metric, Metrics
from hubless.services.reaping import SweepReport

logger = logging.getLogger(__name__)


# Reserved from the remaining time for the last step and for storing the resume point.
RESERVE = timedelta(seconds=15)


def handle(hub: Hub, event: Mapping[str, Any], *, time_left: timedelta | None = None) -> dict[str, Any]:  # noqa: ARG001 a schedule's event has no content
    """Sweep once and return the report. *time_left* is the time until Lambda kills this run; None for no limit."""
    until = None if time_left is None else hub.clock.now() + time_left - RESERVE
    sweep = hub.reaping.sweep(until)
    measure(hub.metrics, sweep)
    try:
        hub.metrics.count(Metric.QUEUE_LENGTH, hub.queue.depth())
    except StoreUnavailableError as away:  # the sweep itself succeeded
        logger.warning("cannot read queue depth: %s", away)
    done = asdict(sweep)
    if any(done[key] for key in ("reaped", "orphans", "stale_routes", "prepared", "discarded", "is_incomplete")):
        logger.info("sweep: %s", done)
    return done


def measure(metrics: Metrics, sweep: SweepReport) -> None:
    """Count what a sweep found and did. Zeros are not counted, because CloudWatch bills metrics by the hour of use."""
    metrics.count(Metric.RUNNING_SERVERS, sweep.active)
    if sweep.waiting_spares:
        metrics.count(Metric.WAITING_SPARES, sweep.waiting_spares)
    done = {Metric.CULLS: sweep.reaped, Metric.ORPHANS: sweep.orphans, Metric.STALE_ROUTES: sweep.stale_routes}
    for metric, times in done.items():
        if times:
            metrics.count(metric, times)
