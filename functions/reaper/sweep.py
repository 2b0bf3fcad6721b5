"""Runs the sweep on a schedule.

A sweep that has no time for all says so (`is_incomplete`) and nothing more is done about it here: the place is in the store, and the
next run of the schedule, which comes within the minute, goes on from there. A message to ourselves would come a little
sooner, but could be lost, be doubled, and go on for ever.
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


# Kept back of the time that is left: a step that was begun is to end, and where we stopped is to be written.
RESERVE = timedelta(seconds=15)


def handle(hub: Hub, event: Mapping[str, Any], *, time_left: timedelta | None = None) -> dict[str, Any]:  # noqa: ARG001 a schedule says nothing
    """Sweep once and return what was done; *time_left* says when this run is ended by force, if it is."""
    until = None if time_left is None else hub.clock.now() + time_left - RESERVE
    sweep = hub.reaping.sweep(until)
    measure(hub.metrics, sweep)
    try:
        hub.metrics.count(Metric.QUEUE_LENGTH, hub.queue.depth())
    except StoreUnavailableError as away:  # what was done counts all the same
        logger.warning("the queue's length is not known: %s", away)
    done = asdict(sweep)
    if any(done[key] for key in ("reaped", "orphans", "stale_routes", "discarded", "is_incomplete")):
        logger.info("sweep: %s", done)
    return done


def measure(metrics: Metrics, sweep: SweepReport) -> None:
    """Tell the operators what a sweep saw and did; what it did not do is not told, as each metric costs by the hours it is told."""
    metrics.count(Metric.RUNNING_SERVERS, sweep.active)
    done = {Metric.CULLS: sweep.reaped, Metric.ORPHANS: sweep.orphans, Metric.STALE_ROUTES: sweep.stale_routes}
    for metric, times in done.items():
        if times:
            metrics.count(metric, times)
