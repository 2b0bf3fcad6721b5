"""Signed assertions: of AWS's Application Load Balancer, Cloudflare Access, Google's IAP, and any with a JWT."""

from collections.abc import Mapping
from typing import Any

from hubless.adapters.jose.fetching import FetchError
from hubless.adapters.jose.key_sets import KeySource
from hubless.adapters.jose.tokens import ALGORITHMS, LEEWAY, TokenRefusedError, header_of, validate
from hubless.domain import claims as claims_of_people
from hubless.domain.errors import InvalidRequestError, LoginRefusedError, ProviderUnavailableError
from hubless.domain.external_identities import ExternalId, check_external_id
from hubless.domain.login_proxies import LoginProxy, ProxyKind
from hubless.domain.translatable import gettext as _
from hubless.ports.authenticator import Identity
from hubless.ports.clock import Clock

# What each kind signs with; others may use whatever is safe.
_ALGORITHMS: Mapping[ProxyKind, tuple[str, ...]] = {
    ProxyKind.ALB: ("ES256",),
    ProxyKind.CLOUDFLARE: ("RS256",),
    ProxyKind.IAP: ("ES256",),
}


class SignedAssertionVerifier:
    """Verifies the assertions of *proxy*."""

    def __init__(self, proxy: LoginProxy, keys: KeySource, clock: Clock) -> None:
        self.proxy = proxy
        self._keys, self._clock = keys, clock

    def verify(self, assertion: str, secret: str) -> Identity:  # noqa: ARG002 the signature is enough
        """Return the person, as `AssertionVerifier` promises."""
        try:
            if self.proxy.kind is ProxyKind.ALB:
                issuer, claims = self._of_load_balancer(assertion)
            else:
                issuer, claims = self.proxy.issuer, self._validated(assertion)
        except TokenRefusedError as refused:
            raise LoginRefusedError(
                _(
                    "The word of the proxy %(proxy)s proves nothing. %(detail)s",
                    proxy=self.proxy.name,
                    detail=str(refused),
                )
            ) from None
        except FetchError as failed:
            raise ProviderUnavailableError(str(failed)) from failed
        return self._identity(issuer, claims)

    def _validated(self, assertion: str) -> dict[str, Any]:
        return validate(
            assertion,
            keys=self._keys,
            algorithms=_ALGORITHMS.get(self.proxy.kind, ALGORITHMS),
            issuer=self.proxy.issuer,
            audience=self.proxy.audience,
            now=self._clock.now(),
            essential=("exp", "iat", "sub"),
        )

    def _of_load_balancer(self, assertion: str) -> tuple[str, dict[str, Any]]:
        """Return issuer and claims in a load balancer's assertion.

        Who signed it, for which client, and until when, is in the header; the body has the claims of the provider's
        userinfo. All parts end in `=`, against RFC 7515 (Elastic Load Balancing's guide, "Authenticate users").
        """
        now = self._clock.now()
        claims = validate(
            assertion,
            keys=self._keys,
            algorithms=_ALGORITHMS[ProxyKind.ALB],
            issuer=None,
            audience=None,
            now=now,
            essential=("sub",),
            padded=True,
        )
        header = header_of(assertion, padded=True)
        if header.get("signer") != self.proxy.signer:
            raise TokenRefusedError("Another load balancer signed it.")
        if header.get("client") != self.proxy.audience:
            raise TokenRefusedError("It is for another client of the provider.")
        expires_at, issuer = header.get("exp"), header.get("iss")
        if not isinstance(expires_at, int | float) or expires_at <= (now - LEEWAY).timestamp():
            raise TokenRefusedError("It has expired. Check both clocks if it is new.")
        if not isinstance(issuer, str) or (self.proxy.issuer and issuer != self.proxy.issuer):
            raise TokenRefusedError("It is about people of another issuer than expected.")
        return issuer, claims

    def _identity(self, issuer: str, claims: Mapping[str, Any]) -> Identity:
        proxy, rules = self.proxy, self.proxy.rules
        subject = claims["sub"]
        try:
            external = check_external_id(ExternalId(issuer, subject if isinstance(subject, str) else ""))
            if refusal := claims_of_people.refusal_of(claims, rules):
                raise LoginRefusedError(refusal)
            name = claims_of_people.user_name_of(claims, rules, proxy.name)
            groups = claims_of_people.groups_of(claims, rules)
        except InvalidRequestError as wrong:
            raise LoginRefusedError(str(wrong)) from None
        known = claims_of_people.countable(claims, rules)
        label = known.get("email") or name
        return Identity(
            name=name,
            admin=claims_of_people.is_admin(claims, rules),
            external=external,
            provider=proxy.name,
            label=label if isinstance(label, str) else name,
            groups=groups,
            match_existing=proxy.match_existing,
        )
