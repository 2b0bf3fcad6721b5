"""Sealing by Fernet (AES-128-CBC and HMAC-SHA256, of the library cryptography)."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet


class FernetSealer:
    """Seals with the first of some secrets, and opens what any of them has sealed: so secrets can be replaced."""

    def __init__(self, secrets: Callable[[], Sequence[bytes]], purpose: str) -> None:
        """Derive a key of each secret.

        Args:
            secrets: returns them; it is called at the first use. Any length that nobody can guess is fine.
            purpose: a word; what was sealed for another purpose is not opened.
        """
        self._secrets, self._purpose = secrets, purpose

    def seal(self, data: bytes) -> bytes:
        return self._fernet.encrypt(data)

    def open(self, sealed: bytes) -> bytes | None:
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 few requests need it

        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            return None

    @cached_property
    def _fernet(self) -> "MultiFernet":
        from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415 see above

        return MultiFernet([Fernet(self._key(secret)) for secret in self._secrets()])

    def _key(self, secret: bytes) -> bytes:
        return base64.urlsafe_b64encode(
            hmac.digest(secret, f"hubless sealing: {self._purpose}".encode(), hashlib.sha256)
        )
