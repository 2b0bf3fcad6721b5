"""The stores of sign-ups that wait, and of how often join codes were used."""

from datetime import datetime
from typing import Protocol

from hubless.domain.sign_ups import SignUp


class SignUpStore(Protocol):
    """Stores sign-ups. Each ends at its instant; a change names the revision that it expects."""

    def add(self, sign_up: SignUp, now: datetime, *, most: int | None) -> bool:
        """Store a new sign-up, and return whether there was room: *most* may wait at once, or a few more at a rush.

        None is no bound.

        Raises:
            NameTakenError: when a sign-up waits whose name is the same or looks like it.
        """
        ...

    def find(self, name: str, now: datetime) -> SignUp | None:
        """Return the sign-up of exactly this name, if one waits at *now*."""
        ...

    def all(self, now: datetime) -> list[SignUp]:
        """Return all that wait at *now*, the oldest first."""
        ...

    def change(self, before: SignUp, after: SignUp) -> None:
        """Store *after*, whose revision is one higher, if *before* is what is stored.

        Raises:
            StoreConflictError: when somebody else changed or removed it meanwhile.
        """
        ...

    def remove(self, sign_up: SignUp) -> bool:
        """Remove it if it is still what is stored, and say whether it was."""
        ...

    def delete_expired(self, now: datetime, limit: int) -> int:
        """Remove up to *limit* that have expired, and return how many; 0 where the store does it."""
        ...


class JoinCodeStore(Protocol):
    """Counts the uses of join codes, by the hash of the code: a new code begins anew."""

    def use(self, sha256: str, limit: int) -> bool:
        """Count one use and return True, unless there were *limit* already; 0 for no limit.

        Concurrent calls never exceed the limit.
        """
        ...

    def give_back(self, sha256: str) -> None:
        """Count one use less, if there is one: an account was not made."""
        ...

    def uses(self, sha256: str) -> int:
        """Return how often the code was used."""
        ...
