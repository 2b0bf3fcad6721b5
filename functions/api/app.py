"""The web application: the API under /hub/api, the pages under /hub, and a way there from everywhere else."""

from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from functions.api import bodies, problems, validators
from functions.api.asking import LoginRequired, to_login
from functions.api.hosts import astray, is_at_its_server
from functions.api.jsontext import JSONResponse
from functions.api.openapi import document
from functions.api.pages import admin, home, plain, sessions, sharing, spawn, token
from functions.api.rendering import VERSION
from functions.api.routes import (
    authorizations,
    groups,
    oauth,
    servers,
    services,
    shares,
    tokens,
    users,
)
from functions.api.routes import hub as hub_routes
from functions.api.routes import sessions as session_routes
from functions.api.routing import Router
from functions.api.segments import ENCODED_SLASH
from hubless.bootstrap.hub import Hub

# What is asked most comes first: routes are tried in order.
_API = (hub_routes, users, servers, tokens, groups, shares, services, session_routes, authorizations, oauth)
_PAGES = (sessions, home, sharing, spawn, token, admin, plain)
_PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action *;"
    " report-uri /hub/security/csp-report"
)
_OPEN_TO_ALL = frozenset(
    {"/hub/api", "/hub/api/", "/hub/api/openapi.json"}
)  # to pages of any origin, whatever the method
_API_POLICY = "frame-ancestors 'none'; report-uri /hub/security/csp-report; default-src 'none'"


def create_app(hub: Hub) -> Starlette:
    """Return the application that serves *hub*."""
    app = Starlette(
        routes=_routes(),
        middleware=[Middleware(Surroundings)],
        exception_handlers={**problems.HANDLERS, LoginRequired: _login},
    )
    app.router.redirect_slashes = False
    app.state.hub = hub
    return app


@lru_cache(maxsize=1)
def _routes() -> tuple[Route, ...]:
    """Return all routes, which are the same for every hub."""
    return (
        *(route for module in _API for route in module.router.under("/hub/api")),
        Route("/hub/api/openapi.json", _openapi),
        *(route for module in _PAGES for route in module.router.under("/hub")),
        *_everywhere_else().under(""),
    )


@lru_cache(maxsize=1)
def api_document() -> dict[str, Any]:
    """Return the OpenAPI document of the API; made when somebody first asks."""
    return document(known for module in _API for known in module.router.documented)


async def _openapi(_request: Request) -> Response:
    return JSONResponse(api_document())


async def _login(request: Request, _error: Exception) -> Response:
    if request.headers.get("sec-fetch-mode", "navigate") not in {"navigate", "no-cors", "cors"}:
        return problems.answer(request, 403, "Log in first")
    if request.method not in {"GET", "HEAD"}:
        return problems.answer(request, 403, "Log in first")
    return to_login(request)


def _everywhere_else() -> Router:
    router = Router()

    @router.route("/hub", methods=["GET", "HEAD"])
    async def hub_without_slash() -> Response:
        return RedirectResponse("/hub/", 301)

    @router.route("/hub/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
    async def no_such_page(request: Request) -> Response:
        known = any(route.matches(request.scope)[0] is Match.PARTIAL for route in request.app.router.routes)
        return problems.answer(request, 405 if known else 404, None)

    @router.route("/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
    async def to_the_hub(request: Request) -> Response:
        """Lead paths that no route knows to the hub's own place for them, as JupyterHub's proxy does."""
        raw = request.scope["raw_path"].decode("ascii", "replace")
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse("/hub/" + raw.lstrip("/") + query, 302)

    return router


class Surroundings:
    """Pure ASGI around everything: paths kept apart at encoded slashes, open OPTIONS, the headers of every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        scope["raw_path"] = raw
        try:
            scope["path"] = _decoded(raw)
        except UnicodeDecodeError:
            await problems.answer(Request(scope), 404, None)(scope, receive, send)
            return
        is_api = scope["path"] == "/hub/api" or scope["path"].startswith("/hub/api/")
        headers = _HEADERS[is_api and not scope["path"].startswith("/hub/api/oauth2/authorize")]
        if scope["path"] in _OPEN_TO_ALL:
            headers = [*headers, (b"access-control-allow-origin", b"*")]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *((n, v) for n, v in headers if n not in there)]
            await send(message)

        reads = is_api and scope["method"] in {"GET", "HEAD"}
        answering = validators.adding(scope, send_with_headers) if reads else send_with_headers

        if (answer := _at_once(scope, is_api=is_api)) is not None:
            await answer(scope, receive, send_with_headers)
            return
        await self.app(scope, bodies.bounded(receive), answering)


def _at_once(scope: Scope, *, is_api: bool) -> Response | None:
    """Return the answer for what no route sees; where the hub answers in a server's stead, *scope* becomes the hub's path for it."""
    if scope["method"] == "OPTIONS" and is_api:
        return Response(status_code=200, media_type="application/json")
    if is_at_its_server(Request(scope)):
        scope["path"], scope["raw_path"] = f"/hub{scope['path']}", b"/hub" + scope["raw_path"]
        return None
    return astray(Request(scope))


def _decoded(raw: bytes) -> str:
    """Return the path with `%2F` kept apart from `/`.

    Raises:
        UnicodeDecodeError: when it is no UTF-8.
    """
    kept = raw.partition(b"?")[0].replace(b"%2f", b"%2F").replace(b"%2F", ENCODED_SLASH.encode())
    return unquote_to_bytes(kept).decode()


def _headers(policy: str) -> list[tuple[bytes, bytes]]:
    facts = {
        "x-jupyterhub-version": VERSION,
        "access-control-allow-headers": "accept, content-type, authorization",
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
    }
    return [(name.encode(), value.encode()) for name, value in facts.items()]


# What the API tells is of one person: no cache keeps it for another. Pages say so themselves, files say how long they keep.
_HEADERS = {True: [*_headers(_API_POLICY), (b"cache-control", b"private, no-cache")], False: _headers(_PAGE_POLICY)}
