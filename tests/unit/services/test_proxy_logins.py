import asyncio
from types import SimpleNamespace

import pytest

from functions.api.auth.proxy_logins import ProxyLoginMiddleware
from hubless.domain.errors import LoginRefusedError
from hubless.domain.external_identities import ExternalId
from hubless.domain.login_proxies import LoginProxy, ProxyKind
from hubless.ports.authenticator import Identity
from hubless.services.proxy_logins import MAX_ASSERTION, ProxyLogins


class Believing:
    """Believes what its proxy says, and notes it."""

    def __init__(self, name, *, secret_header=""):
        self.proxy = LoginProxy(name, ProxyKind.JWT, f"x-{name}", "/out", secret_header=secret_header)
        self.heard = []

    def verify(self, assertion, secret):
        self.heard.append((assertion, secret))
        return Identity(assertion, external=ExternalId("issuer", assertion), provider=self.proxy.name)


def test_the_proxy_whose_header_came_is_asked():
    one, two = Believing("one"), Believing("two", secret_header="x-secret")
    logins = ProxyLogins((one, two), identities=None)

    assert logins.headers == {"x-one", "x-two", "x-secret"}
    assert logins.identity_in([("x-secret", "s"), ("x-two", "ada")]).provider == "two"
    assert logins.identity_in([]) is None
    assert logins.identity_in([("x-secret", "s")]) is None
    assert (one.heard, two.heard) == ([], [("ada", "s")])


def test_two_proxies_that_speak_are_not_believed():
    logins = ProxyLogins((Believing("one"), Believing("two")), identities=None)

    with pytest.raises(LoginRefusedError, match="Two proxies"):
        logins.identity_in([("x-one", "ada"), ("x-two", "ada")])


@pytest.mark.parametrize("headers", [[("x-one", "a" * (MAX_ASSERTION + 1))], [("x-one", "a"), ("x-s", "b" * 40_000)]])
def test_what_is_too_long_is_not_verified(headers):
    one = Believing("one", secret_header="x-s")

    with pytest.raises(LoginRefusedError, match="longer than"):
        ProxyLogins((one,), identities=None).identity_in(headers)
    assert one.heard == []


def test_the_headers_reach_nothing_behind_the_middleware():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    hub = SimpleNamespace(proxy_logins=ProxyLogins((Believing("one", secret_header="x-s"),), identities=None))
    headers = [(b"host", b"h"), (b"X-One", b"ada"), (b"x-s", b"secret"), (b"accept", b"*/*")]
    asyncio.run(ProxyLoginMiddleware(app, hub)({"type": "http", "headers": headers}, None, None))

    (scope,) = seen
    assert scope["headers"] == [(b"host", b"h"), (b"accept", b"*/*")]
    assert scope["hubless.proxy_login"].name == "ada"
