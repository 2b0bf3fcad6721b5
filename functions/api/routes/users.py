"""Users: listing, creating, reading, changing, removing, and their activity."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import answers, bodies, paging, wire
from functions.api.asking import OUT_OF_REACH, Ask, Asking
from functions.api.jsontext import JSONResponse
from functions.api.openapi import PAGING, Operation
from functions.api.routing import Router
from hubless.bootstrap.hub import Hub
from hubless.domain import names
from hubless.domain.errors import InvalidRequestError, NameTakenError
from hubless.domain.lifecycle import Server
from hubless.domain.users import User
from hubless.services.identity import Actor

router = Router()
_STATES = frozenset({"active", "ready", "inactive"})
_SORTS = frozenset({"id", "name", "last_activity"})
_STOPPED: dict[str, dict[str, object]] = {
    "include_stopped_servers": {"type": "string", "description": "Anything but 0 and false means yes"}
}
_LISTING: dict[str, dict[str, object]] = {
    "state": {"type": "string", "enum": sorted(_STATES)},
    "sort": {"type": "string", "enum": sorted(_SORTS | {f"-{sort}" for sort in _SORTS})},
    "name_filter": {"type": "string", "description": "A part of the name, whatever its case"},
    **_STOPPED,
}


@router.get(
    "/users",
    Operation(("list:users",), gives=list[answers.User] | answers.Page[answers.User], query={**PAGING, **_LISTING}),
)
async def list_users(ask: Ask, request: Request) -> Response:
    """List users, page by page."""
    actor, part = ask.needs_of("list:users", "user", "group"), paging.window(request)
    query = request.query_params
    state = query.get("state") or None
    if state is not None and state not in _STATES:
        raise HTTPException(
            400, f"Unrecognized state filter: {state[:40]!r}; it is one of {', '.join(sorted(_STATES))}"
        )
    sort = query.get("sort", "id")
    if sort.removeprefix("-") not in _SORTS:
        raise HTTPException(400, f"Unrecognized sort: {sort[:40]!r}; it is one of {', '.join(sorted(_SORTS))}")
    found, total = ask.hub.users.page(
        offset=part.offset,
        limit=part.limit,
        sort=sort.removeprefix("-"),
        descending=sort.startswith("-"),
        name_contains=query.get("name_filter", "").strip() or None,
        state=state,
        **users_within_reach(ask.hub, actor),
    )
    stopped = query.get("include_stopped_servers")
    include = stopped is not None and stopped.lower() not in {"0", "false"}
    return paging.reply(request, part, models(ask, actor, found, include_stopped=include), total)


def users_within_reach(hub: Hub, actor: Actor) -> dict[str, Any]:
    """Return which users *actor* may list: all, or those of its user and group filters."""
    if actor.scopes.has_everywhere("list:users"):
        return {}
    found = [hub.users.find(name) for name in actor.scopes.values("list:users", "user")]
    return {"ids": [user.id for user in found if user], "groups": actor.scopes.values("list:users", "group")}


def models(ask: Asking, actor: Actor, users: list[User], *, include_stopped: bool) -> list[dict[str, Any]]:
    """Return the users' models; their servers are read in one go."""
    servers: dict[str, list[Server]] = {}
    for server in ask.hub.servers.of_owners([u.id for u in users]) if users else []:
        servers.setdefault(server.owner_id, []).append(server)
    view = wire.UserView(actor.scopes, ask.hub.roles, ask.hub.origins, include_stopped)
    made = (view.model(user, servers.get(user.id, ())) for user in users)
    return [model for model in made if model is not None]


@router.post(
    "/users",
    Operation(
        ("admin:users",), takes=bodies.NewUsers, gives=list[answers.User], status=201, also=(409,), needs_body=True
    ),
)
async def create_users(ask: Ask, request: Request) -> Response:
    """Create many users; those that exist are left out."""
    actor = ask.needs_everywhere("admin:users")
    body = await bodies.read(request, bodies.NewUsers)
    wanted = [names.normalise_user_name(name) for name in body.usernames]
    _may_make_admin(actor, wanted=body.admin)
    _may_give_names(ask, actor, wanted)
    added = ask.hub.accounts.add_many(wanted, admin=body.admin)
    if not added:
        raise HTTPException(409, f"All {len(body.usernames)} users already exist")
    return JSONResponse(models(ask, actor, added, include_stopped=False), 201)


@router.get("/users/{name:segment}", Operation(wire.READS_USER, gives=answers.User, query=_STOPPED))
async def read_user(ask: Ask, name: str, request: Request) -> Response:
    """Return one user with what the asker may see of it."""
    user = ask.user(name, *wire.READS_USER)
    stopped = request.query_params.get("include_stopped_servers")
    include = stopped is not None and stopped.lower() not in {"0", "false"}
    return JSONResponse(_model(ask, ask.known(), user, include_stopped=include))


def _model(ask: Asking, actor: Actor, user: User, *, include_stopped: bool = False) -> dict[str, Any] | None:
    view = wire.UserView(actor.scopes, ask.hub.roles, ask.hub.origins, include_stopped)
    return view.model(user, ask.hub.servers.of_owners([user.id]))


@router.post(
    "/users/{name:segment}",
    Operation(("admin:users",), takes=bodies.NewUser, gives=answers.User, status=201, also=(409,)),
)
async def create_user(ask: Ask, name: str, request: Request) -> Response:
    """Create one user."""
    actor = ask.needs("admin:users")
    known = ask.hub.users.find(name)
    if not actor.scopes.covers_user("admin:users", name, known.groups if known else ()):
        raise HTTPException(404, OUT_OF_REACH)
    body = await bodies.read(request, bodies.NewUser)
    _may_make_admin(actor, wanted=body.admin)
    _may_give_names(ask, actor, [name])
    user = ask.hub.accounts.add(name, admin=body.admin)
    return JSONResponse(_model(ask, actor, user), 201)


@router.patch(
    "/users/{name:segment}", Operation(("admin:users",), takes=bodies.UserChange, gives=answers.User, also=(409,))
)
async def change_user(ask: Ask, name: str, request: Request) -> Response:
    """Rename a user or change its admin flag."""
    user, given = ask.user(name, "admin:users"), await bodies.raw_json(request)
    if given is None:
        raise HTTPException(400, "The body must be a JSON object")
    body = bodies.checked(given, bodies.UserChange)
    actor = ask.known()
    if user.admin and not actor.is_admin:
        raise HTTPException(403, "Only admins can modify other admins")
    _may_make_admin(actor, wanted=body.admin)
    if "auth_state" in body.model_fields_set:
        raise HTTPException(400, "auth_state is not enabled on this hub: its logins have none")
    new_name = names.normalise_user_name(body.name) if "name" in body.model_fields_set else None
    if new_name is not None and new_name != name and not actor.scopes.has_everywhere("admin:users"):
        raise HTTPException(403, "A filtered admin cannot rename: the new name would be out of reach")
    if new_name is not None and new_name != name:
        _may_give_names(ask, actor, [new_name])
    try:
        changed = ask.hub.accounts.change(
            user, name=new_name, admin=body.admin if "admin" in body.model_fields_set else None
        )
    except NameTakenError as taken:
        raise HTTPException(400, str(taken)) from taken  # JupyterHub's status for a rename
    return JSONResponse(_model(ask, actor, changed) or {"kind": "user", "name": changed.name})


def _may_make_admin(actor: Actor, *, wanted: bool) -> None:
    if wanted and not actor.is_admin:
        raise HTTPException(403, "Only admins can grant admin permissions")


def _may_give_names(ask: Asking, actor: Actor, wanted: list[str]) -> None:
    if not actor.is_admin and any(map(ask.hub.accounts.is_reserved_name, wanted)):
        raise HTTPException(403, "Only admins can give a name to which the hub's settings give something")


@router.delete("/users/{name:segment}", Operation(("delete:users",), status=204))
async def delete_user(ask: Ask, name: str) -> Response:
    """Stop what runs of a user, and remove the user once nothing does."""
    user, actor = ask.user(name, "delete:users"), ask.known()
    if actor.user is not None and actor.user.id == user.id:
        raise HTTPException(400, "Cannot delete yourself!")
    if user.admin and not actor.is_admin:
        raise HTTPException(403, "Only admins can delete other admins")
    await ask.hub.user_removal.remove(user)
    return Response(status_code=204)


@router.post(
    "/users/{name:segment}/activity", Operation(("users:activity",), takes=bodies.ActivityReport, needs_body=True)
)
async def post_activity(ask: Ask, name: str, request: Request) -> Response:
    """Note what a server (or anyone who may) reports."""
    user = ask.user(name, "users:activity")
    report = await bodies.read(request, bodies.ActivityReport)
    if report.last_activity is None and not report.servers:
        raise InvalidRequestError("body must contain at least one of `last_activity` or `servers`")
    token, servers = ask.known().token, {n: s.last_activity for n, s in report.servers.items()}
    ask.hub.activity.report(user, report.last_activity, servers, by_server=token.server_id if token else None)
    return Response(status_code=200, media_type="application/json")


@router.post("/users/{name:segment}/admin-access", Operation(("servers",), gives=answers.Problem, status=403))
async def admin_access(ask: Ask, name: str) -> Response:
    """Refuse, as JupyterHub does since 0.8: access to servers is a scope."""
    ask.user(name, "servers")
    raise HTTPException(403, "admin access to user servers disabled")
