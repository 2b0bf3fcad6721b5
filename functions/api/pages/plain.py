"""Other paths: static files, health, metrics, error pages, policy reports, and paths without a page."""

from datetime import timedelta
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Match

from functions.api.auth.authentication import MaybeActor
from functions.api.auth.cookies import remove_stale_state_cookies
from functions.api.auth.visitors import MaybePerson
from functions.api.dependencies import Settings, WholeHub
from functions.api.error_handlers import ADVICE, PLAIN, answer
from functions.api.page_files import STATIC, content_of, files_in
from functions.api.rendering import Render
from functions.api.routers import page_router, root_router
from functions.api.routes.hub import metrics_text
from functions.api.store_pool import has_long_store_calls
from functions.api.themes import COLOURS, TYPES, theme_of
from hubless.domain.histograms import CSP_REPORTS
from hubless.domain.translatable import gettext as _

pages, everywhere = page_router(), root_router()
_YEAR, _DAY = 31_536_000, 86_400  # seconds
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


@pages.get("/static/{path:path}")
async def static(request: Request, path: str, settings: Settings) -> Response:
    """Return a static file. A browser may cache it for a year if the address has the hash of its content."""
    keep = f"public, max-age={_YEAR}, immutable" if "v" in request.query_params else "no-cache"
    headers = {"Cache-Control": keep}
    theme = theme_of(settings)
    if path == COLOURS and theme.colours:
        return Response(theme.colours, media_type=TYPES[".css"], headers=headers)
    if (own := files_in(STATIC).get(path)) is not None and own.suffix in TYPES:
        return _own(own, headers)
    file = theme.files.get(path)
    if file is None or not file.is_file():
        raise HTTPException(404)
    return FileResponse(file, media_type=TYPES[file.suffix.lower()], headers=headers)


def _own(file: Path, headers: dict[str, str] | None) -> Response:
    return Response(content_of(file), media_type=TYPES[file.suffix], headers=headers)


@pages.get("/logo")
async def logo(settings: Settings) -> Response:
    """Return the logo."""
    return _picture("logo", settings)


def _picture(name: str, settings: Settings, headers: dict[str, str] | None = None) -> Response:
    file = theme_of(settings).picture(name)
    if file is None or not file.is_file():
        return _own(STATIC / f"{name}.svg", headers)
    return FileResponse(file, media_type=TYPES[file.suffix.lower()], headers=headers)


@pages.get("/health")
async def health() -> Response:
    """Say that the hub answers."""
    return Response(media_type="text/html")


@pages.get("/metrics")
@has_long_store_calls
async def metrics(actor: MaybeActor, hub: WholeHub) -> Response:
    """Return the metrics as Prometheus text."""
    if actor is None or not actor.scopes.has_everywhere("read:metrics"):
        raise HTTPException(403, "Reading the metrics needs the scope read:metrics")
    return metrics_text(hub)


@pages.get("/error/{status:int}")
async def error(status: int, render: Render) -> Response:
    """Show the page of an error, for proxies that request it."""
    known = {
        404: (_("Not Found"), PLAIN[404]),
        503: (_("Service Unavailable"), _("The server does not answer.")),
    }
    title, message = known.get(status, (_("Error"), _("Something went wrong.")))
    status = status if status in known else 500  # an address puts no text of its own on a page, not even digits
    return render("error.html", status=status, title=title, message=message, detail=ADVICE[status], correlation_id=None)


@pages.post("/security/csp-report")
async def policy_report(actor: MaybePerson, hub: WholeHub) -> Response:
    """Count a browser's report that a page broke the content security policy; only from people who are logged in."""
    if actor is None:
        raise HTTPException(403)
    hub.metrics.observe(CSP_REPORTS, timedelta())
    return Response(status_code=204)


@pages.get("/favicon.ico")
@everywhere.get("/favicon.ico")
async def favicon(settings: Settings) -> Response:
    """Return the icon at the path where browsers look for it where a page names none."""
    return _picture("favicon", settings, {"Cache-Control": f"public, max-age={_DAY}"})


@everywhere.get("/hub")
async def hub_without_slash() -> Response:
    """Redirect to the hub's first page."""
    return RedirectResponse("/hub/", 301)


@everywhere.api_route("/hub/{path:path}", methods=_METHODS)
async def no_such_page(request: Request) -> Response:
    """Answer 404, or 405 when the path takes other methods."""
    known = any(route.matches(request.scope)[0] is Match.PARTIAL for route in request.app.router.routes)
    return answer(request, 405 if known else 404, None)


@everywhere.api_route("/{path:path}", methods=_METHODS)
async def to_the_hub(request: Request) -> Response:
    """Redirect a path without a route to the same path below /hub, as JupyterHub's proxy does."""
    raw = request.scope["raw_path"].decode("ascii", "replace")
    query = f"?{request.url.query}" if request.url.query else ""
    response = RedirectResponse("/hub/" + raw.lstrip("/") + query, 302)
    remove_stale_state_cookies(request, response)
    return response
