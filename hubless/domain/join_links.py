"""Join links: codes that an admin makes for a class at run time, and their addresses."""

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from hubless.domain.people_batches import BASE32
from hubless.domain.values import value

MOST_PLACES: Final = 1000
_LENGTH: Final = 12  # letters and digits of five bits: guesses are counted, and places are few
_PART: Final = 4  # of a code as people read it aloud


@value
class JoinLink:
    """A code with which *places* people sign up until *expires_at*. The hub derives the code and does not store it."""

    id: str
    sha256: str  # of the code
    made_by: str  # a name
    made_at: datetime
    expires_at: datetime
    places: int
    group: str = ""
    needs_approval: bool = False
    used: int = 0

    def is_open(self, now: datetime) -> bool:
        """Say whether somebody can sign up with it at *now*."""
        return now < self.expires_at and self.used < self.places


def join_code(key: bytes, link_id: str) -> str:
    """Return the code of a join link, the same each time: `ab12-cd34-ef56`."""
    mac = hmac.digest(key, f"join link:{link_id}".encode(), hashlib.sha256)
    code = base64.b32encode(mac).decode()[:_LENGTH].translate(BASE32)
    return "-".join(code[start : start + _PART] for start in range(0, _LENGTH, _PART))


def typed_code(typed: str) -> str:
    """Return the code of a join link that somebody means who typed this: case, blanks and hyphens do not count."""
    plain = "".join(c for c in typed.lower() if c.isalnum())
    return "-".join(plain[start : start + _PART] for start in range(0, len(plain), _PART))


def join_path(code: str) -> str:
    """Return the path at which somebody signs up with this code."""
    return f"/hub/sign-up?{urlencode({'code': code})}"
