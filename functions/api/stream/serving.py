"""One request served so that its answer goes out as the application makes it."""

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

RESERVE = 3.0  # seconds before Lambda's own end, in which an answer is still brought to one
_LATE = {"status": 504, "message": "The hub was too slow. Try again in a moment."}


def stream(hub: CloudHub, event: Mapping[str, Any], invocation: Invocation) -> None:
    """Serve one request of a REST API (or of whatever else Mangum reads)."""
    web = adapter(hub)
    asked = web.infer(dict(event), invocation)  # type: ignore[arg-type]
    seconds = invocation.get_remaining_time_in_millis() / 1000 - RESERVE
    _runner().run(_answer(web.app, asked.scope, asked.body, invocation, seconds))


async def _answer(app: ASGI, scope: Scope, body: bytes, invocation: Invocation, seconds: float) -> None:
    answering = _Answering(scope, body, invocation)
    task = asyncio.create_task(app(scope, answering.receive, answering.send))
    await asyncio.wait({task}, timeout=max(seconds, 0))
    if not task.done():
        logger.info("an answer is ended before Lambda does it")
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled() and (error := task.exception()):
        if not answering.is_complete:
            raise error
        logger.error("an answer was whole, and what made it failed after that", exc_info=error)
    await answering.complete()


class _Answering:
    """What the application is given to ask by and to answer with (ASGI)."""

    def __init__(self, scope: Scope, body: bytes, invocation: Invocation) -> None:
        self._invocation, self._has_body = invocation, scope["method"] != "HEAD"
        self._asked: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        self._gone = asyncio.Event()
        self.is_complete = False

    async def receive(self) -> Message:
        if self._asked:
            return self._asked.pop()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self._gone.is_set():
            return
        try:
            if message["type"] == "http.response.start":
                self._invocation.begin(message["status"], message.get("headers", ()))
            elif self._has_body:
                self._invocation.send(message.get("body", b""))
        except OSError:
            self._gone.set()  # the application learns it where it asks for it, and stops
        self.is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)

    async def complete(self) -> None:
        """Answer something, where the application has had no time to."""
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
    """Return one event loop for all requests: what the application keeps may belong to it."""
    return asyncio.Runner()
