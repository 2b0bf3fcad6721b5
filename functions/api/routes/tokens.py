"""Tokens of users: listing, issuing, reading, revoking."""

from datetime import timedelta

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import answers, bodies, wire
from functions.api.asking import NO_CREDENTIALS, OUT_OF_REACH, Ask, Asking
from functions.api.clients import describe_client
from functions.api.jsontext import JSONResponse
from functions.api.openapi import Operation
from functions.api.routing import Router
from functions.api.slowly import slowly
from hubless.domain.errors import InvalidRequestError, NotFoundError
from hubless.domain.names import normalise_user_name
from hubless.domain.tokens import Token
from hubless.domain.users import User

router = Router()


@router.get("/users/{name:segment}/tokens", Operation(("read:tokens",), gives=answers.Tokens))
async def list_tokens(ask: Ask, name: str) -> Response:
    """List a user's tokens, those of OAuth clients among them."""
    user = ask.user(name, "read:tokens")
    return JSONResponse({"api_tokens": [_model(ask, token, user) for token in ask.hub.tokens.of(user)]})


@router.post(
    "/users/{name:segment}/tokens", Operation(("tokens",), takes=bodies.NewToken, gives=answers.Token, status=201)
)
async def create_token(ask: Ask, name: str, request: Request) -> Response:
    """Issue a token; without credentials, to whoever knows the user's password."""
    body = await bodies.read(request, bodies.NewToken)
    user = await _user_by_password(ask, name, body.auth, request) if ask.actor is None else _user(ask, name)
    actor = ask.actor
    if actor is not None and user.admin and not actor.is_admin:
        raise HTTPException(403, "Only admins can issue tokens of admins")
    if body.roles is not None and body.scopes is not None:
        raise InvalidRequestError("Specify scopes or roles, not both")
    note = body.note or (
        f"Requested via api by {actor.kind.value} {actor.name}" if actor and actor.name != name else "Requested via api"
    )
    token, secret = ask.hub.tokens.issue_to(
        user,
        note=note,
        expires_in=None if body.expires_in is None else timedelta(seconds=body.expires_in),
        raw_scopes=body.scopes if body.roles is None else _scopes_of_roles(ask, body.roles),
    )
    return JSONResponse(_model(ask, token, user) | {"token": secret}, 201)


@router.get("/users/{name:segment}/tokens/{token_id:segment}", Operation(("read:tokens",), gives=answers.Token))
async def read_token(ask: Ask, name: str, token_id: str) -> Response:
    """Return one token's model."""
    user = ask.user(name, "read:tokens")
    return JSONResponse(_model(ask, _token(ask, user, token_id), user))


@router.delete("/users/{name:segment}/tokens/{token_id:segment}", Operation(("tokens",), status=204))
async def delete_token(ask: Ask, name: str, token_id: str) -> Response:
    """Revoke a token; an OAuth token takes all that its client holds of the user with it."""
    user = ask.user(name, "tokens")
    ask.hub.tokens.revoke(user, _token(ask, user, token_id))
    return Response(status_code=204)


def _user(ask: Asking, name: str) -> User:
    try:
        return ask.user(name, "tokens")
    except HTTPException as refused:
        if refused.status_code == 404:  # noqa: PLR2004 JupyterHub says 403 here, alike for unknown users
            raise HTTPException(403, OUT_OF_REACH) from refused
        raise


async def _user_by_password(ask: Asking, name: str, auth: bodies.PasswordLogin | None, request: Request) -> User:
    if auth is None:
        raise HTTPException(403, NO_CREDENTIALS)
    address = request.client.host if request.client else "unknown"
    found = await slowly(ask.hub.password_login.check, auth.username, auth.password, address)
    if not isinstance(found, User) or found.name != normalise_user_name(name):
        raise HTTPException(403, "Invalid username or password")
    return found


def _scopes_of_roles(ask: Asking, role_names: list[str]) -> list[str]:
    """Return the scopes that the (deprecated) roles stand for; `token` means all that the owner has."""
    found: list[str] = []
    for name in role_names:
        if name == "token":
            found.append("inherit")
        elif name in ask.hub.roles:
            found.extend(ask.hub.roles[name].scopes)
        else:
            raise InvalidRequestError(f"Role {name[:60]} does not exist")
    return found


def _token(ask: Asking, user: User, token_id: str) -> Token:
    try:
        return ask.hub.tokens.get(user, token_id)
    except NotFoundError:
        raise HTTPException(404, "Token not found") from None


def _model(ask: Asking, token: Token, user: User) -> dict[str, object]:
    return wire.token_model(token, user.name, ask.hub.tokens.scopes_of(token, user), describe_client(ask.hub, token))
