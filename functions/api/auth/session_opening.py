"""Where every login ends: the session of a browser, or first the page that asks for a second factor."""

import logging
from enum import Enum, auto

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api.auth import csrf
from functions.api.auth.acts import record_by
from functions.api.auth.authentication import person_by_cookie
from functions.api.auth.cookies import (
    DEVICE_COOKIE,
    FACTOR_COOKIE,
    HALF_LOGIN_COOKIE,
    HUB_PATH,
    SESSION_COOKIE,
    XSRF_COOKIE,
    cookies,
    device_cookie,
    is_secure,
    login_cookie,
    remove_stale_state_cookies,
    set_own_page_cookie,
)
from functions.api.dependencies import address_of, hub_of
from functions.api.redirects import default_destination, with_next
from functions.api.request_metrics import note_login
from hubless.bootstrap.hub import Hub
from hubless.domain import fresh_factors, half_logins
from hubless.domain.audit import Act
from hubless.domain.device_cookies import LIFETIME as DEVICE_LIFETIME
from hubless.domain.half_logins import HalfLogin
from hubless.domain.tokens import Session
from hubless.domain.users import FactorState, User
from hubless.services.identifiers import new_secret

logger = logging.getLogger(__name__)
SECOND_FACTOR_PAGE, RESET_PAGE = "/hub/second-factor", "/hub/second-factors-reset"
CONFIRM_PAGE = "/hub/account/confirm"  # which asks a person who is logged in for a factor
_MAX_PROOFS = 4  # cookies of one name that are looked at


class Shown(Enum):
    """Whether the person who logs in has shown a second factor to the hub."""

    NOT_YET = auto()  # a password, a provider's word, or alike
    NOW = auto()  # a code, or a passkey
    BEFORE = auto()  # when the session began that this one replaces


def open_session(
    request: Request,
    hub: Hub,
    user: User,
    following: str | None,
    *,
    provider: str = "",
    provider_session: str = "",
    shown: Shown = Shown.NOT_YET,
    opened: tuple[Session, str] | None = None,
) -> Response:
    """Begin a session in this browser and redirect; one that was open here ends.

    A user who must show or set up a second factor first is redirected to the page for that.

    Args:
        request: the browser's.
        hub: the hub.
        user: who has logged in.
        following: a path that `Redirects.safe` has checked; None for the user's server.
        provider: the name of the provider that vouched for the person; "" if none did.
        provider_session: the provider's own session.
        shown: whether the person has shown a second factor.
        opened: the session and the secret of its cookie, if the login has stored it already.

    Raises:
        NotAllowedError: when settings block the user.
        NotFoundError: when the user was removed meanwhile.
    """
    hub.logins.require_not_blocked(user.name)
    if opened is None and shown is Shown.NOT_YET and hub.second_factors.required_of(user, external=bool(provider)):
        stamp = half_logins.stamp_of(hub.passwords.get(user.id))
        return _ask_for_factor(request, hub, HalfLogin(user.id, stamp, provider, provider_session), following)
    secure = is_secure(request)
    before = person_by_cookie(request)
    if before is not None and before.session is not None:
        hub.logins.close_session(before.session)
    if opened is None:
        agent = request.headers.get("user-agent", "")
        opened = hub.logins.open_session(
            user, agent, provider=provider, provider_session=provider_session, address=address_of(request)
        )
    session, secret = opened
    note_login(request, succeeded=True)
    logger.info("user %s logged in from %s", user.name, address_of(request))
    record_by(user, request, Act.LOGIN, provider=session.provider)
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
    if shown is Shown.NOW:
        note_factor(request, hub, session, response)
    if HALF_LOGIN_COOKIE in request.cookies:
        response.delete_cookie(HALF_LOGIN_COOKIE, path=HUB_PATH, secure=secure, httponly=True)
    set_own_page_cookie(request, response)
    remove_stale_state_cookies(request, response)
    return response


def forget_session(request: Request, response: Response) -> None:
    """Have the browser forget the cookies of its session, which has ended."""
    name, path = login_cookie(request)
    response.delete_cookie(name, path=path, secure=is_secure(request), httponly=True, samesite="lax")
    response.delete_cookie(XSRF_COOKIE, path=HUB_PATH)
    response.delete_cookie(SESSION_COOKIE, path="/", domain=hub_of(request).origins.domain or None)
    remove_stale_state_cookies(request, response)


def destination(hub: Hub, user: User, following: str | None) -> str:
    """Return where a login ends: at *following*, or else at the user's server.

    Before that, a user whose second factors an admin has removed is told so.
    """
    if user.factors is FactorState.RESET:
        return with_next(RESET_PAGE, following)
    return hub.origins.link_to(following) if following else default_destination(hub.servers, hub.origins, user)


def note_factor(request: Request, hub: Hub, session: Session, response: Response) -> None:
    """Note in this browser that the session's user has just shown a second factor, so that they may change them."""
    response.set_cookie(
        FACTOR_COOKIE,
        fresh_factors.proof(hub.key, session.sha256, hub.clock.now()),
        max_age=int(fresh_factors.LIFETIME.total_seconds()),
        path=HUB_PATH,
        httponly=True,
        samesite="lax",
        secure=is_secure(request),
    )


def has_shown_factor(request: Request, hub: Hub, session: Session) -> bool:
    """Say whether the session's user has just shown a second factor, as `note_factor` notes it."""
    now, proofs = hub.clock.now(), cookies(request, FACTOR_COOKIE)[:_MAX_PROOFS]
    return any(fresh_factors.is_fresh(hub.key, session.sha256, one, now) for one in proofs)


def is_surely_there(request: Request, hub: Hub, user: User, session: Session) -> bool:
    """Say whether it is sure that *user* is there: a factor was shown just now, or a login just now without any."""
    if has_shown_factor(request, hub, session):
        return True
    has_factors = hub.second_factors.are_offered and hub.second_factors.of(user).is_set_up
    return not has_factors and fresh_factors.is_recent(session.created_at, hub.clock.now())


def _ask_for_factor(request: Request, hub: Hub, half: HalfLogin, following: str | None) -> Response:
    response = RedirectResponse(with_next(SECOND_FACTOR_PAGE, following), 302)
    response.set_cookie(
        HALF_LOGIN_COOKIE,
        half_logins.sealed(hub.key, half, nonce=new_secret(), now=hub.clock.now()),
        max_age=int(half_logins.LIFETIME.total_seconds()),
        path=HUB_PATH,
        httponly=True,
        samesite="lax",
        secure=is_secure(request),
    )
    return response


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
