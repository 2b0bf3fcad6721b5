"""Users: listing, creating, reading, changing, removing, and their activity."""

from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import WithJsonSchema
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import request_schemas as requests
from functions.api import response_schemas as schemas
from functions.api import serializers
from functions.api.auth.acts import record
from functions.api.auth.authentication import CurrentActor, sender_of
from functions.api.auth.scope_checks import OUT_OF_REACH, holds, holds_everywhere, holds_for, user_in_path
from functions.api.dependencies import (
    Accounts,
    Activity,
    AuthStates,
    Origins,
    Privileges,
    Roles,
    Servers,
    UserRemoval,
    Users,
)
from functions.api.json_codec import JSONResponse
from functions.api.paging import Part
from functions.api.request_body import NO_OBJECT, raw_json
from functions.api.routers import api_router, problems
from functions.api.store_pool import has_long_store_calls, in_store_pool
from hubless.domain import names
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_TYPED_NAME
from hubless.domain.errors import InvalidRequestError, NameTakenError
from hubless.domain.lifecycle import Server
from hubless.domain.users import User
from hubless.services.identity import Actor

router = api_router("/users", tag="users")
_STATES = frozenset({"active", "ready", "inactive"})
_SORTS = frozenset({"id", "name", "last_activity"})
FEW = 50  # users that a search may find to be answered in the thread of the requests: 2 ms
IncludeStopped = Annotated[
    str | None, WithJsonSchema({"type": "string"}), Query(description="Anything but 0 and false means yes")
]
Administered = Annotated[User, user_in_path("admin:users")]


class UserModels:
    """Makes users' models with the fields that one actor may see."""

    def __init__(self, actor: Actor, servers: Servers, roles: Roles, origins: Origins) -> None:
        self._actor, self._servers, self._roles, self._origins = actor, servers, roles, origins

    def one(self, user: User, *, include_stopped: bool = False) -> dict[str, Any] | None:
        """Return a user's model, or None when the actor may see nothing of it."""
        return self._view(include_stopped=include_stopped).model(user, self._servers.of_owners([user.id]))

    def all(self, users: list[User], *, include_stopped: bool = False) -> list[dict[str, Any]]:
        """Return the models of users; read all their servers in one call."""
        servers: dict[str, list[Server]] = {}
        for server in self._servers.of_owners([u.id for u in users]) if users else []:
            servers.setdefault(server.owner_id, []).append(server)
        view = self._view(include_stopped=include_stopped)
        made = (view.model(user, servers.get(user.id, ())) for user in users)
        return [model for model in made if model is not None]

    def _view(self, *, include_stopped: bool) -> serializers.UserView:
        return serializers.UserView(self._actor.scopes, self._roles, self._origins, include_stopped)


async def _models(actor: CurrentActor, servers: Servers, roles: Roles, origins: Origins) -> UserModels:
    return UserModels(actor, servers, roles, origins)


Models = Annotated[UserModels, Depends(_models)]


@router.get("/{name:segment}", response_model=schemas.User)
async def read_user(
    user: Annotated[User, user_in_path(*serializers.READS_USER)],
    models: Models,
    auth_states: AuthStates,
    include_stopped_servers: IncludeStopped = None,
) -> Response:
    """Return one user, with the fields that the actor may see; `auth_state` with the scope `admin:auth_state` alone."""
    model = models.one(user, include_stopped=_is_yes(include_stopped_servers))
    return JSONResponse(_with_auth_state(model, user, auth_states))


def _with_auth_state(model: dict[str, Any] | None, user: User, auth_states: AuthStates) -> dict[str, Any] | None:
    """Fill in auth_state where the model has a place for it, as JupyterHub does for one user and for no list."""
    return model if model is None or "auth_state" not in model else {**model, "auth_state": auth_states.of(user)}


@router.post("/{name:segment}/activity", response_class=Response, responses=problems(413))
async def post_activity(
    user: Annotated[User, user_in_path("users:activity")],
    actor: CurrentActor,
    report: requests.ActivityReport,
    activity: Activity,
) -> Response:
    """Record the activity that a server reports, or any other holder of the scope."""
    if report.last_activity is None and not report.servers:
        raise InvalidRequestError("body must contain at least one of `last_activity` or `servers`")
    token, servers = actor.token, {n: s.last_activity for n, s in report.servers.items()}
    activity.report(user, report.last_activity, servers, by_server=token.server_id if token else None)
    return Response(status_code=200, media_type="application/json")


@router.get("", response_model=list[schemas.User] | schemas.Page[schemas.User])
async def list_users(
    request: Request,
    actor: Annotated[Actor, holds_for("list:users", "user", "group")],
    part: Part,
    users: Users,
    models: Models,
    state: Annotated[str | None, WithJsonSchema({"type": "string", "enum": sorted(_STATES)}), Query()] = None,
    sort: Annotated[
        str, WithJsonSchema({"type": "string", "enum": sorted(_SORTS | {f"-{sort}" for sort in _SORTS})}), Query()
    ] = "id",
    name_filter: Annotated[str, Query(description="A part of the name in any case")] = "",
    include_stopped_servers: IncludeStopped = None,
) -> Response:
    """List users, page by page."""
    if state and state not in _STATES:
        raise HTTPException(
            400, f"Unrecognized state filter: {state[:40]!r}; it is one of {', '.join(sorted(_STATES))}"
        )
    if sort.removeprefix("-") not in _SORTS:
        raise HTTPException(400, f"Unrecognized sort: {sort[:40]!r}; it is one of {', '.join(sorted(_SORTS))}")
    wanted = name_filter.strip()
    if len(wanted) > MAX_TYPED_NAME:  # no name has such a part
        return part.response([], 0)
    include_stopped = _is_yes(include_stopped_servers)
    is_plain = not state and sort == "id" and actor.scopes.has_everywhere("list:users")
    # Most searches find few users. Reading those takes less time than a change of threads.
    if is_plain and wanted and (few := users.few_named(wanted, FEW)) is not None:
        shown = few[part.offset : part.offset + part.limit]
        return part.response(models.all(shown, include_stopped=include_stopped), len(few))

    async def page() -> Response:
        found, total = users.page(
            offset=part.offset,
            limit=part.limit,
            sort=sort.removeprefix("-"),
            descending=sort.startswith("-"),
            name_contains=wanted or None,
            state=state or None,
            **users_in_reach(users, actor),
        )
        return part.response(models.all(found, include_stopped=include_stopped), total)

    answer: Response = await in_store_pool(page, {}, sender_of(request))
    return answer


def users_in_reach(users: Users, actor: Actor) -> dict[str, Any]:
    """Return which users *actor* may list: all, or those of its user and group filters."""
    if actor.scopes.has_everywhere("list:users"):
        return {}
    found = [users.find(name) for name in actor.scopes.values("list:users", "user")]
    return {"ids": [user.id for user in found if user], "groups": actor.scopes.values("list:users", "group")}


def _is_yes(include_stopped: str | None) -> bool:
    return include_stopped is not None and include_stopped.lower() not in {"0", "false"}


@router.post("", status_code=201, response_model=list[schemas.User], responses=problems(409, 413))
@has_long_store_calls
async def create_users(
    request: Request,
    actor: Annotated[Actor, holds_everywhere("admin:users")],
    body: requests.NewUsers,
    accounts: Accounts,
    models: Models,
) -> Response:
    """Create many users; users that exist already stay as they are."""
    wanted = [names.normalise_user_name(name) for name in body.usernames]
    _may_make_admin(actor, wanted=body.admin)
    _may_give_names(actor, accounts, wanted)
    added = accounts.add_many(wanted, admin=body.admin)
    if not added:
        raise HTTPException(409, f"All {len(body.usernames)} users already exist")
    record(request, Act.USER_ADDED, *(user.name for user in added), admin="yes" if body.admin else "")
    return JSONResponse(models.all(added), 201)


async def _maker_of_user(request: Request, actor: Annotated[Actor, holds("admin:users")], users: Users) -> Actor:
    name = request.path_params["name"]
    known = users.find(name)
    if not actor.scopes.covers_user("admin:users", name, known.groups if known else ()):
        raise HTTPException(404, OUT_OF_REACH)
    return actor


@router.post("/{name:segment}", status_code=201, response_model=schemas.User, responses=problems(409, 413))
@has_long_store_calls
async def create_user(
    request: Request,
    name: str,
    actor: Annotated[Actor, Depends(_maker_of_user)],
    accounts: Accounts,
    models: Models,
    body: requests.NewUser | None = None,
) -> Response:
    """Create one user."""
    makes_admin = body is not None and body.admin
    _may_make_admin(actor, wanted=makes_admin)
    _may_give_names(actor, accounts, [name])
    added = accounts.add(name, admin=makes_admin)
    record(request, Act.USER_ADDED, added.name, admin="yes" if makes_admin else "")
    return JSONResponse(models.one(added), 201)


@router.patch("/{name:segment}", response_model=schemas.User, responses=problems(409, 413))
async def change_user(
    request: Request,
    user: Administered,
    actor: CurrentActor,
    body: requests.UserChange,
    accounts: Accounts,
    privileges: Privileges,
    models: Models,
    auth_states: AuthStates,
) -> Response:
    """Rename a user, or change its admin flag or its auth_state."""
    if await raw_json(request) is None:
        raise HTTPException(400, NO_OBJECT)
    if user.admin and not actor.is_admin:
        raise HTTPException(403, "Only admins can modify other admins")
    _may_make_admin(actor, wanted=body.admin)
    if "auth_state" in body.model_fields_set and not auth_states.is_kept:
        raise HTTPException(400, "auth_state is not enabled on this hub: login.auth_state is not set")
    new_name = names.normalise_user_name(body.name) if "name" in body.model_fields_set else None
    if new_name is not None and new_name != user.name:
        if not actor.scopes.has_everywhere("admin:users"):
            raise HTTPException(403, "A filtered admin cannot rename: the new name would be out of reach")
        privileges.require_may_act_as(actor, user)
        _may_give_names(actor, accounts, [new_name])
    try:
        changed = accounts.change(user, name=new_name, admin=body.admin if "admin" in body.model_fields_set else None)
    except NameTakenError as taken:
        raise HTTPException(400, str(taken)) from taken  # JupyterHub's status for a rename
    record_change(request, user, changed)
    if "auth_state" in body.model_fields_set:
        auth_states.keep(changed, body.auth_state)
        record(request, Act.AUTH_STATE_CHANGED, changed.name)
    model = models.one(changed) or {"kind": "user", "name": changed.name}
    return JSONResponse(_with_auth_state(model, changed, auth_states))


def record_change(request: Request, before: User, after: User) -> None:
    """Record that a user was renamed, or has more or fewer rights."""
    if after.name != before.name:
        record(request, Act.USER_RENAMED, before.name, after.name, **{"from": before.name, "to": after.name})
    if after.admin != before.admin:
        record(request, Act.ADMIN_GIVEN if after.admin else Act.ADMIN_TAKEN, after.name)


def _may_make_admin(actor: Actor, *, wanted: bool) -> None:
    if wanted and not actor.is_admin:
        raise HTTPException(403, "Only admins can grant admin permissions")


def _may_give_names(actor: Actor, accounts: Accounts, wanted: list[str]) -> None:
    if not actor.is_admin and any(map(accounts.is_reserved_name, wanted)):
        raise HTTPException(403, "Only admins can give this name: the hub's settings give it a role or a group")


@router.delete("/{name:segment}", status_code=204)
async def delete_user(
    request: Request, user: Annotated[User, user_in_path("delete:users")], actor: CurrentActor, removal: UserRemoval
) -> Response:
    """Stop a user's servers, and remove the user when none runs any more."""
    if actor.user is not None and actor.user.id == user.id:
        raise HTTPException(400, "Cannot delete yourself!")
    if user.admin and not actor.is_admin:
        raise HTTPException(403, "Only admins can delete other admins")
    await removal.remove(user)
    record(request, Act.USER_REMOVED, user.name, id=user.id)
    return Response(status_code=204)


@router.post("/{name:segment}/admin-access", status_code=403, response_model=schemas.Problem)
async def admin_access(_user: Annotated[User, user_in_path("servers")]) -> Response:
    """Refuse, as JupyterHub does since 0.8: access to servers is a scope."""
    raise HTTPException(403, "admin access to user servers disabled")
