"""The pace in DynamoDB: one item holds the next free turn, and whoever takes it moves it on in the same write.

While turns are under way that is one unconditional step forward, which two at once cannot spoil. Only the first after a rest
names the instant that it found. An answer that gets lost on the way costs a turn that nobody uses.
"""

import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Update
from hubless.adapters.dynamodb.table import Counter
from hubless.domain.errors import CapacityUnavailableError
from hubless.domain.launch_rate import LaunchRate, NoFreeSlot, Slot
from hubless.ports.clock import Clock

TRIES = 40  # after a rest, of all who ask at once one is first, and the others see what it wrote


class DynamoLaunchRateLimiter:
    """Hands out turns to all functions of one hub."""

    def __init__(
        self,
        database: Database,
        *,
        rate: float,
        burst: int,
        longest_wait: timedelta,
        clock: Clock,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Pace at *rate* turns a second, up to *burst* at once after a rest, waiting for one at most *longest_wait*."""
        self._database, self._clock, self._sleep = database, clock, sleep
        self._launch_rate = LaunchRate(rate, burst, longest_wait)
        self._interval = self._launch_rate.interval // timedelta(microseconds=1)
        self._free: datetime | None = None  # as last seen: a guess that the write proves or mends

    def acquire(self) -> None:
        at = self._database.retry(self._take, TRIES)
        pause = (at - self._clock.now()).total_seconds()
        if pause > 0:
            self._sleep(pause)

    def _take(self) -> datetime:
        """Take the next turn and return when it is; ConditionFailedError when it was another's and is to be tried for again."""
        now, guess = self._clock.now(), self._free
        match self._launch_rate.next_slot(guess, now):
            case NoFreeSlot(after):
                # Nobody moves the next turn back, so what was seen is still as far off, or farther.
                raise CapacityUnavailableError(
                    f"The next turn to launch comes in {after.total_seconds():.1f} seconds at the earliest",
                    after=after + random.random() * self._launch_rate.longest_wait,  # noqa: S311 no secret
                )
            case Slot() as turn if self._launch_rate.is_under_way(guess, now):
                return self._move_on(now)
            case Slot() as turn:
                return self._start(guess, turn)

    def _move_on(self, now: datetime) -> datetime:
        oldest, farthest = (
            keys.to_number(self._launch_rate.oldest(now)),
            keys.to_number(self._launch_rate.farthest(now)),
        )
        is_near = Counter.n.between(oldest, farthest)  # it has not gone by, and may be waited for
        following = self._write(Update(keys.LAUNCH_SLOT, [Counter.n.set(Counter.n + self._interval)], is_near))
        return keys.to_instant(following - self._interval)

    def _start(self, guess: datetime | None, turn: Slot) -> datetime:
        as_seen = Counter.n.does_not_exist() if guess is None else Counter.n == keys.to_number(guess)
        self._write(Update(keys.LAUNCH_SLOT, [Counter.n.set(keys.to_number(turn.next_free))], as_seen))
        return turn.at

    def _write(self, step: Update) -> int:
        """Do *step* and return the number that is then the next free turn; whatever came of it, remember what is there."""
        is_done, found = self._database.change(Counter, step)
        self._free = None if found is None else keys.to_instant(int(found.n))
        if not is_done or found is None:
            raise ConditionFailedError([step])
        return int(found.n)
