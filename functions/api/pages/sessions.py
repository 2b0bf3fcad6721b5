"""Logging in and out, signing up, and the one-time links that set a password."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import xsrf
from functions.api.asking import (
    HUB_PATH,
    SESSION_COOKIE,
    XSRF_COOKIE,
    Form,
    actor_of,
    anonymous_form,
    hub_of,
    is_secure,
    login_cookie,
)
from functions.api.destinations import located, safe_next
from functions.api.pages.views import own_place
from functions.api.rendering import page
from functions.api.routing import Router
from functions.api.slowly import slowly
from hubless.domain.errors import HublessError, InvalidRequestError
from hubless.domain.users import User
from hubless.ports.authenticator import Refused
from hubless.services.accounts import MINIMUM_PASSWORD
from hubless.services.login_throttling import LockedOut

router = Router()
EXPIRED = "This form is invalid or expired. Try again."
FIRST_PLACE = "/hub/home"  # who has just come to have an account looks around first


@router.get("/login")
async def login_form(request: Request) -> Response:
    """Show the form; who is logged in already goes on."""
    following = safe_next(request, request.query_params.get("next", ""))
    actor = actor_of(request)
    if actor is not None and actor.session is not None:
        assert actor.user is not None  # noqa: S101 a session is a user's
        return RedirectResponse(_next(request, following, actor.user), 302)
    return _login_page(request, following)


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Check name and password and open a session."""
    following = safe_next(request, request.query_params.get("next", ""))
    form = await anonymous_form(request)
    if form is None:
        return _login_page(request, following, error=EXPIRED, status=403)
    name = form.text("username")
    address = request.client.host if request.client else "unknown"
    found = await slowly(hub_of(request).password_login.check, name, form.text("password"), address)
    match found:
        case Refused(why):
            return _login_page(request, following, username=name[:255], error=why, status=403)
        case LockedOut(minutes):
            error = f"Too many wrong guesses. Invalid for now: try again in {minutes} minutes."
            return _login_page(request, following, username=name[:255], error=error, status=429)
        case User():
            return open_session(request, found, following)


def _login_page(
    request: Request, following: str | None, *, username: str = "", error: str | None = None, status: int = 200
) -> Response:
    hub = hub_of(request)
    return page(
        request,
        "login.html",
        status_code=status,
        next=following or "",
        username=username,
        error=error,
        announcement=None,
        sign_up=hub.settings.login.sign_up and hub.has_passwords,
        action="/hub/login",
    )


def open_session(request: Request, user: User, following: str | None) -> Response:
    """Begin a session in this browser; one that was open here ends."""
    hub, secure = hub_of(request), is_secure(request)
    before = actor_of(request)
    if before is not None and before.session is not None:
        hub.logins.close_session(before.session)
    session, secret = hub.logins.open_session(user, request.headers.get("user-agent", ""))
    response = RedirectResponse(_next(request, following, user), 302)
    lifetime = int(hub.settings.hub.cookie_max_age.total_seconds())
    name, path = login_cookie(request)
    response.set_cookie(name, secret, max_age=lifetime, path=path, httponly=True, samesite="lax", secure=secure)
    # Readable by the user's servers: it is part of the key of what they remember (singleuser-contract, 6).
    response.set_cookie(
        SESSION_COOKIE,
        session.id,
        path="/",
        domain=hub.origins.domain or None,
        httponly=True,
        samesite="lax",
        secure=secure,
    )
    token = xsrf.session_token(hub.key, session.sha256)
    response.set_cookie(XSRF_COOKIE, token, path=HUB_PATH, httponly=False, samesite="lax", secure=secure)
    return response


def _next(request: Request, following: str | None, user: User) -> str:
    return located(request, following) if following else own_place(hub_of(request), user)


@router.get("/logout")
async def log_out(request: Request) -> Response:
    """End the session with every token that came of it, in the store and in the browser."""
    actor = actor_of(request)
    if actor is not None and actor.session is not None:
        if xsrf.needs_token(request):
            raise HTTPException(403, "Logging out is a navigation")
        hub_of(request).logins.close_session(actor.session)
    response = RedirectResponse("/hub/login", 302)
    name, path = login_cookie(request)
    response.delete_cookie(name, path=path, secure=is_secure(request), httponly=True, samesite="lax")
    response.delete_cookie(XSRF_COOKIE, path=HUB_PATH)
    response.delete_cookie(SESSION_COOKIE, path="/", domain=hub_of(request).origins.domain or None)
    return response


@router.get("/set-password")
async def password_form(request: Request) -> Response:
    """Show the form of a one-time link."""
    user = hub_of(request).accounts.user_of_link(request.query_params.get("key", ""))
    if user is None:
        raise HTTPException(404, "This link was used or has expired. Ask for a new one.")
    return _password_page(request, user)


@router.post("/set-password")
async def set_password(request: Request) -> Response:
    """Set the password, use the link up, and log its user in."""
    hub, key = hub_of(request), request.query_params.get("key", "")
    user, form = hub.accounts.user_of_link(key), await anonymous_form(request)
    if user is None:
        raise HTTPException(404, "This link was used or has expired. Ask for a new one.")
    if form is None:
        return _password_page(request, user, error=EXPIRED, status=403)
    try:
        _same_twice(form)
        user = await slowly(hub.accounts.use_link, key, form.text("password"))
    except InvalidRequestError as invalid:
        return _password_page(request, user, error=str(invalid), status=400)
    return open_session(request, user, FIRST_PLACE)


def _password_page(request: Request, user: User, *, error: str | None = None, status: int = 200) -> Response:
    return page(
        request,
        "set_password.html",
        status_code=status,
        headers={"Referrer-Policy": "strict-origin"},
        user_name=user.name,
        action=f"/hub/set-password?key={request.query_params.get('key', '')}",
        error=error,
        minimum_length=MINIMUM_PASSWORD,
    )


@router.get("/sign-up")
async def sign_up_form(request: Request) -> Response:
    """Show the sign-up form where settings allow it."""
    return _sign_up_page(request)


@router.post("/sign-up")
async def sign_up(request: Request) -> Response:
    """Add the user and log it in."""
    form = await anonymous_form(request)
    if form is None:
        return _sign_up_page(request, error=EXPIRED, status=403)
    _require_sign_up(request)
    try:
        _same_twice(form)
        address = request.client.host if request.client else "unknown"
        made = await slowly(
            hub_of(request).password_login.sign_up, form.text("username"), form.text("password"), address
        )
    except HublessError as refused:
        return _sign_up_page(request, username=form.text("username")[:255], error=str(refused), status=400)
    if isinstance(made, LockedOut):
        error = f"Too many accounts were made from here. Try again in {made.minutes} minutes."
        return _sign_up_page(request, username=form.text("username")[:255], error=error, status=429)
    return open_session(request, made, FIRST_PLACE)


def _sign_up_page(request: Request, *, username: str = "", error: str | None = None, status: int = 200) -> Response:
    _require_sign_up(request)
    return page(
        request,
        "sign_up.html",
        status_code=status,
        action="/hub/sign-up",
        username=username,
        error=error,
        minimum_length=MINIMUM_PASSWORD,
    )


def _require_sign_up(request: Request) -> None:
    hub = hub_of(request)
    if not (hub.settings.login.sign_up and hub.has_passwords):
        raise HTTPException(404, "This hub does not take sign-ups. Ask its admin for an account.")


def _same_twice(form: Form) -> None:
    if form.text("password") != form.text("again"):
        raise InvalidRequestError("The two passwords differ")
