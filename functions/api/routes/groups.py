"""Groups: listing, creating, members, properties, removing."""

from collections.abc import Iterable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import answers, bodies, paging, wire
from functions.api.asking import OUT_OF_REACH, Ask, Asking
from functions.api.jsontext import JSONResponse
from functions.api.openapi import PAGING, Operation
from functions.api.routing import Router
from hubless.domain import names
from hubless.domain.errors import InvalidRequestError, NotFoundError
from hubless.domain.roles import of_group
from hubless.domain.scopes import Bearer, expand
from hubless.domain.users import Group
from hubless.services.identifiers import new_id

router = Router()
_READS = ("read:groups", "read:groups:name", "read:roles:groups")


@router.get(
    "/groups", Operation(("list:groups",), gives=list[answers.Group] | answers.Page[answers.Group], query=PAGING)
)
async def list_groups(ask: Ask, request: Request) -> Response:
    """List groups, page by page."""
    actor, part = ask.needs_of("list:groups", "group"), paging.window(request)
    reach = None if actor.scopes.has_everywhere("list:groups") else actor.scopes.values("list:groups", "group")
    found, total = ask.hub.groups.page(offset=part.offset, limit=part.limit, names=reach)
    return paging.reply(request, part, [_model(ask, group) for group in found], total)


@router.post(
    "/groups",
    Operation(
        ("admin:groups",), takes=bodies.NewGroups, gives=list[answers.Group], status=201, also=(409,), needs_body=True
    ),
)
async def create_groups(ask: Ask, request: Request) -> Response:
    """Create many groups with the same members."""
    ask.needs_everywhere("admin:groups")
    body = await bodies.read(request, bodies.NewGroups)
    made = _create(ask, body.groups, body.users, {})
    return JSONResponse([_model(ask, group) for group in made], 201)


@router.get("/groups/{name:segment}", Operation(_READS, gives=answers.Group))
async def read_group(ask: Ask, name: str) -> Response:
    """Return one group."""
    return JSONResponse(_model(ask, group_within_reach(ask, name, *_READS)))


@router.post(
    "/groups/{name:segment}",
    Operation(("admin:groups",), takes=bodies.NewGroup, gives=answers.Group, status=201, also=(409,)),
)
async def create_group(ask: Ask, name: str, request: Request) -> Response:
    """Create one group."""
    actor = ask.needs("admin:groups")
    if not actor.scopes.covers_group("admin:groups", name):
        raise HTTPException(404, OUT_OF_REACH)
    body = await bodies.read(request, bodies.NewGroup)
    return JSONResponse(_model(ask, _create(ask, [name], body.users, body.properties)[0]), 201)


@router.delete("/groups/{name:segment}", Operation(("delete:groups",), status=204))
async def delete_group(ask: Ask, name: str) -> Response:
    """Remove a group; its members stay users."""
    ask.hub.groups.delete(group_within_reach(ask, name, "delete:groups").id)
    return Response(status_code=204)


@router.post(
    "/groups/{name:segment}/users", Operation(("groups",), takes=bodies.Members, gives=answers.Group, needs_body=True)
)
async def add_members(ask: Ask, name: str, request: Request) -> Response:
    """Make users members."""
    group, body = group_within_reach(ask, name, "groups"), await bodies.read(request, bodies.Members)
    _may_give_roles(ask, [name], body.users)
    try:
        ask.hub.groups.add_users(group.id, body.users)
    except NotFoundError as missing:
        raise InvalidRequestError(f"No such user: {missing.name}") from missing
    return JSONResponse(_model(ask, _again(ask, name)))


@router.delete(
    "/groups/{name:segment}/users", Operation(("groups",), takes=bodies.Members, gives=answers.Group, needs_body=True)
)
async def remove_members(ask: Ask, name: str, request: Request) -> Response:
    """End users' membership; who is no member stays none, but who is no user is a mistake."""
    group, body = group_within_reach(ask, name, "groups"), await bodies.read(request, bodies.Members)
    for user in set(body.users).difference(group.users):
        if ask.hub.users.find(user) is None:
            raise InvalidRequestError(f"No such user: {user[:60]}")
    ask.hub.groups.remove_users(group.id, body.users)
    return JSONResponse(_model(ask, _again(ask, name)))


@router.put(
    "/groups/{name:segment}/properties",
    Operation(("groups",), takes=bodies.Anything, gives=answers.Group, needs_body=True),
)
async def set_properties(ask: Ask, name: str, request: Request) -> Response:
    """Replace a group's properties."""
    group, body = group_within_reach(ask, name, "groups"), await bodies.raw_json(request)
    if not isinstance(body, dict):
        raise InvalidRequestError("Properties must be a JSON object")
    ask.hub.groups.set_properties(group.id, body)
    return JSONResponse(_model(ask, _again(ask, name)))


def group_within_reach(ask: Asking, name: str, *needed: str) -> Group:
    """Return the group of that name when the actor holds one of the scopes for it.

    Raises:
        HTTPException: 403 when it holds none of them, 404 alike when the group is out of its reach or not there.
    """
    actor = ask.needs(*needed)
    if not any(actor.scopes.covers_group(scope, name) for scope in needed):
        raise HTTPException(404, OUT_OF_REACH)
    return _again(ask, name)


def _again(ask: Asking, name: str) -> Group:
    group = ask.hub.groups.find(name)
    if group is None:
        raise HTTPException(404, f"No such group: {name[:60]}")
    return group


def _may_give_roles(ask: Asking, group_names: Iterable[str], members: Iterable[str]) -> None:
    """Refuse to make somebody, oneself perhaps, hold by a group's roles what the asker neither holds nor administers."""
    actor, given = ask.known(), dict.fromkeys(role for name in group_names for role in of_group(name, ask.hub.roles))
    if actor.is_admin or not given:
        return
    groups_of = ask.hub.identities.groups_of(*filter(None, [actor.user]))
    for member in members:
        raw = tuple(scope for role in given for scope in ask.hub.roles[role].scopes)
        if not all(actor.scopes.covers(scope, groups_of) for scope in expand(raw, Bearer(user=member)).all):
            raise HTTPException(
                403, f"The roles of this group allow more than you may: only an admin adds {member[:60]}"
            )


def _create(ask: Asking, wanted: list[str], users: list[str], properties: dict[str, object]) -> list[Group]:
    _may_give_roles(ask, wanted, users)
    now, members = ask.hub.clock.now(), tuple(sorted(set(users)))
    groups = [
        Group(new_id("g", now), names.check_group_name(name), members, properties) for name in dict.fromkeys(wanted)
    ]
    try:
        ask.hub.groups.create(*groups)
    except NotFoundError as missing:
        raise InvalidRequestError(f"No such user: {missing.name}") from missing
    return groups


def _model(ask: Asking, group: Group) -> dict[str, object]:
    return wire.group_model(group, ask.known().scopes, ask.hub.roles)
