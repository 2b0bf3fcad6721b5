"""Servers: creating, starting, reading, editing, stopping, and following a start."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from functions.api import answers, bodies, wire
from functions.api.asking import Ask, Asking
from functions.api.jsontext import JSONResponse
from functions.api.openapi import Operation
from functions.api.routing import Router
from hubless.bootstrap.hub import Hub
from hubless.domain import lifecycle, names
from hubless.domain.errors import NotFoundError
from hubless.domain.lifecycle import INACTIVE, Server, State
from hubless.domain.users import User

router = Router()
ASK_AGAIN_MS = 3000  # milliseconds
KEEPALIVE = 8.0  # seconds, JupyterHub's
NEW_FORM = frozenset({"user_options", "display_name"})
PLAIN = {"Content-Type": "text/plain"}  # as it stands: with a charset it is another to who compares
_READ = Operation(("read:servers",), gives=answers.Server)
_CREATE = Operation(("start:servers",), takes=bodies.Anything, gives=answers.Server, status=201, also=(409,))
_START = Operation(("start:servers",), takes=bodies.Anything, status=202, also=(409, 429))
_EDIT = Operation(("start:servers",), takes=bodies.ServerChange, gives=answers.Server, also=(409,), needs_body=True)
_STOP = Operation(("delete:servers",), takes=bodies.Removal, status=204, or_accepted=True, also=(409,))
_FOLLOW = Operation(("read:servers",), gives=str, media="text/event-stream")


@router.get("/users/{name:segment}/server", _READ)
@router.get("/users/{name:segment}/servers/", _READ)
async def read_default(ask: Ask, name: str) -> Response:
    """Return the default server's model."""
    return _read(ask, name, "")


@router.get("/users/{name:segment}/servers/{server:segment}", _READ)
async def read_named(ask: Ask, name: str, server: str) -> Response:
    """Return a named server's model."""
    return _read(ask, name, server)


def _read(ask: Asking, name: str, server_name: str) -> Response:
    owner, server = ask.server(name, server_name, "read:servers")
    return JSONResponse(_model(ask, server, owner))


@router.put("/users/{name:segment}/server", _CREATE)
@router.put("/users/{name:segment}/servers/", _CREATE)
async def create_default(ask: Ask, name: str) -> Response:
    """Refuse: the default server is always there."""
    ask.user_with_server(name, "", "start:servers")
    raise HTTPException(409, f"{name} has a default server already")


@router.put("/users/{name:segment}/servers/{server:segment}", _CREATE)
async def create_named(ask: Ask, name: str, server: str, request: Request) -> Response:
    """Make a named server without starting it."""
    owner = ask.user_with_server(name, server, "start:servers")
    body = await _facts(request)
    made = ask.hub.spawning.create(owner, server, display_name=body.display_name, user_options=body.user_options)
    return JSONResponse(_model(ask, made, owner), 201)


@router.post("/users/{name:segment}/server", _START)
@router.post("/users/{name:segment}/servers/", _START)
async def start_default(ask: Ask, name: str, request: Request) -> Response:
    """Start the default server."""
    return await _start(ask, name, "", request)


@router.post("/users/{name:segment}/servers/{server:segment}", _START)
async def start_named(ask: Ask, name: str, server: str, request: Request) -> Response:
    """Start a named server, made where it is missing."""
    return await _start(ask, name, server, request)


async def _start(ask: Asking, name: str, server_name: str, request: Request) -> Response:
    owner = ask.user_with_server(name, server_name, "start:servers")
    facts = await _facts(request)
    known = ask.hub.servers.find(owner.id, server_name)
    if known is None or known.state not in lifecycle.PENDING_START:
        ask.hub.spawning.start(owner, server_name, user_options=facts.user_options, display_name=facts.display_name)
    return Response(status_code=202, headers=PLAIN)


async def _facts(request: Request) -> bodies.ServerStart:
    """Return what the body says of a server: in JupyterHub 6's form where it has one of its keys, all of it options else."""
    body = await bodies.raw_json(request)
    if isinstance(body, dict) and body and not NEW_FORM & body.keys():
        return bodies.ServerStart(user_options=body)
    return bodies.checked(body, bodies.ServerStart)


@router.patch("/users/{name:segment}/server", _EDIT)
@router.patch("/users/{name:segment}/servers/", _EDIT)
async def edit_default(ask: Ask, name: str, request: Request) -> Response:
    """Change what the default server is shown as or started with."""
    return await _edit(ask, name, "", request)


@router.patch("/users/{name:segment}/servers/{server:segment}", _EDIT)
async def edit_named(ask: Ask, name: str, server: str, request: Request) -> Response:
    """Rename a named server, or change what it is shown as or started with."""
    return await _edit(ask, name, server, request)


async def _edit(ask: Asking, name: str, server_name: str, request: Request) -> Response:
    owner, server = ask.server(name, server_name, "start:servers", change=True)
    body = await bodies.read(request, bodies.ServerChange)
    if not body.model_fields_set:
        raise HTTPException(400, "Nothing to change: give name, display_name or user_options")
    options = body.user_options if "user_options" in body.model_fields_set else None
    changed = ask.hub.spawning.edit(
        owner, server, name=body.name, display_name=body.display_name or None, user_options=options
    )
    return JSONResponse(_model(ask, changed, owner))


@router.delete("/users/{name:segment}/server", _STOP)
@router.delete("/users/{name:segment}/servers/", _STOP)
async def stop_default(ask: Ask, name: str, request: Request) -> Response:
    """Stop the default server."""
    return await _stop(ask, name, "", request)


@router.delete("/users/{name:segment}/servers/{server:segment}", _STOP)
async def stop_named(ask: Ask, name: str, server: str, request: Request) -> Response:
    """Stop a named server and, with `remove`, remove it."""
    return await _stop(ask, name, server, request)


async def _stop(ask: Asking, name: str, server_name: str, request: Request) -> Response:
    owner = ask.user_with_server(name, server_name, "delete:servers")
    body = await bodies.read(request, bodies.Removal)
    if server_name and not ask.hub.settings.servers.named_limit:
        raise HTTPException(400, "Named servers are not enabled.")
    if body.remove and not server_name:
        raise HTTPException(400, "Cannot delete the default server")
    try:
        server = ask.hub.spawning.find(owner, server_name)
    except NotFoundError:
        raise HTTPException(404, f"{name} has no server named '{server_name[:60]}'") from None
    out = ask.hub.stopping.request_until_done(server)
    if body.remove:
        out = await ask.hub.user_removal.wait_until_stopped(out)
        if out.state in INACTIVE:
            ask.hub.spawning.remove(out)
    return Response(status_code=204) if out.state in INACTIVE else Response(status_code=202, headers=PLAIN)


@router.get("/users/{name:segment}/server/progress", _FOLLOW)
@router.get("/users/{name:segment}/servers//progress")
async def follow_default(ask: Ask, name: str) -> Response:
    """Follow the default server's start."""
    return _follow(ask, name, "")


@router.get("/users/{name:segment}/servers/{server:segment}/progress", _FOLLOW)
async def follow_named(ask: Ask, name: str, server: str) -> Response:
    """Follow a named server's start."""
    return _follow(ask, name, server)


def _follow(ask: Asking, name: str, server_name: str) -> Response:
    owner, server = ask.server(name, server_name, "read:servers")
    if server.state in {State.STOPPED, State.STOPPING}:
        raise HTTPException(400, f"{owner.name}'s server is not starting")
    until = 0.0 if _comes_again(ask) else ask.hub.progress_seconds
    return StreamingResponse(
        _frames(ask.hub, owner, server, until),
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


def _comes_again(ask: Asking) -> bool:
    """Say whether who follows is best told what there is at once, and comes back for the rest.

    An EventSource does so by itself. Where an answer is only seen when it is whole, that is all of them; where a function is
    paid for as long as it answers, it is those of browsers: a class that waits would hold as many functions.
    """
    headers = ask.request.headers
    if ask.hub.progress_seconds is None or "text/event-stream" not in headers.get("accept", ""):
        return False
    return not ask.hub.streams or "sec-fetch-mode" in headers


async def _frames(hub: Hub, owner: User, server: Server, follow_seconds: float | None) -> AsyncIterator[str]:
    """Yield the events of one start as server-sent events, with blank lines where nothing happens for long."""
    silent = 0.0
    if follow_seconds is not None:
        yield f"retry: {ASK_AGAIN_MS}\n\n"
    async for event in events(hub, owner, server, follow_seconds):
        if event is None:
            silent += hub.progress_poll_seconds
            if silent < KEEPALIVE:
                continue
            yield "\n\n"
        else:
            yield f"data: {json.dumps(event)}\n\n"
        silent = 0.0


async def events(
    hub: Hub, owner: User, server: Server, follow_seconds: float | None
) -> AsyncIterator[dict[str, Any] | None]:
    """Yield what is new of a start, None where nothing is, until it is ready or has failed or *follow_seconds* are over."""
    launch_id, said, followed = server.launch_id, None, 0.0
    current: Server | None = server
    if server.state in lifecycle.PENDING_START and hub.streams:
        yield {"progress": 0, "message": "Server requested"}
    while True:
        if current is None or current.launch_id != launch_id or current.state in {*INACTIVE, State.STOPPING}:
            yield _failed(current if current and current.launch_id == launch_id else None)
            return
        if current.state is State.READY:
            yield _ready(hub, owner, current)
            return
        event = _step(hub, current)
        yield event if event != said else None
        if follow_seconds is not None and followed >= follow_seconds:
            return
        said, followed = event, followed + hub.progress_poll_seconds
        await asyncio.sleep(hub.progress_poll_seconds)
        current = hub.servers.get(server.id)


def _step(hub: Hub, server: Server) -> dict[str, Any]:
    percent, message = lifecycle.progress(server)
    if server.state is State.REQUESTED and (ahead := hub.spawning.position(server)):
        return {"progress": percent, "message": f"{ahead} servers are ahead of yours", "position": ahead}
    return {"progress": percent, "message": message}


def _ready(hub: Hub, owner: User, server: Server) -> dict[str, Any]:
    url = hub.origins.located(names.server_prefix(owner.name, server.name))
    return {
        "progress": 100,
        "ready": True,
        "message": f"Server ready at {url}",
        "html_message": f'Server ready at <a href="{url}">{url}</a>',
        "url": url,
    }


def _failed(server: Server | None) -> dict[str, Any]:
    why = (server.failure if server else None) or "the server was stopped"
    return {"progress": 100, "failed": True, "message": f"Spawn failed: {why}"}


def _model(ask: Asking, server: Server, owner: User) -> dict[str, Any]:
    return wire.server_model(server, owner, scopes=ask.known().scopes, origins=ask.hub.origins)
