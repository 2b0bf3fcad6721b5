"""How fast launches may follow each other."""

from typing import Protocol


class LaunchRateLimiter(Protocol):
    """Hands out turns to all who launch, wherever they run, so that together they keep to the launcher's limits."""

    def acquire(self) -> None:
        """Return when it is the caller's turn to launch one task.

        Raises:
            CapacityUnavailableError: when the turn is too far off to wait for; nothing was taken.
        """
        ...
