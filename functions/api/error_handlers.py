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
from functions.api.write_gate import RETRY_AFTER as RETRY_BUSY_AFTER
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
    errors.BudgetReachedError: 403,
    errors.LedgerFullError: 409,
    errors.MaintenanceError: 503,
    errors.LtiRefusedError: 403,
    errors.LtiServiceError: 502,
    errors.StoreConflictError: 409,
    errors.StoreUnavailableError: 503,
    errors.StoreBusyError: 503,
    errors.LoginUnavailableError: 503,
    errors.EdgeUnavailableError: 503,
    errors.MailFailedError: 503,
    errors.EdgeCapacityError: 503,
    errors.LaunchFailedError: 500,
    errors.HomeTaskError: 500,
    errors.CannotAdoptError: 409,
    errors.IsolationError: 500,
    errors.RetryLaterError: 503,
    errors.CapacityUnavailableError: 503,
    errors.ProviderUnavailableError: 503,
    errors.LoginRefusedError: 403,
}
RETRY_AFTER = 30  # seconds, where waiting helps


def answer(
    request: Request,
    status: int,
    message: str | None,
    headers: dict[str, str] | None = None,
    *,
    mark: str | None = None,
) -> Response:
    """Return the answer to a failed request: JSON below /hub/api and at hosts that are not the hub's, else a page.

    A page leads with the *message*, says what to do, and shows the *mark* by which an operator finds it in the log.
    """
    if not _gets_page(request):
        return JSONResponse({"status": status, "message": message}, status, headers)
    return Renderer(request)(
        "error.html",
        status_code=status,
        headers=headers,
        status=status,
        title=_TITLES.get(status, HTTPStatus(status).phrase),
        message=_FAILED if mark else message or PLAIN.get(status, _("The request failed.")),
        detail=None if message and ". " in message and not mark else ADVICE.get(status),  # some say what to do
        correlation_id=mark,
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
    408: _("Request Timeout"),
    409: _("Conflict"),
    412: _("Precondition Failed"),
    413: _("Content Too Large"),
    429: _("Too Many Requests"),
    500: _("Internal Server Error"),
    502: _("Bad Gateway"),
    503: _("Service Unavailable"),
}
PLAIN = {
    403: _("You may not do this."),
    404: _("There is nothing here."),
    405: _("This cannot be done here."),
    408: _("The request did not arrive in time."),
    413: _("This is more than the hub takes."),
    429: _("You did this too often."),
    503: _("The hub cannot answer just now."),
}
ADVICE = {
    400: _("Go back, check what you entered, and try again."),
    403: _("If you need this, ask the people who run this hub."),
    404: _("Check the address. What you look for may have been removed."),
    405: _("Go home and begin again there."),
    408: _("Your connection may be slow. Go back and try again."),
    409: _("Somebody may have changed it meanwhile. Load the page again, then try again."),
    413: _("Send a smaller file, or less text."),
    429: _("Wait a moment, then try again."),
    500: _("Try again. If it happens again, tell the people who run this hub."),
    502: _("Try again in a moment."),
    503: _("Try again in a moment."),
    504: _("Try again in a moment."),
}
CHANGED_MEANWHILE = _(
    "Somebody else has saved a change meanwhile. Read it below. If you save yours now, it replaces theirs."
)
NOT_REMOVED = _("Nothing is removed: somebody else has changed it meanwhile. Read it again, and decide anew.")
_BUSY = _("The hub's store is busy with another change. Try again in a moment.")
_FAILED = _("Something went wrong in the hub.")


async def _anticipated(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.HublessError)  # noqa: S101 the registration says so
    status = STATUSES[type(error)]
    headers = None
    if isinstance(error, errors.QuotaExceededError) and error.retry:
        status, headers = 429, {"Retry-After": str(seconds_to_wait(error))}
    if isinstance(error, errors.MaintenanceError):
        return _under_maintenance(request, error)
    if isinstance(error, errors.StoreUnavailableError):
        logger.error("store unavailable, answered 503: %s", error)
        if isinstance(error, errors.StoreBusyError):
            return answer(request, status, _BUSY, {"Retry-After": str(RETRY_BUSY_AFTER)})
        return answer(request, status, _("The hub's store does not answer. Try again in a moment."))
    if isinstance(error, errors.NotAllowedError) and _gets_page(request):
        return denied(request, error)
    return answer(request, status, error.message, headers)


def _under_maintenance(request: Request, error: errors.MaintenanceError) -> Response:
    """Return the answer to a start that maintenance refuses."""
    headers = {} if error.after is None else {"Retry-After": str(seconds_to_wait(error))}
    if not _gets_page(request):
        return answer(request, 503, error.message, headers)
    path = request.scope.get("raw_path", b"").decode("ascii", "replace").partition("?")[0]
    again = f"{path}?{request.url.query}".rstrip("?") if request.method == "GET" else ""
    return Renderer(request)("maintenance.html", status_code=503, headers=headers, message=error.message, again=again)


def seconds_to_wait(error: errors.QuotaExceededError | errors.MaintenanceError) -> int:
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
    message = f"{_FAILED} Its log has more under {mark}."
    return answer(request, 500, message, mark=mark)


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
