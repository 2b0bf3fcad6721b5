"""Challenges of passkeys: random, of one purpose and one browser, and valid for a limited time.

The hub signs a challenge in place of storing it, so that a page which nobody uses writes nothing. It is used once: who
verifies an answer to it marks it as used.
"""

import hashlib
import hmac
from datetime import datetime, timedelta
from enum import StrEnum

LIFETIME = timedelta(hours=1)  # as long as the token of a form that is sent before a login
NONCE_LENGTH = 16  # bytes: 128 bits (Web Authentication 13.4.3)
_TIME_LENGTH, _MAC_LENGTH = 8, 32
_LENGTH = NONCE_LENGTH + _TIME_LENGTH + _MAC_LENGTH
_AHEAD = timedelta(minutes=5)  # another machine's clock may be ahead of ours by this


class Purpose(StrEnum):
    """What the answer to a challenge does."""

    LOG_IN = "log-in"
    SECOND_FACTOR = "second-factor"
    ADD = "add"


def make(key: bytes, purpose: Purpose, binding: str, *, nonce: bytes, now: datetime) -> bytes:
    """Return a challenge.

    Args:
        key: the hub's secret.
        purpose: what the answer will do; an answer of another purpose is refused.
        binding: a text that only this browser can send, such as its form token.
        nonce: random bytes.
        now: when the challenge is made.
    """
    stated = nonce + int(now.timestamp()).to_bytes(_TIME_LENGTH)
    return stated + _mac(key, purpose, binding, stated)


def is_valid(key: bytes, purpose: Purpose, binding: str, challenge: bytes, now: datetime) -> bool:
    """Say whether `make` made *challenge* for this purpose and browser, within its lifetime."""
    if len(challenge) != _LENGTH:
        return False
    stated, mac = challenge[:-_MAC_LENGTH], challenge[-_MAC_LENGTH:]
    if not hmac.compare_digest(mac, _mac(key, purpose, binding, stated)):
        return False
    age = now.timestamp() - int.from_bytes(stated[NONCE_LENGTH:])
    return -_AHEAD.total_seconds() <= age < LIFETIME.total_seconds()


def name_of(challenge: bytes) -> str:
    """Return the name under which a used challenge is remembered."""
    return f"passkey:{hashlib.sha256(challenge).hexdigest()}"


def _mac(key: bytes, purpose: Purpose, binding: str, stated: bytes) -> bytes:
    # *stated* has a fixed length, and no purpose has a colon: no two facts make the same text.
    return hmac.new(key, f"passkey:{purpose}:{binding}:".encode() + stated, hashlib.sha256).digest()
