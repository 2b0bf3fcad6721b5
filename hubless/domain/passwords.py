"""Passwords: how strong they must be, and the one-time links with which users choose them."""

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from hubless.domain.values import value

MINIMUM_PASSWORD: Final = 8  # characters
HIGHEST_SCORE: Final = 4


@value
class Strength:
    """How hard a password is to guess: *score* is 0 (at once) to 4 (years), *why* a sentence about a low one."""

    score: int
    why: str = ""


@value
class StrengthPolicy:
    """The scores that passwords must have. An admin's must have at least 1: the commonest passwords have 0."""

    min_score: int = 0
    admin_min_score: int = 1

    def refusal_of(self, strength: Strength, *, admin: bool) -> str | None:
        """Return why a password of this strength is refused and what to choose; None if it is strong enough."""
        needed = max(self.min_score, self.admin_min_score, 1) if admin else self.min_score
        if strength.score >= needed:
            return None
        whose = "This password is too easy to guess for an admin" if admin else "This password is too easy to guess"
        told = f"{whose}. {strength.why}".rstrip().rstrip(".")
        return f"{told}. Use four or more unrelated words, or let your browser suggest a password."


@value
class PasswordLink:
    """A link that sets the password of its user once. A newer link, or a new password, ends it.

    *within* is None for a link of an admin or an operator. Otherwise it holds the scopes that the user had beyond those
    of every user when somebody else made the link: the link is no way to what the user was given afterwards.
    """

    sha256: str  # of the secret
    user_id: str
    expires_at: datetime
    within: tuple[str, ...] | None = None  # sorted

    def still_fits(self, rights: Iterable[str]) -> bool:
        """Say whether the user, who now has *rights* beyond those of every user, has no more than at first."""
        return self.within is None or set(self.within).issuperset(rights)


def digest_of_hash(password_hash: str) -> str:
    """Return by what the hub knows that it had *password_hash*: as an import's mark has it."""
    return hashlib.sha256(json.dumps(password_hash).encode()).hexdigest()


def rehash_note(before: str, after: str) -> str:
    """Return the note that the hash *after* was made of the password of *before*."""
    return f"{digest_of_hash(after)} {digest_of_hash(before)}"


def rehashed_from(stored: str, note: str | None) -> str | None:
    """Return the digest of the hash that *stored* was before, or None if *note* is of another hash."""
    after, _, before = (note or "").partition(" ")
    return before if before and after == digest_of_hash(stored) else None
