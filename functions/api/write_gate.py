"""The gate before handlers that write: while somebody else holds the store's write lock, requests wait here.

On one machine a write waits for that lock in the thread that answers all requests, and reads would wait with it. So a
request that may write waits before its handler, where others pass. Where it gives up, it has changed nothing.
"""

import asyncio
import time
from contextlib import AbstractContextManager, nullcontext

from hubless.domain.errors import StoreBusyError
from hubless.ports.write_lock import WriteLock

WAIT_SECONDS = 2.0  # before the gate
PATIENT_SECONDS = 0.25  # behind it: somebody may take the lock at this moment
BRIEF_SECONDS = 0.02  # of requests that only read, and note something beside it
RETRY_AFTER = 2  # seconds
_LOOK_SECONDS = 0.01  # between two looks of one request that waits; those of many are rarer
_RAREST_LOOK_SECONDS = 0.5


class WriteGate:
    """Lets the requests of one process pass while the store's write lock is free."""

    def __init__(self, lock: WriteLock | None) -> None:
        """Create the gate of a store with this *lock*; without one it is always open."""
        self._lock = lock
        self._waiting = 0

    async def wait(self) -> None:
        """Return once the lock is free.

        Raises:
            StoreBusyError: when it was not for `WAIT_SECONDS`.
            StoreUnavailableError: when the store does not answer.
        """
        if self._lock is None or self._lock.is_free():
            return
        give_up_at = time.monotonic() + WAIT_SECONDS
        self._waiting += 1
        try:
            while time.monotonic() < give_up_at:
                await asyncio.sleep(min(_LOOK_SECONDS * self._waiting, _RAREST_LOOK_SECONDS))
                if self._lock.is_free():
                    return
        finally:
            self._waiting -= 1
        raise StoreBusyError(f"Another process writes to the store for over {WAIT_SECONDS:g} s. Look for that process.")

    def patient(self) -> AbstractContextManager[None]:
        """Let writes in this context wait as long as those of a request that has passed the gate may."""
        return self._with_patience(PATIENT_SECONDS)

    def brief(self) -> AbstractContextManager[None]:
        """Let writes in this context wait as long as those in the thread that answers all requests may."""
        return self._with_patience(BRIEF_SECONDS)

    def _with_patience(self, seconds: float) -> AbstractContextManager[None]:
        return nullcontext() if self._lock is None else self._lock.wait_at_most(seconds)
