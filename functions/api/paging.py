"""Pagination of lists, as in JupyterHub's `Accept: application/jupyterhub-pagination+json`."""

from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Query
from pydantic import WithJsonSchema
from starlette.exceptions import HTTPException
from starlette.requests import Request

from functions.api.dependencies import Settings
from functions.api.json_codec import JSONResponse
from hubless.domain.values import value

PAGINATED = "application/jupyterhub-pagination+json"
_LARGEST = 2**53  # every JSON parser reads it exactly
_INTEGER = WithJsonSchema({"type": "integer"})


@value
class Window:
    """The part of a list that a request asks for."""

    request: Request
    offset: int
    limit: int
    wrapped: bool

    def response(self, items: list[Any] | dict[str, Any], total: int) -> JSONResponse:
        """Return the items as a list, or wrapped with the address of the next page."""
        if not self.wrapped:
            return JSONResponse(items)
        following = None
        if self.offset + self.limit < total:
            step = {"offset": self.offset + self.limit, "limit": self.limit}
            query = [(k, v) for k, v in self.request.query_params.multi_items() if k not in step]
            following = step | {"url": str(self.request.url.replace(query=urlencode([*query, *step.items()])))}
        frame = {"offset": self.offset, "limit": self.limit, "total": total, "next": following}
        return JSONResponse({"items": items, "_pagination": frame}, media_type="application/json")


async def window(
    request: Request,
    settings: Settings,
    offset: Annotated[str | None, _INTEGER, Query(description="How many items to skip")] = None,
    limit: Annotated[str | None, _INTEGER, Query(description="How many items to return; the hub has a maximum")] = None,
) -> Window:
    """Return the part of the list that the request asks for.

    Raises:
        HTTPException: 400 when offset or limit is no integer.
    """
    bounds = settings.servers
    # JupyterHub compares the type alone: one with parameters is another type.
    accepted = request.headers.get("accept", "").lower().split(",")
    wrapped = PAGINATED in {kind.strip() for kind in accepted}
    first = abs(number_in_query("offset", offset, 0))
    size = abs(number_in_query("limit", limit, bounds.api_page_limit if wrapped else bounds.api_page_max_limit))
    return Window(request, first, min(max(size, 1), bounds.api_page_max_limit), wrapped)


Part = Annotated[Window, Depends(window)]


async def _wrapped(part: Part) -> Window:
    return replace(part, wrapped=True)


WrappedPart = Annotated[Window, Depends(_wrapped)]
"""The part of a list that the answer always wraps."""


def number_in_query(name: str, text: str | None, default: int) -> int:
    """Return the integer that the query gives by *name*, or *default* if it gives none.

    Raises:
        HTTPException: 400 when it is no integer.
    """
    if text is None:
        return default
    try:
        number = int(text) if len(text) <= 20 else None  # noqa: PLR2004 longer than any offset
    except ValueError:
        number = None
    if number is None or abs(number) > _LARGEST:
        raise HTTPException(400, f"Invalid argument {name}: {text[:40]!r} must be an integer")
    return number
