"""Tokens, OAuth clients, authorization codes and browser sessions.

Stores never hold secrets: they find each record by the SHA-256 of its secret.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from hubless.domain.scopes import GROUP, SERVER, USER
from hubless.domain.values import value


class OwnerKind(StrEnum):
    """The kind of a token's owner."""

    USER = "user"
    SERVICE = "service"


@value
class Token:
    """A bearer token; every use narrows *scopes*, which are as requested, to what the owner has at that moment."""

    id: str
    sha256: str
    owner_kind: OwnerKind
    owner_id: str  # a user's id or `Service.token_owner`
    scopes: tuple[str, ...]
    created_at: datetime
    note: str = ""
    expires_at: datetime | None = None
    last_activity_at: datetime | None = None
    last_address: str = ""  # from where it was used then; "" if that is not known
    last_agent: str = ""  # the User-Agent of the program that used it then
    session_id: str | None = None  # the browser session that ends it
    client_id: str | None = None  # the OAuth client that it was issued to
    server_id: str | None = None  # the server whose own token it is

    def is_expired(self, now: datetime) -> bool:
        """Say whether the token has expired at *now*. Check it at every read: stores delete expired tokens late."""
        return self.expires_at is not None and now >= self.expires_at

    def counts_at(self, now: datetime) -> bool:
        """Say whether the token counts against the limit of API tokens at *now*."""
        return self.client_id is None and self.server_id is None and not self.is_expired(now)


def form_secret(key: bytes, user_id: str, form_id: str) -> str:
    """Return the secret of the token that a user's form makes: the same each time the form is sent."""
    return hmac.digest(key, f"token form:{user_id}:{form_id}".encode(), hashlib.sha256).hex()[:32]


@value
class Client:
    """An OAuth client: a server (while one launch runs) or a service."""

    id: str
    secret_sha256: str  # or the imported hash of a service's secret (`hubless.domain.imported_secrets`)
    redirect_uri: str
    description: str
    access_scopes: tuple[str, ...]
    allowed_scopes: tuple[str, ...] = ()
    no_confirm: bool = False
    server_id: str | None = None
    launch_id: str | None = None
    owner_id: str | None = None  # the server's owner, who never has to confirm
    service: str | None = None  # the service's name, to which `!service` refers in scopes that it requests


@value
class Code:
    """An OAuth authorization code (RFC 6749 4.1, with PKCE, RFC 7636); a client can redeem it once."""

    sha256: str
    client_id: str
    user_id: str
    session_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    expires_at: datetime
    challenge: str | None = None
    challenge_method: str | None = None


@value
class Session:
    """A browser that is logged in. The user's servers can read *id*; the cookie's secret is not stored."""

    id: str
    sha256: str
    user_id: str
    created_at: datetime
    expires_at: datetime
    agent: str = ""  # the browser's User-Agent, so that the user recognises it
    provider: str = ""  # the provider of the login, by its name in settings; "" if it was none
    provider_session: str = ""  # the provider's own session (`sid`), with which this one ends
    address: str = ""  # from where the browser logged in; "" if that is not known


def with_current_names(raw: Iterable[str], current: Mapping[str, str | None]) -> tuple[str, ...]:
    """Return *raw* scopes with the present names in their filters.

    *current* maps a filter as it was written (`user=bob`) to the present name. A scope whose user, group or server does
    not exist is left out: a later owner of the name is somebody else.
    """
    return tuple(scope for text in raw if (scope := _with_current_name(text, current)) is not None)


def _with_current_name(text: str, current: Mapping[str, str | None]) -> str | None:
    name, _, kept = text.partition("!")
    kind, has_value, _ = kept.partition("=")
    if not has_value or kind not in {USER, GROUP, SERVER}:
        return text
    present = current.get(kept)
    return None if present is None else f"{name}!{kind}={present}"


def sha256(secret: str) -> str:
    """Return the hex digest under which *secret* is stored (256 bits of randomness need no salt)."""
    return hashlib.sha256(secret.encode()).hexdigest()


def launch_secret(key: bytes, launch_id: str) -> str:
    """Return the token of a launch. It is the same each time, so a retried launch stays one launch.

    The hub derives it from its *key* and does not store it: without the key no one can derive it.
    """
    return hmac.new(key, f"launch:{launch_id}".encode(), hashlib.sha256).hexdigest()[:32]


def spare_secret(key: bytes, spare_id: str) -> str:
    """Return the secret with which a spare asks for its launch, and nothing else; the hub does not store it."""
    return hmac.new(key, f"spare:{spare_id}".encode(), hashlib.sha256).hexdigest()[:32]


def link_secret(key: bytes, code_id: str) -> str:
    """Return the secret of a link to share a server, by the id of its share code: the hub stores no secret of it."""
    return hmac.new(key, f"link to share:{code_id}".encode(), hashlib.sha256).hexdigest()[:32]


def is_same(expected_sha256: str, secret: str) -> bool:
    """Say whether *secret* has this digest, in constant time."""
    return hmac.compare_digest(expected_sha256, sha256(secret))
