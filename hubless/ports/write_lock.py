"""The lock that a store gives to one writer at a time."""

from contextlib import AbstractContextManager
from typing import Protocol


class WriteLock(Protocol):
    """Knows whether somebody writes. A store whose writers do not wait for each other has none."""

    def is_free(self) -> bool:
        """Say whether nobody holds the lock; do not wait.

        Raises:
            StoreUnavailableError: when the store does not answer.
        """
        ...

    def wait_at_most(self, seconds: float) -> AbstractContextManager[None]:
        """Let each write in this context wait so long for the lock, and then raise StoreBusyError.

        A task or a thread that is started there inherits it.
        """
        ...
