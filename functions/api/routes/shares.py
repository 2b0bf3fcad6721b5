"""Shares and share codes: of one's servers with others, and what others share with a user or a group."""

from collections.abc import Iterable
from datetime import timedelta

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import answers, bodies, paging, wire
from functions.api.asking import Ask, Asking
from functions.api.jsontext import JSONResponse
from functions.api.openapi import PAGING, Operation
from functions.api.routes.groups import group_within_reach
from functions.api.routing import Router
from hubless.domain import shares
from hubless.domain.errors import InvalidRequestError, NotFoundError
from hubless.domain.shares import Share
from hubless.domain.users import Group, User
from hubless.services.sharing import Granted, Offered, SharedServer

router = Router()
_WHICH = {"id": {"type": "string"}, "code": {"type": "string"}}


# --- of an owner's servers -------------------------------------------------------------------------------------------


@router.get("/shares/{owner:segment}", Operation(("read:shares",), gives=answers.Page[answers.Share], query=PAGING))
async def list_of_owner(ask: Ask, owner: str, request: Request) -> Response:
    """List with whom an owner shares."""
    user, part = ask.user(owner, "read:shares"), paging.wrapped(request)
    return _page(ask, request, part, ask.hub.sharing.page(offset=part.offset, limit=part.limit, of_owner=user))


@router.get("/shares/{owner:segment}/", Operation(("read:shares",), gives=answers.Page[answers.Share], query=PAGING))
@router.get(
    "/shares/{owner:segment}/{server:segment}",
    Operation(("read:shares",), gives=answers.Page[answers.Share], query=PAGING),
)
async def list_of_server(ask: Ask, owner: str, request: Request, server: str = "") -> Response:
    """List with whom a server is shared."""
    of, part = _shared(ask, owner, server, "read:shares"), paging.wrapped(request)
    return _page(ask, request, part, ask.hub.sharing.page(offset=part.offset, limit=part.limit, of_server=of.server))


@router.post(
    "/shares/{owner:segment}/", Operation(("shares",), takes=bodies.ShareWith, gives=answers.Share, needs_body=True)
)
@router.post(
    "/shares/{owner:segment}/{server:segment}",
    Operation(("shares",), takes=bodies.ShareWith, gives=answers.Share, needs_body=True),
)
async def grant(ask: Ask, owner: str, request: Request, server: str = "") -> Response:
    """Share a server with a user or a group, on top of what is shared with them."""
    of = _shared(ask, owner, server, "shares")
    body = await bodies.read(request, bodies.ShareWith)
    names = _may_give(ask, of, body.scopes)
    _may_name(ask, body)
    to = _target(ask, body)
    if to is None:
        raise InvalidRequestError(f"No such user: {body.user}" if body.user else f"No such group: {body.group}")
    return JSONResponse(_model(ask, ask.hub.sharing.grant(of.server, to, names), of, to))


@router.patch(
    "/shares/{owner:segment}/",
    Operation(("shares",), takes=bodies.ShareWith, gives=answers.Share | answers.Nothing, needs_body=True),
)
@router.patch(
    "/shares/{owner:segment}/{server:segment}",
    Operation(("shares",), takes=bodies.ShareWith, gives=answers.Share | answers.Nothing, needs_body=True),
)
async def revoke(ask: Ask, owner: str, request: Request, server: str = "") -> Response:
    """Take scopes, or all, back from a user or a group; who is not there has nothing to give back."""
    of = _shared(ask, owner, server, "shares")
    body = await bodies.read(request, bodies.ShareWith)
    names = shares.bare_names(body.scopes, of.owner.name, of.server.name) if body.scopes else None
    to = _target(ask, body)
    left = ask.hub.sharing.revoke(of.server, to, names) if to else None
    return JSONResponse(_model(ask, left, of, to) if left and to else {})


@router.delete("/shares/{owner:segment}/", Operation(("shares",), status=204))
@router.delete("/shares/{owner:segment}/{server:segment}", Operation(("shares",), status=204))
async def end(ask: Ask, owner: str, server: str = "") -> Response:
    """Share a server with nobody."""
    ask.hub.sharing.shares.delete_of_server(_shared(ask, owner, server, "shares").server.id)
    return Response(status_code=204)


# --- with a user or a group ------------------------------------------------------------------------------------------


@router.get(
    "/users/{name:segment}/shared", Operation(("read:users:shares",), gives=answers.Page[answers.Share], query=PAGING)
)
async def list_with_user(ask: Ask, name: str, request: Request) -> Response:
    """List what is shared with a user, also through groups."""
    user, part = ask.user(name, "read:users:shares"), paging.wrapped(request)
    return _page(ask, request, part, ask.hub.sharing.page(offset=part.offset, limit=part.limit, with_user=user))


@router.get("/users/{name:segment}/shared/{owner:segment}/", Operation(("read:users:shares",), gives=answers.Share))
@router.get(
    "/users/{name:segment}/shared/{owner:segment}/{server:segment}",
    Operation(("read:users:shares",), gives=answers.Share),
)
async def read_with_user(ask: Ask, name: str, owner: str, server: str = "") -> Response:
    """Return what one server shares with this very user."""
    return _read(ask, ask.user(name, "read:users:shares"), owner, server)


@router.delete("/users/{name:segment}/shared/{owner:segment}/", Operation(("users:shares",), status=204))
@router.delete(
    "/users/{name:segment}/shared/{owner:segment}/{server:segment}", Operation(("users:shares",), status=204)
)
async def leave_as_user(ask: Ask, name: str, owner: str, server: str = "") -> Response:
    """Give up what one server shares with this very user."""
    return _leave(ask, ask.user(name, "users:shares"), owner, server)


@router.get(
    "/groups/{name:segment}/shared", Operation(("read:groups:shares",), gives=answers.Page[answers.Share], query=PAGING)
)
async def list_with_group(ask: Ask, name: str, request: Request) -> Response:
    """List what is shared with a group."""
    group, part = group_within_reach(ask, name, "read:groups:shares"), paging.wrapped(request)
    return _page(ask, request, part, ask.hub.sharing.page(offset=part.offset, limit=part.limit, with_group=group))


@router.get("/groups/{name:segment}/shared/{owner:segment}/", Operation(("read:groups:shares",), gives=answers.Share))
@router.get(
    "/groups/{name:segment}/shared/{owner:segment}/{server:segment}",
    Operation(("read:groups:shares",), gives=answers.Share),
)
async def read_with_group(ask: Ask, name: str, owner: str, server: str = "") -> Response:
    """Return what one server shares with a group."""
    return _read(ask, group_within_reach(ask, name, "read:groups:shares"), owner, server)


@router.delete("/groups/{name:segment}/shared/{owner:segment}/", Operation(("groups:shares",), status=204))
@router.delete(
    "/groups/{name:segment}/shared/{owner:segment}/{server:segment}", Operation(("groups:shares",), status=204)
)
async def leave_as_group(ask: Ask, name: str, owner: str, server: str = "") -> Response:
    """Give up what one server shares with a group."""
    return _leave(ask, group_within_reach(ask, name, "groups:shares"), owner, server)


def _read(ask: Asking, to: User | Group, owner: str, server_name: str) -> Response:
    share, of = _share_with(ask, to, owner, server_name)
    return JSONResponse(_model(ask, share, of, to))


def _leave(ask: Asking, to: User | Group, owner: str, server_name: str) -> Response:
    ask.hub.sharing.end(_share_with(ask, to, owner, server_name)[0])
    return Response(status_code=204)


def _share_with(ask: Asking, to: User | Group, owner_name: str, server_name: str) -> tuple[Share, SharedServer]:
    owner = ask.hub.users.find(owner_name)
    server = ask.hub.servers.find(owner.id, server_name) if owner else None
    if owner is not None and server is not None:
        try:
            return ask.hub.sharing.find(server, to), SharedServer(server, owner)
        except NotFoundError:
            pass
    kind = "user" if isinstance(to, User) else "group"
    raise HTTPException(404, f"No such share for {kind} {to.name} on {owner_name[:60]}/{server_name[:60]}")


# --- codes -----------------------------------------------------------------------------------------------------------


@router.get(
    "/share-codes/{owner:segment}", Operation(("read:shares",), gives=answers.Page[answers.ShareCode], query=PAGING)
)
async def list_codes_of_owner(ask: Ask, owner: str, request: Request) -> Response:
    """List an owner's codes, without their secrets."""
    user, part = ask.user(owner, "read:shares"), paging.wrapped(request)
    return _code_page(
        ask, request, part, ask.hub.sharing.code_page(offset=part.offset, limit=part.limit, of_owner=user)
    )


@router.get(
    "/share-codes/{owner:segment}/", Operation(("read:shares",), gives=answers.Page[answers.ShareCode], query=PAGING)
)
@router.get(
    "/share-codes/{owner:segment}/{server:segment}",
    Operation(("read:shares",), gives=answers.Page[answers.ShareCode], query=PAGING),
)
async def list_codes(ask: Ask, owner: str, request: Request, server: str = "") -> Response:
    """List a server's codes, without their secrets."""
    of, part = _shared(ask, owner, server, "read:shares"), paging.wrapped(request)
    found = ask.hub.sharing.code_page(offset=part.offset, limit=part.limit, of_server=of.server)
    return _code_page(ask, request, part, found)


@router.post(
    "/share-codes/{owner:segment}/", Operation(("shares",), takes=bodies.NewShareCode, gives=answers.ShareCode)
)
@router.post(
    "/share-codes/{owner:segment}/{server:segment}",
    Operation(("shares",), takes=bodies.NewShareCode, gives=answers.ShareCode),
)
async def offer(ask: Ask, owner: str, request: Request, server: str = "") -> Response:
    """Make a code that shares a server with whoever shows it."""
    of = _shared(ask, owner, server, "shares")
    body = await bodies.read(request, bodies.NewShareCode)
    names = _may_give(ask, of, body.scopes)
    code, secret = ask.hub.sharing.offer(of.server, names, timedelta(seconds=body.expires_in))
    return JSONResponse(wire.share_code_model(Offered(code, of), ask.hub.origins, secret))


@router.delete("/share-codes/{owner:segment}/", Operation(("shares",), status=204, query=_WHICH))
@router.delete("/share-codes/{owner:segment}/{server:segment}", Operation(("shares",), status=204, query=_WHICH))
async def withdraw(ask: Ask, owner: str, request: Request, server: str = "") -> Response:
    """Withdraw one code by its secret or id, or all of a server; shares that came of them stay."""
    of = _shared(ask, owner, server, "shares")
    secret, code_id = request.query_params.get("code") or None, request.query_params.get("id") or None
    if not ask.hub.sharing.withdraw(of.server, secret=secret, code_id=code_id) and (secret or code_id):
        raise HTTPException(
            404, "No matching code found" if secret else f"No code found matching id={(code_id or '')[:60]}"
        )
    return Response(status_code=204)


# --- what they have in common ----------------------------------------------------------------------------------------


def _shared(ask: Asking, owner_name: str, server_name: str, *needed: str) -> SharedServer:
    """Return the server when the actor holds one of the scopes for it.

    Raises:
        HTTPException: 403 or 404, as `Asking.user_with_server` does; 404 naming a server that does not exist.
    """
    owner = ask.user_with_server(owner_name, server_name, *needed)
    try:
        look = ask.hub.spawning.find if ask.request.method == "GET" else ask.hub.spawning.stored
        return SharedServer(look(owner, server_name), owner)
    except NotFoundError:
        raise HTTPException(404, f"No such server: {owner.name}/{server_name[:60]}") from None


def _may_give(ask: Asking, of: SharedServer, wanted: Iterable[str] | None) -> tuple[str, ...]:
    """Return the bare names of the scopes *wanted* (access to the server when None) that the actor may give away.

    Raises:
        InvalidRequestError: naming a scope that cannot be shared.
        HTTPException: 403 naming one that the actor does not hold for this server.
    """
    names = shares.bare_names(wanted or shares.ACCESS, of.owner.name, of.server.name)
    actor = ask.known()
    for name in names:
        if not actor.scopes.covers_server(name, of.owner.name, of.server.name, of.owner.groups):
            scope = f"{name}!server={of.owner.name}/{of.server.name}"
            raise HTTPException(403, f"Do not have permission to grant share with scope {scope}")
    return names


def _may_name(ask: Asking, body: bodies.ShareWith) -> None:
    """Refuse to tell by the answer whether a user or group exists to whom may not read their names."""
    scopes = ask.known().scopes
    if body.user is not None:
        user = ask.hub.users.find(body.user)
        if not scopes.covers_user("read:users:name", body.user, user.groups if user else ()):
            raise HTTPException(403, "Need scope 'read:users:name' to share with users by name")
    elif not scopes.covers_group("read:groups:name", body.group or ""):
        raise HTTPException(403, "Need scope 'read:groups:name' to share with groups by name")


def _target(ask: Asking, body: bodies.ShareWith) -> User | Group | None:
    if body.user is not None:
        return ask.hub.users.find(body.user)
    return ask.hub.groups.find(body.group or "")


def _model(ask: Asking, share: Share, of: SharedServer, to: User | Group) -> dict[str, object]:
    user, group = (to.name, None) if isinstance(to, User) else (None, to.name)
    return wire.share_model(Granted(share, of, user, group), ask.hub.origins)


def _page(ask: Asking, request: Request, part: paging.Window, found: tuple[list[Granted], int]) -> Response:
    models = [wire.share_model(granted, ask.hub.origins) for granted in found[0]]
    return paging.reply(request, part, models, found[1])


def _code_page(ask: Asking, request: Request, part: paging.Window, found: tuple[list[Offered], int]) -> Response:
    models = [wire.share_code_model(offered, ask.hub.origins) for offered in found[0]]
    return paging.reply(request, part, models, found[1])
