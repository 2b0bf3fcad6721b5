"""Passwords: stored hashes, hashing, one-time links, and the count of wrong guesses."""

from datetime import datetime
from typing import Protocol


class PasswordStore(Protocol):
    """Stores one password hash per user, and one-time links."""

    def get(self, user_id: str) -> str | None:
        """Return the user's hash or None."""
        ...

    def set(self, user_id: str, password_hash: str) -> None:
        """Store the hash in place of any other.

        Raises:
            NotFoundError: when the user does not exist.
        """
        ...

    def add_link(self, sha256: str, user_id: str, expires_at: datetime) -> None:
        """Store a one-time link with which the user may set a password.

        Raises:
            NotFoundError: when the user does not exist.
        """
        ...

    def find_link(self, sha256: str, now: datetime) -> str | None:
        """Return the user's id of an unexpired link, or None."""
        ...

    def take_link(self, sha256: str, now: datetime) -> str | None:
        """Remove the link and return its user's id. Of two concurrent calls, one gets it and the other None."""
        ...


class PasswordHasher(Protocol):
    """Turns passwords into hashes that may be stored; hashing is slow on purpose."""

    def hash(self, password: str) -> str:
        """Return a hash with a new salt."""
        ...

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Say whether *password* matches. None takes as long and matches nothing: time reveals no names of users."""
        ...

    def is_outdated(self, password_hash: str) -> bool:
        """Say whether the hash was made with weaker parameters than the present ones."""
        ...


class AttemptStore(Protocol):
    """Counts wrong guesses by key (a name, an address or both)."""

    def failures(self, key: str, since: datetime, until: datetime | None = None) -> int:
        """Return how often *key* failed after *since*, and not after *until*."""
        ...

    def add(self, key: str, at: datetime) -> None:
        """Count one failure of *key*."""
        ...

    def try_add(self, key: str, at: datetime, *, since: datetime, until: datetime, limit: int) -> bool:
        """Count one failure of *key* at *at* and return True, unless it has *limit* of them from *since* to *until*.

        Concurrent calls never exceed the limit; then some of them may return False although one more would fit.
        """
        ...

    def clear(self, key: str) -> None:
        """Forget the failures of *key*."""
        ...

    def delete_before(self, at: datetime) -> None:
        """Forget all failures before *at*."""
        ...
