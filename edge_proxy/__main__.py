"""An edge in a container or on an instance: `python -m edge_proxy`, configured by its environment (docs/edge.md).

SIGTERM ends it in order, a second SIGTERM at once. SIGKILL leaves HAProxy running: the next agent in the same folder
adopts it.
"""

import logging
import secrets
import signal
import socket
import sys
import threading

from edge_proxy.agent import Agent
from edge_proxy.cloud_config import edge_configuration
from edge_proxy.errors import EdgeError
from edge_proxy.signals import on_signals
from hubless.bootstrap.edge import open_clock, open_routes
from hubless.settings.edge import EdgeSettings
from hubless.settings.types import SettingsError

logger = logging.getLogger("edge_proxy")
BAD_SETTINGS, CANNOT_RUN = 2, 1  # exit codes


def main() -> int:
    """Run until a signal ends it; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = EdgeSettings.from_environment()
    except SettingsError as error:
        logger.error("cannot start with this environment: %s", error)  # noqa: TRY400 a sentence, no trace
        return BAD_SETTINGS
    leaving, at_once = threading.Event(), threading.Event()
    on_signals((signal.SIGTERM, signal.SIGINT), leaving.set, at_once.set)
    try:
        agent = _agent(settings)
        agent.start()
    except EdgeError as error:
        logger.error("cannot start HAProxy: %s", error)  # noqa: TRY400 a sentence, no trace
        return CANNOT_RUN
    agent.run(leaving)
    logger.info("received a signal: leaving, open connections have %g seconds to end", settings.drain_seconds)
    agent.drain(settings.drain_seconds, at_once)
    agent.close()
    return 0


def _agent(settings: EdgeSettings) -> Agent:
    routes, report_activity = open_routes(settings.table, settings.region, settings.endpoint)
    return Agent(
        edge_configuration(settings),
        routes,
        edge_id=settings.id or f"{socket.gethostname()}-{secrets.token_hex(4)}",
        clock=open_clock().now,
        report_activity=report_activity,
        poll_seconds=settings.poll_seconds,
        heartbeat_seconds=settings.heartbeat_seconds,
        activity_seconds=settings.activity_seconds,
    )


if __name__ == "__main__":
    sys.exit(main())
