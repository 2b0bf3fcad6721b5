"""New identifiers and secrets, from the operating system's randomness."""

import secrets
import threading
from datetime import datetime

from hubless.domain.ids import RANDOM_BYTES, identifier


class _Sequence:
    """Randomness that grows within one millisecond, so that what a process makes first also sorts first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at, self._last = 0, 0

    def next(self, at: datetime) -> bytes:
        millisecond = int(at.timestamp() * 1000)
        with self._lock:
            if millisecond == self._at:
                self._last = (self._last + 1 + secrets.randbelow(_STEP)) % _LIMIT
            else:
                # The upper half stays free: no millisecond is long enough to use it up.
                self._at, self._last = millisecond, secrets.randbelow(_LIMIT // 2)
            return self._last.to_bytes(RANDOM_BYTES)


_LIMIT = 1 << (8 * RANDOM_BYTES)
_STEP = 1 << 40  # the next identifier is no easier to guess
_sequence = _Sequence()


def new_id(prefix: str, at: datetime) -> str:
    """Return an identifier that sorts by *at*, then by the order in which this process made it; nobody else makes it."""
    return identifier(prefix, at, _sequence.next(at))


def new_secret() -> str:
    """Return 128 bits as 32 hex digits: the form of JupyterHub's own tokens."""
    return secrets.token_hex(16)
