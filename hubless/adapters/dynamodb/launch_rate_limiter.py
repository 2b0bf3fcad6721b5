"""The launch rate limiter in DynamoDB: one item has the next free slot; taking a slot advances it in the same write.

During a run of slots that is one unconditional addition, which parallel calls cannot spoil. Only the first call after a
pause names the value that it read. A lost answer wastes one slot.
"""

import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Update
from hubless.adapters.dynamodb.keys import Key
from hubless.adapters.dynamodb.table import Counter
from hubless.domain.errors import CapacityUnavailableError
from hubless.domain.launch_rate import LaunchRate, NoFreeSlot, Slot
from hubless.ports.clock import Clock

TRIES = 40  # after a pause one call wins, and the others see its value


class DynamoLaunchRateLimiter:
    """Gives slots to all functions of one hub."""

    def __init__(
        self,
        database: Database,
        *,
        rate: float,
        burst: int,
        longest_wait: timedelta,
        clock: Clock,
        sleep: Callable[[float], None] = time.sleep,
        item: Key = keys.LAUNCH_SLOT,
        reserve: int = 0,
    ) -> None:
        """Allow *rate* slots a second, *burst* at once after a pause, and waits of up to *longest_wait*.

        Limiters of one *item* share its slots, and have the same rate and burst. One with a *reserve* leaves that many
        of the burst to the others.
        """
        self._database, self._clock, self._sleep, self._item = database, clock, sleep, item
        self._launch_rate = LaunchRate(rate, burst, longest_wait, reserve)
        self._interval = self._launch_rate.interval // timedelta(microseconds=1)
        self._free: datetime | None = None  # as last seen; the write verifies or corrects it

    @property
    def interval(self) -> timedelta:
        return self._launch_rate.interval

    def acquire(self) -> None:
        slot = self._database.retry(self._take, TRIES)
        pause = (self._launch_rate.due(slot) - self._clock.now()).total_seconds()
        if pause > 0:
            self._sleep(pause)

    def _take(self) -> datetime:
        """Take the next slot and return its instant; ConditionFailedError if another call took it: retry."""
        now, guess = self._clock.now(), self._free
        match self._launch_rate.next_slot(guess, now):
            case NoFreeSlot(after):
                # Slots only move forward, so the one that was seen is still at least as far off.
                raise CapacityUnavailableError(
                    f"The next free slot is {after.total_seconds():.1f} seconds away",
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
        is_near = Counter.n.between(oldest, farthest)  # not in the past, and near enough to wait for
        following = self._write(Update(self._item, [Counter.n.set(Counter.n + self._interval)], is_near))
        return keys.to_instant(following - self._interval)

    def _start(self, guess: datetime | None, turn: Slot) -> datetime:
        as_seen = Counter.n.does_not_exist() if guess is None else Counter.n == keys.to_number(guess)
        self._write(Update(self._item, [Counter.n.set(keys.to_number(turn.next_free))], as_seen))
        return turn.at

    def _write(self, step: Update) -> int:
        """Write *step* and return the next free slot as a number; remember what the item has in any case."""
        is_done, found = self._database.change(Counter, step)
        self._free = None if found is None else keys.to_instant(int(found.n))
        if not is_done or found is None:
            raise ConditionFailedError([step])
        return int(found.n)
