"""Argon2id through argon2-cffi, with RFC 9106's settings for little memory."""

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher


class Argon2PasswordHasher:
    """Hashes slowly on purpose; needs 64 MiB while it does."""

    def __init__(self) -> None:
        self._nobodys: str | None = None

    @cached_property
    def _hasher(self) -> "PasswordHasher":
        from argon2 import PasswordHasher, profiles  # noqa: PLC0415 few requests bring a password

        return PasswordHasher.from_parameters(profiles.RFC_9106_LOW_MEMORY)

    def hash(self, password: str) -> str:
        """Return a hash with a salt of its own."""
        return self._hasher.hash(password)

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Compare; for nobody as slowly as for somebody."""
        if password_hash is None:
            if self._nobodys is None:
                self._nobodys = self._hasher.hash("nobody's")
            self._fits(self._nobodys, password)
            return False
        return self._fits(password_hash, password)

    def is_outdated(self, password_hash: str) -> bool:
        """Say whether the hash has other settings than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def _fits(self, password_hash: str, password: str) -> bool:
        from argon2.exceptions import Argon2Error, InvalidHashError  # noqa: PLC0415

        try:
            return self._hasher.verify(password_hash, password)
        except (Argon2Error, InvalidHashError):
            return False
