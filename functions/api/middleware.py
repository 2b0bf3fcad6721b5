"""The middleware of all requests: encoded slashes, OPTIONS, misplaced hosts, size of bodies, response headers."""

import asyncio
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from functions.api import etags
from functions.api.error_handlers import answer
from functions.api.json_codec import JSONResponse
from functions.api.misplaced_hosts import asks_for_its_server, misplaced_host_redirect
from functions.api.path_convertors import ENCODED_SLASH
from functions.api.request_body import limited
from functions.api.version import VERSION
from hubless.domain.bounds import MAX_HEADERS, MAX_TARGET
from hubless.domain.origins import Origins

_PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none';"
    " form-action *; report-uri /hub/security/csp-report"
)
_API_POLICY = "frame-ancestors 'none'; report-uri /hub/security/csp-report; default-src 'none'"
_READABLE_BY_ANY_ORIGIN = frozenset({"/hub/api", "/hub/api/", "/hub/api/openapi.json"})  # with any method
_PAGES_UNDER_API = ("/hub/api/oauth2/authorize", "/hub/api/docs")


class HubMiddleware:
    """Wraps the application (ASGI)."""

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app, self._origins, self._turns_of_late = app, origins, asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        scope["raw_path"] = raw
        refusal = _too_large(scope)
        path = scope["path"] if refusal is not None else _decoded(raw)
        is_api = _is_api(scope["path"] if path is None else path)
        headers = _HEADERS[is_api and not (path or "").startswith(_PAGES_UNDER_API)]
        if path in _READABLE_BY_ANY_ORIGIN:
            headers = [*headers, (b"access-control-allow-origin", b"*")]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *((n, v) for n, v in headers if n not in there)]
            await send(message)

        if refusal is not None:
            await refusal(scope, receive, send_with_headers)
            return
        if path is None:
            await answer(Request(scope), 404, None)(scope, receive, send_with_headers)
            return
        scope["path"] = path
        reads = is_api and scope["method"] in {"GET", "HEAD"}
        answering = etags.with_etag(scope, send_with_headers) if reads else send_with_headers
        if (early := self._early_answer(scope, is_api=is_api)) is not None:
            await early(scope, receive, send_with_headers)
            return
        await self._app(scope, limited(receive, self._turns_of_late), answering)

    def _early_answer(self, scope: Scope, *, is_api: bool) -> Response | None:
        """Return the answer that needs no route.

        Where the hub answers for a server that does not run, *scope* gets the hub's path for that server.
        """
        if scope["method"] == "OPTIONS" and is_api:
            return Response(status_code=200, media_type="application/json")
        request = Request(scope)
        if asks_for_its_server(request, self._origins):
            scope["path"], scope["raw_path"] = f"/hub{scope['path']}", b"/hub" + scope["raw_path"]
            return None
        return misplaced_host_redirect(request, self._origins)


def _too_large(scope: Scope) -> Response | None:
    """Return the refusal of an address or of headers that are too long for anything of ours, before any is read."""
    if len(scope["raw_path"]) + len(scope.get("query_string", b"")) > MAX_TARGET:
        return JSONResponse({"status": 414, "message": f"An address may have at most {MAX_TARGET} bytes"}, 414)
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADERS:
        why = f"The headers have more than {MAX_HEADERS} bytes: delete this site's cookies in your browser"
        return JSONResponse({"status": 431, "message": why}, 431)
    return None


def _is_api(path: str) -> bool:
    return path == "/hub/api" or path.startswith("/hub/api/")


def _decoded(raw: bytes) -> str | None:
    """Return the path with `%2F` kept apart from `/`, or None when it is no UTF-8."""
    kept = raw.partition(b"?")[0].replace(b"%2f", b"%2F").replace(b"%2F", ENCODED_SLASH.encode())
    try:
        return unquote_to_bytes(kept).decode()
    except UnicodeDecodeError:
        return None


def _headers(policy: str) -> list[tuple[bytes, bytes]]:
    facts = {
        "x-jupyterhub-version": VERSION,
        "access-control-allow-headers": "accept, content-type, authorization",
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
    }
    return [(name.encode(), value.encode()) for name, value in facts.items()]


# An answer of the API is for one person: no cache keeps it for another. Pages and files say so themselves.
_HEADERS = {True: [*_headers(_API_POLICY), (b"cache-control", b"private, no-cache")], False: _headers(_PAGE_POLICY)}
