"""The hub itself: version, info, health, metrics, who am I, and the routes."""

import sys
from collections.abc import Mapping
from datetime import timedelta

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from functions.api import answers, bodies, paging, wire
from functions.api.asking import Ask, Asking
from functions.api.jsontext import JSONResponse
from functions.api.openapi import PAGING, Operation
from functions.api.rendering import VERSION
from functions.api.routing import Router
from hubless.bootstrap.hub import Hub
from hubless.domain import names, scopes
from hubless.domain.lifecycle import ACTIVE, State
from hubless.domain.origins import host_of_route
from hubless.domain.scopes import Bearer
from hubless.services.identity import Actor

router = Router()
_PERIODS = {"24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}


@router.get("/", Operation(gives=answers.Version, is_open=True))
@router.get("", Operation(gives=answers.Version, is_open=True))
async def version() -> Response:
    """Return the version of the API that this implements."""
    return JSONResponse({"version": VERSION})


@router.get("/info", Operation(("read:hub",), gives=answers.Info))
async def info(ask: Ask) -> Response:
    """Return what runs here."""
    ask.needs_everywhere("read:hub")
    hub = ask.hub
    return JSONResponse(
        {
            "version": VERSION,
            "python": sys.version,
            "sys_executable": sys.executable,
            "spawner": {"class": f"hubless.{hub.launcher.name}", "version": hub.version},
            "authenticator": {"class": f"hubless.{hub.authenticator.name}", "version": hub.version},
        }
    )


@router.route("/health", methods=["GET", "HEAD"], operation=Operation(gives=str, media="text/html", is_open=True))
async def health() -> Response:
    """Say that the hub answers."""
    return Response(media_type="text/html")


@router.get("/metrics", Operation(("read:metrics",), gives=str, media="text/plain"))
async def metrics(ask: Ask) -> Response:
    """Return the metrics as Prometheus text."""
    ask.needs_everywhere("read:metrics")
    return metrics_text(ask)


def metrics_text(ask: Asking) -> Response:
    """Return what the store can count, in Prometheus' text format 0.0.4.

    Nothing is summed up in a process: there are many, and they come and go. Names are JupyterHub's where it has them.
    """
    hub, now = ask.hub, ask.hub.clock.now()
    lines = [
        *_gauge(
            "jupyterhub_running_servers",
            "the number of user servers currently running",
            {"": hub.servers.count([State.READY])},
        ),
        *_gauge("jupyterhub_total_users", "total number of users", {"": hub.users.count()}),
        *_gauge(
            "jupyterhub_active_users",
            "number of users who were active in the last time period",
            {
                f'{{period="{period}"}}': hub.users.count(active_since=now - length)
                for period, length in _PERIODS.items()
            },
        ),
        *_gauge(
            "hubless_servers",
            "the number of servers on the way to or from running, and of those that run",
            {f'{{state="{state}"}}': hub.servers.count([state]) for state in sorted(ACTIVE)},
        ),
    ]
    return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4; charset=utf-8")


def _gauge(name: str, text: str, values: Mapping[str, int]) -> list[str]:
    return [
        f"# HELP {name} {text}",
        f"# TYPE {name} gauge",
        *(f"{name}{labels} {value}" for labels, value in values.items()),
    ]


@router.get("/user", Operation(gives=answers.Identity))
async def whoami(ask: Ask) -> Response:
    """Return who is asking, with the scopes that they hold now."""
    if ask.actor is None:
        raise HTTPException(403)
    return JSONResponse(_identity(ask, ask.actor))


def _identity(ask: Asking, actor: Actor) -> dict[str, object]:
    """Return the actor's model; who it is is always told, its other fields as its scopes show them."""
    if actor.user is not None:
        shown = actor.scopes | scopes.expand(scopes.IDENTIFY, Bearer(user=actor.name))
        servers = ask.hub.servers.of_owners([actor.user.id]) if shown.has("read:servers") else ()
        model = wire.UserView(shown, ask.hub.roles, ask.hub.origins).model(actor.user, servers) or {}
    else:
        assert actor.service is not None  # noqa: S101 an actor is one or the other
        shown = actor.scopes | scopes.expand(scopes.IDENTIFY_SERVICE, Bearer(service=actor.name))
        model = wire.service_model(actor.service, shown, ask.hub.roles)
    return model | {
        "token_id": actor.token_id,
        "session_id": actor.session_id,
        "scopes": actor.scopes.texts(),
    }


@router.get("/proxy", Operation(("proxy",), gives=dict[str, answers.Route] | answers.RoutePage, query=PAGING))
async def read_routes(ask: Ask, request: Request) -> Response:
    """Return the route table."""
    ask.needs_everywhere("proxy")
    part = paging.window(request)
    table = sorted(ask.hub.routing.routes.all(), key=lambda route: route.prefix)
    data = _of_whom(ask.hub)
    shown = {
        spec: {"routespec": spec, "target": f"http://{route.address}", "data": data.get(route.prefix, {})}
        for route in table[part.offset : part.offset + part.limit]
        if (spec := host_of_route(route.prefix, ask.hub.origins.domain) + route.prefix)
    }
    return paging.reply(request, part, shown, len(table))


def _of_whom(hub: Hub) -> dict[str, dict[str, object]]:
    """Return what JupyterHub tells of each route that there may be, by prefix."""
    running = hub.servers.in_states(ACTIVE)
    owners = hub.users.get_many({server.owner_id for server in running})
    told: dict[str, dict[str, object]] = {service.prefix: {"service": service.name} for service in hub.services.all()}
    for server in running:
        if owner := owners.get(server.owner_id):
            facts: dict[str, object] = {
                "user": owner.name,
                "server_name": server.name,
                "last_activity": server.last_activity_at,
            }
            told[names.route_prefix(owner.name, server.name)] = facts
    return told


@router.post("/proxy", Operation(("proxy",)))
async def check_routes(ask: Ask) -> Response:
    """Have the routes of services written anew; servers' routes follow their records by themselves."""
    ask.needs_everywhere("proxy")
    ask.hub.routing.sync_services(ask.hub.services.all())
    return Response(status_code=200)


@router.patch("/proxy", Operation(("proxy",), takes=bodies.NewProxy, needs_body=True))
async def replace_proxy(ask: Ask, request: Request) -> Response:
    """Accept JupyterHub's word of a new proxy; edges find the table by themselves, so there is nothing to tell them."""
    ask.needs_everywhere("proxy")
    if not isinstance(await bodies.raw_json(request), dict):
        raise HTTPException(400, "need JSON body")
    return Response(media_type="application/json")


@router.post("/shutdown", Operation(("shutdown",), takes=bodies.Shutdown, gives=answers.Message, status=202))
async def shutdown(ask: Ask, request: Request) -> Response:
    """Stop the users' servers where that is asked for; the hub itself has nothing to shut down and says so."""
    ask.needs_everywhere("shutdown")
    body = await bodies.read(request, bodies.Shutdown)
    running = ask.hub.servers.in_states(ACTIVE) if body.servers else []
    for server in running:
        ask.hub.stopping.request_until_done(server)
    what = f"{len(running)} servers are being stopped" if body.servers else "no server was touched"
    return JSONResponse({"message": f"The hub has no process to shut down; {what}"}, 202)
