"""What becomes of the servers on an open home page, as server-sent events (HTML 9.2)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from functions.api import dependencies
from functions.api.auth.visitors import Person, user_of
from functions.api.pages.views import version_of
from functions.api.routers import page_router
from functions.api.watchers import Watchers, is_over_within
from hubless.bootstrap.hub import Hub
from hubless.domain.errors import StoreUnavailableError

router = page_router()
PATH = "/hub/home/changes"
RETRY_MS = 2_000  # after which a browser connects again
KEEPALIVE = 8.0  # seconds of silence that proxies see at most, as in streams of progress
_KIND = "text/event-stream"


def are_streamed(hub: Hub) -> bool:
    """Say whether home gets changes by a stream: not where answers arrive whole, or a function is paid for its time."""
    return hub.streams and hub.progress_seconds is None


async def _watchers(request: Request) -> Watchers:
    found: Watchers = request.app.state.watchers
    return found


@router.get("/home/changes")
async def changes(
    request: Request, who: Person, hub: dependencies.WholeHub, watchers: Annotated[Watchers, Depends(_watchers)]
) -> Response:
    """Stream the versions of the visitor's servers, by name, whenever one changes.

    The answer is 204 where there is no stream or no place: an EventSource then asks no more, and the page polls.
    """
    user_id = user_of(who).id
    if not are_streamed(hub) or not watchers.has_place(user_id):
        return Response(status_code=204)
    if request.method == "HEAD":
        return Response(media_type=_KIND)
    return _Watched(hub, watchers, user_id)


class _Watched(StreamingResponse):
    """A stream that takes its place when it is sent, and gives it back however it ends."""

    def __init__(self, hub: Hub, watchers: Watchers, user_id: str) -> None:
        super().__init__((), media_type=_KIND, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._hub, self._watchers, self._user_id = hub, watchers, user_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._watchers.place(self._user_id) as end:
            self.body_iterator = _until_unavailable(_frames(self._hub, self._user_id, end))
            await super().__call__(scope, receive, send)


async def _until_unavailable(frames: AsyncIterator[str]) -> AsyncIterator[str]:
    """Yield *frames* until the store does not answer: the browser connects again."""
    with suppress(StoreUnavailableError):
        async for frame in frames:
            yield frame


async def _frames(hub: Hub, user_id: str, end: asyncio.Event) -> AsyncIterator[str]:
    """Yield the versions of the user's servers when one has changed, and a comment in long silence.

    It ends after `hub.home_seconds`: the browser connects again, and shows that it is still logged in.
    """
    yield f"retry: {RETRY_MS}\n\n"
    told: dict[str, str] | None = None
    silent = followed = 0.0
    while True:
        present = {server.name: version_of(server) for server in hub.servers.of_owners([user_id])}
        if present != told:
            yield f"data: {json.dumps(present)}\n\n"
            told, silent = present, 0.0
        elif silent >= KEEPALIVE:
            yield ":\n\n"
            silent = 0.0
        if followed >= hub.home_seconds or await is_over_within(hub.home_poll_seconds, end):
            return
        silent += hub.home_poll_seconds
        followed += hub.home_poll_seconds
