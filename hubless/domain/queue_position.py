"""Positions in a long queue, estimated from a digest: thousands of waiting servers are not counted at every request."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime

from hubless.domain.values import value

MARKS = 200  # of a digest: positions are right to 0.5 % of the queue's length


@value
class QueueDigest:
    """A queue *at* an instant: its length, and the arrival times of every *step*-th entry and of the last one."""

    at: datetime
    length: int
    step: int
    marks: tuple[datetime, ...]

    def queue_position(self, came_at: datetime) -> int:
        """Return how many entries arrived before *came_at*, wrong by less than a step.

        It assumes that arrivals between two marks are spread evenly.
        """
        passed = bisect_left(self.marks, came_at)
        if passed in {0, len(self.marks)}:
            return self.length if passed else 0
        before, beyond = self.marks[passed - 1], self.marks[passed]
        place, next_place = (passed - 1) * self.step, min(passed * self.step, self.length - 1)
        return place + max(1, round((next_place - place) * ((came_at - before) / (beyond - before))))


def digest(came_at: Sequence[datetime], at: datetime) -> QueueDigest:
    """Return the digest *at* an instant of a queue whose entries arrived at *came_at*, in ascending order."""
    length = len(came_at)
    step = max(1, -(-length // MARKS))
    marks = [*came_at[::step]]
    if length and (length - 1) % step:
        marks.append(came_at[-1])
    return QueueDigest(at, length, step, tuple(marks))
