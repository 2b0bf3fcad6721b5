"""Throttling of logins: counts guesses by name, by address and by both, and locks what failed too often.

A name is locked first at one address, so that an attacker cannot lock out a user at another address. The guesses of a
browser in which the user has logged in before are counted by themselves: no lock of others applies to it.
"""

from collections.abc import Mapping

from hubless.domain import tokens
from hubless.domain.client_addresses import network_of
from hubless.domain.lock_policy import LockPolicy
from hubless.domain.names import normalise_user_name
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.password_logins import Guess
from hubless.ports.passwords import AttemptStore

NAME_FACTOR = 10  # a name may fail this often at all addresses together: one address alone cannot lock a user out
ADDRESS_FACTOR = 20  # a classroom behind one address may fail this many times as often as one name
SIGN_UP_FACTOR = 100  # a class of 300 behind one address signs up within one lock time


@value
class LockedOut:
    """The name, the address or the device failed too often; *minutes* says how long the lock lasts at most."""

    minutes: int
    is_device: bool = False


@value
class LoginThrottle:
    """Counts guesses and refuses further ones while a lock lasts. It stores hashes of names, never names."""

    attempts: AttemptStore
    clock: Clock
    policy: LockPolicy

    def guess(self, name: str, address: str, device: str | None = None) -> Guess:
        """Return how a guess at *name* from *address* counts, for a store that counts it with its answer.

        The arguments are those of `admit`, which is for answers that the hub cannot hold back.
        """
        now = self.clock.now()
        if device is not None:
            return Guess(now, self.policy.window(now), {_device_key(device): self.policy.limit()})
        by_both, by_name, by_address = _keys(name, address)
        tries = {by_both: self.policy.limit(), by_name: self.policy.limit(NAME_FACTOR)}
        return Guess(now, self.policy.window(now), tries, {by_address: self.policy.limit(ADDRESS_FACTOR)})

    def lock(self, device: str | None) -> LockedOut:
        """Return the lock that refuses a guess with which *device* came, if one did."""
        return self._lock(is_device=device is not None)

    def admit(self, name: str, address: str, device: str | None = None) -> LockedOut | None:
        """Count a guess at *name* from *address*, or return the lock that refuses it.

        Call this before the password is checked. Counting is one step with the check of the limit: so guesses that come
        at once cannot slip through.

        Args:
            name: the user's, in any spelling.
            address: the client's address.
            device: the id of the device on which somebody has logged in as *name* before.
        """
        if device is not None:
            return None if self._count(_device_key(device), 1) else self._lock(is_device=True)
        by_both, by_name, by_address = _keys(name, address)
        if self._is_locked({by_name: NAME_FACTOR, by_address: ADDRESS_FACTOR}):
            return self._lock()
        # First by both: what one address fails too often is not counted against the name.
        if not self._count(by_both, 1) or not self._count(by_name, NAME_FACTOR):
            return self._lock()
        return None

    def note_failure(self, name: str, address: str, device: str | None = None) -> None:
        """Count an admitted guess against its *address* too, because it was wrong; a device's counts for it alone."""
        *_, by_address = _keys(name, address)
        if device is None:
            self.attempts.add(by_address, self.clock.now())

    def note_success(self, name: str, address: str, device: str | None = None) -> None:
        """Forget the guesses at *name*, because its user has logged in from *address*; or those of the device."""
        if device is not None:
            self.attempts.clear(_device_key(device))
            return
        by_both, by_name, _ = _keys(name, address)
        self.attempts.clear(by_both)
        self.attempts.clear(by_name)

    def admit_sign_up(self, address: str) -> LockedOut | None:
        """Count a sign-up from *address*, or return the lock that refuses it."""
        return None if self._count(f"sign-up:{network_of(address)}", SIGN_UP_FACTOR) else self._lock()

    def admit_exchange(self, address: str) -> LockedOut | None:
        """Return the lock that refuses proofs of workloads from *address*; wrong ones do not lock people out."""
        return self._lock() if self._is_locked({_exchange_key(address): ADDRESS_FACTOR}) else None

    def note_failed_exchange(self, address: str) -> None:
        """Count a proof from *address* that gave no token."""
        self.attempts.add(_exchange_key(address), self.clock.now())

    def _count(self, key: str, factor: int) -> bool:
        now = self.clock.now()
        return self.attempts.try_add(
            key,
            now,
            since=self.policy.counts_since(now),
            until=self.policy.counts_until(now),
            limit=self.policy.limit(factor),
        )

    def _is_locked(self, factors: Mapping[str, int]) -> bool:
        now = self.clock.now()
        since, until = self.policy.counts_since(now), self.policy.counts_until(now)
        return any(
            self.attempts.failures(key, since, until) >= self.policy.limit(factor) for key, factor in factors.items()
        )

    def _lock(self, *, is_device: bool = False) -> LockedOut:
        return LockedOut(self.policy.minutes, is_device)


def _keys(name: str, address: str) -> tuple[str, str, str]:
    """Return the keys under which guesses are counted: name and address together, name alone, address alone."""
    hashed, by_address = tokens.sha256(normalise_user_name(name)), f"address:{network_of(address)}"
    return f"name:{hashed} {by_address}", f"name:{hashed}", by_address


def _exchange_key(address: str) -> str:
    return f"exchange:{network_of(address)}"


def _device_key(device: str) -> str:
    return f"device:{tokens.sha256(device)}"
