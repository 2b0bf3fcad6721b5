"""Exponential back-off with jitter."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

_DOUBLINGS = 30  # beyond this, the longest delay applies anyway


@dataclass(slots=True)
class Backoff:
    """Delays that double with each failure, up to *longest*; half of each is random, so that edges spread out."""

    first: float  # seconds
    longest: float  # seconds
    jitter: Callable[[], float] = random.random
    _failures: int = field(default=0, init=False)

    def next_delay(self) -> float:
        """Count a failure, and return the seconds until the next attempt."""
        seconds = min(self.longest, self.first * 2.0**self._failures)
        self._failures = min(self._failures + 1, _DOUBLINGS)
        return seconds * (1 + self.jitter()) / 2

    def reset(self) -> None:
        """Count a success: the next delay is the first one again."""
        self._failures = 0
