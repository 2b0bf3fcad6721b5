"""Pages of lists, as JupyterHub's `Accept: application/jupyterhub-pagination+json` has them."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request

from functions.api.asking import hub_of
from functions.api.jsontext import JSONResponse
from hubless.domain.values import value

PAGINATED = "application/jupyterhub-pagination+json"
_LARGEST = 2**53  # what every JSON reader keeps exactly


@value
class Window:
    """Which part of a list is wanted, and whether it is to be wrapped."""

    offset: int
    limit: int
    wrapped: bool


def window(request: Request) -> Window:
    """Return the part that the request names.

    Raises:
        HTTPException: 400 when offset or limit is no number.
    """
    bounds = hub_of(request).settings.servers
    # JupyterHub looks for the type alone: one with parameters is another.
    accepted = request.headers.get("accept", "").lower().split(",")
    wrapped = PAGINATED in {kind.strip() for kind in accepted}
    offset = abs(_number(request, "offset", 0))
    limit = abs(_number(request, "limit", bounds.api_page_limit if wrapped else bounds.api_page_max_limit))
    return Window(offset, min(max(limit, 1), bounds.api_page_max_limit), wrapped)


def wrapped(request: Request) -> Window:
    """Return the part that the request names, of a list that is always wrapped.

    Raises:
        HTTPException: as `window` does.
    """
    return replace(window(request), wrapped=True)


def reply(request: Request, part: Window, items: list[Any] | dict[str, Any], total: int) -> JSONResponse:
    """Return the items bare, or wrapped with the address of the next page."""
    if not part.wrapped:
        return JSONResponse(items)
    following = None
    if part.offset + part.limit < total:
        step = {"offset": part.offset + part.limit, "limit": part.limit}
        query = [(k, v) for k, v in request.query_params.multi_items() if k not in step]
        following = step | {"url": str(request.url.replace(query=urlencode([*query, *step.items()])))}
    frame = {"offset": part.offset, "limit": part.limit, "total": total, "next": following}
    return JSONResponse({"items": items, "_pagination": frame}, media_type="application/json")


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        number = int(text) if len(text) <= 20 else None  # noqa: PLR2004 longer than any offset
    except ValueError:
        number = None
    if number is None or abs(number) > _LARGEST:
        raise HTTPException(400, f"Invalid argument {name}: {text[:40]!r} must be an integer")
    return number
