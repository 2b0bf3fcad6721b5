"""How long to wait before something is tried again."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

_DOUBLINGS = 30  # beyond it no bound is higher


@dataclass(slots=True)
class Backoff:
    """Waits that double with each failure up to a bound; half of each is left to chance, so that no two keep in step."""

    first: float  # seconds
    longest: float
    jitter: Callable[[], float] = random.random
    _failures: int = field(default=0, init=False)

    def next_delay(self) -> float:
        """Return how many seconds to wait now."""
        seconds = min(self.longest, self.first * 2.0**self._failures)
        self._failures = min(self._failures + 1, _DOUBLINGS)
        return seconds * (1 + self.jitter()) / 2

    def reset(self) -> None:
        """Begin anew."""
        self._failures = 0
