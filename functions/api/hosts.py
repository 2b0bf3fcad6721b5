"""Requests at other hosts than the hub's own, where users and services have hosts below it.

What is served there has that host's origin: were it the hub's pages, whoever logs in at them would hand their session to the
server whose host it is. So of the hub nothing is there but its API, for programs that show a token, and its files.
"""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api.asking import HUB_PATH, hub_of
from functions.api.jsontext import JSONResponse
from functions.api.pages.spawn import gone_where_it_was
from functions.api.xsrf import READ_ONLY

_FOR_PROGRAMS = ("/hub/api", "/hub/health", "/hub/metrics")
_FILES = ("/hub/static", "/hub/logo")  # the same for all, and kept by caches that do not tell hosts apart
_FOR_PEOPLE = "/hub/api/oauth2/authorize"


def astray(request: Request) -> Response | None:
    """Return what leads a request that is not the hub's to answer to where it is; None for one that is."""
    origins, path = hub_of(request).origins, request.scope["path"]
    host = request.headers.get("host", "")
    if _is_under(path, (*_FOR_PROGRAMS, *_FILES)) and not _is_under(path, (_FOR_PEOPLE,)):
        return None
    if origins.subdomains and not host:
        return JSONResponse({"status": 400, "message": "Whatever stands before the hub does not say which host was asked"}, 400)
    if origins.is_hub(host):
        return None
    raw: str = request.scope["raw_path"].decode("ascii", "replace").partition("?")[0]
    if origins.is_at_home(raw, host) and (told := gone_where_it_was(request, path)) is not None:
        return told
    if request.method not in READ_ONLY:
        return JSONResponse({"status": 403, "message": f"The hub is at {origins.hub}: ask there"}, 403)
    there = raw if _is_under(path, ("/hub",)) else HUB_PATH + raw.lstrip("/")
    return RedirectResponse(f"{origins.hub}{there}{f'?{request.url.query}' if request.url.query else ''}", 302)


def _is_under(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)
