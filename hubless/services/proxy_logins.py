"""Logins by proxies in front of the hub: who a request is from, as a proxy says, and whether a session fits that."""

from collections.abc import Iterable, Mapping

from hubless.domain.errors import LoginRefusedError
from hubless.domain.login_proxies import LoginProxy, ProxyKind
from hubless.domain.tokens import Session, sha256
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.authenticator import Identity
from hubless.ports.external_identities import IdentityStore
from hubless.ports.login_proxies import AssertionVerifier

MAX_ASSERTION = 32_768  # characters


@value
class ProxyLogins:
    """Reads the headers of login proxies."""

    verifiers: tuple[AssertionVerifier, ...]
    identities: IdentityStore

    @property
    def headers(self) -> frozenset[str]:
        """Return all headers that mean anything here, in lower case."""
        return frozenset(name for one in self.verifiers for name in one.proxy.headers)

    def identity_in(self, headers: Iterable[tuple[str, str]]) -> Identity | None:
        """Return the person who sent a request, as a proxy says in its *headers*; None if none says anything.

        Args:
            headers: names in lower case and values, as often as they came.

        Raises:
            LoginRefusedError: when a header came more than once, two proxies speak, or what is said proves nothing.
            ProviderUnavailableError: when a proxy's keys cannot be had.
        """
        said: dict[str, str] = {}
        for name, text in headers:
            if name in said:
                raise LoginRefusedError(
                    _("The request has the header %(name)s more than once, so it proves nothing.", name=name)
                )
            said[name] = text
        speaking = [one for one in self.verifiers if one.proxy.header in said]
        if len(speaking) > 1:
            raise LoginRefusedError("Two proxies say who you are, so the hub believes neither.")
        return self._verified(speaking[0], said) if speaking else None

    def _verified(self, verifier: AssertionVerifier, said: Mapping[str, str]) -> Identity:
        proxy = verifier.proxy
        assertion, secret = said[proxy.header], said.get(proxy.secret_header, "")
        if len(assertion) > MAX_ASSERTION or len(secret) > MAX_ASSERTION:
            raise LoginRefusedError(
                _(
                    "What the proxy %(proxy)s says is longer than %(max_assertion)s characters.",
                    proxy=proxy.name,
                    max_assertion=MAX_ASSERTION,
                )
            )
        return verifier.verify(assertion, secret)

    def fits(self, session: Session, user: User, identity: Identity) -> bool:
        """Say whether *session* of *user* is that of the person whom a proxy names.

        A session that began without this proxy fits too, if the identity is linked to its user.
        """
        if session.provider == identity.provider and session.provider_session == person_mark(identity):
            return True
        found = identity.external and self.identities.find_with_user(identity.external)
        return bool(found and found[1].id == user.id)

    def proxy_of(self, provider: str) -> LoginProxy | None:
        """Return the proxy of that name or None."""
        return next((one.proxy for one in self.verifiers if one.proxy.name == provider), None)


def person_mark(identity: Identity) -> str:
    """Return what a session keeps of the person with whom it began: a hash of the external id."""
    assert identity.external is not None  # noqa: S101 a proxy's identities have one
    return sha256(f"{identity.external.issuer}\n{identity.external.subject}")


def cookies_of(proxy: LoginProxy) -> tuple[str, ...]:
    """Return the proxy's own cookies that a logout must remove, because the proxy itself does not."""
    return tuple(f"AWSELBAuthSessionCookie-{number}" for number in range(4)) if proxy.kind is ProxyKind.ALB else ()
