"""The keys of a hub's auth_state, as JUPYTERHUB_CRYPT_KEY has them, and what they open."""

import base64
import binascii
from typing import TYPE_CHECKING, Any

from hubless.adapters.jupyterhub_database.values import BrokenRowError, parsed_json
from hubless.domain.errors import InvalidRequestError

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

_LENGTH = 32  # bytes
_AS_BASE64, _AS_HEX = 44, 64  # characters


class CryptKeys:
    """Opens what a hub sealed with any of its keys."""

    def __init__(self, variable: str) -> None:
        """Take the keys from the value of JUPYTERHUB_CRYPT_KEY: hex, base64 or raw, separated by semicolons.

        Raises:
            InvalidRequestError: when a key is none of these; it does not say the key.
        """
        self._keys = [_key(one) for one in variable.split(";") if one.strip()]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def opened(self, sealed: bytes) -> dict[str, Any] | None:
        """Return the auth_state, or None when another key sealed it.

        Raises:
            BrokenRowError: when it is no JSON object.
        """
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 few imports need it

        try:
            plain = self._fernet().decrypt(sealed)
        except InvalidToken:
            return None
        found = parsed_json(plain, "encrypted_auth_state")
        if found is not None and not isinstance(found, dict):
            raise BrokenRowError("encrypted_auth_state is no JSON object")
        return found or {}

    def _fernet(self) -> "MultiFernet":
        from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415 see above

        return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in self._keys])


def _key(text: str) -> bytes:
    """Return a key's bytes, as JupyterHub's `crypto._validate_key` does."""
    key = text.encode()
    try:
        if len(key) == _AS_BASE64:
            key = base64.urlsafe_b64decode(key)
        elif len(key) == _AS_HEX:
            key = bytes.fromhex(text)
    except (ValueError, binascii.Error):
        pass  # the length tells
    if len(key) != _LENGTH:
        raise InvalidRequestError(
            "The old hub's key must be 32 bytes as hex (64 characters), base64 (44) or raw (32), as in its "
            "JUPYTERHUB_CRYPT_KEY; several are separated by semicolons"
        )
    return key
