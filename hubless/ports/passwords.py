"""Passwords: their hashes, the hashing, one-time links, and the count of wrong guesses."""

from datetime import datetime
from typing import Protocol


class PasswordStore(Protocol):
    """Holds one password hash a user."""

    def get(self, user_id: str) -> str | None:
        """Return the hash or None."""
        ...

    def set(self, user_id: str, password_hash: str) -> None:
        """Write the hash over any other.

        Raises:
            NotFoundError: when the user does not exist.
        """
        ...

    def add_link(self, sha256: str, user_id: str, expires_at: datetime) -> None:
        """Keep a one-time link with which the user may set a password.

        Raises:
            NotFoundError: when the user does not exist.
        """
        ...

    def find_link(self, sha256: str, now: datetime) -> str | None:
        """Return the id of the user whom an unexpired link is for, or None."""
        ...

    def take_link(self, sha256: str, now: datetime) -> str | None:
        """Remove the link and return its user's id: of two at once one gets it."""
        ...


class PasswordHasher(Protocol):
    """Turns passwords into hashes that may be stored; slow on purpose."""

    def hash(self, password: str) -> str:
        """Return a hash with a salt of its own."""
        ...

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Say whether *password* fits. With None it takes as long and says no, so that time tells nobody who exists."""
        ...

    def is_outdated(self, password_hash: str) -> bool:
        """Say whether the hash was made with weaker settings than today's."""
        ...


class AttemptStore(Protocol):
    """Counts wrong guesses by a key (a name, or an address)."""

    def failures(self, key: str, since: datetime) -> int:
        """Return how often *key* failed since then."""
        ...

    def add(self, key: str, at: datetime) -> None:
        """Count one more failure."""
        ...

    def clear(self, key: str) -> None:
        """Forget the failures of *key*."""
        ...

    def delete_before(self, at: datetime) -> None:
        """Forget all failures before *at*."""
        ...
