"""Argon2id through argon2-cffi, with RFC 9106's settings for little memory."""

from argon2 import PasswordHasher, profiles
from argon2.exceptions import Argon2Error, InvalidHashError


class Argon2PasswordHasher:
    """Hashes slowly on purpose; needs 64 MiB while it does."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher.from_parameters(profiles.RFC_9106_LOW_MEMORY)
        self._nobodys: str | None = None

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
        try:
            return self._hasher.verify(password_hash, password)
        except (Argon2Error, InvalidHashError):
            return False
