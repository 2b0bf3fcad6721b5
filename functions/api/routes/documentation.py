"""The OpenAPI document, and the page that shows it: Swagger UI, whose files come from a package and from this host."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from functions.api.json_codec import JSONResponse
from functions.api.rendering import Render
from functions.api.routers import api_router

router = api_router(tag="documentation")
_PACKAGE = "fastapi_swagger"
_TYPES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
_KEPT = 86_400  # seconds that a browser keeps Swagger UI's files


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    """Return the OpenAPI document of the API."""
    from functions.api.openapi_document import document_of  # noqa: PLC0415 few requests need it

    app = request.app
    if app.openapi_schema is None:
        app.openapi_schema = document_of(app.routes)
    return JSONResponse(app.openapi_schema)


@router.get("/docs", include_in_schema=False)
async def docs(render: Render) -> Response:
    """Show the document as a page that can send requests."""
    return render("api_docs.html")


@router.get("/docs/{name}", include_in_schema=False)
async def swagger_ui(name: str) -> Response:
    """Return a file of Swagger UI."""
    if name not in _TYPES:
        raise HTTPException(404)
    return FileResponse(
        _folder() / name, media_type=_TYPES[name], headers={"Cache-Control": f"public, max-age={_KEPT}"}
    )


@lru_cache(maxsize=1)
def _folder() -> Path:
    """Return where the package keeps Swagger UI's files; nothing of its code is imported."""
    found = find_spec(_PACKAGE)
    if found is None or found.submodule_search_locations is None:
        raise ModuleNotFoundError(f"{_PACKAGE} is not installed: it has the files of /hub/api/docs")
    return Path(found.submodule_search_locations[0]) / "resources"
