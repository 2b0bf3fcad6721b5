"""New identifiers and secrets from the operating system's random numbers."""

import secrets
import threading
from datetime import datetime

from hubless.domain.ids import RANDOM_BYTES, identifier


class _Sequence:
    """Random numbers that grow within one millisecond, so that identifiers of one process sort by creation."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at, self._last = 0, 0

    def next(self, at: datetime) -> bytes:
        millisecond = int(at.timestamp() * 1000)
        with self._lock:
            if millisecond == self._at:
                self._last = (self._last + 1 + secrets.randbelow(_STEP)) % _LIMIT
            else:
                # The upper half stays free: no process makes enough identifiers in a millisecond to overflow it.
                self._at, self._last = millisecond, secrets.randbelow(_LIMIT // 2)
            return self._last.to_bytes(RANDOM_BYTES)


_LIMIT = 1 << (8 * RANDOM_BYTES)
_STEP = 1 << 40  # large enough that the next identifier stays hard to guess
_sequence = _Sequence()


def new_id(prefix: str, at: datetime) -> str:
    """Return a unique identifier that sorts by *at*, and then by the order of calls in this process."""
    return identifier(prefix, at, _sequence.next(at))


def new_secret() -> str:
    """Return 128 random bits as 32 hex digits: the form of JupyterHub's tokens."""
    return secrets.token_hex(16)
