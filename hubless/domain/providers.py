"""Providers of logins, as settings describe them: who vouches for people, and what of their claims counts."""

from collections.abc import Mapping
from dataclasses import field
from datetime import timedelta
from enum import StrEnum
from typing import Final

from hubless.domain.claims import ClaimRules
from hubless.domain.values import value

CALLBACK: Final = "/hub/oauth_callback"  # as with JupyterHub's OAuthenticator
# What a provider may sign with: keys only it has. `none` and shared secrets (HS256) are not among them, nor is SHA-1.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


class Protocol(StrEnum):
    """How a provider is asked."""

    OPENID_CONNECT = "oidc"
    GITHUB = "github"


class ClientAuthentication(StrEnum):
    """How the hub proves to a provider's token endpoint who it is (OpenID Connect Core 9, RFC 7523)."""

    BASIC = "client_secret_basic"
    POST = "client_secret_post"
    PRIVATE_KEY = "private_key_jwt"
    NONE = "none"


@value
class Provider:
    """A provider. *issuer* is what its tokens name; for GitHub it is the address of its pages."""

    name: str
    label: str
    protocol: Protocol
    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)  # PEM or JWK
    client_authentication: ClientAuthentication | None = None  # None: what the provider's metadata say, Basic first
    scopes: tuple[str, ...] = ("openid",)
    rules: ClaimRules = field(default_factory=ClaimRules)
    required_claims: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Claims that must have one of these texts: a person of another organisation is refused."""
    algorithms: tuple[str, ...] = ALGORITHMS
    asks_userinfo: bool = True
    authorize_parameters: Mapping[str, str] = field(default_factory=dict, hash=False)
    organizations: tuple[str, ...] = ()  # of GitHub: `org` or `org:team`, one of which a person must be in
    match_existing: bool = False  # whether a first login may take over a user of that name who has no other way in
    auth_refresh_age: timedelta | None = None  # how old an answer may grow before the provider is asked again
    logout_at_provider: bool = False
    logout_return_parameter: str = "post_logout_redirect_uri"  # OpenID Connect RP-Initiated Logout 1.0, 2


def callback_path(names: tuple[str, ...], name: str) -> str:
    """Return the path of the redirect URI of the provider *name*, which is one of *names*.

    The first has the one that JupyterHub's authenticators have. Each has another, so that an answer of one provider is
    never taken for another's (RFC 9700 4.4.2.2).
    """
    return CALLBACK if names[:1] == (name,) else f"{CALLBACK}/{name}"
