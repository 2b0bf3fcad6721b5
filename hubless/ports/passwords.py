"""Passwords: stored hashes, hashing, strength, one-time links, and the count of wrong guesses."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from hubless.domain.passwords import PasswordLink, Strength


class PasswordStore(Protocol):
    """Stores one password hash per user, and one-time links."""

    def get(self, user_id: str) -> str | None:
        """Return the user's hash or None."""
        ...

    def set(self, user_id: str, password_hash: str) -> None:
        """Store the hash in place of any other, and end the user's one-time link, in one transaction.

        Raises:
            NotFoundError: when the user does not exist.
        """
        ...

    def rehash(self, user_id: str, before: str, after: str) -> bool:
        """Store the hash *after* of the same password if the stored one is *before*, and say whether it was.

        A link stays. The store remembers by `digest_of_hash` that *after* was *before*.
        """
        ...

    def rehashed_from(self, user_id: str) -> str | None:
        """Return the digest of the hash whose password the stored hash has too; None if no login made it anew."""
        ...

    def remove(self, user_id: str, before: str) -> bool:
        """Remove the hash if the stored one is *before*, and say whether it was; a link stays."""
        ...

    def change(self, user_id: str, before: str | None, after: str) -> bool:
        """Store the hash *after* and end the user's link, in one transaction, if the stored hash is *before*.

        Args:
            user_id: whose password it is.
            before: the hash that was read; None if there was none.
            after: the hash of the new password.

        Returns:
            Whether it was stored. Of two concurrent changes of one hash, one is.
        """
        ...

    def add(self, hashes: Mapping[str, str]) -> list[str]:
        """Store the first hash of many users, by id, and end their links; each of them as `change` from None.

        Returns:
            The ids of users whose hash was not stored: they have one, or do not exist.
        """
        ...

    def add_link(self, link: PasswordLink) -> None:
        """Store a one-time link, in place of any other of its user.

        Raises:
            NotFoundError: when the user does not exist.
        """
        ...

    def find_link(self, sha256: str, now: datetime) -> PasswordLink | None:
        """Return the link if it is valid: neither expired, nor used, nor ended."""
        ...

    def use_link(self, sha256: str, password_hash: str, now: datetime) -> bool:
        """Store the hash for the link's user and end the link in one transaction, if the link is valid.

        Of two concurrent calls, one succeeds; so does one of a use and a newer link or another new password.

        Returns:
            Whether the hash was stored.
        """
        ...

    def end_links(self, user_id: str) -> None:
        """End the user's one-time link; without one, or without the user, do nothing."""
        ...


class PasswordHasher(Protocol):
    """Turns passwords into hashes that may be stored; hashing is slow on purpose."""

    def hash(self, password: str) -> str:
        """Return a hash with a new salt."""
        ...

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Say whether *password* matches. None takes as long and matches nothing: time reveals no names of users."""
        ...

    def is_outdated(self, password_hash: str, password: str) -> bool:
        """Say whether *password*, which matches the hash, should get a new one, because new ones are stronger."""
        ...


class StrengthMeter(Protocol):
    """Estimates how hard passwords are to guess."""

    def measure(self, password: str, known: Sequence[str]) -> Strength:
        """Return the strength of *password*, whatever its length, in bounded time.

        Args:
            password: what the user chose.
            known: texts that a guesser tries first, such as the user's name.
        """
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
