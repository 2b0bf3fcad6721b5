"""The lock policy: when wrong guesses lock a login, and for how long. The login and the sweep both ask it."""

from datetime import datetime, timedelta

from hubless.domain.values import value

LONGEST_COUNT = timedelta(hours=1)  # of what else is counted, such as mails to a user
MAX_COUNTED = 5_000  # guesses of one key that are remembered: a limit beyond counts as this one


@value
class Window:
    """The time in which guesses count: after *since*, and not after *until*."""

    since: datetime
    until: datetime


@value
class LockPolicy:
    """Lock a key for *lock_for* after *max_failures* wrong guesses within that time."""

    max_failures: int
    lock_for: timedelta

    def counts_since(self, now: datetime) -> datetime:
        """Return the instant before which a guess no longer counts at *now*."""
        return now - self.lock_for

    def kept_since(self, now: datetime) -> datetime:
        """Return the instant before which the sweep may forget what was counted, at *now*."""
        return now - max(self.lock_for, LONGEST_COUNT)

    def counts_until(self, now: datetime) -> datetime:
        """Return the instant after which a guess does not count at *now*.

        Clocks differ a little, so guesses of the near future count. Those of a clock that was far ahead do not:
        otherwise they would lock a name until then.
        """
        return now + self.lock_for

    def window(self, now: datetime) -> Window:
        """Return the time in which guesses count at *now*."""
        return Window(self.counts_since(now), self.counts_until(now))

    def limit(self, factor: int = 1) -> int:
        """Return how many guesses lock a key that may fail *factor* times as often as others."""
        return self.max_failures * factor

    @property
    def minutes(self) -> int:
        """Return how long a lock lasts at most, in whole minutes, at least 1."""
        return max(1, round(self.lock_for.total_seconds() / 60))
