"""Runs the sweep on a schedule."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from hubless.bootstrap import Hub

logger = logging.getLogger(__name__)


def handle(hub: Hub, event: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG001 a schedule says nothing
    """Sweep once and return what was done."""
    done = asdict(hub.reaping.sweep())
    if any(done[key] for key in ("reaped", "orphans", "stale_routes")):
        logger.info("sweep: %s", done)
    return done
