"""Proof that one of our own pages sent a request: tokens bound to the browser session, and the Sec-Fetch rules.

The rules are JupyterHub 6.1's, and stricter in one point: a request of a foreign page is refused in every mode, unless
it is a navigation that only reads.
"""

import hashlib
import hmac
from collections.abc import Collection
from urllib.parse import urlsplit

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.exceptions import HTTPException
from starlette.requests import Request

from functions.api.auth.cookies import OWN_PAGE_COOKIE, XSRF_COOKIE, cookies
from functions.api.dependencies import hub_of
from hubless.domain.bounds import MAX_XSRF_TOKEN
from hubless.domain.origins import is_loopback
from hubless.domain.translatable import gettext as _
from hubless.services.identity import Actor

ANONYMOUS_LIFETIME = 3600  # seconds, JupyterHub's
READ_ONLY = frozenset({"GET", "HEAD", "OPTIONS"})
FOREIGN = _("A page of another site sent this")
_MAX_ORIGIN = 260  # characters of an origin or a host that an error shows


def session_token(key: bytes, session_sha256: str) -> str:
    """Return the token of a logged-in browser's session. It never changes, and is valid in no other session."""
    return hmac.new(key, f"xsrf:{session_sha256}".encode(), hashlib.sha256).hexdigest()


def anonymous_token(key: bytes, agent: str, nonce: str) -> str:
    """Return a token for a form that is sent before a login; it is valid for an hour in the same browser."""
    return str(_serializer(key).dumps([nonce, _digest(agent)]))


def is_anonymous_token(key: bytes, agent: str, token: str) -> bool:
    """Say whether *token* is ours, has not expired, and is of this browser."""
    if len(token) > MAX_XSRF_TOKEN:
        return False
    try:
        facts = _serializer(key).loads(token, max_age=ANONYMOUS_LIFETIME)
    except BadSignature:
        return False
    return isinstance(facts, list) and len(facts) == 2 and facts[1] == _digest(agent)  # noqa: PLR2004 nonce, browser


def needs_token(request: Request) -> bool:
    """Say whether this request needs an XSRF token besides its cookie."""
    mode, site = request.headers.get("sec-fetch-mode"), request.headers.get("sec-fetch-site")
    if request.method not in READ_ONLY:
        return True
    if mode in {None, "navigate"}:
        return False
    return not (mode == "no-cors" and site == "same-origin")


def is_foreign(request: Request) -> bool:
    """Say whether the browser says that a page of another origin sent this, with a valid token or without.

    Older browsers, and all browsers over plain http, send no Sec-Fetch-Site. All send Origin with requests that may
    change something.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("origin")
    if origin is None:
        return False
    return not _is_own(request, origin)


def why_foreign(request: Request) -> str:
    """Return what a foreign page's sender reads. It names the setting that is missing if a proxy replaces Host."""
    origin, host = request.headers.get("origin", "")[:_MAX_ORIGIN], request.headers.get("host", "")[:_MAX_ORIGIN]
    public = hub_of(request).settings.hub.public_url
    if request.headers.get("sec-fetch-site") is not None or "://" not in origin:
        return FOREIGN
    if public:
        return _(
            "%(foreign)s: it is at %(origin)s, but the hub is at %(public)s. Open the hub there.",
            foreign=FOREIGN,
            origin=origin,
            public=public,
        )
    return _(
        "%(foreign)s: it is at %(origin)s, but the request arrived for %(host)s. If %(origin)s is this"
        ' hub\'s own address, a proxy in front of the hub replaces Host: set public_url = "%(origin)s"'
        " in [hub], or let the proxy pass Host on (nginx: proxy_set_header Host $http_host).",
        foreign=FOREIGN,
        origin=origin,
        host=host,
    )


def _is_own(request: Request, origin: str) -> bool:
    """Say whether *origin* is the hub's. Where `public_url` says what that is, Host counts on the machine itself only.

    A proxy may replace Host, and a page of any site can make browsers ask the hub by a name of its own.
    """
    host = origin.partition("://")[2]  # none in `null`, which sandboxed frames send
    asked = {request.headers.get("host", ""), request.headers.get("x-forwarded-host", "")}
    if public := hub_of(request).settings.hub.public_url:
        return origin == public or (host in asked and is_loopback(host))
    return bool(host) and host in asked


def is_led_by_another_site(request: Request, own_hosts: Collection[str]) -> bool:
    """Say whether a page of another site led the browser here, by a link or a redirect; not if its user typed it.

    Browsers without Sec-Fetch-Site, and all browsers over plain http, send the SameSite=Strict cookie or do not.

    Args:
        request: the navigation of a browser that is logged in.
        own_hosts: hosts, with ports, whose pages count as ours although they are not at the hub's host.
    """
    site = request.headers.get("sec-fetch-site")
    if site is None:
        return not cookies(request, OWN_PAGE_COOKIE)
    if site == "same-site" and urlsplit(request.headers.get("referer", "")).netloc in own_hosts:
        return False
    return site not in {"same-origin", "none"}


def cannot_be_form(request: Request) -> bool:
    """Say whether an HTML form could not have sent this body."""
    if request.method in READ_ONLY:
        return True
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in {"application/json", ""}  # forms name a type; the token is required too


def header_token(request: Request) -> str | None:
    """Return the XSRF token that a script or a link sends."""
    return (
        request.headers.get("x-xsrftoken")
        or request.headers.get("x-csrftoken")
        or request.query_params.get(XSRF_COOKIE)
    )


def require_own_page(request: Request, actor: Actor) -> None:
    """Refuse a cookie's request to the API unless our own page sent it.

    Raises:
        HTTPException: 403 saying what is missing or does not fit.
    """
    if request.method not in READ_ONLY and is_foreign(request):
        raise HTTPException(403, why_foreign(request))
    if needs_token(request):
        require_session_token(request, actor, given=header_token(request))


def require_session_token(request: Request, actor: Actor, *, given: str | None) -> None:
    """Refuse the request unless it carries the token of the actor's session.

    Raises:
        HTTPException: 403 saying what is missing or does not fit.
    """
    if not given:
        raise HTTPException(403, _("'_xsrf' argument missing from %(method)s", method=request.method))
    assert actor.session is not None  # noqa: S101 only cookies come here
    if not is_same(session_token(hub_of(request).key, actor.session.sha256), given):
        raise HTTPException(403, "XSRF cookie does not match POST argument")


def is_same(expected: str, given: str) -> bool:
    """Compare in constant time."""
    return len(given) <= MAX_XSRF_TOKEN and hmac.compare_digest(expected.encode(), given.encode(errors="replace"))


def _serializer(key: bytes) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(key, salt="hubless.xsrf.anonymous")


def _digest(agent: str) -> str:
    return hashlib.sha256(agent.encode()).hexdigest()[:16]
