"""The pace of a long command: fewer requests at once while DynamoDB throttles them, and more again afterwards."""

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

AT_ONCE = 16  # requests: more need more processor time than Python's one thread at a time has
PATIENT_TRIES = 30  # of a request that is throttled: about a minute and a half
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 6.0  # seconds
T = TypeVar("T")


class Pace:
    """Bounds how many requests are under way: half as many after each that was throttled, one more after a round."""

    def __init__(self, most: int = AT_ONCE, sleep: Callable[[float], None] = time.sleep) -> None:
        self._most, self._sleep = most, sleep
        self._may_go = threading.Condition()
        self._allowed, self._under_way = float(most), 0
        self.throttled = 0

    @property
    def allowed(self) -> int:
        """Return how many requests may be under way now."""
        return int(self._allowed)

    def send(self, ask: Callable[[], T]) -> T:
        """Return the answer of *ask*, which is sent when its turn comes."""
        with self._may_go:
            self._may_go.wait_for(lambda: self._under_way < self.allowed)
            self._under_way += 1
        try:
            answer = ask()
            self._allowed = min(self._most, self._allowed + 1 / self._allowed)
        finally:
            with self._may_go:
                self._under_way -= 1
                self._may_go.notify_all()
        return answer

    def slow_down(self, turn: int) -> None:
        """Halve the pace, and wait: longer each *turn* of the same request, with jitter."""
        with self._may_go:
            self.throttled += 1
            self._allowed = max(1.0, self._allowed / 2)
        self._sleep(min(_LONGEST_WAIT, _FIRST_WAIT * 2**turn) * random.random())  # noqa: S311 no secret
