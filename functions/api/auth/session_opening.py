"""Where every login ends: the session that opens in a browser, with its cookies."""

import logging

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api.auth import csrf
from functions.api.auth.authentication import person_by_cookie
from functions.api.auth.cookies import (
    DEVICE_COOKIE,
    HUB_PATH,
    SESSION_COOKIE,
    XSRF_COOKIE,
    device_cookie,
    is_secure,
    login_cookie,
    remove_stale_state_cookies,
    set_own_page_cookie,
)
from functions.api.redirects import default_destination
from hubless.bootstrap.hub import Hub
from hubless.domain.device_cookies import LIFETIME as DEVICE_LIFETIME
from hubless.domain.users import User

logger = logging.getLogger(__name__)


def open_session(
    request: Request,
    hub: Hub,
    user: User,
    following: str | None,
    *,
    provider: str = "",
    provider_session: str = "",
) -> Response:
    """Begin a session in this browser and redirect; one that was open here ends.

    Args:
        request: the browser's.
        hub: the hub.
        user: who has logged in.
        following: a path that `Redirects.safe` has checked; None for the user's server.
        provider: the name of the provider that vouched for the person; "" if none did.
        provider_session: the provider's own session.
    """
    secure = is_secure(request)
    before = person_by_cookie(request)
    if before is not None and before.session is not None:
        hub.logins.close_session(before.session)
    agent = request.headers.get("user-agent", "")
    session, secret = hub.logins.open_session(user, agent, provider=provider, provider_session=provider_session)
    logger.info("user %s logged in from %s", user.name, request.client.host if request.client else "unknown")
    response = RedirectResponse(destination(hub, user, following), 302)
    lifetime = int(hub.settings.hub.cookie_max_age.total_seconds())
    name, path = login_cookie(request)
    response.set_cookie(name, secret, max_age=lifetime, path=path, httponly=True, samesite="lax", secure=secure)
    # Servers read it: it is part of the key of their cache (singleuser-contract, 6).
    response.set_cookie(
        SESSION_COOKIE,
        session.id,
        path="/",
        domain=hub.origins.domain or None,
        httponly=True,
        samesite="lax",
        secure=secure,
    )
    token = csrf.session_token(hub.key, session.sha256)
    response.set_cookie(XSRF_COOKIE, token, path=HUB_PATH, httponly=False, samesite="lax", secure=secure)
    _remember_device(request, hub, user, response)
    set_own_page_cookie(request, response)
    remove_stale_state_cookies(request, response)
    return response


def destination(hub: Hub, user: User, following: str | None) -> str:
    """Return where a login ends: at *following*, or else at the user's server."""
    return hub.origins.link_to(following) if following else default_destination(hub.servers, hub.origins, user)


def _remember_device(request: Request, hub: Hub, user: User, response: Response) -> None:
    """Let this browser pass locks of the user's name that others cause; a logout does not end that."""
    response.set_cookie(
        DEVICE_COOKIE,
        hub.password_login.device_cookie(user, device_cookie(request)),
        max_age=int(DEVICE_LIFETIME.total_seconds()),
        path=HUB_PATH,
        httponly=True,
        samesite="lax",
        secure=is_secure(request),
    )
