"""Login proxies: proxies in front of the hub that log people in, and say who somebody is in a header."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Final

from hubless.domain.claims import ClaimRules
from hubless.domain.values import value


class ProxyKind(StrEnum):
    """What a proxy is."""

    ALB = "alb"
    CLOUDFLARE = "cloudflare"
    IAP = "iap"
    JWT = "jwt"
    HEADER = "header"


# The headers in which proxies of these kinds say who somebody is; none of them ever reaches a server.
ASSERTION_HEADERS: Final[Mapping[ProxyKind, str]] = {
    ProxyKind.ALB: "x-amzn-oidc-data",
    ProxyKind.CLOUDFLARE: "cf-access-jwt-assertion",
    ProxyKind.IAP: "x-goog-iap-jwt-assertion",
}
# What the same proxies send beside them: names that nobody signed, and tokens for the person's provider.
COMPANION_HEADERS: Final = (
    *("x-amzn-oidc-identity", "x-amzn-oidc-accesstoken"),
    *("x-goog-authenticated-user-email", "x-goog-authenticated-user-id"),
    *("cf-access-authenticated-user-email", "cf-access-client-id", "cf-access-client-secret"),
)
# What begins so is removed from requests to servers too: oauth2-proxy's, and the place for other proxies' assertions.
PREFIX: Final = "x-auth-request-"


@value
class LoginProxy:
    """One proxy. *header* is in lower case, as *secret_header* is."""

    name: str
    kind: ProxyKind
    header: str
    logout_url: str
    rules: ClaimRules = field(default_factory=ClaimRules)
    issuer: str = ""
    audience: str = ""  # for a load balancer: the client id of its provider
    signer: str = ""  # the load balancer's ARN
    keys_url: str = ""  # of a key set; for a load balancer, the address before a key's id
    keys: str = ""  # a key set itself, as JSON
    secret_header: str = ""
    secret: str = field(default="", repr=False)
    match_existing: bool = False

    @property
    def headers(self) -> tuple[str, ...]:
        """Return the headers by which this proxy says anything."""
        return tuple(filter(None, (self.header, self.secret_header)))

    @property
    def is_kept_from_servers(self) -> bool:
        """Say whether each edge removes the header from requests to servers, without knowing the settings."""
        return self.header in ASSERTION_HEADERS.values() or self.header.startswith(PREFIX)

    @property
    def needs_trusted_network(self) -> bool:
        """Say whether nothing is signed, so that the edge takes the headers from trusted proxies alone."""
        return self.kind is ProxyKind.HEADER


def pattern_of(*names: str) -> str:
    """Return the regular expression of headers with these names; WSGI and CGI read `-` and `_` as one character."""
    return f"^({'|'.join(names)})$".replace("-", "[-_]")


IDENTITY_HEADERS: Final = pattern_of(*ASSERTION_HEADERS.values(), *COMPANION_HEADERS, f"{PREFIX}.*")
"""What no server may see, whatever the settings say."""
