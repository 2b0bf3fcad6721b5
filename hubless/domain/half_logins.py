"""Logins that wait for a second factor: signed texts that a browser keeps until its user has shown one.

The first half of the login, such as the password, was right. The text opens nothing by itself, so a second use of it is
harmless. The hub need not store it.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import field
from datetime import UTC, datetime, timedelta

from hubless.domain.values import value

LIFETIME = timedelta(minutes=10)
MAX_LENGTH = 3072  # characters that are looked at; a browser keeps 4,096 bytes of a cookie with its name
_AHEAD = timedelta(minutes=5)  # another machine's clock may be ahead of ours by this
_STAMP_LENGTH = 32


@value
class HalfLogin:
    """A login that waits. *stamp* is of the password: a new one ends it."""

    user_id: str
    stamp: str
    provider: str = ""  # that has logged the user in, if one did; and its own session
    provider_session: str = ""
    began_at: datetime | None = field(default=None, compare=False)  # only of one that was opened

    def fits(self, password_hash: str | None) -> bool:
        """Say whether the user's password still is the one with which this login began."""
        return hmac.compare_digest(self.stamp, stamp_of(password_hash))


def stamp_of(password_hash: str | None) -> str:
    """Return what a half-done login remembers of the password; also for a user without one."""
    return hashlib.sha256(f"stamp:{password_hash or ''}".encode()).hexdigest()[:_STAMP_LENGTH]


def sealed(key: bytes, half: HalfLogin, *, nonce: str, now: datetime) -> str:
    """Return the text for the browser. *nonce* is random, so that no two logins have the same text."""
    facts = [half.user_id, half.stamp, half.provider, half.provider_session, int(now.timestamp()), nonce]
    stated = base64.urlsafe_b64encode(json.dumps(facts).encode()).decode().rstrip("=")
    return f"{stated}.{_mac(key, stated)}"


def opened(key: bytes, text: str, now: datetime) -> HalfLogin | None:
    """Return the login of a text that `sealed` made within the last ten minutes, or None."""
    stated, _, mac = text.partition(".")
    if len(text) > MAX_LENGTH or not text.isascii() or not hmac.compare_digest(mac, _mac(key, stated)):
        return None
    user_id, stamp, provider, provider_session, at, _nonce = json.loads(
        base64.urlsafe_b64decode(stated + "=" * (-len(stated) % 4))
    )
    age = now.timestamp() - at
    return (
        HalfLogin(user_id, stamp, provider, provider_session, datetime.fromtimestamp(at, UTC))
        if -_AHEAD.total_seconds() <= age < LIFETIME.total_seconds()
        else None
    )


def binding_of(text: str) -> str:
    """Return the text by which challenges and forms are bound to this login."""
    return hashlib.sha256(f"binding:{text}".encode()).hexdigest()[:_STAMP_LENGTH]


def _mac(key: bytes, stated: str) -> str:
    return hmac.new(key, f"half-login:{stated}".encode(), hashlib.sha256).hexdigest()
