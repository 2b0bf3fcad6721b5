"""Serves one request, and sends its answer part by part as the application makes it."""

import asyncio
import json
import logging
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from mangum.types import ASGI
from starlette.types import Message, Scope

from functions.api.gateway import adapter
from functions.api.stream.runtime import Invocation
from hubless.bootstrap.cloud import CloudHub

logger = logging.getLogger(__name__)

RESERVE = 3.0  # seconds before Lambda's time-out, for ending an answer in order
_LATE = {"status": 504, "message": "The hub was too slow. Try again in a moment."}


def stream(hub: CloudHub, event: Mapping[str, Any], invocation: Invocation) -> None:
    """Serve one request of a REST API (or of any other event that Mangum reads)."""
    web = adapter(hub)
    asked = web.infer(dict(event), invocation)  # type: ignore[arg-type]  # Mangum expects a LambdaContext
    seconds = invocation.get_remaining_time_in_millis() / 1000 - RESERVE
    _runner().run(_answer(web.app, asked.scope, asked.body, invocation, seconds))


async def _answer(app: ASGI, scope: Scope, body: bytes, invocation: Invocation, seconds: float) -> None:
    exchange = _Exchange(scope, body, invocation)
    task = asyncio.create_task(app(scope, exchange.receive, exchange.send))
    await asyncio.wait({task}, timeout=max(seconds, 0))
    if not task.done():
        logger.info("time-out of the function is near: answer ended")
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled() and (error := task.exception()):
        if not exchange.is_complete:
            raise error
        logger.error("the application failed after its answer was complete", exc_info=error)
    await exchange.complete()


class _Exchange:
    """The ASGI `receive` and `send` of one request."""

    def __init__(self, scope: Scope, body: bytes, invocation: Invocation) -> None:
        self._invocation, self._has_body = invocation, scope["method"] != "HEAD"
        self._request: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        self._closed = asyncio.Event()
        self.is_complete = False

    async def receive(self) -> Message:
        if self._request:
            return self._request.pop()
        await self._closed.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self._closed.is_set():
            return
        try:
            if message["type"] == "http.response.start":
                self._invocation.begin(message["status"], message.get("headers", ()))
            elif self._has_body:
                self._invocation.send(message.get("body", b""))
        except OSError:
            self._closed.set()  # the application receives `http.disconnect` and stops
        self.is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)

    async def complete(self) -> None:
        """Send 504 if the application did not answer in time."""
        if not self._invocation.is_begun:
            await self.send(
                {
                    "type": "http.response.start",
                    "status": _LATE["status"],
                    "headers": [(b"content-type", b"application/json")],
                }
            )
            await self.send({"type": "http.response.body", "body": json.dumps(_LATE).encode()})


@lru_cache(maxsize=1)
def _runner() -> asyncio.Runner:
    """Return one event loop for all requests: objects that the application keeps may belong to it."""
    return asyncio.Runner()
