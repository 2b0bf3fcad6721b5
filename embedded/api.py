"""The child that answers requests: uvicorn on the socket that the supervisor listens on."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import Iterable
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from embedded import ipc
from embedded.ipc import Channel, ChildConfig
from functions.api.app import create_app
from hubless.bootstrap import machine
from hubless.settings import Settings

LAST_REQUESTS_SECONDS = 5
IDLE_CONNECTION_SECONDS = 75  # longer than the edge keeps one, so that it is never the API that hangs up
DATE_SECONDS = 1.0
_EDGE = "the edge"


class Server(uvicorn.Server):
    """Uvicorn that sleeps while nothing comes in, where it would look ten times a second whether it should end."""

    def __init__(self, config: uvicorn.Config, line: Channel) -> None:
        super().__init__(config)
        self._line = line
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving = asyncio.Event()

    async def main_loop(self) -> None:
        """Serve until told to end; the tick only renews the Date header."""
        self._loop = asyncio.get_running_loop()
        ipc.listen(self._line, self._heard)
        self._line.send_event(ipc.READY)
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), DATE_SECONDS)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in order on a signal."""
        super().handle_exit(sig, frame)
        self._wake()

    def _heard(self, said: str | None) -> None:
        if said is None:
            self.should_exit = True
            self._wake()

    def _wake(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._leaving.set)


def with_client_address(app: ASGIApp, trusted_proxies: Iterable[str]) -> ASGIApp:
    """Return *app* told who asks: whoever the last proxy that settings trust, or else the edge, heard from.

    Only the edge reaches the API's socket, and it lets forwarding headers in from those proxies alone. What stands further
    left in such a header is anybody's claim, so it is read from the right.
    """
    inner = ProxyHeadersMiddleware(app, [_EDGE, *trusted_proxies])  # type: ignore[arg-type]

    async def named(scope: Any, receive: Any, send: Any) -> None:
        scope["client"] = (_EDGE, 0)  # a unix socket has no address
        await inner(scope, receive, send)

    return named


def run(line: Channel, order: ChildConfig, settings: Settings) -> None:
    """Serve until the supervisor says so or is gone."""
    app = with_client_address(create_app(machine.build(settings)), settings.hub.trusted_proxies)
    # What was made by now stays: looking it over for garbage would hold up requests by 30 ms each time.
    gc.collect()
    gc.freeze()
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # `with_client_address` does it
        timeout_keep_alive=IDLE_CONNECTION_SECONDS,
        timeout_graceful_shutdown=LAST_REQUESTS_SECONDS,
    )
    Server(config, line).run(sockets=[socket.socket(fileno=order.listener)])


if __name__ == "__main__":
    ipc.main(run)
