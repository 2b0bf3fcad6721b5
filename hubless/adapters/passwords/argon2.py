"""Argon2id by argon2-cffi, with the low-memory parameters of RFC 9106."""

from functools import cached_property
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

AT_ONCE = 4  # hashes of one process: many logins at once wait, and do not exhaust the memory


class Argon2PasswordHasher:
    """Hashes passwords; each hash needs 64 MiB of memory while it is computed (RFC 9106)."""

    def __init__(self) -> None:
        self._dummy_hash: str | None = None
        self._place = BoundedSemaphore(AT_ONCE)

    @cached_property
    def _hasher(self) -> "PasswordHasher":
        from argon2 import PasswordHasher, profiles  # noqa: PLC0415 few requests have a password

        return PasswordHasher.from_parameters(profiles.RFC_9106_LOW_MEMORY)

    def hash(self, password: str) -> str:
        """Return a hash with a new salt."""
        with self._place:
            return self._hasher.hash(password)

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Say whether *password* is right; without a hash it takes the same time, and the answer is no."""
        if password_hash is None:
            if self._dummy_hash is None:
                self._dummy_hash = self.hash("no password")
            self._matches(self._dummy_hash, password)
            return False
        return self._matches(password_hash, password)

    def is_outdated(self, password_hash: str, password: str) -> bool:  # noqa: ARG002 each password is hashed whole
        """Say whether the hash has other parameters than new ones get."""
        return self._hasher.check_needs_rehash(password_hash)

    def _matches(self, password_hash: str, password: str) -> bool:
        from argon2.exceptions import Argon2Error, InvalidHashError  # noqa: PLC0415 few requests have a password

        try:
            with self._place:
                return self._hasher.verify(password_hash, password)
        except (Argon2Error, InvalidHashError):
            return False
