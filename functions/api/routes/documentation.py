"""The OpenAPI document."""

from starlette.requests import Request
from starlette.responses import Response

from functions.api.json_codec import JSONResponse
from functions.api.openapi_document import document_of
from functions.api.routers import api_router

router = api_router(tag="documentation")


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    """Return the OpenAPI document of the API."""
    app = request.app
    if app.openapi_schema is None:
        app.openapi_schema = document_of(app.routes)
    return JSONResponse(app.openapi_schema)
