"""Groups: listing, creating, members, properties, removing."""

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import Body, Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import dependencies, serializers
from functions.api import request_schemas as requests
from functions.api import response_schemas as schemas
from functions.api.auth.acts import record
from functions.api.auth.authentication import CurrentActor
from functions.api.auth.scope_checks import OUT_OF_REACH, group_in_path, holds, holds_everywhere, holds_for
from functions.api.json_codec import JSONResponse
from functions.api.paging import Part
from functions.api.routers import api_router, problems
from functions.api.store_pool import has_long_store_calls
from hubless.domain import names
from hubless.domain.audit import Act
from hubless.domain.errors import InvalidRequestError, NotFoundError
from hubless.domain.users import Group
from hubless.domain.values import value
from hubless.services.identifiers import new_id
from hubless.services.identity import Actor

router = api_router("/groups", tag="groups")
_READS = ("read:groups", "read:groups:name", "read:roles:groups")
ChangedGroup = Annotated[Group, group_in_path("groups")]


@value
class _Changes:
    """Creates groups and members in the name of one actor."""

    request: Request
    hub: dependencies.WholeHub
    actor: Actor
    groups: dependencies.Groups
    privileges: dependencies.Privileges
    roles: dependencies.Roles
    clock: dependencies.Clock

    def require_by_hand(self) -> None:
        """Refuse where groups follow logins, as JupyterHub does with `manage_groups`.

        Raises:
            HTTPException: 400.
        """
        if self.hub.manages_groups:
            raise HTTPException(400, "Group management via API is disabled")

    def create(self, wanted: list[str], users: list[str], properties: dict[str, Any]) -> list[dict[str, Any]]:
        """Create the groups and return their models."""
        self.privileges.require_may_add(self.actor, wanted, users)
        now, members = self.clock.now(), tuple(sorted(set(users)))
        groups = [
            Group(new_id("g", now), names.check_group_name(name), members, properties) for name in dict.fromkeys(wanted)
        ]
        try:
            self.groups.create(*groups)
        except NotFoundError as missing:
            raise InvalidRequestError(f"No such user: {missing.name}") from missing
        record(self.request, Act.GROUP_ADDED, *(group.name for group in groups))
        self.record_members(Act.MEMBER_ADDED, members, *(group.name for group in groups))
        return [self.model(group) for group in groups]

    def record_members(self, act: Act, users: Iterable[str], *groups: str) -> None:
        """Record that users are in a group from now on, or no longer."""
        if known := tuple(users):
            for group in groups:
                record(self.request, act, *known, group=group)

    def changed(self, name: str) -> Response:
        """Return the model of a group that was changed."""
        group = self.groups.find(name)
        if group is None:
            raise HTTPException(404, f"No such group: {name[:60]}")
        return JSONResponse(self.model(group))

    def model(self, group: Group) -> dict[str, Any]:
        """Return the group's model with what the actor may see of it."""
        return serializers.group_model(group, self.actor.scopes, self.roles)


async def _changes(
    request: Request,
    hub: dependencies.WholeHub,
    actor: CurrentActor,
    groups: dependencies.Groups,
    privileges: dependencies.Privileges,
    roles: dependencies.Roles,
    clock: dependencies.Clock,
) -> _Changes:
    return _Changes(request, hub, actor, groups, privileges, roles, clock)


Changes = Annotated[_Changes, Depends(_changes)]


async def _maker_of_group(request: Request, actor: Annotated[Actor, holds("admin:groups")]) -> Actor:
    if not actor.scopes.covers_group("admin:groups", request.path_params["name"]):
        raise HTTPException(404, OUT_OF_REACH)
    return actor


MakerOfGroup = Annotated[Actor, Depends(_maker_of_group)]


@router.get("", response_model=list[schemas.Group] | schemas.Page[schemas.Group])
@has_long_store_calls
async def list_groups(
    actor: Annotated[Actor, holds_for("list:groups", "group")],
    part: Part,
    groups: dependencies.Groups,
    roles: dependencies.Roles,
) -> Response:
    """List groups, page by page."""
    reach = None if actor.scopes.has_everywhere("list:groups") else actor.scopes.values("list:groups", "group")
    found, total = groups.page(offset=part.offset, limit=part.limit, names=reach)
    return part.response([serializers.group_model(group, actor.scopes, roles) for group in found], total)


@router.post("", status_code=201, response_model=list[schemas.Group], responses=problems(409, 413))
@has_long_store_calls
async def create_groups(
    _actor: Annotated[Actor, holds_everywhere("admin:groups")], body: requests.NewGroups, changes: Changes
) -> Response:
    """Create many groups with the same members."""
    changes.require_by_hand()
    return JSONResponse(changes.create(body.groups, body.users, {}), 201)


@router.get("/{name:segment}", response_model=schemas.Group)
@has_long_store_calls
async def read_group(
    group: Annotated[Group, group_in_path(*_READS)], actor: CurrentActor, roles: dependencies.Roles
) -> Response:
    """Return one group."""
    return JSONResponse(serializers.group_model(group, actor.scopes, roles))


@router.post("/{name:segment}", status_code=201, response_model=schemas.Group, responses=problems(409, 413))
@has_long_store_calls
async def create_group(
    name: str,
    _actor: MakerOfGroup,
    changes: Changes,
    body: requests.NewGroup | None = None,
) -> Response:
    """Create one group."""
    changes.require_by_hand()
    wanted = body or requests.NewGroup()
    return JSONResponse(changes.create([name], wanted.users, wanted.properties)[0], 201)


@router.delete("/{name:segment}", status_code=204)
@has_long_store_calls
async def delete_group(group: Annotated[Group, group_in_path("delete:groups")], changes: Changes) -> Response:
    """Remove a group, and what was made for it; its members stay users."""
    changes.require_by_hand()
    changes.privileges.require_may_take(changes.actor, group.name, group.users)
    changes.hub.group_references.remove(group)
    record(changes.request, Act.GROUP_REMOVED, group.name)
    return Response(status_code=204)


@router.post("/{name:segment}/users", response_model=schemas.Group, responses=problems(413))
@has_long_store_calls
async def add_members(group: ChangedGroup, body: requests.Members, changes: Changes) -> Response:
    """Add users to a group."""
    changes.require_by_hand()
    changes.privileges.require_may_add(changes.actor, [group.name], body.users)
    try:
        changes.groups.add_users(group.id, body.users)
    except NotFoundError as missing:
        raise InvalidRequestError(f"No such user: {missing.name}") from missing
    changes.record_members(Act.MEMBER_ADDED, sorted({*body.users} - {*group.users}), group.name)
    return changes.changed(group.name)


@router.delete("/{name:segment}/users", response_model=schemas.Group, responses=problems(413))
@has_long_store_calls
async def remove_members(
    group: ChangedGroup, body: requests.Members, changes: Changes, users: dependencies.Users
) -> Response:
    """Remove users from a group. A user who is no member is ignored; a name without a user is an error."""
    changes.require_by_hand()
    for user in set(body.users).difference(group.users):
        if users.find(user) is None:
            raise InvalidRequestError(f"No such user: {user[:60]}")
    changes.privileges.require_may_take(changes.actor, group.name, set(body.users).intersection(group.users))
    changes.groups.remove_users(group.id, body.users)
    changes.record_members(Act.MEMBER_REMOVED, sorted({*body.users} & {*group.users}), group.name)
    return changes.changed(group.name)


@router.put("/{name:segment}/properties", response_model=schemas.Group, responses=problems(413))
@has_long_store_calls
async def set_properties(
    group: ChangedGroup, properties: Annotated[dict[str, Any], Body()], changes: Changes
) -> Response:
    """Replace a group's properties."""
    requests.require_small(properties)
    changes.groups.set_properties(group.id, properties)
    record(changes.request, Act.GROUP_CHANGED, group.name)
    return changes.changed(group.name)
