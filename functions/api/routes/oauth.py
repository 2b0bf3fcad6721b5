"""The OAuth endpoints: authorize (for browsers) and token (for servers and services)."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth import opening_consents
from functions.api.auth.refreshing import require_fresh_login
from functions.api.auth.visitors import Form, MaybePerson, OwnForm, person_of, session_of, to_login, user_of
from functions.api.error_handlers import answer, seconds_to_wait
from functions.api.json_codec import JSONResponse
from functions.api.oauth_clients import ClientLookup, OAuthClients
from functions.api.opening_views import opening_view
from functions.api.rendering import Renderer
from functions.api.response_schemas import OAuthProblem
from functions.api.routers import api_router, problems
from functions.api.token_exchange import TOKEN_EXCHANGE, exchange
from hubless.domain import scopes
from hubless.domain.bounds import MAX_FIELD
from hubless.domain.errors import NotFoundError, QuotaExceededError
from hubless.domain.tokens import Client
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.services.identity import Actor

if TYPE_CHECKING:
    from functions.api.oauth_provider import Provider

router = api_router("/oauth2", tag="oauth2")
_SHOWN_ERRORS = {
    "invalid_client_id": "No such OAuth client",
    "mismatching_redirect_uri": "That redirect URI is not registered",
}
_FIELDS = (
    *("grant_type", "code", "redirect_uri", "client_id", "client_secret", "code_verifier"),
    *("subject_token", "subject_token_type", "requested_token_type", "scope", "rule"),  # of token exchange
)
_TOKEN_FORM = {
    "requestBody": {
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {"type": "object", "properties": {name: {"type": "string"} for name in _FIELDS}}
            }
        }
    }
}


async def _oauth_provider(hub: dependencies.WholeHub) -> "Provider":
    from functions.api.oauth_provider import provider_of  # noqa: PLC0415 oauthlib, which few requests need

    return provider_of(hub)


OAuthProvider = Annotated["Provider", Depends(_oauth_provider)]


@value
class _Authorizing:
    """Authorizes a client for the visitor of the page."""

    request: Request
    provider: "Provider"
    authorizations: dependencies.Authorizations
    clients: ClientLookup
    users: dependencies.Users
    servers: dependencies.Servers
    origins: dependencies.Origins

    def authorize(self, actor: Actor, form: Form | None) -> Response:
        """Redirect to the client with a code, or ask the visitor first."""
        provider, request, user = self.provider, self.request, user_of(actor)
        try:
            wanted, credentials = provider.validate_authorization_request(str(request.url), "GET")
            client: Client = credentials["request"].client
            if not self.authorizations.may_access(user, client):
                return answer(as_page(request), 403, f"You do not have permission to access {client.description}")
            chosen = wanted if form is None else self._agreed(client, form)
            granted = self.authorizations.granted(user, client, chosen)
            if form is None and not self._is_agreed(actor, client, granted):
                return self._question(user, client, granted)
            return self._redirect(credentials, actor, granted)
        except NotFoundError:  # the session ended meanwhile
            return to_login(request)
        except provider.FatalClientError as fatal:
            shown = _SHOWN_ERRORS.get(str(fatal.error), fatal.description or str(fatal.error))
            return answer(as_page(request), 400, shown)
        except provider.Error as error:
            back = error.in_uri(error.redirect_uri or self._client_uri())
            return RedirectResponse(self._located(back), 302)

    def _is_agreed(self, actor: Actor, client: Client, granted: tuple[str, ...]) -> bool:
        """Say whether the visitor need not be asked, or has agreed on the hub's own page for this server."""
        if not self.authorizations.needs_consent(user_of(actor), client, granted):
            return True
        only_opens = self.authorizations.opens_only(client, granted)
        return only_opens and opening_consents.take(self.request, session_of(actor), client)

    def _client_uri(self) -> str:
        """Return the registered address of the client in the request; earlier checks refuse unknown clients."""
        client = self.clients.find(self.request.query_params.get("client_id", ""))
        if client is None:
            raise HTTPException(400, "No such OAuth client")
        return client.redirect_uri

    def _agreed(self, client: Client, form: Form) -> list[str]:
        agreed = form.texts("scopes")
        if not self.authorizations.may_request(client, agreed):
            from oauthlib.oauth2.rfc6749.errors import InvalidScopeError  # noqa: PLC0415 rare

            raise InvalidScopeError
        return agreed

    def _redirect(self, credentials: dict[str, Any], actor: Actor, granted: tuple[str, ...]) -> Response:
        facts = {"user": actor.user, "session_id": actor.session_id or "", "scopes": list(granted)}
        headers, _body, status = self.provider.create_authorization_response(
            str(self.request.url), "GET", scopes=list(granted), credentials=credentials | facts
        )
        response = RedirectResponse(self._located(headers["Location"]), status)
        response.headers["Cache-Control"] = "no-store"
        return response

    def _located(self, uri: str) -> str:
        """Return *uri* at its owner's host if it is a path, as with servers from before each had a host."""
        return self.origins.link_to(uri) if uri.startswith("/") else uri

    def _question(self, user: User, client: Client, granted: tuple[str, ...]) -> Response:
        owner = self.users.get(client.owner_id) if client.owner_id else None
        action = "/hub/api/oauth2/authorize?" + urlencode(list(self.request.query_params.multi_items()))
        server = self.servers.get(client.server_id or "") if owner and client.server_id else None
        if owner is not None and server is not None and self.authorizations.opens_only(client, granted):
            view = opening_view(user, owner, server, starts=False)
            return Renderer(self.request)(
                "open_server.html", **view, action=action, fields=[("scopes", raw) for raw in granted]
            )
        return Renderer(self.request)(
            "oauth.html",
            client_description=client.description,
            client_url=client.redirect_uri,
            scopes=[{"raw": raw, "description": scopes.described(raw)} for raw in granted],
            scope_list=list(granted),
            for_owner=owner.name if owner else None,
            action=action,
        )


async def _authorizing(
    request: Request,
    provider: OAuthProvider,
    authorizations: dependencies.Authorizations,
    clients: OAuthClients,
    users: dependencies.Users,
    servers: dependencies.Servers,
    origins: dependencies.Origins,
) -> _Authorizing:
    return _Authorizing(request, provider, authorizations, clients, users, servers, origins)


Authorizing = Annotated[_Authorizing, Depends(_authorizing)]


@router.get("/authorize", include_in_schema=False)
async def ask(request: Request, actor: MaybePerson, authorizing: Authorizing, hub: dependencies.WholeHub) -> Response:
    """Authorize at once if the visitor need not consent, otherwise ask for consent."""
    if request.query_params.get("client_id") is None:
        raise HTTPException(400, "client_id is missing")
    if actor is None or actor.session is None:
        return to_login(request)
    await require_fresh_login(hub, actor, user_of(actor))
    return authorizing.authorize(person_of(request), form=None)


@router.post("/authorize", include_in_schema=False)
async def consent(request: Request, form: OwnForm, actor: MaybePerson, authorizing: Authorizing) -> Response:
    """Authorize the scopes that the visitor agreed to."""
    if actor is None or actor.session is None:
        raise HTTPException(403, "Only a logged-in browser can authorize a client")
    return authorizing.authorize(person_of(request), form=form)


def as_page(request: Request) -> Request:
    """Return the request with a path that makes errors pages: a browser reads them, though the path is the API's."""
    return Request({**request.scope, "path": "/hub/oauth2"}, request.receive)


@router.post(
    "/token",
    response_model=dict[str, Any],
    responses=problems(400, 401, 403, 404, 429, 503, model=OAuthProblem),
    openapi_extra=_TOKEN_FORM,
)
async def token(request: Request, provider: OAuthProvider, hub: dependencies.WholeHub) -> Response:
    """Exchange a code for a token, or the proof of a workload (RFC 8693)."""
    safe = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    try:
        form = await request.form(max_fields=20)
    except HTTPException as refused:
        if refused.status_code != HTTPStatus.BAD_REQUEST:  # such as for a body that is too large
            raise
        return JSONResponse({"error": "invalid_request"}, 400, safe)
    if any(len(text) > MAX_FIELD for field in form.multi_items() for text in map(str, field)):
        return JSONResponse({"error": "invalid_request"}, 400, safe)
    if TOKEN_EXCHANGE in form.getlist("grant_type"):
        return await exchange(request, hub, form)
    body = urlencode([(k, v) for k, v in form.multi_items() if isinstance(v, str)])
    return _answer_of(provider, request, body, safe)


def _answer_of(provider: "Provider", request: Request, body: str, safe: dict[str, str]) -> Response:
    """Return the provider's answer to a request for a token, with the headers *safe*."""
    sender = {"address": dependencies.address_of(request)}
    try:
        headers, text, status = provider.create_token_response(str(request.url), "POST", body, {}, sender)
    except QuotaExceededError as wait:  # too many wrong secrets; the word is of RFC 8628 3.5
        problem = {"error": "slow_down", "error_description": str(wait)}
        return JSONResponse(problem, 429, safe | {"Retry-After": str(seconds_to_wait(wait))})
    except NotFoundError:  # the user or the session was removed meanwhile
        return JSONResponse({"error": "invalid_grant"}, 400, safe)
    except provider.Error as error:  # such as for parameters in the query
        return JSONResponse({"error": error.error}, error.status_code, safe)
    content_type = headers.get("Content-Type", "application/json")
    return Response(text, status, safe, media_type=content_type) if text else JSONResponse({}, status, safe)
