"""The rate limit of launches, shared by functions without common memory: a leaky bucket kept as one instant.

Slots follow each other at *interval*. A caller takes the next free slot and waits for it. Slots that no caller takes
expire, except those of the last moments, which callers get at once: the burst. So no period of time has more slots than
*rate* and *burst* allow, with any callers in any order.

Each caller has its own clock. A caller whose clock is ahead of another's launches earlier: up to *rate* times the
seconds between two clocks may come on top of the burst.

A caller with a *reserve* leaves that many slots of the burst to others: it acts only so many intervals after its slot.

Callers get slots in the order in which they ask. A caller gets one within *longest_wait*, or a time at which to retry.
The limiter does not remember callers that must retry, and reserves no slot for them.
"""

from datetime import datetime, timedelta

from hubless.domain.values import value

# A correct clock takes no slot beyond the longest wait. Clocks of functions differ by milliseconds, at times by
# seconds. A slot that is a minute further away was written by a wrong clock, and is ignored.
WRONG_CLOCK = timedelta(minutes=1)


@value
class Slot:
    """A slot that the caller may take: its instant, and the instant of the slot that is free next."""

    at: datetime
    next_free: datetime


@value
class NoFreeSlot:
    """Every slot within the longest wait is taken; retry *after* this time."""

    after: timedelta


@value
class LaunchRate:
    """A rate limit: *rate* slots a second, up to *burst* at once after a pause, of which *reserve* are for others."""

    rate: float
    burst: int
    longest_wait: timedelta
    reserve: int = 0  # less than *burst*

    @property
    def interval(self) -> timedelta:
        """Return the time between two slots."""
        return timedelta(seconds=1 / self.rate)

    def oldest(self, now: datetime) -> datetime:
        """Return the earliest slot that a caller can still take."""
        return now - (self.burst - 1) * self.interval

    def farthest(self, now: datetime) -> datetime:
        """Return the latest slot that a caller may wait for."""
        return now + self.longest_wait - self.reserve * self.interval

    def due(self, slot: datetime) -> datetime:
        """Return when a caller that has taken *slot* may act."""
        return slot + self.reserve * self.interval

    def is_under_way(self, free: datetime | None, now: datetime) -> bool:
        """Say whether the next slot is the *free* one: it has not expired, and it is within the longest wait."""
        return free is not None and self.oldest(now) <= free <= self.farthest(now)

    def next_slot(self, free: datetime | None, now: datetime) -> Slot | NoFreeSlot:
        """Return the next slot; *free* is the first free one, or None if no slot was ever taken."""
        if free is not None and free > now + self.longest_wait + self.interval + WRONG_CLOCK:
            return self._slot(now)
        if free is not None and free > self.farthest(now):
            return NoFreeSlot(free - self.farthest(now))
        oldest = self.oldest(now)
        return self._slot(oldest if free is None else max(free, oldest))

    def _slot(self, at: datetime) -> Slot:
        return Slot(at, at + self.interval)
