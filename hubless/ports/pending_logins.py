"""The store of pending logins: what the hub must know of a login that somebody else goes on with."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Protocol

from hubless.domain.values import value


@value
class PendingLogin:
    """A login that has begun and waits: for a provider's answer, or for a second factor.

    Each login has its own, so that several tabs may log in at the same time. It is bound to the browser in which it
    began: the caller compares *browser_sha256* with the browser's cookie before it goes on.
    """

    state_sha256: str  # of the secret that comes back, such as OAuth's `state`
    browser_sha256: str  # of the browser's cookie
    provider: str
    created_at: datetime
    expires_at: datetime
    nonce: str = field(default="", repr=False)
    verifier: str = field(default="", repr=False)  # of PKCE (RFC 7636)
    next: str = ""  # where the browser goes afterwards; checked by the caller
    link_to_user_id: str | None = None  # the logged-in user who links a second identity
    facts: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)


class PendingLoginStore(Protocol):
    """Stores pending logins. Anybody can begin one: each is small, and ends at its instant."""

    def add(self, pending: PendingLogin) -> None:
        """Store a login that has begun.

        Raises:
            StoreConflictError: when another one has its state.
        """
        ...

    def take(self, state_sha256: str, now: datetime) -> PendingLogin | None:
        """Remove and return the login of this state, or None if there is none at *now*.

        Of concurrent calls one gets it.
        """
        ...

    def delete_expired(self, now: datetime, limit: int) -> int:
        """Remove up to *limit* logins that have expired, and return how many; 0 where the store does it."""
        ...
