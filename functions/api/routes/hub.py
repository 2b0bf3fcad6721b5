"""The hub itself: version, info, health, metrics, the sender of the request, and the routes."""

import sys
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Body
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from functions.api import request_schemas as requests
from functions.api import response_schemas as schemas
from functions.api import serializers
from functions.api.auth.authentication import MaybeActor
from functions.api.auth.scope_checks import holds_everywhere
from functions.api.dependencies import Origins, Roles, Routing, Servers, Services, Stopping, Users, WholeHub
from functions.api.json_codec import JSONResponse
from functions.api.paging import Part
from functions.api.prometheus_text import MEDIA_TYPE, gauge, histogram_lines
from functions.api.routers import api_router, content, problems
from functions.api.store_pool import has_long_store_calls
from functions.api.version import VERSION
from hubless.bootstrap.hub import Hub
from hubless.domain import names, scopes
from hubless.domain.lifecycle import ACTIVE, State
from hubless.domain.origins import host_of_route
from hubless.domain.scopes import Bearer
from hubless.domain.stop_reasons import StopCause, StopReason
from hubless.services.identity import Actor

router = api_router(tag="hub")
_PERIODS = {"24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
_PROXY = holds_everywhere("proxy")


@router.get("/user", response_model=schemas.Identity)
async def whoami(actor: MaybeActor, roles: Roles, origins: Origins, servers: Servers) -> Response:
    """Return the user or service that sends the request, with its present scopes."""
    if actor is None:
        raise HTTPException(403)
    model = _user_model(actor, roles, origins, servers) if actor.user else _service_model(actor, roles)
    return JSONResponse(
        model | {"token_id": actor.token_id, "session_id": actor.session_id, "scopes": actor.scopes.texts()}
    )


def _user_model(actor: Actor, roles: Roles, origins: Origins, servers: Servers) -> dict[str, Any]:
    """Return the model of the sending user: always the name, and the other fields that its scopes allow."""
    assert actor.user is not None  # noqa: S101 the caller checked it
    shown = actor.scopes | scopes.expand(scopes.IDENTIFY, Bearer(user=actor.name))
    running = servers.of_owners([actor.user.id]) if shown.has("read:servers") else ()
    return serializers.UserView(shown, roles, origins).model(actor.user, running) or {}


def _service_model(actor: Actor, roles: Roles) -> dict[str, Any]:
    """Return the model of the sending service: always the name, and the other fields that its scopes allow."""
    assert actor.service is not None  # noqa: S101 an actor is one or the other
    shown = actor.scopes | scopes.expand(scopes.IDENTIFY_SERVICE, Bearer(service=actor.name))
    return serializers.service_model(actor.service, shown, roles)


@router.get("/", response_model=schemas.Version)
@router.get("", response_model=schemas.Version)
async def version() -> Response:
    """Return the version of the API that this implements."""
    return JSONResponse({"version": VERSION})


@router.get("/info", response_model=schemas.Info)
async def info(_actor: Annotated[Actor, holds_everywhere("read:hub")], hub: WholeHub) -> Response:
    """Return what runs here."""
    return JSONResponse(
        {
            "version": VERSION,
            "python": sys.version,
            "sys_executable": sys.executable,
            "spawner": {"class": f"hubless.{hub.launcher.name}", "version": hub.version},
            "authenticator": {"class": hub.authenticator_class, "version": hub.version},
        }
    )


@router.get("/health", response_class=Response, responses=content("text/html"))
async def health() -> Response:
    """Say that the hub answers."""
    return Response(media_type="text/html")


@router.get("/metrics", response_class=Response, responses=content("text/plain"))
@has_long_store_calls
async def metrics(_actor: Annotated[Actor, holds_everywhere("read:metrics")], hub: WholeHub) -> Response:
    """Return the metrics as Prometheus text."""
    return metrics_text(hub)


def metrics_text(hub: Hub) -> Response:
    """Return the metrics, with JupyterHub's names where it has them. docs/compatibility.md lists them.

    The store counts users and servers; the histograms are the sums of what all processes have written.
    """
    now = hub.clock.now()
    lines = [
        *histogram_lines(hub.histogram_counts()),
        *gauge(
            "jupyterhub_running_servers",
            "The number of user servers currently running",
            {(): hub.servers.count([State.READY])},
        ),
        *gauge("jupyterhub_total_users", "Total number of users", {(): hub.users.count()}),
        *gauge(
            "jupyterhub_active_users",
            "Number of users who were active in the given time period",
            {(("period", period),): hub.users.count(active_since=now - length) for period, length in _PERIODS.items()},
        ),
        *gauge(
            "hubless_servers",
            "The number of servers in each state but the inactive ones",
            {(("state", state.value),): hub.servers.count([state]) for state in sorted(ACTIVE)},
        ),
        *gauge(
            "hubless_starts_held",
            "Whether no server starts because the machine is short of memory",
            {(): int(hub.turns is not None and hub.turns.obstacle() is not None)},
        ),
    ]
    return PlainTextResponse("\n".join(lines) + "\n", media_type=MEDIA_TYPE)


@router.get("/proxy", response_model=dict[str, schemas.Route] | schemas.RoutePage)
@has_long_store_calls
async def read_routes(
    _actor: Annotated[Actor, _PROXY],
    part: Part,
    routing: Routing,
    origins: Origins,
    servers: Servers,
    users: Users,
    services: Services,
) -> Response:
    """Return the route table."""
    table = sorted(routing.routes.all(), key=lambda route: route.prefix)
    data = _route_data(servers, users, services)
    shown = {
        spec: {"routespec": spec, "target": f"http://{route.address}", "data": data.get(route.prefix, {})}
        for route in table[part.offset : part.offset + part.limit]
        if (spec := host_of_route(route.prefix, origins.domain) + route.prefix)
    }
    return part.response(shown, len(table))


def _route_data(servers: Servers, users: Users, services: Services) -> dict[str, dict[str, object]]:
    """Return what JupyterHub says about the owner of each possible route, by prefix."""
    running = servers.in_states(ACTIVE)
    owners = users.get_many({server.owner_id for server in running})
    data: dict[str, dict[str, object]] = {service.prefix: {"service": service.name} for service in services.all()}
    for server in running:
        if owner := owners.get(server.owner_id):
            facts: dict[str, object] = {
                "user": owner.name,
                "server_name": server.name,
                "last_activity": server.last_activity_at,
            }
            data[names.route_prefix(owner.name, server.name)] = facts
    return data


@router.post("/proxy", response_class=Response)
async def check_routes(_actor: Annotated[Actor, _PROXY], routing: Routing, services: Services) -> Response:
    """Write the routes of services again. The sweep corrects routes of servers."""
    routing.sync_services(services.all())
    return Response(status_code=200)


@router.patch("/proxy", response_class=Response, responses=problems(413))
async def replace_proxy(_actor: Annotated[Actor, _PROXY], body: Annotated[dict[str, Any], Body()]) -> Response:  # noqa: ARG001 JupyterHub takes one
    """Accept JupyterHub's message about a new proxy. Do nothing: edges read the route table themselves."""
    return Response(media_type="application/json")


@router.post("/shutdown", status_code=202, response_model=schemas.Message, responses=problems(413))
@has_long_store_calls
async def shutdown(
    _actor: Annotated[Actor, holds_everywhere("shutdown")],
    servers: Servers,
    stopping: Stopping,
    body: requests.Shutdown | None = None,
) -> Response:
    """Stop all servers if the body says so. The hub itself has no process to shut down."""
    stops_servers = body is not None and body.servers
    running = servers.in_states(ACTIVE) if stops_servers else []
    for server in running:
        stopping.request_until_done(server, StopReason(StopCause.HUB))
    what = f"{len(running)} servers are being stopped" if stops_servers else "no server was touched"
    return JSONResponse({"message": f"The hub has no process to shut down; {what}"}, 202)
