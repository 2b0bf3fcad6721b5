"""Owners of tokens and cookies: JupyterHub's endpoints from before `GET /user`, kept for old clients."""

from typing import Annotated

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import response_schemas as schemas
from functions.api import serializers
from functions.api.auth.authentication import NO_CREDENTIALS, CurrentActor
from functions.api.auth.cookies import LOGIN_COOKIE, SAFE_LOGIN_COOKIE
from functions.api.dependencies import Identities, Roles, Servers, address_of
from functions.api.json_codec import JSONResponse
from functions.api.routers import api_router
from hubless.domain import scopes
from hubless.domain.scopes import Bearer
from hubless.services.identity import Actor

router = api_router("/authorizations", tag="authorizations")


async def _by_token(actor: CurrentActor) -> Actor:
    if actor.session is not None:
        raise HTTPException(403, NO_CREDENTIALS)
    return actor


TokenActor = Annotated[Actor, Depends(_by_token)]


@router.get("/token/{secret:segment}", response_model=schemas.User | schemas.Service)
async def owner_of_token(
    actor: TokenActor, secret: str, request: Request, identities: Identities, roles: Roles, servers: Servers
) -> Response:
    """Return the owner of a token."""
    agent = request.headers.get("user-agent", "")  # of who shows it to us
    return _owner(actor, identities.of_token(secret, address_of(request), agent), roles, servers)


@router.post("/token", status_code=404, response_model=schemas.Problem)
async def issue_by_password() -> Response:
    """Refuse: JupyterHub removed this in 2.0."""
    raise HTTPException(404, "This was removed in JupyterHub 2.0. Use /hub/api/users/:user/tokens instead.")


@router.get("/cookie/{name:segment}", response_model=schemas.User)
async def owner_of_cookie_in_body(
    actor: TokenActor, name: str, request: Request, identities: Identities, roles: Roles, servers: Servers
) -> Response:
    """Return the user whose login cookie has the value in the body."""
    secret = (await request.body()).decode("ascii", "replace")
    return _owner(actor, _of_cookie(identities, name, secret), roles, servers)


@router.get("/cookie/{name:segment}/{secret:segment}", response_model=schemas.User)
async def owner_of_cookie(
    actor: TokenActor, name: str, secret: str, identities: Identities, roles: Roles, servers: Servers
) -> Response:
    """Return the user who is logged in with a cookie."""
    return _owner(actor, _of_cookie(identities, name, secret), roles, servers)


def _of_cookie(identities: Identities, name: str, secret: str) -> Actor | None:
    return identities.of_session(secret) if name in {LOGIN_COOKIE, SAFE_LOGIN_COOKIE} else None


def _owner(actor: Actor, found: Actor | None, roles: Roles, servers: Servers) -> Response:
    """Return the owner's model with what the actor may see. The holder of the secret may always see the name."""
    if found is None:
        raise HTTPException(404)
    shown = actor.scopes
    if found.user is None:
        assert found.service is not None  # noqa: S101 an actor is one or the other
        shown |= scopes.expand(scopes.IDENTIFY_SERVICE, Bearer(service=found.service.name))
        return JSONResponse(serializers.service_model(found.service, shown, roles))
    shown |= scopes.expand(scopes.IDENTIFY, Bearer(user=found.user.name))
    running = servers.of_owners([found.user.id]) if shown.has("read:servers") else ()
    return JSONResponse(serializers.UserView(shown, roles).model(found.user, running))
