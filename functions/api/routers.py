"""Makes the routers of API and pages, with what all their routes have in common in the OpenAPI document."""

from typing import Any

from fastapi import APIRouter

from functions.api import path_convertors
from functions.api.response_schemas import Problem
from functions.api.route_class import HubRoute

path_convertors.register()
_Responses = dict[int | str, dict[str, Any]]


def api_router(prefix: str = "", *, tag: str) -> APIRouter:
    """Return a router of the REST API. Every route documents the errors that any route may answer."""
    return APIRouter(
        prefix=f"/hub/api{prefix}", tags=[tag], route_class=HubRoute, responses=problems(400, 403, 404, 503)
    )


def page_router() -> APIRouter:
    """Return a router of pages, which the OpenAPI document leaves out."""
    return APIRouter(prefix="/hub", route_class=HubRoute, include_in_schema=False)


def root_router() -> APIRouter:
    """Return a router of paths outside the hub's pages, which the OpenAPI document leaves out."""
    return APIRouter(route_class=HubRoute, include_in_schema=False)


def problems(*statuses: int, model: Any = Problem) -> _Responses:
    """Return the OpenAPI description of these errors, for a route's `responses`."""
    return {status: {"model": model} for status in statuses}


def content(media_type: str, status: int = 200) -> _Responses:
    """Return the OpenAPI description of an answer that is a text of *media_type*."""
    return {status: {"content": {media_type: {"schema": {"type": "string"}}}}}
