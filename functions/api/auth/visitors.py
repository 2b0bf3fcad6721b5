"""The visitors of pages, and the forms that they send."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api.admin_pages import admin_pages
from functions.api.auth import csrf
from functions.api.auth.authentication import person_by_cookie
from functions.api.auth.cookies import HUB_PATH, OWN_PAGE_COOKIE, XSRF_COOKIE, cookies, is_secure
from functions.api.dependencies import hub_of
from hubless.bootstrap.hub import Hub
from hubless.domain.bounds import MAX_FIELD, MAX_XSRF_COOKIES
from hubless.domain.profile_options import MAX_FILE_NAME
from hubless.domain.tokens import Session
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.services.identifiers import new_secret
from hubless.services.identity import Actor

_VISITOR = "hubless.visitor"  # where a request's scope keeps it


class LoginRequired(Exception):  # noqa: N818 it redirects, it is no failure
    """Raised when a page needs a login."""


@dataclass(slots=True)
class Visitor:
    """The visitor of a page: what the page's frame shows of them."""

    user: User | None
    may_admin: bool
    xsrf: str
    services: list[dict[str, str]] = field(default_factory=list)
    admin_pages: list[dict[str, Any]] = field(default_factory=list)  # those that they may open
    fresh: str | None = None  # an anonymous token that is new with this page
    session_xsrf: bool = False
    lacks_own_page: bool = False  # whether the browser is logged in and sent no SameSite=Strict cookie
    secure: bool = False

    def renew_xsrf(self, response: Response) -> None:
        """Give the browser the token that its scripts and forms must send."""
        lifetime = None if self.session_xsrf else csrf.ANONYMOUS_LIFETIME
        if self.fresh or self.session_xsrf:
            response.set_cookie(
                XSRF_COOKIE,
                self.xsrf,
                max_age=lifetime,
                path=HUB_PATH,
                httponly=False,
                samesite="lax",
                secure=self.secure,
            )


def visitor(request: Request) -> Visitor:
    """Return the visitor of a page. Never raise, because error pages are for everybody."""
    scope = request.scope
    if _VISITOR not in scope:
        scope[_VISITOR] = _visitor(request)
    found: Visitor = scope[_VISITOR]
    return found


def _visitor(request: Request) -> Visitor:
    hub, secure = hub_of(request), is_secure(request)
    try:
        actor = person_by_cookie(request)
    except Exception:  # noqa: BLE001 the page that shows the error needs no actor
        actor = None
    if actor is not None and actor.session is not None:
        token = csrf.session_token(hub.key, actor.session.sha256)
        return Visitor(
            actor.user,
            actor.scopes.has_everywhere("admin-ui"),
            token,
            _services(hub, actor),
            admin_pages(actor.scopes),
            session_xsrf=True,
            lacks_own_page=not cookies(request, OWN_PAGE_COOKIE),
            secure=secure,
        )
    agent = request.headers.get("user-agent", "")
    for kept in cookies(request, XSRF_COOKIE)[:MAX_XSRF_COOKIES]:
        if csrf.is_anonymous_token(hub.key, agent, kept):
            return Visitor(None, may_admin=False, xsrf=kept, secure=secure)
    fresh = csrf.anonymous_token(hub.key, agent, new_secret())
    return Visitor(None, may_admin=False, xsrf=fresh, fresh=fresh, secure=secure)


def _services(hub: Hub, actor: Actor) -> list[dict[str, str]]:
    return [
        {"name": service.name, "url": hub.origins.link_to(service.prefix)}
        for service in hub.services.all()
        if service.url and service.display and actor.scopes.covers_service("access:services", service.name)
    ]


def person_of(request: Request) -> Actor:
    """Return the person who is logged in with this browser.

    A token logs nobody in, as in JupyterHub: pages act for the whole person, and a token may do less.

    Raises:
        LoginRequired: when the browser is not logged in.
        HTTPException: 403 when a foreign page sent the request.
    """
    actor = _logged_in(request)
    if request.method in csrf.READ_ONLY and csrf.needs_token(request):
        csrf.require_session_token(request, actor, given=csrf.header_token(request))
    return actor


async def _person(request: Request) -> Actor:
    return person_of(request)


def _logged_in(request: Request) -> Actor:
    actor = person_by_cookie(request)
    if actor is None or actor.session is None:
        raise LoginRequired
    return actor


Person = Annotated[Actor, Depends(_person)]


def user_of(who: Actor) -> User:
    """Return the user who is this person."""
    assert who.user is not None  # noqa: S101 `person_of` gives users only
    return who.user


def session_of(who: Actor) -> Session:
    """Return the session of the browser in which this person asks."""
    assert who.session is not None  # noqa: S101 a `Person` has one
    return who.session


async def _maybe_person(request: Request) -> Actor | None:
    return person_by_cookie(request)


MaybePerson = Annotated[Actor | None, Depends(_maybe_person)]
"""Who is logged in with the browser that asks for a page that needs no login."""


@dataclass(slots=True)
class Form:
    """The fields of a form that our own page sent."""

    fields: Any

    def text(self, name: str, *, longest: int = MAX_FIELD) -> str:
        """Return one field's text; "" where there is none.

        Raises:
            HTTPException: 400 when it has more than *longest* characters.
        """
        value = self.fields.get(name, "")
        return _bounded(name, value, longest) if isinstance(value, str) else ""

    def texts(self, name: str) -> list[str]:
        """Return all texts of a repeated field.

        Raises:
            HTTPException: 400 when one has more than `MAX_FIELD` characters.
        """
        return [_bounded(name, value) for value in self.fields.getlist(name) if isinstance(value, str)]

    async def file(self, name: str) -> tuple[str, bytes] | None:
        """Return the name and the bytes of a file; None where the browser sent none. A body has a bound."""
        found = self.fields.get(name)
        if not isinstance(found, UploadFile) or not found.filename:
            return None
        return found.filename[:MAX_FILE_NAME], await found.read()

    def names(self) -> Iterable[str]:
        """Return the fields' names.

        Raises:
            HTTPException: 400 when one has more than `MAX_FIELD` characters.
        """
        return [_bounded("name of a field", str(key)) for key in self.fields]


def _bounded(what: str, text: str, longest: int = MAX_FIELD) -> str:
    if len(text) > longest:
        raise HTTPException(
            400,
            _("The %(what)s is too long: it may have at most %(longest)s characters", what=what[:60], longest=longest),
        )
    return text


async def own_form(request: Request) -> Form:
    """Return the form of a person who is logged in.

    Raises:
        LoginRequired: when the browser is not logged in; see `person_of`.
        HTTPException: 403 without the session's token, or when a foreign page sent it.
    """
    actor = _logged_in(request)
    if csrf.is_foreign(request):
        raise HTTPException(403, csrf.why_foreign(request))
    fields = await request.form(max_fields=200)
    given = fields.get(XSRF_COOKIE) or csrf.header_token(request)
    csrf.require_session_token(request, actor, given=given if isinstance(given, str) else None)
    return Form(fields)


OwnForm = Annotated[Form, Depends(own_form)]


async def anonymous_form(request: Request) -> Form | None:
    """Return the form of a visitor who need not be logged in; None when its token is missing, expired or invalid."""
    fields = await request.form(max_fields=50)
    given, kept = fields.get(XSRF_COOKIE) or csrf.header_token(request), cookies(request, XSRF_COOKIE)
    if not isinstance(given, str) or given not in kept or csrf.is_foreign(request):
        return None
    actor = person_by_cookie(request)
    if actor is not None and actor.session is not None:
        expected = csrf.session_token(hub_of(request).key, actor.session.sha256)
        return Form(fields) if csrf.is_same(expected, given) else None
    agent = request.headers.get("user-agent", "")
    return Form(fields) if csrf.is_anonymous_token(hub_of(request).key, agent, given) else None


AnonymousForm = Annotated[Form | None, Depends(anonymous_form)]


def to_login(request: Request) -> Response:
    """Redirect to the login page, and from there back to this request's address."""
    reads = request.method in csrf.READ_ONLY
    here = request.scope["path"] if reads else "/hub/home"
    raw = request.scope.get("raw_path", b"").decode("ascii", "replace") if reads else here
    query = request.url.query if reads else ""
    target = (raw or quote(here)) + (f"?{query}" if query else "")
    return RedirectResponse(f"{hub_of(request).origins.hub_origin}/hub/login?next={quote(target, safe='')}", 302)
