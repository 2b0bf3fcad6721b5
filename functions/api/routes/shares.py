"""Shares and share codes: by owner and server, and by the user or group that has them."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import WithJsonSchema
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import dependencies, serializers
from functions.api import request_schemas as requests
from functions.api import response_schemas as schemas
from functions.api.auth.acts import record
from functions.api.auth.authentication import CurrentActor
from functions.api.auth.scope_checks import group_in_path, owner_in_path, user_in_path
from functions.api.json_codec import JSONResponse
from functions.api.paging import Window, WrappedPart
from functions.api.routers import api_router, problems
from hubless.domain import shares
from hubless.domain.audit import Act
from hubless.domain.errors import InvalidRequestError, NotFoundError
from hubless.domain.shares import Share
from hubless.domain.users import Group, User
from hubless.domain.values import value
from hubless.services.identity import Actor
from hubless.services.sharing import ShareCodeDetails, ShareDetails, SharedServer

router = api_router(tag="shares")
_TEXT = WithJsonSchema({"type": "string"})


@value
class _Shares:
    """Looks up and shows shares for one request."""

    request: Request
    actor: Actor
    users: dependencies.Users
    groups: dependencies.Groups
    servers: dependencies.Servers
    sharing: dependencies.Sharing
    privileges: dependencies.Privileges
    origins: dependencies.Origins

    def model(self, share: Share, of: SharedServer, to: User | Group) -> dict[str, Any]:
        """Return the model of a share with *to*."""
        user, group = (to.name, None) if isinstance(to, User) else (None, to.name)
        return serializers.share_model(ShareDetails(share, of, user, group), self.origins)

    def page(self, part: Window, **which: Any) -> Response:
        """Return a part of the shares that *which* selects."""
        found, total = self.sharing.page(offset=part.offset, limit=part.limit, **which)
        return part.response([serializers.share_model(granted, self.origins) for granted in found], total)

    def code_page(self, part: Window, **which: Any) -> Response:
        """Return a part of the share codes that *which* selects."""
        found, total = self.sharing.code_page(offset=part.offset, limit=part.limit, **which)
        return part.response([serializers.share_code_model(offered, self.origins) for offered in found], total)

    def find(self, to: User | Group, owner_name: str, server_name: str) -> tuple[Share, SharedServer]:
        """Return the share of one server with *to*.

        Raises:
            HTTPException: 404 if there is none.
        """
        owner = self.users.find(owner_name)
        server = self.servers.find(owner.id, server_name) if owner else None
        if owner is not None and server is not None:
            try:
                return self.sharing.find(server, to), SharedServer(server, owner)
            except NotFoundError:
                pass
        kind = "user" if isinstance(to, User) else "group"
        raise HTTPException(404, f"No such share for {kind} {to.name} on {owner_name[:60]}/{server_name[:60]}")

    def leave(self, to: User | Group, owner_name: str, server_name: str) -> None:
        """Remove the share of one server with *to*.

        Raises:
            HTTPException: 404 if there is none.
            NotPermittedError: when it is another's, and allows what the actor may not.
        """
        share, of = self.find(to, owner_name, server_name)
        self.privileges.require_may_revoke(self.actor, of, to=to)
        self.sharing.end(share)
        self.record(Act.SHARE_ENDED, of, to)

    def record(self, act: Act, of: SharedServer, to: User | Group | None = None) -> None:
        """Record what was done to the shares of a server."""
        kind = "group" if isinstance(to, Group) else "user"
        record(self.request, act, of.owner.name, server=of.server.name, **({kind: to.name} if to else {}))

    def recipient(self, body: requests.ShareWith) -> User | Group | None:
        """Return the user or group that *body* names, or None when there is none."""
        if body.user is not None:
            return self.users.find(body.user)
        return self.groups.find(body.group or "")

    def may_give(self, of: SharedServer, wanted: Iterable[str] | None) -> tuple[str, ...]:
        """Return the bare names of the scopes *wanted* (access to the server when None) that the actor may give away.

        Raises:
            InvalidRequestError: naming a scope that cannot be shared.
            HTTPException: 403 with a scope that the actor does not hold for this server.
        """
        names = shares.bare_names(wanted or shares.ACCESS, of.owner.name, of.server.name)
        for name in names:
            if not self.actor.scopes.covers_server(name, of.owner.name, of.server.name, of.owner.groups):
                scope = f"{name}!server={of.owner.name}/{of.server.name}"
                raise HTTPException(403, f"Do not have permission to grant share with scope {scope}")
        return names

    def may_name(self, body: requests.ShareWith) -> None:
        """Refuse actors who may not read names: otherwise the answer tells whether a user or group exists.

        Raises:
            HTTPException: 403 naming the scope that is missing.
        """
        scopes = self.actor.scopes
        if body.user is not None:
            user = self.users.find(body.user)
            if not scopes.covers_user("read:users:name", body.user, user.groups if user else ()):
                raise HTTPException(403, "Need scope 'read:users:name' to share with users by name")
        elif not scopes.covers_group("read:groups:name", body.group or ""):
            raise HTTPException(403, "Need scope 'read:groups:name' to share with groups by name")


async def _shares(
    request: Request,
    actor: CurrentActor,
    users: dependencies.Users,
    groups: dependencies.Groups,
    servers: dependencies.Servers,
    sharing: dependencies.Sharing,
    privileges: dependencies.Privileges,
    origins: dependencies.Origins,
) -> _Shares:
    return _Shares(request, actor, users, groups, servers, sharing, privileges, origins)


Shares = Annotated[_Shares, Depends(_shares)]


async def _read_server(
    request: Request,
    owner: Annotated[User, owner_in_path("read:shares", part="owner")],
    spawning: dependencies.Spawning,
) -> SharedServer:
    return _server(owner, request, spawning.find)


async def _changed_server(
    request: Request,
    owner: Annotated[User, owner_in_path("shares", part="owner")],
    spawning: dependencies.Spawning,
) -> SharedServer:
    return _server(owner, request, spawning.stored)


def _server(owner: User, request: Request, look_up: Any) -> SharedServer:
    name: str = request.path_params.get("server", "")
    try:
        return SharedServer(look_up(owner, name), owner)
    except NotFoundError:
        raise HTTPException(404, f"No such server: {owner.name}/{name[:60]}") from None


OwnerOfShares = Annotated[User, user_in_path("read:shares", part="owner")]
ReadServer = Annotated[SharedServer, Depends(_read_server)]
ChangedServer = Annotated[SharedServer, Depends(_changed_server)]


# --- of an owner's servers -------------------------------------------------------------------------------------------


@router.get("/shares/{owner:segment}", response_model=schemas.Page[schemas.Share])
async def list_of_owner(owner: OwnerOfShares, part: WrappedPart, shown: Shares) -> Response:
    """List the shares of an owner's servers."""
    return shown.page(part, of_owner=owner)


@router.get("/shares/{owner:segment}/", response_model=schemas.Page[schemas.Share])
@router.get("/shares/{owner:segment}/{server:segment}", response_model=schemas.Page[schemas.Share])
async def list_of_server(of: ReadServer, part: WrappedPart, shown: Shares) -> Response:
    """List the shares of a server."""
    return shown.page(part, of_server=of.server)


@router.post("/shares/{owner:segment}/", response_model=schemas.Share, responses=problems(413))
@router.post("/shares/{owner:segment}/{server:segment}", response_model=schemas.Share, responses=problems(413))
async def grant(of: ChangedServer, body: requests.ShareWith, shown: Shares) -> Response:
    """Share a server with a user or a group, in addition to what is shared with them."""
    names = shown.may_give(of, body.scopes)
    shown.may_name(body)
    to = shown.recipient(body)
    if to is None:
        raise InvalidRequestError(f"No such user: {body.user}" if body.user else f"No such group: {body.group}")
    granted = shown.sharing.grant(of.server, to, names)
    shown.record(Act.SHARE_GRANTED, of, to)
    return JSONResponse(shown.model(granted, of, to))


@router.patch("/shares/{owner:segment}/", response_model=schemas.Share | schemas.Nothing, responses=problems(413))
@router.patch(
    "/shares/{owner:segment}/{server:segment}",
    response_model=schemas.Share | schemas.Nothing,
    responses=problems(413),
)
async def revoke(of: ChangedServer, body: requests.ShareWith, shown: Shares) -> Response:
    """Revoke scopes, or all, of a user or a group. If the user or group does not exist, change nothing."""
    names = shares.bare_names(body.scopes, of.owner.name, of.server.name) if body.scopes else None
    to = shown.recipient(body)
    if to is not None:
        shown.privileges.require_may_revoke(shown.actor, of, to=to, names=names)
    left = shown.sharing.revoke(of.server, to, names) if to else None
    if to is not None:
        shown.record(Act.SHARE_ENDED, of, to)
    return JSONResponse(shown.model(left, of, to) if left and to else {})


@router.delete("/shares/{owner:segment}/", status_code=204)
@router.delete("/shares/{owner:segment}/{server:segment}", status_code=204)
async def end(of: ChangedServer, shown: Shares) -> Response:
    """Revoke all shares of a server."""
    shown.privileges.require_may_revoke(shown.actor, of)
    shown.sharing.shares.delete_of_server(of.server.id)
    shown.record(Act.SHARE_ENDED, of)
    return Response(status_code=204)


# --- with a user or a group ------------------------------------------------------------------------------------------

UserWithShares = Annotated[User, user_in_path("read:users:shares")]
LeavingUser = Annotated[User, user_in_path("users:shares")]
GroupWithShares = Annotated[Group, group_in_path("read:groups:shares")]
LeavingGroup = Annotated[Group, group_in_path("groups:shares")]


async def _server_name(request: Request) -> str:
    name: str = request.path_params.get("server", "")
    return name


ServerName = Annotated[str, Depends(_server_name)]


@router.get("/users/{name:segment}/shared", response_model=schemas.Page[schemas.Share])
async def list_with_user(user: UserWithShares, part: WrappedPart, shown: Shares) -> Response:
    """List the shares with a user, including shares with the user's groups."""
    return shown.page(part, with_user=user)


@router.get("/users/{name:segment}/shared/{owner:segment}/", response_model=schemas.Share)
@router.get("/users/{name:segment}/shared/{owner:segment}/{server:segment}", response_model=schemas.Share)
async def read_with_user(user: UserWithShares, owner: str, server: ServerName, shown: Shares) -> Response:
    """Return the share of one server with exactly this user."""
    return JSONResponse(shown.model(*shown.find(user, owner, server), user))


@router.delete("/users/{name:segment}/shared/{owner:segment}/", status_code=204)
@router.delete("/users/{name:segment}/shared/{owner:segment}/{server:segment}", status_code=204)
async def leave_as_user(user: LeavingUser, owner: str, server: ServerName, shown: Shares) -> Response:
    """Remove the share of one server with exactly this user."""
    shown.leave(user, owner, server)
    return Response(status_code=204)


@router.get("/groups/{name:segment}/shared", response_model=schemas.Page[schemas.Share])
async def list_with_group(group: GroupWithShares, part: WrappedPart, shown: Shares) -> Response:
    """List the shares with a group."""
    return shown.page(part, with_group=group)


@router.get("/groups/{name:segment}/shared/{owner:segment}/", response_model=schemas.Share)
@router.get("/groups/{name:segment}/shared/{owner:segment}/{server:segment}", response_model=schemas.Share)
async def read_with_group(group: GroupWithShares, owner: str, server: ServerName, shown: Shares) -> Response:
    """Return the share of one server with a group."""
    return JSONResponse(shown.model(*shown.find(group, owner, server), group))


@router.delete("/groups/{name:segment}/shared/{owner:segment}/", status_code=204)
@router.delete("/groups/{name:segment}/shared/{owner:segment}/{server:segment}", status_code=204)
async def leave_as_group(group: LeavingGroup, owner: str, server: ServerName, shown: Shares) -> Response:
    """Remove the share of one server with a group."""
    shown.leave(group, owner, server)
    return Response(status_code=204)


# --- codes -----------------------------------------------------------------------------------------------------------


@router.get("/share-codes/{owner:segment}", response_model=schemas.Page[schemas.ShareCode])
async def list_codes_of_owner(owner: OwnerOfShares, part: WrappedPart, shown: Shares) -> Response:
    """List an owner's codes, without their secrets."""
    return shown.code_page(part, of_owner=owner)


@router.get("/share-codes/{owner:segment}/", response_model=schemas.Page[schemas.ShareCode])
@router.get("/share-codes/{owner:segment}/{server:segment}", response_model=schemas.Page[schemas.ShareCode])
async def list_codes(of: ReadServer, part: WrappedPart, shown: Shares) -> Response:
    """List a server's codes, without their secrets."""
    return shown.code_page(part, of_server=of.server)


@router.post("/share-codes/{owner:segment}/", response_model=schemas.ShareCode, responses=problems(413))
@router.post("/share-codes/{owner:segment}/{server:segment}", response_model=schemas.ShareCode, responses=problems(413))
async def offer(of: ChangedServer, shown: Shares, body: requests.NewShareCode | None = None) -> Response:
    """Create a share code; each user who has it can accept the share."""
    wanted = body or requests.NewShareCode()
    names = shown.may_give(of, wanted.scopes)
    code, secret = shown.sharing.create_code(of.server, names, timedelta(seconds=wanted.expires_in))
    shown.record(Act.SHARE_CODE_MADE, of)
    return JSONResponse(serializers.share_code_model(ShareCodeDetails(code, of), shown.origins, secret))


@router.delete("/share-codes/{owner:segment}/", status_code=204)
@router.delete("/share-codes/{owner:segment}/{server:segment}", status_code=204)
async def withdraw(
    of: ChangedServer,
    shown: Shares,
    code: Annotated[str | None, _TEXT, Query(description="The secret of one code")] = None,
    code_id: Annotated[str | None, _TEXT, Query(alias="id", description="The id of one code")] = None,
) -> Response:
    """Remove one code by its secret or id, or all codes of a server. Accepted shares stay."""
    secret, wanted = code or None, code_id or None
    removed = shown.sharing.delete_codes(of.server, secret=secret, code_id=wanted)
    if not removed and (secret or wanted):
        raise HTTPException(
            404, "No matching code found" if secret else f"No code found matching id={(wanted or '')[:60]}"
        )
    if removed:
        shown.record(Act.SHARE_CODE_ENDED, of)
    return Response(status_code=204)
