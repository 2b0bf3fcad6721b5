"""Device cookies: the proof that somebody has logged in under a name with this browser before.

The scheme is OWASP's "Slow down online guessing attacks with device cookies". Wrong guesses of strangers then cannot
lock out a user in a browser of theirs, because guesses of a device are counted by themselves. A cookie opens nothing
and outlives logouts. It lists a few devices, because several people may use one browser.
"""

import hashlib
import hmac
from datetime import datetime, timedelta

from hubless.domain.names import normalise_user_name

LIFETIME = timedelta(days=365)  # the browser that is not used for a year counts as a stranger's
MAX_DEVICES = 4  # people who share a browser; beyond them the one who logged in longest ago is a stranger again
MAX_LENGTH = 1024  # characters of a cookie that are looked at
_PARTS = 3
_MAC_LENGTH = 32  # hex digits: 128 bits


def device_of(key: bytes, name: str, cookie: str, now: datetime) -> str | None:
    """Return the id of the device whose *cookie* proves an earlier login under *name*, or None."""
    return next((entry.partition(".")[0] for entry in _entries(cookie) if _proves(key, name, entry, now)), None)


def with_device(key: bytes, name: str, cookie: str, *, nonce: str, now: datetime) -> str:
    """Return the cookie after a login under *name*: a new device, and those of other names in *cookie*.

    Args:
        key: the hub's secret.
        name: the user's, in any spelling.
        cookie: what the browser sent, perhaps forged.
        nonce: random letters and digits, the new device's id.
        now: when the login happened.
    """
    issued = str(int(now.timestamp()))
    others = [entry for entry in _entries(cookie) if not _proves(key, name, entry, now)]
    return "~".join([f"{nonce}.{issued}.{_mac(key, name, nonce, issued)}", *others][:MAX_DEVICES])


def _entries(cookie: str) -> list[str]:
    return [entry for entry in cookie[:MAX_LENGTH].split("~")[:MAX_DEVICES] if _is_well_formed(entry)]


def _is_well_formed(entry: str) -> bool:
    parts = entry.split(".")
    if len(parts) != _PARTS or not all(part.isascii() and part.isalnum() for part in parts):
        return False
    nonce, issued, mac = parts
    return len(nonce) <= 64 and issued.isdigit() and len(issued) <= 12 and len(mac) == _MAC_LENGTH  # noqa: PLR2004 longer than ours


def _proves(key: bytes, name: str, entry: str, now: datetime) -> bool:
    nonce, issued, mac = entry.split(".")
    is_ours = hmac.compare_digest(mac, _mac(key, name, nonce, issued))
    return is_ours and now.timestamp() - int(issued) < LIFETIME.total_seconds()


def _mac(key: bytes, name: str, nonce: str, issued: str) -> str:
    # The parts before the name have no dot, so no two names and nonces make the same text.
    return hmac.new(key, f"device:{nonce}.{issued}.{normalise_user_name(name)}".encode(), hashlib.sha256).hexdigest()[
        :_MAC_LENGTH
    ]
