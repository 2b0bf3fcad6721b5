"""The hub's own keys as an LTI tool, and which of them signs when a new one replaces an old one.

An LMS caches the key set, so a new key is published for a day before it signs anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, Final

from hubless.domain.values import value

PUBLISHED_FIRST: Final = timedelta(days=1)


@value
class ToolKey:
    """A private key as JWK (RFC 7517), with the id under which its public half is published."""

    id: str
    created_at: datetime
    jwk: Mapping[str, Any] = field(hash=False, repr=False)


def signing_key(keys: Sequence[ToolKey], now: datetime) -> ToolKey:
    """Return the newest of *keys* that was published long enough, or else the oldest.

    Args:
        keys: at least one, the newest first.
        now: the time.
    """
    return next((key for key in keys if now - key.created_at >= PUBLISHED_FIRST), keys[-1])


def rotated(keys: Sequence[ToolKey], new: ToolKey, now: datetime) -> tuple[ToolKey, ...]:
    """Return the keys to publish once *new* is made: it, and the one that signs until then."""
    return (new, signing_key(keys, now)) if keys else (new,)
