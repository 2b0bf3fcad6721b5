"""Turns at a steady pace, for many who share no memory: a leaky bucket kept as one instant, the next free turn.

Turns follow each other at *interval*. Who asks gets the next one, which lies ahead while others wait, and waits for it. While
nobody asks, turns go by; those of the last moments are still to be had, and at once: that is the burst. So in any stretch of
time no more turns come up than the burst and the rate allow, whoever took them and in whatever order they asked.

Each goes by a clock of its own. One that is ahead of another takes its turns sooner and one that is behind later, so that up to
*rate* times the seconds between them may come together beside the burst, and no more.

Turns are given in the order of asking, and asking is all it takes: whoever asks has a turn in at most *longest_wait*, or is told
when to ask again. Those who were sent away have no claim on what comes then: with more than enough to do a turn is never left
idle for them, and nobody needs to remember them.
"""

from datetime import datetime, timedelta

from hubless.domain.values import value

# The farthest turn that a right clock can have given away is as far off as the longest wait. Clocks of functions differ by
# milliseconds, at times by seconds; what lies yet a minute farther was written by one that is wrong, and holds up nobody.
WRONG_BY = timedelta(minutes=1)


@value
class Slot:
    """A turn that may be taken: *at* which instant, and which turn is then the next free one."""

    at: datetime
    next_free: datetime


@value
class NoFreeSlot:
    """All turns near enough are given away; the next one comes within reach *after* so long."""

    after: timedelta


@value
class LaunchRate:
    """How turns follow each other: *rate* a second, up to *burst* of them together after a rest."""

    rate: float
    burst: int
    longest_wait: timedelta

    @property
    def interval(self) -> timedelta:
        """Return the time between two turns."""
        return timedelta(seconds=1 / self.rate)

    def oldest(self, now: datetime) -> datetime:
        """Return the earliest turn that is still to be had."""
        return now - (self.burst - 1) * self.interval

    def farthest(self, now: datetime) -> datetime:
        """Return the latest turn that may be waited for."""
        return now + self.longest_wait

    def is_under_way(self, free: datetime | None, now: datetime) -> bool:
        """Say whether the next turn is simply the *free* one: it has not gone by, and it is near enough."""
        return free is not None and self.oldest(now) <= free <= self.farthest(now)

    def next_slot(self, free: datetime | None, now: datetime) -> Slot | NoFreeSlot:
        """Return the next turn where *free* is the first that nobody has, or None where none was ever taken."""
        if free is not None and free > self.farthest(now) + self.interval + WRONG_BY:
            return self._turn(now)
        if free is not None and free > self.farthest(now):
            return NoFreeSlot(free - self.farthest(now))
        oldest = self.oldest(now)
        return self._turn(oldest if free is None else max(free, oldest))

    def _turn(self, at: datetime) -> Slot:
        return Slot(at, at + self.interval)
