"""Proof that a session's user has just shown a second factor, or a passkey. Changing factors needs one.

It is a signed text of one session, which the browser keeps in a cookie. A copy opens nothing without that session.
"""

import hashlib
import hmac
from datetime import datetime, timedelta

LIFETIME = timedelta(minutes=10)
_AHEAD = timedelta(minutes=5)  # another machine's clock may be ahead of ours by this
_MAX_LENGTH = 128


def proof(key: bytes, session_sha256: str, now: datetime) -> str:
    """Return the proof that a factor was shown at *now* in the session whose cookie has this hash."""
    at = str(int(now.timestamp()))
    return f"{at}.{_mac(key, session_sha256, at)}"


def is_fresh(key: bytes, session_sha256: str, given: str, now: datetime) -> bool:
    """Say whether *given* proves that a factor was shown in this session within the last ten minutes."""
    at, _, mac = given.partition(".")
    if len(given) > _MAX_LENGTH or not at.isascii() or not at.isdigit() or not mac.isascii():
        return False
    if not hmac.compare_digest(mac, _mac(key, session_sha256, at)):
        return False
    return is_recent(now - timedelta(seconds=now.timestamp() - int(at)), now)


def is_recent(at: datetime, now: datetime) -> bool:
    """Say whether *at*, such as the begin of a session, is so recent that factors may be changed."""
    return -_AHEAD <= now - at < LIFETIME


def _mac(key: bytes, session_sha256: str, at: str) -> str:
    return hmac.new(key, f"factor:{session_sha256}:{at}".encode(), hashlib.sha256).hexdigest()
