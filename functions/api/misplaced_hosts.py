"""Requests at other hosts than the hub's own, where users and services have hosts below it.

A response at such a host has that host's origin. If the hub served its pages there, a person who logs in would give
their session to the server at that host. So the hub serves only its API (for programs with a token) and its static
files there. It also answers programs that request a server which does not run.
"""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api.auth.cookies import HUB_PATH
from functions.api.auth.csrf import READ_ONLY
from functions.api.json_codec import JSONResponse
from hubless.domain.origins import Origins, is_loopback

_FOR_PROGRAMS = ("/hub/api", "/hub/health", "/hub/metrics")
_FILES = (
    "/hub/static",
    "/hub/logo",
    "/hub/favicon.ico",
    "/favicon.ico",
)  # the same for all, and cached by caches that ignore the host
_FOR_PEOPLE = ("/hub/api/oauth2/authorize", "/hub/api/docs")


def is_program(request: Request, path: str) -> bool:
    """Say whether a program, not a person's browser, requests *path* below a server's prefix."""
    accept = request.headers.get("accept", "")
    if request.method not in READ_ONLY or "api" in path.split("/"):
        return True
    return "application/json" in accept and "text/html" not in accept


def asks_for_its_server(request: Request, origins: Origins) -> bool:
    """Say whether a program requests a server at the server's own host. The hub answers while there is no route.

    A redirect to the hub's host would not help: a page's scripts may not read what another origin answers.
    """
    if not (origins.subdomains and origins.is_host_of_path(_raw(request), request.headers.get("host", ""))):
        return False
    path: str = request.scope["path"]
    _, kind, _owner, *rest = (*path.split("/", 3), "", "")
    return kind == "user" and is_program(request, "".join(rest))


def misplaced_host_redirect(request: Request, origins: Origins) -> Response | None:
    """Return the redirect to the hub's host, or the refusal, for a request at a wrong host; None at a right one."""
    path, host = request.scope["path"], request.headers.get("host", "")
    if _is_under(path, (*_FOR_PROGRAMS, *_FILES)) and not _is_under(path, _FOR_PEOPLE):
        return None
    if origins.subdomains and not host:
        return JSONResponse(
            {
                "status": 400,
                "message": "The proxy in front of the hub does not send the requested host: set X-Forwarded-Host",
            },
            400,
        )
    if origins.is_hub(host):
        return None
    if is_loopback(host) and not is_loopback(urlsplit(origins.hub).netloc):
        # A redirect would come back here for ever if a proxy replaces Host by the address at which it asks the hub.
        message = (
            f"The hub is at {origins.hub}, but this request arrived for {host}. Open {origins.hub}. If you did, the"
            " proxy in front of the hub replaces Host: let it pass Host on (nginx: proxy_set_header Host $http_host)"
        )
        return JSONResponse({"status": 400, "message": message}, 400)
    if request.method not in READ_ONLY:
        return JSONResponse({"status": 403, "message": f"The hub is at {origins.hub}. Send the request there."}, 403)
    raw = _raw(request)
    there = raw if _is_under(path, ("/hub",)) else HUB_PATH + raw.lstrip("/")
    return RedirectResponse(f"{origins.hub}{there}{f'?{request.url.query}' if request.url.query else ''}", 302)


def _raw(request: Request) -> str:
    raw: str = request.scope["raw_path"].decode("ascii", "replace")
    return raw.partition("?")[0]


def _is_under(path: str, prefixes: tuple[str, ...]) -> bool:
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in prefixes)
