"""The status of each error, and the one shape of error answers: JupyterHub's `{"status", "message"}`."""

import logging
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from math import ceil
from types import MappingProxyType
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from functions.api.dependencies import hub_of
from functions.api.json_codec import JSONResponse
from functions.api.rendering import Renderer
from hubless.bootstrap.hub import Hub
from hubless.domain import errors
from hubless.domain.translatable import gettext as _
from hubless.services.identifiers import new_secret

logger = logging.getLogger(__name__)

STATUSES: dict[type[errors.HublessError], int] = {
    errors.NotFoundError: 404,
    errors.NameTakenError: 409,
    errors.IdentityTakenError: 409,
    errors.NotAllowedError: 403,
    errors.InvalidRequestError: 400,
    errors.OptionRefusedError: 400,
    errors.IllegalTransitionError: 400,
    errors.NotPermittedError: 403,
    errors.QuotaExceededError: 400,
    errors.LtiRefusedError: 403,
    errors.LtiServiceError: 502,
    errors.StoreConflictError: 409,
    errors.StoreUnavailableError: 503,
    errors.LoginUnavailableError: 503,
    errors.EdgeUnavailableError: 503,
    errors.MailFailedError: 503,
    errors.EdgeCapacityError: 503,
    errors.LaunchFailedError: 500,
    errors.IsolationError: 500,
    errors.RetryLaterError: 503,
    errors.CapacityUnavailableError: 503,
    errors.ProviderUnavailableError: 503,
    errors.LoginRefusedError: 403,
}
RETRY_AFTER = 30  # seconds, where waiting helps


def answer(request: Request, status: int, message: str | None, headers: dict[str, str] | None = None) -> Response:
    """Return the answer to a failed request: JSON below /hub/api and at hosts that are not the hub's, else a page."""
    if not _gets_page(request):
        return JSONResponse({"status": status, "message": message}, status, headers)
    return Renderer(request)(
        "error.html",
        status_code=status,
        headers=headers,
        status=status,
        title=_TITLES.get(status, HTTPStatus(status).phrase),
        message=message or _PLAIN.get(status, _("The request failed.")),
        detail=None,
        correlation_id=None,
    )


def _gets_page(request: Request) -> bool:
    path: str = request.scope["path"]
    is_api = path.startswith("/hub/api/") or path == "/hub/api"
    return not is_api and hub_of(request).origins.is_hub(request.headers.get("host", ""))


def retry_later(hub: Hub) -> dict[str, str]:
    """Return the header that says how many seconds a lock of logins lasts at most (RFC 9110 10.2.3)."""
    return {"Retry-After": str(hub.lock_policy.minutes * 60)}


_TITLES = {
    400: _("Bad Request"),
    403: _("Forbidden"),
    404: _("Not Found"),
    405: _("Method Not Allowed"),
    409: _("Conflict"),
    429: _("Too Many Requests"),
    500: _("Internal Server Error"),
    503: _("Service Unavailable"),
}
_PLAIN = {
    403: _("You may not do this."),
    404: _("There is nothing here."),
    405: _("This cannot be done here."),
    503: _("The hub cannot answer just now. Try again in a moment."),
}


async def _anticipated(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.HublessError)  # noqa: S101 the registration says so
    status = STATUSES[type(error)]
    headers = None
    if isinstance(error, errors.QuotaExceededError) and error.retry:
        status, headers = 429, {"Retry-After": str(seconds_to_wait(error))}
    if isinstance(error, errors.StoreUnavailableError):
        logger.error("store unavailable, answered 503: %s", error)
        return answer(request, status, _("The hub's store does not answer. Try again in a moment."))
    if isinstance(error, errors.NotAllowedError) and _gets_page(request):
        return denied(request, error)
    return answer(request, status, error.message, headers)


def seconds_to_wait(error: errors.QuotaExceededError) -> int:
    """Return after how many seconds a refused request may come again."""
    return RETRY_AFTER if error.after is None else max(1, ceil(error.after.total_seconds()))


def denied(request: Request, error: errors.NotAllowedError) -> Response:
    """Return the page for a person whom the settings do not let in: it says why, and whom to ask."""
    return Renderer(request)("denied.html", status_code=403, message=error.message, contact=error.contact)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 the registration says so
    # Starlette's messages for a missing path or method say nothing: JupyterHub answers null.
    message = None if error.detail == HTTPStatus(error.status_code).phrase else error.detail
    return answer(request, error.status_code, message, dict(error.headers) if error.headers else None)


async def _unanticipated(request: Request, error: Exception) -> Response:
    mark = new_secret()[:12]
    # The route, not the path: paths may hold secrets (/authorizations/token/…).
    route = getattr(request.scope.get("endpoint"), "__qualname__", "?")
    logger.error("unexpected error %s in %s %s", mark, request.method, route, exc_info=error)
    return answer(request, 500, _("Something went wrong in the hub. Its log has more under %(mark)s.", mark=mark))


async def _invalid(request: Request, _error: Exception) -> Response:
    """Answer 400 where FastAPI would answer 422 and repeat what was sent, passwords included.

    `HubRoute` checks bodies by itself, so this is for routes of another class.
    """
    return answer(request, 400, "The request is invalid")


async def _gone(_request: Request, _error: Exception) -> Response:
    """End a request whose client hung up before it had sent all of it. No client reads the answer."""
    return Response(status_code=400)


HANDLERS: Mapping[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = MappingProxyType(
    {
        errors.HublessError: _anticipated,
        HTTPException: _refused,
        RequestValidationError: _invalid,
        ClientDisconnect: _gone,
        Exception: _unanticipated,
    }
)
