"""Throttling of logins: counts guesses by name, by address and by both, and locks what failed too often.

A name is locked first at one address, so that an attacker cannot lock out a user at another address.
"""

from collections.abc import Mapping

from hubless.domain import tokens
from hubless.domain.lock_policy import LockPolicy
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.passwords import AttemptStore

NAME_FACTOR = 10  # a name may fail this often at all addresses together: one address alone cannot lock a user out
ADDRESS_FACTOR = 20  # a classroom behind one address may fail this many times as often as one name


@value
class LockedOut:
    """The name or the address failed too often; *minutes* says how long the lock lasts at most."""

    minutes: int


@value
class LoginThrottle:
    """Counts guesses and refuses further ones while a lock lasts. It stores hashes of names, never names."""

    attempts: AttemptStore
    clock: Clock
    policy: LockPolicy

    def admit(self, name: str, address: str) -> LockedOut | None:
        """Count a guess at *name* from *address*, or return the lock that refuses it.

        Call this before the password is checked: so guesses that come at once cannot slip through.
        """
        by_both, by_name, by_address = _keys(name, address)
        if self._is_locked({by_both: 1, by_name: NAME_FACTOR, by_address: ADDRESS_FACTOR}):
            return LockedOut(self.policy.minutes)
        now = self.clock.now()
        self.attempts.add(by_both, now)
        self.attempts.add(by_name, now)
        return None

    def note_failure(self, name: str, address: str) -> None:
        """Count an admitted guess against its *address* too, because it was wrong."""
        *_, by_address = _keys(name, address)
        self.attempts.add(by_address, self.clock.now())

    def note_success(self, name: str, address: str) -> None:
        """Forget the guesses at *name*, because its user has logged in from *address*."""
        by_both, by_name, _ = _keys(name, address)
        self.attempts.clear(by_both)
        self.attempts.clear(by_name)

    def admit_sign_up(self, address: str) -> LockedOut | None:
        """Count a sign-up from *address*, or return the lock that refuses it."""
        key = f"sign-up:{address}"
        if self._is_locked({key: ADDRESS_FACTOR}):
            return LockedOut(self.policy.minutes)
        self.attempts.add(key, self.clock.now())
        return None

    def _is_locked(self, factors: Mapping[str, int]) -> bool:
        since = self.policy.counts_since(self.clock.now())
        return any(
            self.policy.is_locked(self.attempts.failures(key, since), factor=factor) for key, factor in factors.items()
        )


def _keys(name: str, address: str) -> tuple[str, str, str]:
    """Return the keys under which guesses are counted: name and address together, name alone, address alone."""
    hashed, by_address = tokens.sha256(name), f"address:{address}"
    return f"name:{hashed} {by_address}", f"name:{hashed}", by_address
