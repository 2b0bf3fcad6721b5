"""Signing as an LTI tool, and sealing the keys for it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from hubless.domain.lti_keys import ToolKey


class ToolSigner(Protocol):
    """Makes and uses the hub's keys as a tool: RSA of 2,048 bits, as all LMS take it."""

    def generate(self, now: datetime) -> ToolKey:
        """Return a new key; its id is its thumbprint (RFC 7638)."""
        ...

    def sign(self, claims: Mapping[str, Any], key: ToolKey) -> str:
        """Return *claims* as a token (RFC 7519), signed with RS256."""
        ...

    def key_set(self, keys: Sequence[ToolKey]) -> dict[str, Any]:
        """Return the public halves of *keys* as a key set (RFC 7517)."""
        ...


class KeySealer(Protocol):
    """Seals keys, so that a copy of the store signs nothing."""

    def seal(self, keys: Sequence[ToolKey]) -> str:
        """Return *keys* as a text that only this hub opens."""
        ...

    def open(self, sealed: str) -> tuple[ToolKey, ...]:
        """Return the keys in *sealed*.

        Raises:
            StoreUnavailableError: when this hub cannot open it.
        """
        ...
