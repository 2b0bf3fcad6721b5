"""Home: one's own servers, to start, stop, add and remove; works without JavaScript."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api.asking import OwnForm, Person, hub_of
from functions.api.pages.sharing import shared_servers
from functions.api.pages.views import own_place, place, server_view
from functions.api.rendering import page
from functions.api.routing import Router
from hubless.bootstrap.hub import Hub
from hubless.domain import names
from hubless.domain.errors import HublessError, NotFoundError
from hubless.domain.lifecycle import INACTIVE, Server, State
from hubless.domain.users import User
from hubless.services.identity import Actor

router = Router()


@router.get("/")
async def front_door(request: Request, who: Person) -> Response:
    """Lead a person to their server when it runs, and to its start else."""
    return RedirectResponse(own_place(hub_of(request), _user(who)), 302)


@router.get("/home")
async def home(request: Request, who: Person) -> Response:
    """Show one's servers."""
    return _home(request, who)


def _home(request: Request, who: Actor, *, error: str | None = None, status: int = 200) -> Response:
    hub, user = hub_of(request), _user(who)
    servers = hub.servers.of_owners([user.id])
    for server in servers:
        if server.state is State.READY:
            hub.launching.reconcile_safely(server)  # what has died is not offered as running
    servers = hub.servers.of_owners([user.id])
    named = [server_view(hub, user, s) for s in servers if s.name]
    default = next((server_view(hub, user, s) for s in servers if not s.name), None)
    limit = hub.spawning.named_limit
    return page(
        request,
        "home.html",
        status_code=status,
        default=default,
        named=named,
        named_limit=limit,
        named_left=max(0, limit - len(named)),
        shared=shared_servers(request, user),
        error=error,
    )


@router.post("/home/new-server")
async def new_server(request: Request, form: OwnForm, who: Person) -> Response:
    """Make a named server from the form and go to its start."""
    hub, user = hub_of(request), _user(who)
    name = form.text("server_name").strip()
    try:
        hub.spawning.create(user, names.check_server_name(name))
    except HublessError as refused:
        return _home(request, who, error=str(refused), status=400)
    return RedirectResponse(f"/hub/spawn/{place(user, name)}", 303)


@router.post("/stop/{owner:segment}")
async def stop_default(request: Request, owner: str, form: OwnForm, who: Person) -> Response:  # noqa: ARG001 the token
    """Stop somebody's default server."""
    return _stop(request, who, owner, "")


@router.post("/stop/{owner:segment}/{server:segment}")
async def stop_named(request: Request, owner: str, server: str, form: OwnForm, who: Person) -> Response:  # noqa: ARG001
    """Stop somebody's named server."""
    return _stop(request, who, owner, server)


def _stop(request: Request, who: Actor, owner_name: str, server_name: str) -> Response:
    hub = hub_of(request)
    owner, server = reachable(hub, who, owner_name, server_name, "delete:servers")
    hub.stopping.request_until_done(server)
    own = who.user is not None and who.user.id == owner.id
    return RedirectResponse("/hub/home" if own else "/hub/admin", 303)


@router.post("/delete/{owner:segment}/{server:segment}")
async def delete_named(request: Request, owner: str, server: str, form: OwnForm, who: Person) -> Response:  # noqa: ARG001
    """Remove a named server, stopped first where it runs."""
    hub = hub_of(request)
    _, found = reachable(hub, who, owner, server, "delete:servers")
    if found.state not in INACTIVE:
        found = await hub.user_removal.wait_until_stopped(hub.stopping.request_until_done(found))
    try:
        hub.spawning.remove(found)
    except HublessError as refused:
        return _home(request, who, error=str(refused), status=400)
    return RedirectResponse("/hub/home", 303)


def reachable(hub: Hub, who: Actor, owner_name: str, server_name: str, scope: str) -> tuple[User, Server]:
    """Return owner and server when *who* holds *scope* for it.

    Raises:
        HTTPException: 404 alike for what is not there and what is out of reach.
    """
    owner = hub.users.find(owner_name)
    if owner is None or not who.scopes.covers_server(scope, owner.name, server_name, owner.groups):
        raise HTTPException(404, "No such user, or not within your reach")
    try:
        return owner, hub.spawning.find(owner, server_name)
    except NotFoundError:
        raise HTTPException(404, "There is no such server") from None


def _user(who: Actor) -> User:
    assert who.user is not None  # noqa: S101 a person is a user
    return who.user
