"""The child that keeps the edge: the agent, and through it HAProxy."""

import signal
import threading
from pathlib import Path

from edge_proxy.agent import Agent
from edge_proxy.haproxy_config import EdgeConfiguration, UnixSocket
from edge_proxy.signals import on_signals
from embedded import ipc
from embedded.ipc import Channel, ChildConfig
from hubless.bootstrap import machine
from hubless.settings import Settings

EDGE_ID = "local"


def edge_configuration(settings: Settings, run_folder: Path) -> EdgeConfiguration:
    """Return what HAProxy needs to know."""
    return EdgeConfiguration(
        host=settings.hub.host,
        port=settings.hub.port,
        api=UnixSocket(run_folder / ipc.API_SOCKET),
        run_folder=run_folder,
        domain=settings.origins.domain,
        trusted_proxies=settings.hub.trusted_proxies,
        websocket_timeout_seconds=int(settings.hub.websocket_timeout.total_seconds()),
    )


def run(line: Channel, order: ChildConfig, settings: Settings) -> None:
    """Keep the edge until told to end in order; when the supervisor is gone, leave HAProxy to the next start."""
    routes, changed = machine.open_routes(settings)
    activity, clock = machine.open_activity(settings), machine.open_clock()
    agent = Agent(
        edge_configuration(settings, Path(order.run_folder)),
        routes,
        edge_id=EDGE_ID,
        clock=clock.now,
        changed=changed,
        report_activity=activity.report_seen,
    )
    leaving, in_order = threading.Event(), threading.Event()

    def end() -> None:
        in_order.set()
        leaving.set()

    on_signals((signal.SIGTERM,), end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ipc.listen(line, lambda word: leaving.set() if word is None else None)
    agent.start()
    line.send_event(ipc.READY)
    agent.run(leaving)
    # A hub that was killed comes back: what HAProxy carries meanwhile, WebSockets above all, goes on.
    if in_order.is_set():
        agent.close()


if __name__ == "__main__":
    ipc.main(run)
