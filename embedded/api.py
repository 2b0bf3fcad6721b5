"""The child process that answers requests: uvicorn on the socket that the supervisor listens on."""

import asyncio
import contextlib
import gc
import logging
import resource
import socket
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from edge_proxy.haproxy_config import API_PLACES
from embedded import ipc
from embedded.ipc import Channel, ChildConfig
from functions.api import rendering
from functions.api.app import create_app
from hubless.bootstrap import machine
from hubless.settings import Settings

LAST_REQUESTS_SECONDS = 5
ORPHANS_REQUESTS_SECONDS = 1  # when the supervisor died: the worker ends too, and the next hub waits for this process
IDLE_CONNECTION_SECONDS = 75  # longer than HAProxy keeps one, so that the API never closes one that HAProxy uses
DATE_SECONDS = 1.0
READ_SECONDS = 30.0  # in which a client must take what is buffered for it: 64 kB
OPEN_FILES = API_PLACES + 2_000  # a connection each for all that the edge lets in, the store, logs
_EDGE = "the edge"
_CLIENT_FAULTS = ("Unsupported upgrade request", "No supported WebSocket library", "Invalid HTTP request")


class Protocol(HttpToolsProtocol):
    """Uvicorn's connection that gives up a client which takes nothing of its answer; it would hold its place for ever.

    A buffered answer ends the request, so this is about answers that are longer than the buffers, and streams.
    """

    _giving_up: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """Stop writing while the buffer is full."""
        super().pause_writing()
        self._giving_up = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Write on once the client has taken what was buffered."""
        super().resume_writing()
        self._keep()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the request of a connection that has ended."""
        self._keep()
        super().connection_lost(exc)

    def _keep(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None


class Server(uvicorn.Server):
    """Uvicorn that sleeps while no request comes; the original wakes up ten times a second."""

    def __init__(
        self, config: uvicorn.Config, channel: Channel, each_second: Callable[[], None], at_end: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._channel, self._each_second, self._at_end = channel, each_second, at_end
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()

    async def main_loop(self) -> None:
        """Serve until the end is requested; the tick only renews the Date header, and writes metrics.

        Streams of open pages would last: they end at once, and other requests may still be answered.
        """
        self._loop = asyncio.get_running_loop()
        ipc.listen(self._channel, self._on_event)
        self._channel.send_event(ipc.READY)
        while not await self.on_tick(0):
            self._each_second()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), DATE_SECONDS)
        self._at_end()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in order on a signal."""
        super().handle_exit(sig, frame)
        self._wake()

    def _on_event(self, event: str | None) -> None:
        if event is None:
            self.config.timeout_graceful_shutdown = ORPHANS_REQUESTS_SECONDS
            self.should_exit = True
            self._wake()

    def _wake(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ending.set)


def is_worth_logging(record: logging.LogRecord) -> bool:
    """Return False for uvicorn's warnings about a client's request, which an operator can do nothing about.

    A notebook that is still open when its server stops tries its WebSocket again and again. For each attempt uvicorn
    advises to install a WebSocket library, which the hub does not need: HAProxy carries WebSockets to the servers.
    """
    return not record.getMessage().startswith(_CLIENT_FAULTS)


def with_client_address(app: ASGIApp, trusted_proxies: Iterable[str]) -> ASGIApp:
    """Return *app* with the client's address: the one that the last trusted proxy, or else the edge, received from.

    Only the edge reaches the API's socket, and it accepts forwarding headers from *trusted_proxies* alone. Clients can
    forge the left part of such a header, so this reads it from the right.
    """
    inner = ProxyHeadersMiddleware(app, [_EDGE, *trusted_proxies])  # type: ignore[arg-type]  # uvicorn has types of its own for ASGI

    async def named(scope: Any, receive: Any, send: Any) -> None:
        scope["client"] = (_EDGE, 0)  # a unix socket has no address
        await inner(scope, receive, send)

    return named


def allow_open_files(count: int = OPEN_FILES) -> None:
    """Raise this process's limit on open files to *count*, or as far as the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = [limit for limit in (count, hard) if limit != resource.RLIM_INFINITY]
    if soft != resource.RLIM_INFINITY and soft < min(limits):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(limits), hard))


def run(channel: Channel, child: ChildConfig, settings: Settings) -> None:
    """Serve until the supervisor ends this process, or has died."""
    allow_open_files()
    rendering.load()
    hub = machine.build(settings)
    web = create_app(hub)
    app = with_client_address(web, settings.hub.trusted_proxies)
    # These objects live as long as the process. Scanning them for garbage would delay requests by 30 ms each time.
    gc.collect()
    gc.freeze()
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # `with_client_address` does it
        timeout_keep_alive=IDLE_CONNECTION_SECONDS,
        timeout_graceful_shutdown=LAST_REQUESTS_SECONDS,
    )
    logging.getLogger("uvicorn.error").addFilter(is_worth_logging)
    server = Server(config, channel, hub.metrics.flush_when_due, web.state.watchers.end)
    with web.state.write_gate.brief():
        server.run(sockets=[socket.socket(fileno=child.listener)])
    hub.metrics.flush()


if __name__ == "__main__":
    ipc.main(run)
