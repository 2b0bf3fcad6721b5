"""Login proxies: reads who sent a request, as the proxy in front of the hub says, before anything else does.

The login page logs in whom a proxy names. Elsewhere the proxy's word only ends sessions of other people: what a browser
may do comes from its session, and what a program may do from its token.
"""

import logging
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from functions.api.auth.cookies import is_secure
from functions.api.dependencies import hub_of
from functions.api.provider_pool import in_provider_pool
from hubless.bootstrap.hub import Hub
from hubless.domain.errors import HublessError, LoginRefusedError, ProviderUnavailableError
from hubless.ports.authenticator import Identity
from hubless.services.identity import Actor
from hubless.services.proxy_logins import cookies_of

logger = logging.getLogger(__name__)
_SAID = "hubless.proxy_login"  # where a request's scope keeps what a proxy says, or why that counts for nothing


class ProxyLoginMiddleware:
    """Verifies what login proxies say, and takes their headers away from everything behind it (ASGI)."""

    def __init__(self, app: ASGIApp, hub: Hub) -> None:
        self._app, self._hub = app, hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            logins = self._hub.proxy_logins
            names = {name.encode() for name in logins.headers}
            given = [(name.lower(), text) for name, text in scope["headers"] if name.lower() in names]
            if given:
                scope["headers"] = [pair for pair in scope["headers"] if pair[0].lower() not in names]
                said = [(name.decode("latin-1"), text.decode("latin-1")) for name, text in given]
                try:
                    scope[_SAID] = await in_provider_pool(logins.identity_in, said)
                except (LoginRefusedError, ProviderUnavailableError) as error:
                    scope[_SAID] = error
        await self._app(scope, receive, send)


def identity_of(request: Request) -> Identity | None:
    """Return the person whom a proxy names; None if none does.

    Raises:
        LoginRefusedError: when what a proxy says proves nothing, or settings refuse such a person.
        ProviderUnavailableError: when the proxy's keys cannot be had.
    """
    said: Identity | HublessError | None = request.scope.get(_SAID)
    if isinstance(said, HublessError):
        raise said
    return said


def logs_in(request: Request) -> bool:
    """Say whether a person opens this page, so that a proxy's word may begin a session."""
    return request.method == "GET" and request.headers.get("sec-fetch-mode", "navigate") == "navigate"


def admitted(request: Request, actor: Actor) -> Actor | None:
    """Return *actor*, whose session the request has, unless a proxy says that another person sent it.

    That session ends: it was left behind by who used this browser before. A word that proves nothing ends none, but
    the session does not count beside it.
    """
    said: Identity | HublessError | None = request.scope.get(_SAID)
    if said is None:
        return actor
    if isinstance(said, ProviderUnavailableError):
        raise said
    if isinstance(said, HublessError):
        return None
    assert actor.session is not None  # noqa: S101 only cookies come here
    assert actor.user is not None  # noqa: S101 a session is a user's
    hub = hub_of(request)
    if hub.proxy_logins.fits(actor.session, actor.user, said):
        return actor
    hub.logins.close_session(actor.session)
    logger.warning("session of user %s ended: the proxy %s names another person", actor.name, said.provider)
    return None


def leave_proxy(request: Request, response: Response, provider: str) -> None:
    """Let a logout go on to the proxy that logged the person in, if one did.

    Args:
        request: the logout.
        response: its redirect.
        provider: with whom the session that ended began.
    """
    hub = hub_of(request)
    if not hub.settings.login_proxies:
        return
    said: Identity | HublessError | None = request.scope.get(_SAID)
    proxy = hub.proxy_logins.proxy_of(said.provider if isinstance(said, Identity) else provider)
    if proxy is None or response.status_code != HTTPStatus.FOUND:
        return
    response.headers["location"] = proxy.logout_url
    for name in cookies_of(proxy):
        response.delete_cookie(name, path="/", secure=is_secure(request), httponly=True)
