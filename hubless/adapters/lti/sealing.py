"""Seals the hub's keys as an LTI tool with a key that is derived from the hub's own (Fernet: AES and HMAC)."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from hubless.domain.errors import StoreUnavailableError
from hubless.domain.lti_keys import ToolKey

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


class FernetKeySealer:
    """Seals and opens. *key_of_hub* returns the hub's key, which is the same in all its processes."""

    def __init__(self, key_of_hub: Callable[[], bytes]) -> None:
        self._key_of_hub = key_of_hub

    def seal(self, keys: Sequence[ToolKey]) -> str:
        facts = [{"id": key.id, "created_at": key.created_at.isoformat(), "jwk": dict(key.jwk)} for key in keys]
        return self._fernet.encrypt(json.dumps(facts).encode()).decode()

    def open(self, sealed: str) -> tuple[ToolKey, ...]:
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 few requests sign

        try:
            facts = json.loads(self._fernet.decrypt(sealed.encode()))
        except InvalidToken:
            raise StoreUnavailableError(
                "The hub's keys as an LTI tool were sealed with another key of the hub. Bring that key back, or make"
                " new ones with `hubless lti rotate-key --discard`."
            ) from None
        return tuple(ToolKey(one["id"], datetime.fromisoformat(one["created_at"]), one["jwk"]) for one in facts)

    @property
    def _fernet(self) -> "Fernet":
        from cryptography.fernet import Fernet  # noqa: PLC0415 few requests sign

        derived = hmac.new(self._key_of_hub(), b"hubless.lti.keys", hashlib.sha256).digest()
        return Fernet(base64.urlsafe_b64encode(derived))
