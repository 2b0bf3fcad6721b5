"""The rate limiter of launches."""

from typing import Protocol


class LaunchRateLimiter(Protocol):
    """Gives slots to every function that launches, so that together they keep the launcher's rate limit."""

    def acquire(self) -> None:
        """Wait until the caller may launch one task.

        Raises:
            CapacityUnavailableError: when the next slot is too far away to wait for; the caller has taken none.
        """
        ...
