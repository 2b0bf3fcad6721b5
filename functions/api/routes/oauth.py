"""The OAuth endpoints: authorize (for browsers) and token (for servers and services)."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import answers
from functions.api.asking import Form, OwnForm, hub_of, person, to_login
from functions.api.jsontext import JSONResponse
from functions.api.openapi import Operation
from functions.api.problems import answer
from functions.api.rendering import page
from functions.api.routing import Router
from hubless.domain import scopes
from hubless.domain.errors import NotFoundError
from hubless.domain.tokens import Client
from hubless.services.identity import Actor

if TYPE_CHECKING:
    from functions.api.provider import Provider

router = Router()
_SHOWN_ERRORS = {
    "invalid_client_id": "No such OAuth client",
    "mismatching_redirect_uri": "That redirect URI is not registered",
}


@router.get("/oauth2/authorize")
async def ask(request: Request) -> Response:
    """Authorize at once where nothing is to be asked, and ask else."""
    if request.query_params.get("client_id") is None:
        raise HTTPException(400, "client_id is missing")
    if _session_of(request) is None:
        return to_login(request)
    actor = await person(request)
    return _authorize(request, actor, form=None)


@router.post("/oauth2/authorize")
async def consent(request: Request, form: OwnForm) -> Response:
    """Authorize what the person agreed to."""
    if _session_of(request) is None:
        raise HTTPException(403, "Authorizing is for people with a browser")
    return _authorize(request, await person(request), form=form)


def _provider(request: Request) -> "Provider":
    from functions.api.provider import provider_of  # noqa: PLC0415 oauthlib, which few requests need

    return provider_of(hub_of(request))


def _session_of(request: Request) -> object | None:
    from functions.api.asking import actor_of  # noqa: PLC0415 beside its only use

    actor = actor_of(request)
    return actor.session if actor else None


def _authorize(request: Request, actor: Actor, form: Form | None) -> Response:
    provider = _provider(request)
    hub, user = hub_of(request), actor.user
    assert user is not None  # noqa: S101 a person is a user
    try:
        wanted, credentials = provider.validate_authorization_request(str(request.url), "GET")
        client: Client = credentials["request"].client
        if not hub.authorizations.is_open_to(user, client):
            return answer(request_as_page(request), 403, f"You do not have permission to access {client.description}")
        chosen = wanted if form is None else _agreed(hub, client, form)
        granted = hub.authorizations.granted(user, client, chosen)
        if form is None and hub.authorizations.needs_consent(user, client, granted):
            return _question(request, client, granted)
        return _redirect(provider, request, credentials, actor, granted)
    except NotFoundError:  # the session ended in this very moment
        return to_login(request)
    except provider.FatalClientError as fatal:
        return answer(
            request_as_page(request), 400, _SHOWN_ERRORS.get(str(fatal.error), fatal.description or str(fatal.error))
        )
    except provider.Error as error:
        back = error.in_uri(error.redirect_uri or client_uri(hub, request))
        return RedirectResponse(_located(request, back), 302)


def client_uri(hub: Any, request: Request) -> str:
    """Return the registered address of the client that the request names; only known clients come this far."""
    from functions.api.clients import find_client  # noqa: PLC0415 beside its only use

    client = find_client(hub, request.query_params.get("client_id", ""))
    if client is None:
        raise HTTPException(400, "No such OAuth client")
    return client.redirect_uri


def _agreed(hub: Any, client: Client, form: Form) -> list[str]:
    agreed = form.texts("scopes")
    if not hub.authorizations.may_ask(client, agreed):
        from oauthlib.oauth2.rfc6749.errors import InvalidScopeError  # noqa: PLC0415 rare

        raise InvalidScopeError
    return agreed


def _redirect(
    provider: "Provider", request: Request, credentials: dict[str, Any], actor: Actor, granted: tuple[str, ...]
) -> Response:
    facts = {"user": actor.user, "session_id": actor.session_id or ""}
    headers, _body, status = provider.create_authorization_response(
        str(request.url), "GET", scopes=list(granted), credentials=credentials | facts | {"scopes": list(granted)}
    )
    response = RedirectResponse(_located(request, headers["Location"]), status)
    response.headers["Cache-Control"] = "no-store"
    return response


def _located(request: Request, uri: str) -> str:
    """Return *uri*; where it is a path, as with a server that was launched before each had a host, at whose host that is."""
    return hub_of(request).origins.located(uri) if uri.startswith("/") else uri


def _question(request: Request, client: Client, granted: tuple[str, ...]) -> Response:
    described = [{"raw": raw, "description": scopes.described(raw)} for raw in granted]
    owner = hub_of(request).users.get(client.owner_id) if client.owner_id else None
    return page(
        request,
        "oauth.html",
        client_description=client.description,
        client_url=client.redirect_uri,
        scopes=described,
        scope_list=list(granted),
        for_owner=owner.name if owner else None,
        action="/hub/api/oauth2/authorize?" + urlencode(list(request.query_params.multi_items())),
    )


def request_as_page(request: Request) -> Request:
    """Return the request so that errors are shown as a page: a browser is here though the path is the API's."""
    return Request({**request.scope, "path": "/hub/oauth2"}, request.receive)


@router.post(
    "/oauth2/token",
    Operation(
        gives=dict[str, Any],
        problem=answers.OAuthProblem,
        also=(401,),
        is_open=True,
        form=("grant_type", "code", "redirect_uri", "client_id", "client_secret", "code_verifier"),
    ),
)
async def token(request: Request) -> Response:
    """Exchange a code for a token."""
    form = await request.form(max_fields=20)
    body = urlencode([(k, v) for k, v in form.multi_items() if isinstance(v, str)])
    safe = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    try:
        headers, text, status = _provider(request).create_token_response(str(request.url), "POST", body, {})
    except NotFoundError:  # the person or the session ended in this very moment
        return JSONResponse({"error": "invalid_grant"}, 400, safe)
    content_type = headers.get("Content-Type", "application/json")
    return Response(text, status, safe, media_type=content_type) if text else JSONResponse({}, status, safe)
