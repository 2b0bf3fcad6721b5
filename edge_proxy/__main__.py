"""An edge by itself, in a container or on an instance: `python -m edge_proxy`, told by its environment (docs/edge.md).

SIGTERM has it leave in order, a second one at once. One that is killed leaves HAProxy, and the next one in the same folder
takes that over.
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
BAD_SETTINGS, CANNOT_RUN = 2, 1  # exit statuses


def main() -> int:
    """Run until told to leave; return the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = EdgeSettings.from_environment()
    except SettingsError as wrong:
        logger.error("%s", wrong)  # noqa: TRY400 a sentence, no trace
        return BAD_SETTINGS
    leaving, at_once = threading.Event(), threading.Event()
    on_signals((signal.SIGTERM, signal.SIGINT), leaving.set, at_once.set)
    try:
        agent = _agent(settings)
        agent.start()
    except EdgeError as why:
        logger.error("%s", why)  # noqa: TRY400 a sentence, no trace
        return CANNOT_RUN
    agent.run(leaving)
    logger.info("leaving: connections are kept for %g seconds", settings.drain_seconds)
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
