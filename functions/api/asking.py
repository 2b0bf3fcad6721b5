"""Who sent this request, proved by token or cookie, and the checks that a route makes of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import xsrf
from functions.api.routing import Needs
from hubless.bootstrap.hub import Hub
from hubless.domain.errors import NotFoundError
from hubless.domain.lifecycle import Server
from hubless.domain.users import User
from hubless.services.identifiers import new_secret
from hubless.services.identity import Actor

LOGIN_COOKIE = "jupyterhub-hub-login"
SAFE_LOGIN_COOKIE = f"__Host-{LOGIN_COOKIE}"
SESSION_COOKIE = "jupyterhub-session-id"
XSRF_COOKIE = "_xsrf"
HUB_PATH = "/hub/"
NO_CREDENTIALS = "Missing or invalid credentials."
OUT_OF_REACH = "No access to resources or resources not found"
FOREIGN = "A page of another site sent this"


class LoginRequired(Exception):  # noqa: N818 it leads somewhere, it is no failure
    """Raised where a page is for people who are logged in."""


def hub_of(request: Request) -> Hub:
    """Return the hub that this application serves."""
    hub: Hub = request.app.state.hub
    return hub


def actor_of(request: Request) -> Actor | None:
    """Return who proved to be asking, by token first and by cookie else; looked up once a request."""
    if not hasattr(request.state, "actor"):
        request.state.actor = _by_token(request) or _by_cookie(request)
    actor: Actor | None = request.state.actor
    return actor


def _by_token(request: Request) -> Actor | None:
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    if kind.lower() not in {"token", "bearer"} or not secret:
        return None
    return hub_of(request).identities.of_token(secret.strip())


def _by_cookie(request: Request) -> Actor | None:
    # Pages at another host are somebody's server's: whatever cookie there is at that host, it was not set by the hub.
    if not hub_of(request).origins.is_hub(request.headers.get("host", "")):
        return None
    # Two of one name: a page on this host or beside it has planted one, and nothing tells which. Then neither counts.
    sent = cookies(request, login_cookie(request)[0])
    return hub_of(request).identities.of_session(sent[0]) if len(sent) == 1 else None


def cookies(request: Request, name: str) -> list[str]:
    """Return the different values that the browser sends for the cookie *name*, as often as it may be set by path or host."""
    pairs = (part.partition("=") for header in request.headers.getlist("cookie") for part in header.split(";"))
    return list(dict.fromkeys(value.strip() for key, _, value in pairs if key.strip() == name and value.strip()))


# --- the API ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Asking:
    """A request to the API and the actor behind it, if any."""

    request: Request
    hub: Hub
    actor: Actor | None

    def known(self) -> Actor:
        """Return the actor.

        Raises:
            HTTPException: 403 when nobody proved to be there.
        """
        if self.actor is None:
            raise HTTPException(403, NO_CREDENTIALS)
        return self.actor

    def needs(self, *names: str) -> Actor:
        """Return the actor when it holds one of these scopes under any filter.

        Raises:
            HTTPException: 403 naming the scopes that would do.
        """
        actor = self.known()
        if not any(actor.scopes.has(name) for name in names):
            raise _lacking(names)
        return actor

    def needs_everywhere(self, *names: str) -> Actor:
        """Return the actor when it holds one of these scopes unfiltered: for what no filter could single out.

        Raises:
            HTTPException: 403 naming the scopes that would do.
        """
        actor = self.known()
        if not any(actor.scopes.has_everywhere(name) for name in names):
            raise _lacking(names)
        return actor

    def needs_of(self, name: str, *kinds: str) -> Actor:
        """Return the actor when it holds the scope unfiltered or under a filter of one of these *kinds*.

        Raises:
            HTTPException: 403 when it holds none such.
        """
        actor = self.needs(name)
        if not any(kind in {"", *kinds} for kind, _ in actor.scopes.filters(name)):
            raise HTTPException(403)
        return actor

    def user(self, name: str, *needed: str) -> User:
        """Return the user of that name when the actor holds one of the scopes for it.

        Raises:
            HTTPException: 403 when it holds none of them, 404 alike when the user is out of its reach or not there.
        """
        actor = self.needs(*needed)
        user = self.hub.users.find(name)
        groups = user.groups if user else ()
        if not any(actor.scopes.covers_user(scope, name, groups) for scope in needed):
            raise HTTPException(404, OUT_OF_REACH)
        if user is None:
            raise HTTPException(404)
        return user

    def user_with_server(self, name: str, server: str, *needed: str) -> User:
        """Return the owner when the actor holds one of the scopes for that server of theirs; the server need not exist.

        Raises:
            HTTPException: as `user` does.
        """
        actor = self.needs(*needed)
        user = self.hub.users.find(name)
        groups = user.groups if user else ()
        if not any(actor.scopes.covers_server(scope, name, server, groups) for scope in needed):
            raise HTTPException(404, OUT_OF_REACH)
        if user is None:
            raise HTTPException(404)
        return user

    def server(self, name: str, server: str, *needed: str, change: bool = False) -> tuple[User, Server]:
        """Return owner and server, to look at or, with *change*, to change.

        Raises:
            HTTPException: as `user` does, and 404 naming a server that does not exist.
        """
        owner = self.user_with_server(name, server, *needed)
        try:
            return owner, (self.hub.spawning.stored if change else self.hub.spawning.find)(owner, server)
        except NotFoundError:
            raise HTTPException(404, f"{name} has no server named '{server}'") from None


def _lacking(names: Iterable[str]) -> HTTPException:
    return HTTPException(403, f"Action is not authorized with current scopes; requires any of [{', '.join(names)}]")


async def asking(request: Request) -> Asking:
    """Return who asks the API. A cookie counts only with its token and with JSON (JupyterHub 6.1).

    Raises:
        HTTPException: 403 for a cookie without proof that our own page sent it.
    """
    actor = actor_of(request)
    if actor is not None and actor.session is not None:
        if not is_no_form(request):
            actor = None
        elif request.method not in xsrf.READ_ONLY and is_foreign(request):
            raise HTTPException(403, FOREIGN)
        elif xsrf.needs_token(request):
            require_session_token(request, actor, given=header_token(request))
    return Asking(request, hub_of(request), actor)


Ask = Annotated[Asking, Needs(asking)]


def is_no_form(request: Request) -> bool:
    """Say whether a form could not have sent this body."""
    if request.method in xsrf.READ_ONLY:
        return True
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in {"application/json", ""}  # forms name a type; the token is asked for besides


def header_token(request: Request) -> str | None:
    """Return the XSRF token that a script or a link sends."""
    return (
        request.headers.get("x-xsrftoken")
        or request.headers.get("x-csrftoken")
        or request.query_params.get(XSRF_COOKIE)
    )


def require_session_token(request: Request, actor: Actor, *, given: str | None) -> None:
    """Refuse the request unless it carries the token of the actor's session.

    Raises:
        HTTPException: 403 saying what is missing or does not fit.
    """
    if not given:
        raise HTTPException(403, f"'_xsrf' argument missing from {request.method}")
    assert actor.session is not None  # noqa: S101 only cookies come here
    if not xsrf.is_same(xsrf.session_token(hub_of(request).key, actor.session.sha256), given):
        raise HTTPException(403, "XSRF cookie does not match POST argument")


# --- pages -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Visitor:
    """The person before a page: what the page's frame says of them."""

    user: User | None
    may_admin: bool
    xsrf: str
    services: list[dict[str, str]] = field(default_factory=list)
    fresh: str | None = None  # an anonymous token that is new with this page
    session_xsrf: bool = False
    secure: bool = False

    def renew_xsrf(self, response: Response) -> None:
        """Give the browser the token that its scripts and forms must show."""
        lifetime = None if self.session_xsrf else xsrf.ANONYMOUS_LIFETIME
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
    """Return who looks at a page; never raises, so that error pages can be shown to anybody."""
    if not hasattr(request.state, "visitor"):
        request.state.visitor = _visitor(request)
    found: Visitor = request.state.visitor
    return found


def _visitor(request: Request) -> Visitor:
    hub, secure = hub_of(request), is_secure(request)
    try:
        actor = actor_of(request)
    except Exception:  # noqa: BLE001 the page that says so needs no actor
        actor = None
    if actor is not None and actor.session is not None:
        token = xsrf.session_token(hub.key, actor.session.sha256)
        return Visitor(
            actor.user,
            actor.scopes.has_everywhere("admin-ui"),
            token,
            _services(hub, actor),
            session_xsrf=True,
            secure=secure,
        )
    agent = request.headers.get("user-agent", "")
    for kept in cookies(request, XSRF_COOKIE):
        if xsrf.is_anonymous_token(hub.key, agent, kept):
            return Visitor(None, may_admin=False, xsrf=kept, secure=secure)
    fresh = xsrf.anonymous_token(hub.key, agent, new_secret())
    return Visitor(None, may_admin=False, xsrf=fresh, fresh=fresh, secure=secure)


def _services(hub: Hub, actor: Actor) -> list[dict[str, str]]:
    return [
        {"name": service.name, "url": hub.origins.located(service.prefix)}
        for service in hub.services.all()
        if service.url and service.display and actor.scopes.covers_service("access:services", service.name)
    ]


async def person(request: Request) -> Actor:
    """Return the person who is logged in with this browser.

    Raises:
        LoginRequired: when nobody is.
        HTTPException: 403 when a foreign page sent the request.
    """
    actor = actor_of(request)
    if actor is None or actor.user is None:
        raise LoginRequired
    if actor.session is not None and request.method in xsrf.READ_ONLY and xsrf.needs_token(request):
        require_session_token(request, actor, given=header_token(request))
    return actor


Person = Annotated[Actor, Needs(person)]


@dataclass(slots=True)
class Form:
    """The fields of a form that our own page sent."""

    fields: Any

    def text(self, name: str, default: str = "") -> str:
        """Return one field's text."""
        value = self.fields.get(name, default)
        return value if isinstance(value, str) else default

    def texts(self, name: str) -> list[str]:
        """Return all texts of a repeated field."""
        return [value for value in self.fields.getlist(name) if isinstance(value, str)]

    def names(self) -> Iterable[str]:
        """Return the fields' names."""
        return [str(key) for key in self.fields]


async def own_form(request: Request) -> Form:
    """Return the form of a person who is logged in.

    Raises:
        LoginRequired: when nobody is.
        HTTPException: 403 without the session's token, or when a foreign page sent it.
    """
    actor = actor_of(request)
    if actor is None or actor.user is None:
        raise LoginRequired
    if is_foreign(request):
        raise HTTPException(403, FOREIGN)
    fields = await request.form(max_fields=200)
    given = fields.get(XSRF_COOKIE) or header_token(request)
    if actor.session is not None:
        require_session_token(request, actor, given=given if isinstance(given, str) else None)
    return Form(fields)


OwnForm = Annotated[Form, Needs(own_form)]


async def anonymous_form(request: Request) -> Form | None:
    """Return the form of somebody who may not be logged in, or None when its token is missing, old, made up or foreign."""
    fields = await request.form(max_fields=50)
    given, kept = fields.get(XSRF_COOKIE) or header_token(request), cookies(request, XSRF_COOKIE)
    if not isinstance(given, str) or given not in kept or is_foreign(request):
        return None
    actor = actor_of(request)
    if actor is not None and actor.session is not None:
        expected = xsrf.session_token(hub_of(request).key, actor.session.sha256)
        return Form(fields) if xsrf.is_same(expected, given) else None
    agent = request.headers.get("user-agent", "")
    return Form(fields) if xsrf.is_anonymous_token(hub_of(request).key, agent, given) else None


def is_foreign(request: Request) -> bool:
    """Say whether a page of another host than this hub's sent the request."""
    public = urlsplit(hub_of(request).settings.hub.public_url).netloc
    return xsrf.is_foreign(request, {request.headers.get("host"), request.headers.get("x-forwarded-host"), public})


def to_login(request: Request) -> Response:
    """Lead to the login page and from there back to where this request went."""
    here = request.scope["path"] if request.method in xsrf.READ_ONLY else "/hub/home"
    raw = request.scope.get("raw_path", b"").decode("ascii", "replace") if request.method in xsrf.READ_ONLY else here
    query = request.url.query if request.method in xsrf.READ_ONLY else ""
    target = (raw or quote(here)) + (f"?{query}" if query else "")
    return RedirectResponse(f"{hub_of(request).origins.own_hub}/hub/login?next={quote(target, safe='')}", 302)


def login_cookie(request: Request) -> tuple[str, str]:
    """Return name and path of the login cookie.

    Over https it is one that no other host, not even a sibling, can plant (RFC 6265bis 4.1.3.2). Such a cookie goes to every
    path; the edge takes it out of what goes to servers and services (docs/adr/0008).
    """
    return (SAFE_LOGIN_COOKIE, "/") if is_secure(request) else (LOGIN_COOKIE, HUB_PATH)


def is_secure(request: Request) -> bool:
    """Say whether the browser's address is https."""
    return request.url.scheme == "https" or hub_of(request).settings.hub.public_url.startswith("https:")
