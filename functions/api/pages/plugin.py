"""Pages of a JupyterHub authenticator class: its form, its redirects to a provider, and what else it brings."""

from functools import lru_cache
from urllib.parse import urlencode

from anyio import CapacityLimiter, to_thread
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from functions.api.auth import csrf
from functions.api.auth.acts import login_failed, record
from functions.api.auth.authentication import person_by_cookie
from functions.api.auth.cookies import (
    DEVICE_COOKIE,
    FACTOR_COOKIE,
    HALF_LOGIN_COOKIE,
    LOGIN_COOKIE,
    OWN_PAGE_COOKIE,
    SAFE_LOGIN_COOKIE,
    SESSION_COOKIE,
    XSRF_COOKIE,
    device_cookie,
    is_secure,
)
from functions.api.auth.session_opening import forget_session, open_session
from functions.api.auth.visitors import anonymous_form, visitor
from functions.api.dependencies import address_of, hub_of
from functions.api.error_handlers import answer as error_answer
from functions.api.error_handlers import retry_later
from functions.api.pages.sessions import lock_in_words
from functions.api.redirects import Redirects
from functions.api.rendering import Renderer
from hubless.bootstrap.hub import Hub
from hubless.domain.audit import Act
from hubless.domain.users import User
from hubless.ports.authenticator import Refused
from hubless.ports.login_plugin import LoginPlugin, PluginAnswer, PluginRequest, PluginVisitor
from hubless.services.identity import Actor
from hubless.services.login_throttling import LockedOut
from hubless.services.plugin_login import PluginOutcome

THREADS = 64  # logins at once that wait for the class; its own event loop is one thread
_API = "/hub/api"
_OWN_COOKIES = frozenset(
    {LOGIN_COOKIE, SAFE_LOGIN_COOKIE, SESSION_COOKIE, XSRF_COOKIE, OWN_PAGE_COOKIE, DEVICE_COOKIE}
    | {HALF_LOGIN_COOKIE, FACTOR_COOKIE}
)
_PASSED_ON = frozenset({"location", "cache-control", "retry-after", "content-disposition"})
_NOT_FOR_CLASSES = frozenset({"cookie", "authorization", "host", "content-length", "transfer-encoding", "connection"})
_FORM = "application/x-www-form-urlencoded"
_FORMS = (_FORM, "multipart/form-data")  # what tornado takes for a form if a type begins so
_GUESSED = ("username", "password")
_BEFORE_LOGIN = ("/hub/login", "/hub/logout", "/hub/oauth_")  # another site may lead there
_DEFAULT = "/hub/"  # where the class sends somebody without a `next`: the hub decides
_TOO_MANY = 429  # RFC 6585 4


class PluginRoute(BaseRoute):
    """All pages of the class. It comes before the hub's own pages, as in JupyterHub; the API is the hub's alone."""

    def __init__(self, plugin: LoginPlugin) -> None:
        self._plugin = plugin

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the paths of the class's handlers."""
        path = scope["path"]
        if scope["type"] != "http" or path.startswith(f"{_API}/") or path == _API or not self._plugin.serves(path):
            return Match.NONE, {}
        return Match.FULL, {"endpoint": page, "path_params": {}, "route": self}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await page(Request(scope, receive, send))
        await response(scope, receive, send)


async def page(request: Request) -> Response:
    """Return the class's answer, in the frame of the hub's pages; a login opens a session, and a logout ends it."""
    hub, actor = hub_of(request), person_by_cookie(request)
    _require_own_page(request, actor)
    asked, password = await _plugin_request(request, hub, actor)
    ask, device = hub.plugin_login.ask, device_cookie(request)
    outcome = await to_thread.run_sync(ask, asked, password, device, limiter=_limiter())
    match outcome:
        case Refused(why):
            login_failed(request, asked.user_name)
            return error_answer(request, 403, why)
        case LockedOut():
            login_failed(request, asked.user_name)
            return error_answer(request, _TOO_MANY, lock_in_words(outcome), retry_later(hub))
        case PluginOutcome(answer, User() as user):
            provider = hub.plugin_login.plugin.name if password is None else ""  # what has asked for a factor itself
            return _open_session(request, hub, user, answer, provider)
        case PluginOutcome(answer):
            return _response(request, hub, actor, answer)


def _require_own_page(request: Request, actor: Actor | None) -> None:
    """Refuse what makes a person who is logged in do something: some classes change things by GET.

    Raises:
        HTTPException: 403 saying what to do.
    """
    if actor is None or actor.session is None or request.method not in csrf.READ_ONLY:
        return
    if csrf.needs_token(request):
        csrf.require_session_token(request, actor, given=csrf.header_token(request))
    before_login = request.scope["path"].startswith(_BEFORE_LOGIN)
    if actor.scopes.has_everywhere("admin:users") and not before_login and csrf.is_led_by_another_site(request, ()):
        raise HTTPException(403, "Another site led here. Open this page from the hub, or by its address.")


async def _plugin_request(request: Request, hub: Hub, actor: Actor | None) -> tuple[PluginRequest, str | None]:
    """Return the request as the class gets it, and the password in its form, if it has one."""
    body, headers, name, password, is_own = await request.body(), _headers(request), "", None, False
    if request.method not in csrf.READ_ONLY:
        fields = await _texts_of_form(request)
        last = dict(fields)  # of several, tornado takes the last
        name, password = last.get("username", ""), last.get("password") if "username" in last else None
        is_own = await anonymous_form(request) is not None
        if _is_form(request):
            # The class reads what the hub has read, so that no field is a guess to one of them only.
            body = urlencode(fields).encode()
            headers = (*(pair for pair in headers if pair[0] != "content-type"), ("content-type", _FORM))
    public = hub.settings.hub.public_url.partition("://")[2]
    asked = PluginRequest(
        method=request.method,
        target=_target(request),
        headers=headers,
        body=body,
        address=address_of(request),
        scheme="https" if is_secure(request) else "http",
        host=public or request.headers.get("host", ""),
        xsrf=visitor(request).xsrf,
        is_own_form=is_own,
        visitor=_visitor(actor),
        user_name=name,
    )
    return asked, password


async def _texts_of_form(request: Request) -> list[tuple[str, str]]:
    """Return the texts of the form.

    Raises:
        HTTPException: 400 for a form with a file, or one that tornado would read otherwise than the hub does.
    """
    if not _is_form(request) and request.headers.get("content-type", "").lower().startswith(_FORMS):
        raise HTTPException(400, "The type of this form is malformed")
    if any(name in request.query_params for name in _GUESSED):
        raise HTTPException(400, "A name and a password belong in the form, and not in its address")
    fields = await request.form(max_fields=50, max_files=0)
    if not fields and _is_form(request) and await request.body():
        raise HTTPException(400, "This form cannot be read")
    return [(name, text) for name, text in fields.multi_items() if isinstance(text, str)]


def _is_form(request: Request) -> bool:
    """Say whether the hub can read the body as a form."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() in _FORMS


def _target(request: Request) -> str:
    raw: str = request.scope["raw_path"].decode("ascii", "replace").partition("?")[0]
    return raw + (f"?{request.url.query}" if request.url.query else "")


def _headers(request: Request) -> tuple[tuple[str, str], ...]:
    """Return the headers for the class, without the cookies and tokens that are the hub's own."""
    kept = [(name, value) for name, value in request.headers.items() if name not in _NOT_FOR_CLASSES]
    pairs = (part.strip() for header in request.headers.getlist("cookie") for part in header.split(";"))
    others = [pair for pair in pairs if pair.partition("=")[0] not in _OWN_COOKIES]
    return (*kept, ("cookie", "; ".join(others))) if others else tuple(kept)


def _visitor(actor: Actor | None) -> PluginVisitor | None:
    if actor is None or actor.session is None or actor.user is None:
        return None
    unfiltered = tuple(text for text in actor.scopes.texts() if "!" not in text)
    return PluginVisitor(actor.user.name, actor.user.admin, unfiltered)


def _response(request: Request, hub: Hub, actor: Actor | None, answer: PluginAnswer) -> Response:
    headers = {name.lower(): value for name, value in answer.headers}
    response: Response
    if answer.page is not None:
        main = Markup(answer.page.main)  # noqa: S704 its own templates escape
        response = Renderer(request)("plugin.html", status_code=answer.status, title=answer.page.title, main=main)
    else:
        response = Response(answer.body, answer.status, media_type=headers.get("content-type"))
    for name in _PASSED_ON & headers.keys():
        response.headers[name] = headers[name]
    _add_cookies(answer, response)
    if answer.ends_session:
        if actor is not None and actor.session is not None:
            hub.logins.close_session(actor.session)
            record(request, Act.LOGOUT)
        forget_session(request, response)
    return response


def _add_cookies(answer: PluginAnswer, response: Response) -> None:
    """Pass on the class's cookies, and none by the name of one of the hub's."""
    for name, value in answer.headers:
        if name.lower() == "set-cookie" and value.partition("=")[0].strip() not in _OWN_COOKIES:
            response.headers.append("set-cookie", value)


def _open_session(request: Request, hub: Hub, user: User, answer: PluginAnswer, provider: str) -> Response:
    headers = {name.lower(): value for name, value in answer.headers}
    following = Redirects(request, hub.origins).safe(headers.get("location", ""))
    response = open_session(request, hub, user, None if following == _DEFAULT else following, provider=provider)
    _add_cookies(answer, response)
    return response


@lru_cache(maxsize=1)
def _limiter() -> CapacityLimiter:
    return CapacityLimiter(THREADS)
