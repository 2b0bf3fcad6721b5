"""The rate limiter of launches, and of their preparation."""

from datetime import timedelta
from typing import Protocol


class LaunchRateLimiter(Protocol):
    """Gives slots to every function that launches or prepares, so that together they keep the launcher's rate limit."""

    @property
    def interval(self) -> timedelta:
        """Return the time between two slots; zero without a limit."""
        ...

    def acquire(self) -> None:
        """Wait until the caller may launch, or prepare, once.

        Raises:
            CapacityUnavailableError: when the next slot is too far away to wait for; the caller has taken none.
        """
        ...
