"""The child process of the edge: runs the agent, and through it HAProxy."""

import logging
import signal
import threading
from pathlib import Path

from edge_proxy.agent import Agent
from edge_proxy.errors import EdgeError
from edge_proxy.haproxy_config import EdgeConfiguration, UnixSocket
from edge_proxy.signals import on_signals
from embedded import ipc
from embedded.ipc import Channel, ChildConfig
from hubless.bootstrap import machine
from hubless.bootstrap.machine import MachineHub
from hubless.settings import Settings

logger = logging.getLogger(__name__)
EDGE_ID = "local"
HEARTBEAT_SECONDS = 4.0  # each is a write, which wakes all who wait for one


def edge_configuration(settings: Settings, run_folder: Path) -> EdgeConfiguration:
    """Return what HAProxy needs to know."""
    return EdgeConfiguration(
        host=settings.hub.host,
        port=settings.hub.port,
        api=UnixSocket(run_folder / ipc.API_SOCKET),
        run_folder=run_folder,
        domain=settings.origins.domain,
        trusted_proxies=settings.hub.trusted_proxies,
        login_headers=tuple(name for proxy in settings.login_proxies for name in proxy.headers),
        unsigned_headers=tuple(
            name for proxy in settings.login_proxies if proxy.needs_trusted_network for name in proxy.headers
        ),
        public_url=settings.hub.public_url,
        connections_per_address=settings.hub.connections_per_address,
        websocket_timeout_seconds=int(settings.hub.websocket_timeout.total_seconds()),
    )


def report_seconds(settings: Settings) -> float:
    """Return the seconds between two reports of activity."""
    return settings.idle_policies.report_interval(MachineHub.longest_report_interval).total_seconds()


def run(channel: Channel, config: ChildConfig, settings: Settings) -> None:
    """Run the agent. On SIGTERM end HAProxy too; if the supervisor died, leave HAProxy for the next start."""
    routes, changed = machine.open_routes(settings)
    activity, clock = machine.open_activity(settings), machine.open_clock()
    writes = machine.open_write_watch(settings)

    def has_changed() -> bool:
        if found := changed():
            writes.seen()
        return found

    agent = Agent(
        edge_configuration(settings, Path(config.run_folder)),
        routes,
        edge_id=EDGE_ID,
        clock=clock.now,
        changed=has_changed,
        sleep=lambda ends: writes.sleep(beside=ends),
        heartbeat_seconds=HEARTBEAT_SECONDS,
        report_activity=activity.report_seen,
        activity_seconds=report_seconds(settings),
    )
    leaving, in_order = threading.Event(), threading.Event()

    def leave() -> None:
        leaving.set()
        writes.wake()

    def end() -> None:
        in_order.set()
        leave()

    on_signals((signal.SIGTERM,), end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ipc.listen(channel, lambda event: leave() if event is None else None)
    try:
        agent.start()
    except EdgeError as error:
        if config.first:
            raise
        # The hub runs, so it goes on with an edge that tries again: the API, servers and tokens are in order.
        logger.error("the edge cannot start HAProxy, and tries again: %s", error)  # noqa: TRY400 no bug
    channel.send_event(ipc.READY)
    agent.run(leaving)
    # A hub that was killed is started again. Until then HAProxy keeps its connections, WebSockets above all.
    if in_order.is_set():
        agent.close()


if __name__ == "__main__":
    ipc.main(run)
