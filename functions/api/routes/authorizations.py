"""Whose a token or cookie is: JupyterHub's old way to ask, before `GET /user`. Kept for clients that still do."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import answers, wire
from functions.api.asking import LOGIN_COOKIE, NO_CREDENTIALS, SAFE_LOGIN_COOKIE, Ask, Asking
from functions.api.jsontext import JSONResponse
from functions.api.openapi import Operation
from functions.api.routing import Router
from hubless.domain import scopes
from hubless.domain.scopes import Bearer
from hubless.services.identity import Actor

router = Router()


@router.get("/authorizations/token/{secret:segment}", Operation(gives=answers.User | answers.Service))
async def owner_of_token(ask: Ask, secret: str) -> Response:
    """Return whose a token is."""
    _needs_token(ask)
    return _owner(ask, ask.hub.identities.of_token(secret))


@router.post("/authorizations/token", Operation(gives=answers.Problem, status=404, is_open=True))
async def issue_by_password() -> Response:
    """Refuse: JupyterHub removed this in 2.0."""
    raise HTTPException(404, "This was removed in JupyterHub 2.0. Use /hub/api/users/:user/tokens instead.")


@router.get("/authorizations/cookie/{name:segment}", Operation(gives=answers.User))
@router.get("/authorizations/cookie/{name:segment}/{secret:segment}", Operation(gives=answers.User))
async def owner_of_cookie(ask: Ask, name: str, request: Request, secret: str | None = None) -> Response:
    """Return who is logged in with a cookie; its value is in the path or is the body."""
    _needs_token(ask)
    if secret is None:
        secret = (await request.body()).decode("ascii", "replace")
    return _owner(ask, ask.hub.identities.of_session(secret) if name in {LOGIN_COOKIE, SAFE_LOGIN_COOKIE} else None)


def _needs_token(ask: Asking) -> None:
    if ask.known().session is not None:
        raise HTTPException(403, NO_CREDENTIALS)


def _owner(ask: Asking, found: Actor | None) -> Response:
    """Return the owner's model with what the asker may see; who holds the secret may always see the name."""
    if found is None:
        raise HTTPException(404)
    shown = ask.known().scopes
    if found.user is None:
        assert found.service is not None  # noqa: S101 an actor is one or the other
        shown |= scopes.expand(scopes.IDENTIFY_SERVICE, Bearer(service=found.service.name))
        return JSONResponse(wire.service_model(found.service, shown, ask.hub.roles))
    shown |= scopes.expand(scopes.IDENTIFY, Bearer(user=found.user.name))
    servers = ask.hub.servers.of_owners([found.user.id]) if shown.has("read:servers") else ()
    return JSONResponse(wire.UserView(shown, ask.hub.roles).model(found.user, servers))
