"""The progress stream of a server's start, as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from functions.api.languages import language_of
from functions.api.start_steps import steps_view
from functions.api.translations import speaking, translated
from functions.api.watchers import Watchers, is_over_within
from hubless.bootstrap.hub import Hub
from hubless.domain import lifecycle, names
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.languages import ENGLISH
from hubless.domain.leases import Lease
from hubless.domain.lifecycle import INACTIVE, Server, State
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value

RETRY_MS, LONGEST_RETRY_MS = 3_000, 15_000  # milliseconds after which an EventSource asks again
RETRY_MS_PER_PLACE = 10  # in the queue: whose turn is far asks less often, so that no queue takes the API's rate
KEEPALIVE = 8.0  # seconds, JupyterHub's
_SENTENCES = frozenset({"message", "html_message"})


def is_polled(hub: Hub, headers: Mapping[str, str]) -> bool:
    """Say whether a client gets the current event at once, and asks again for the rest.

    An EventSource asks again by itself. Where answers arrive only when they are whole, all EventSources poll. Where a
    function is paid for as long as it answers, those of browsers poll: otherwise a class that waits would hold as
    many functions.
    """
    if hub.progress_seconds is None or "text/event-stream" not in headers.get("accept", ""):
        return False
    return not hub.streams or "sec-fetch-mode" in headers


@value
class Reader:
    """Who reads the progress of a start.

    A page gets its steps with the time that each took, in its reader's language, beside what JupyterHub's events have.
    """

    language: str = ENGLISH
    is_page: bool = False


A_PROGRAM = Reader()


def reader_of(request: Request) -> Reader:
    """Return who sends *request*: pages follow a start by an EventSource, which can log in by a cookie alone."""
    is_page = "cookie" in request.headers and "text/event-stream" in request.headers.get("accept", "")
    return Reader(language_of(request), is_page=True) if is_page else A_PROGRAM


class _Followed(StreamingResponse):
    """A stream that gives its lease back however it ends, also when the client hangs up or the process ends."""

    def __init__(
        self,
        hub: Hub,
        watchers: Watchers,
        lease: Lease | None,
        frames_until: Callable[[asyncio.Event], AsyncIterator[str]],
    ) -> None:
        super().__init__(
            (), headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        )
        self._hub, self._watchers, self._lease, self._frames_until = hub, watchers, lease, frames_until

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._watchers.told_of_the_end() as end:
                self.body_iterator = self._frames_until(end)
                await super().__call__(scope, receive, send)
        finally:
            if self._lease is not None:
                with suppress(StoreUnavailableError):  # then the lease ends by itself
                    self._hub.following.end(self._lease)


def progress_response(request: Request, hub: Hub, owner: User, server: Server) -> Response:
    """Return the stream of a start's progress for whoever sends *request*.

    While a start has as many followers as settings allow, one more gets the current event at once and asks again, as
    a client that polls does.
    """
    is_followed = server.state in lifecycle.PENDING_START and not is_polled(hub, request.headers)
    lease = hub.following.begin(owner) if is_followed else None
    until = hub.progress_seconds if lease is not None else 0.0
    watchers: Watchers = request.app.state.watchers
    return _Followed(hub, watchers, lease, partial(frames, hub, owner, server, until, reader_of(request)))


async def frames(
    hub: Hub, owner: User, server: Server, follow_seconds: float | None, reader: Reader, end: asyncio.Event
) -> AsyncIterator[str]:
    """Yield the events of one start as server-sent events, and blank lines during long silence.

    When the process ends, which sets *end*, the last event says when to ask the next one.
    """
    silent = 0.0
    if follow_seconds is not None:
        yield f"retry: {RETRY_MS}\n\n"
    async for event in events(hub, owner, server, follow_seconds, end, is_page=reader.is_page):
        if event is None:
            silent += hub.progress_poll_seconds
            if silent < KEEPALIVE:
                continue
            yield "\n\n"
        else:
            if follow_seconds is not None and "position" in event:
                yield f"retry: {_retry_ms(event['position'])}\n\n"
            yield f"data: {json.dumps(_spoken(event, reader.language))}\n\n"
        silent = 0.0
    if end.is_set() and follow_seconds is None:  # others know it already
        yield f"retry: {RETRY_MS}\n\n"


def _spoken(event: dict[str, Any], language: str) -> dict[str, Any]:
    with speaking(language):
        spoken = {name: translated(said) if name in _SENTENCES else said for name, said in event.items()}
        if "steps" in event:
            spoken["steps"] = [[translated(said) for said in step] for step in event["steps"]]
        return spoken


def _retry_ms(ahead: int) -> int:
    return min(max(RETRY_MS, ahead * RETRY_MS_PER_PLACE), LONGEST_RETRY_MS)


async def events(
    hub: Hub, owner: User, server: Server, follow_seconds: float | None, end: asyncio.Event, *, is_page: bool = False
) -> AsyncIterator[dict[str, Any] | None]:
    """Yield each new event of a start, with its steps if *is_page*, and None when nothing is new.

    They end when the server is ready or has failed, after *follow_seconds* (None for no limit), or when *end* is set.
    """
    launch_id, sent, followed = server.launch_id, None, 0.0
    usually = hub.spawning.usual_time(server) if is_page else None
    current: Server | None = server
    if server.state in lifecycle.PENDING_START and hub.streams:
        yield {"progress": 0, "message": _("Server requested")}
    while True:
        if current is None or current.launch_id != launch_id or current.state in {*INACTIVE, State.STOPPING}:
            yield _failed(current if current and current.launch_id == launch_id else None)
            return
        if current.state is State.READY:
            yield _ready(hub, owner, current)
            return
        event, lasted = _step(hub, current), {}
        if is_page:
            view = steps_view(current, hub.clock.now(), usually)
            lasted = {"seconds": view.pop("seconds")}  # that this grows is no news
            event |= view
        yield event | lasted if event != sent else None
        if follow_seconds is not None and followed >= follow_seconds:
            return
        sent, followed = event, followed + hub.progress_poll_seconds
        if await is_over_within(hub.progress_poll_seconds, end):
            return
        current = hub.servers.get(server.id)


def _step(hub: Hub, server: Server) -> dict[str, Any]:
    found = hub.spawning.progress(server)
    event: dict[str, Any] = {"progress": found.percent, "message": found.sentence}
    if found.is_held:
        event["held"] = True
    return event | {"position": found.ahead} if found.ahead else event


def _ready(hub: Hub, owner: User, server: Server) -> dict[str, Any]:
    url = hub.origins.link_to(names.server_prefix(owner.name, server.name))
    return {
        "progress": 100,
        "ready": True,
        "message": _("Server ready at %(url)s", url=url),
        "html_message": _("Server ready at %(url)s", url=f'<a href="{url}">{url}</a>'),
        "url": url,
    }


def _failed(server: Server | None) -> dict[str, Any]:
    why = (server.failure if server else None) or _("the server was stopped")
    return {"progress": 100, "failed": True, "message": _("Spawn failed: %(why)s", why=why)}
