"""The child that answers requests: uvicorn on the socket that the supervisor listens on."""

import asyncio
import contextlib
import socket
from types import FrameType

import uvicorn

from embedded import children
from embedded.children import Line, Order
from functions.api.app import create_app
from hubless import bootstrap
from hubless.settings import Settings

LAST_REQUESTS_SECONDS = 5
IDLE_CONNECTION_SECONDS = (
    75  # longer than the edge keeps one, so that it is never the API that hangs up
)
DATE_SECONDS = 1.0


class Server(uvicorn.Server):
    """Uvicorn that sleeps while nothing comes in, where it would look ten times a second whether it should end."""

    def __init__(self, config: uvicorn.Config, line: Line) -> None:
        super().__init__(config)
        self._line = line
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving = asyncio.Event()

    async def main_loop(self) -> None:
        """Serve until told to end; the tick only renews the Date header."""
        self._loop = asyncio.get_running_loop()
        children.listen(self._line, self._heard)
        self._line.say(children.READY)
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


def run(line: Line, order: Order, settings: Settings) -> None:
    """Serve until the supervisor says so or is gone."""
    config = uvicorn.Config(
        create_app(bootstrap.build(settings)),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips="*",  # only the edge reaches the socket, and it lets no header of a client's through
        timeout_keep_alive=IDLE_CONNECTION_SECONDS,
        timeout_graceful_shutdown=LAST_REQUESTS_SECONDS,
    )
    Server(config, line).run(sockets=[socket.socket(fileno=order.listener)])


if __name__ == "__main__":
    children.main(run)
