"""Runs the sweep on a schedule."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from hubless.bootstrap.hub import Hub
from hubless.ports.metrics import Metric, Metrics
from hubless.services.reaping import Sweep

logger = logging.getLogger(__name__)


def handle(hub: Hub, event: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG001 a schedule says nothing
    """Sweep once and return what was done."""
    sweep = hub.reaping.sweep()
    measure(hub.metrics, sweep, hub.queue.depth())
    done = asdict(sweep)
    if any(done[key] for key in ("reaped", "orphans", "stale_routes")):
        logger.info("sweep: %s", done)
    return done


def measure(metrics: Metrics, sweep: Sweep, waiting: int) -> None:
    """Tell the operators what a sweep saw and did."""
    metrics.count(Metric.RUNNING_SERVERS, sweep.looked_at)
    metrics.count(Metric.QUEUE_LENGTH, waiting)
    metrics.count(Metric.CULLS, sweep.reaped)
    metrics.count(Metric.ORPHANS, sweep.orphans)
    metrics.count(Metric.STALE_ROUTES, sweep.stale_routes)
