"""Servers: creating, starting, reading, editing, stopping, and the progress stream."""

import asyncio
from typing import Annotated, Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import request_schemas as requests
from functions.api import response_schemas as schemas
from functions.api import serializers
from functions.api.auth.acts import record_of_server
from functions.api.auth.authentication import CurrentActor
from functions.api.auth.refreshing import require_fresh_login
from functions.api.auth.scope_checks import owner_in_path
from functions.api.dependencies import Keeping, Origins, Servers, Spawning, Stopping, UserRemoval, WholeHub
from functions.api.json_codec import JSONResponse
from functions.api.progress import progress_response
from functions.api.routers import api_router, content, problems
from functions.api.watchers import Watchers
from hubless.domain import lifecycle
from hubless.domain.audit import Act
from hubless.domain.errors import NotFoundError
from hubless.domain.lifecycle import INACTIVE, Server, State
from hubless.domain.stop_reasons import asked_by
from hubless.domain.users import User

router = api_router("/users", tag="servers")
PLAIN = {"Content-Type": "text/plain"}  # exactly JupyterHub's: clients compare it, so it must have no charset
Reader = Annotated[User, owner_in_path("read:servers")]
Starter = Annotated[User, owner_in_path("start:servers")]
Stopper = Annotated[User, owner_in_path("delete:servers")]
_STARTED: Any = {201: {"content": {"text/plain": {}}}, **problems(409, 413, 429, 500)}
_DEFAULT, _EMPTY_NAME, _NAMED = (
    "/{name:segment}/server",
    "/{name:segment}/servers/",
    "/{name:segment}/servers/{server:segment}",
)


@router.get(_DEFAULT, response_model=schemas.Server)
@router.get(_EMPTY_NAME, response_model=schemas.Server)
@router.get(_NAMED, response_model=schemas.Server)
async def read_server(
    request: Request, owner: Reader, actor: CurrentActor, spawning: Spawning, origins: Origins
) -> Response:
    """Return a server's model; without a name in the path the default server's."""
    server = _found(owner, _name(request), spawning.find)
    return JSONResponse(serializers.server_model(server, owner, scopes=actor.scopes, origins=origins))


@router.put(_DEFAULT, status_code=201, response_model=schemas.Server, responses=problems(409, 413))
@router.put(_EMPTY_NAME, status_code=201, response_model=schemas.Server, responses=problems(409, 413))
async def create_default(owner: Starter) -> Response:
    """Refuse: the default server is always there."""
    raise HTTPException(409, f"{owner.name} has a default server already")


@router.put(_NAMED, status_code=201, response_model=schemas.Server, responses=problems(409, 413))
async def create_named(
    request: Request,
    server: str,
    owner: Starter,
    actor: CurrentActor,
    spawning: Spawning,
    origins: Origins,
    body: requests.ServerStart | None = None,
) -> Response:
    """Create a named server without starting it."""
    wanted = body or requests.ServerStart()
    made = spawning.create(owner, server, display_name=wanted.display_name, user_options=wanted.user_options)
    record_of_server(request, Act.SERVER_CHANGED, owner, made.name)
    return JSONResponse(serializers.server_model(made, owner, scopes=actor.scopes, origins=origins), 201)


@router.post(_DEFAULT, status_code=202, response_class=Response, responses=_STARTED)
@router.post(_EMPTY_NAME, status_code=202, response_class=Response, responses=_STARTED)
@router.post(_NAMED, status_code=202, response_class=Response, responses=_STARTED)
async def start_server(
    request: Request,
    owner: Starter,
    actor: CurrentActor,
    servers: Servers,
    spawning: Spawning,
    hub: WholeHub,
    body: requests.ServerStart | None = None,
) -> Response:
    """Start a server. Create a named server that does not exist.

    As on JupyterHub, the answer is 201 when the server is ready soon, and 202 while it starts.
    """
    name, wanted = _name(request), body or requests.ServerStart()
    known = servers.find(owner.id, name)
    if known is not None and known.state in lifecycle.PENDING_START:
        return Response(status_code=202, headers=PLAIN)
    await require_fresh_login(hub, actor, owner, before_start=True)
    asked = spawning.start(owner, name, user_options=wanted.user_options, display_name=wanted.display_name)
    record_of_server(request, Act.SERVER_STARTED, owner, name)
    out = await _settled(request, hub, asked, lifecycle.PENDING)
    if out.failure and out.launch_id == asked.launch_id:  # also while what is left of it ends
        raise HTTPException(500, out.failure)
    return Response(status_code=201 if out.state is State.READY else 202, headers=PLAIN)


@router.patch(_DEFAULT, response_model=schemas.Server, responses=problems(409, 413))
@router.patch(_EMPTY_NAME, response_model=schemas.Server, responses=problems(409, 413))
@router.patch(_NAMED, response_model=schemas.Server, responses=problems(409, 413))
async def edit_server(
    request: Request,
    owner: Starter,
    actor: CurrentActor,
    spawning: Spawning,
    origins: Origins,
    body: requests.ServerChange,
) -> Response:
    """Rename a named server, or change its display name or options."""
    server = _found(owner, _name(request), spawning.stored)
    if not body.model_fields_set:
        raise HTTPException(400, "Nothing to change: give name, display_name or user_options")
    options = body.user_options if "user_options" in body.model_fields_set else None
    changed = spawning.edit(owner, server, name=body.name, display_name=body.display_name or None, user_options=options)
    record_of_server(request, Act.SERVER_CHANGED, owner, changed.name)
    return JSONResponse(serializers.server_model(changed, owner, scopes=actor.scopes, origins=origins))


_STOPPED: Any = {202: {"content": {"text/plain": {}}}, **problems(409, 413)}


@router.delete(_DEFAULT, status_code=204, responses=_STOPPED)
@router.delete(_EMPTY_NAME, status_code=204, responses=_STOPPED)
@router.delete(_NAMED, status_code=204, responses=_STOPPED)
async def stop_server(
    request: Request,
    owner: Stopper,
    actor: CurrentActor,
    hub: WholeHub,
    spawning: Spawning,
    stopping: Stopping,
    removal: UserRemoval,
    body: requests.Removal | None = None,
) -> Response:
    """Stop a server. With `remove` in the body, remove a named server too.

    As on JupyterHub, the answer is 204 when the server has stopped soon, and 202 while it stops.
    """
    name, removes = _name(request), body is not None and body.remove
    if name and not hub.settings.servers.named_limit:
        raise HTTPException(400, "Named servers are not enabled.")
    if removes and not name:
        raise HTTPException(400, "Cannot delete the default server")
    found = _found(owner, name, spawning.find)
    out = stopping.request_until_done(found, asked_by(actor.name, owner.name, is_service=actor.service is not None))
    record_of_server(request, Act.SERVER_STOPPED, owner, name)
    if found.state is not State.STOPPING:  # otherwise JupyterHub does not wait either
        out = await _settled(request, hub, out, frozenset({State.STOPPING}))
    if removes:
        out = await removal.wait_until_stopped(out)
        if out.state in INACTIVE:
            spawning.remove(out)
            record_of_server(request, Act.SERVER_REMOVED, owner, name)
    return Response(status_code=204) if out.state in INACTIVE else Response(status_code=202, headers=PLAIN)


@router.post("/{name:segment}/server/keep-running", response_model=schemas.Kept, responses=problems(409))
@router.post(
    "/{name:segment}/servers/{server:segment}/keep-running", response_model=schemas.Kept, responses=problems(409)
)
async def keep_running(request: Request, owner: Starter, spawning: Spawning, keeping: Keeping) -> Response:
    """Put off the stop of a server that is idle, as often as settings allow. JupyterHub has no such path."""
    kept = keeping.keep(owner, _found(owner, _name(request), spawning.find))
    return JSONResponse(
        {"kept_until": serializers.instant(kept.kept_until), "times_left": max(0, keeping.most - kept.times_kept)}
    )


_EVENTS = content("text/event-stream")


@router.get("/{name:segment}/server/progress", response_class=Response, responses=_EVENTS)
@router.get("/{name:segment}/servers//progress", include_in_schema=False)
@router.get("/{name:segment}/servers/{server:segment}/progress", response_class=Response, responses=_EVENTS)
async def follow_start(request: Request, owner: Reader, spawning: Spawning, hub: WholeHub) -> Response:
    """Stream the progress of a server's start."""
    server = _found(owner, _name(request), spawning.find)
    if server.state in {State.STOPPED, State.STOPPING}:
        raise HTTPException(400, f"{owner.name}'s server is not starting")
    return progress_response(request, hub, owner, server)


def _name(request: Request) -> str:
    """Return the server's name in the path; "" is the default server's."""
    name: str = request.path_params.get("server", "")
    return name


async def _settled(request: Request, hub: WholeHub, server: Server, pending: frozenset[State]) -> Server:
    """Return *server* as soon as it is in none of the states *pending*.

    Return it as it is when the wait has been too long, or the process ends: then the next one settles it.
    """
    watchers: Watchers = request.app.state.watchers
    current, waited = server, 0.0
    while current.state in pending and waited < hub.slow_call_seconds and not watchers.has_ended:
        await asyncio.sleep(hub.progress_poll_seconds)
        waited += hub.progress_poll_seconds
        found = hub.servers.get(server.id)
        if found is None:
            break
        current = found
    return current


def _found(owner: User, name: str, look_up: Any) -> Server:
    try:
        server: Server = look_up(owner, name)
    except NotFoundError:
        raise HTTPException(404, f"{owner.name} has no server named '{name[:60]}'") from None
    return server
