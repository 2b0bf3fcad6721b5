"""Tokens, OAuth clients, codes and browser sessions: what proves who is asking.

Secrets are never kept: each record is found by the SHA-256 of its secret.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from hubless.domain.scopes import GROUP, SERVER, USER
from hubless.domain.values import value

MAX_SECRET_LENGTH = 64  # JupyterHub 6.1: longer ones are refused unread


class OwnerKind(StrEnum):
    """Whose a token can be."""

    USER = "user"
    SERVICE = "service"


@value
class Token:
    """A bearer token; *scopes* are as asked for, narrowed at every use to what the owner holds then."""

    id: str
    sha256: str
    owner_kind: OwnerKind
    owner_id: str  # a user's id or a service's name
    scopes: tuple[str, ...]
    created_at: datetime
    note: str = ""
    expires_at: datetime | None = None
    last_activity_at: datetime | None = None
    session_id: str | None = None  # dies with this browser session
    client_id: str | None = None  # the OAuth client it was issued to
    server_id: str | None = None  # the server that it is the own token of

    def is_expired(self, now: datetime) -> bool:
        """Say whether the token no longer counts. Asked on every read: stores delete late."""
        return self.expires_at is not None and now >= self.expires_at


@value
class Client:
    """An OAuth client: a server (for as long as one launch runs) or a service."""

    id: str
    secret_sha256: str
    redirect_uri: str
    description: str
    access_scopes: tuple[str, ...]
    allowed_scopes: tuple[str, ...] = ()
    no_confirm: bool = False
    server_id: str | None = None
    launch_id: str | None = None
    owner_id: str | None = None  # the server's owner, who is never asked to confirm
    service: str | None = None  # the service's name: what `!service` means in what it asks for


@value
class Code:
    """An OAuth authorization code (RFC 6749 4.1, PKCE RFC 7636): opens once."""

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
    """A browser that is logged in; *id* is readable by the user's servers, the cookie's secret is not kept."""

    id: str
    sha256: str
    user_id: str
    created_at: datetime
    expires_at: datetime
    agent: str = ""  # what the browser calls itself, for its owner to recognise


def with_names_of_today(raw: Iterable[str], today: Mapping[str, str | None]) -> tuple[str, ...]:
    """Return *raw* scopes with the names that what they are filtered by has now.

    *today* gives to a filter as it was written (`user=bob`) the present name of whom it meant. A filter on a user, group or
    server that is no more, or never was, takes its scope along: who comes to bear the name later is somebody else.
    """
    return tuple(scope for text in raw if (scope := _of_today(text, today)) is not None)


def _of_today(text: str, today: Mapping[str, str | None]) -> str | None:
    name, _, kept = text.partition("!")
    kind, has_value, _ = kept.partition("=")
    if not has_value or kind not in {USER, GROUP, SERVER}:
        return text
    present = today.get(kept)
    return None if present is None else f"{name}!{kind}={present}"


def sha256(secret: str) -> str:
    """Return the hex digest under which *secret* is stored (256 bits of randomness need no salt)."""
    return hashlib.sha256(secret.encode()).hexdigest()


def launch_secret(key: bytes, launch_id: str) -> str:
    """Return the token of a launch, the same each time, so that a launch that is tried twice stays one.

    Derived and not stored: whoever holds the hub's *key* can make it again, nobody else can.
    """
    return hmac.new(key, f"launch:{launch_id}".encode(), hashlib.sha256).hexdigest()[:32]


def is_same(expected_sha256: str, secret: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(expected_sha256, sha256(secret))
