"""The rest of what a browser may ask the hub for: static files, health, metrics, errors, policy reports."""

from functools import lru_cache
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from functions.api.asking import actor_of, asking
from functions.api.rendering import STATIC, page
from functions.api.routes.hub import metrics_text
from functions.api.routing import Router

router = Router()
_YEAR = 31_536_000
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png"}


@lru_cache(maxsize=1)
def _files() -> dict[str, Path]:
    """Return what there is, by path: nothing else can be asked for."""
    return {str(file.relative_to(STATIC)): file for file in STATIC.rglob("*") if file.suffix in _TYPES}


@router.get("/static/{path:path}")
async def static(request: Request, path: str) -> Response:
    """Return a static file; one that is asked for by its content's hash may be kept for a year."""
    file = _files().get(path)
    if file is None:
        raise HTTPException(404)
    keep = f"public, max-age={_YEAR}, immutable" if "v" in request.query_params else "no-cache"
    return FileResponse(file, media_type=_TYPES[file.suffix], headers={"Cache-Control": keep})


@router.get("/logo")
async def logo() -> Response:
    """Return the logo."""
    return FileResponse(STATIC / "logo.svg", media_type="image/svg+xml")


@router.route("/health", methods=["GET", "HEAD"])
async def health() -> Response:
    """Say that the hub answers."""
    return Response(media_type="text/html")


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Return the metrics as Prometheus text."""
    ask = await asking(request)
    if ask.actor is None or not ask.actor.scopes.has_everywhere("read:metrics"):
        raise HTTPException(403, "Reading the metrics needs the scope read:metrics")
    return metrics_text(ask)


@router.get("/error/{status:int}")
async def error(request: Request, status: int) -> Response:
    """Show the page of an error, for proxies that ask for it."""
    known = {404: ("Not Found", "There is nothing here."), 503: ("Service Unavailable", "The server does not answer.")}
    title, message = known.get(status, ("Error", "Something went wrong."))
    status = status if status in known else 500  # an address puts no text of its own on a page, not even digits
    return page(
        request,
        "error.html",
        status=status,
        title=title,
        message=message,
        detail=None,
        correlation_id=None,
    )


@router.post("/security/csp-report")
async def policy_report(request: Request) -> Response:
    """Take a browser's report that a page broke the content security policy; only from people who are logged in."""
    if actor_of(request) is None:
        raise HTTPException(403)
    return Response(status_code=204)
