"""Tokens of users: listing, issuing, reading, revoking."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import Security
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import dependencies, serializers
from functions.api import request_schemas as requests
from functions.api import response_schemas as schemas
from functions.api.auth.acts import record, record_by, wrong_guess
from functions.api.auth.authentication import HUB_TOKEN, NO_CREDENTIALS
from functions.api.auth.scope_checks import OUT_OF_REACH, find_user, user_in_path
from functions.api.dependencies import hub_of
from functions.api.error_handlers import retry_later
from functions.api.json_codec import JSONResponse
from functions.api.oauth_clients import ClientLookup, OAuthClients
from functions.api.password_pool import in_password_pool
from functions.api.routers import api_router, problems
from functions.api.store_pool import has_long_store_calls
from hubless.domain.audit import Act
from hubless.domain.errors import InvalidRequestError, NotFoundError
from hubless.domain.names import normalise_user_name
from hubless.domain.tokens import Token
from hubless.domain.users import User
from hubless.services.identity import Actor
from hubless.services.login_throttling import LockedOut

NEEDS_FACTOR = "This account needs a second factor: log in with a browser and make the token at /hub/token"
router = api_router("/users", tag="tokens")
TokenReader = Annotated[User, user_in_path("read:tokens")]


@router.get("/{name:segment}/tokens", response_model=schemas.Tokens)
@has_long_store_calls
async def list_tokens(user: TokenReader, tokens: dependencies.Tokens, clients: OAuthClients) -> Response:
    """List a user's tokens, those of OAuth clients included."""
    return JSONResponse({"api_tokens": [_model(token, user, tokens, clients) for token in tokens.of(user)]})


@router.post("/{name:segment}/tokens", status_code=201, response_model=schemas.Token, responses=problems(413, 429))
async def create_token(
    request: Request,
    name: str,
    actor: Annotated[Actor | None, Security(HUB_TOKEN, scopes=["tokens"])],
    users: dependencies.Users,
    logins: dependencies.PasswordLogins,
    tokens: dependencies.Tokens,
    roles: dependencies.Roles,
    privileges: dependencies.Privileges,
    clients: OAuthClients,
    body: requests.NewToken | None = None,
) -> Response:
    """Issue a token. A request without credentials must carry the user's password."""
    wanted = body or requests.NewToken()
    user = await _by_password(request, logins, name, wanted.auth) if actor is None else _of_actor(actor, users, name)
    if wanted.roles is not None and wanted.scopes is not None:
        raise InvalidRequestError("Specify scopes or roles, not both")
    raw_scopes = wanted.scopes if wanted.roles is None else _scopes_of_roles(roles, wanted.roles)
    if actor is not None:
        raw_scopes = privileges.token_scopes(actor, user, raw_scopes)
    note = wanted.note or (
        f"Requested via api by {actor.kind.value} {actor.name}" if actor and actor.name != name else "Requested via api"
    )
    token, secret = tokens.issue_to(
        user,
        note=note,
        expires_in=None if wanted.expires_in is None else timedelta(seconds=wanted.expires_in),
        raw_scopes=raw_scopes,
    )
    if actor is None:
        record_by(user, request, Act.TOKEN_ISSUED, user.name, token=token.id)
    else:
        record(request, Act.TOKEN_ISSUED, user.name, token=token.id)
    return JSONResponse(_model(token, user, tokens, clients) | {"token": secret}, 201)


@router.get("/{name:segment}/tokens/{token_id:segment}", response_model=schemas.Token)
async def read_token(user: TokenReader, token_id: str, tokens: dependencies.Tokens, clients: OAuthClients) -> Response:
    """Return one token's model."""
    return JSONResponse(_model(_found(tokens, user, token_id), user, tokens, clients))


@router.delete("/{name:segment}/tokens/{token_id:segment}", status_code=204)
async def delete_token(
    request: Request, user: Annotated[User, user_in_path("tokens")], token_id: str, tokens: dependencies.Tokens
) -> Response:
    """Revoke a token. With an OAuth token, all tokens that its client holds of the user are revoked."""
    tokens.revoke(user, _found(tokens, user, token_id))
    record(request, Act.TOKEN_REVOKED, user.name, token=token_id)
    return Response(status_code=204)


def _of_actor(actor: Actor, users: dependencies.Users, name: str) -> User:
    try:
        return find_user(actor, users, name, "tokens")
    except HTTPException as refused:
        if refused.status_code == 404:  # noqa: PLR2004 JupyterHub answers 403 here, also for unknown users
            raise HTTPException(403, OUT_OF_REACH) from refused
        raise


async def _by_password(
    request: Request, logins: dependencies.PasswordLogins, name: str, auth: requests.PasswordLogin | None
) -> User:
    if auth is None:
        raise HTTPException(403, NO_CREDENTIALS)
    found = await in_password_pool(logins.check, auth.username, auth.password, dependencies.address_of(request))
    if not isinstance(found, User):
        wrong_guess(request, auth.username)
    if isinstance(found, LockedOut):
        why = f"Too many wrong guesses. Wait up to {found.minutes} minutes, then try again."
        raise HTTPException(429, why, retry_later(hub_of(request)))
    if not isinstance(found, User) or normalise_user_name(found.name) != normalise_user_name(name):
        raise HTTPException(403, "Invalid username or password")
    if hub_of(request).second_factors.required_of(found):
        raise HTTPException(403, NEEDS_FACTOR)
    return found


def _scopes_of_roles(roles: dependencies.Roles, role_names: list[str]) -> list[str]:
    """Return the scopes of the (deprecated) roles; `token` means all that the owner has."""
    found: list[str] = []
    for name in role_names:
        if name == "token":
            found.append("inherit")
        elif name in roles:
            found.extend(roles[name].scopes)
        else:
            raise InvalidRequestError(f"Role {name[:60]} does not exist")
    return found


def _found(tokens: dependencies.Tokens, user: User, token_id: str) -> Token:
    try:
        return tokens.get(user, token_id)
    except NotFoundError:
        raise HTTPException(404, "Token not found") from None


def _model(token: Token, user: User, tokens: dependencies.Tokens, clients: ClientLookup) -> dict[str, Any]:
    return serializers.token_model(token, user.name, tokens.scopes_of(token, user), clients.describe(token))
