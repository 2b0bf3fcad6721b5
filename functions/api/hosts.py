"""Requests at other hosts than the hub's own, where users and services have hosts below it.

What is served there has that host's origin: were it the hub's pages, whoever logs in at them would hand their session to the
server whose host it is. So of the hub nothing is there but its API, for programs that show a token, its files, and what it says
to programs in a server's stead.
"""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api.asking import HUB_PATH, hub_of
from functions.api.jsontext import JSONResponse
from functions.api.pages.spawn import is_for_a_server
from functions.api.xsrf import READ_ONLY

_FOR_PROGRAMS = ("/hub/api", "/hub/health", "/hub/metrics")
_FILES = ("/hub/static", "/hub/logo")  # the same for all, and kept by caches that do not tell hosts apart
_FOR_PEOPLE = "/hub/api/oauth2/authorize"


def is_at_its_server(request: Request) -> bool:
    """Say whether a program asks for a server at the server's own host: the hub answers, in JSON, where the edge does not lead.

    Leading it to the hub's host would lead nowhere: a page's scripts may not read what another origin answers.
    """
    origins, path = hub_of(request).origins, request.scope["path"]
    is_home = origins.subdomains and origins.is_at_home(_raw(request), request.headers.get("host", ""))
    return is_home and is_for_a_server(request, path)


def astray(request: Request) -> Response | None:
    """Return what leads a request that is not the hub's to answer to where it is; None for one that is."""
    origins, path = hub_of(request).origins, request.scope["path"]
    host = request.headers.get("host", "")
    if _is_under(path, (*_FOR_PROGRAMS, *_FILES)) and not _is_under(path, (_FOR_PEOPLE,)):
        return None
    if origins.subdomains and not host:
        return JSONResponse(
            {"status": 400, "message": "Whatever stands before the hub does not say which host was asked"}, 400
        )
    if origins.is_hub(host):
        return None
    if request.method not in READ_ONLY:
        return JSONResponse({"status": 403, "message": f"The hub is at {origins.hub}: ask there"}, 403)
    raw = _raw(request)
    there = raw if _is_under(path, ("/hub",)) else HUB_PATH + raw.lstrip("/")
    return RedirectResponse(f"{origins.hub}{there}{f'?{request.url.query}' if request.url.query else ''}", 302)


def _raw(request: Request) -> str:
    raw: str = request.scope["raw_path"].decode("ascii", "replace")
    return raw.partition("?")[0]


def _is_under(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)
