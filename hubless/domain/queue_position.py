"""Places in a long queue, told from a digest of it: nobody counts the thousands who wait at each of their questions."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime

from hubless.domain.values import value

MARKS = 200  # of a digest: places are right to half a hundredth of the queue's length


@value
class QueueDigest:
    """A queue in brief, as it was *at* an instant: its length, and when every *step*-th of those in it, and the last, came."""

    at: datetime
    length: int
    step: int
    marks: tuple[datetime, ...]

    def queue_position(self, came_at: datetime) -> int:
        """Return how many came before *came_at*, wrong by less than a step; those between two marks count as spread evenly."""
        passed = bisect_left(self.marks, came_at)
        if passed in {0, len(self.marks)}:
            return self.length if passed else 0
        before, beyond = self.marks[passed - 1], self.marks[passed]
        place, next_place = (passed - 1) * self.step, min(passed * self.step, self.length - 1)
        return place + max(1, round((next_place - place) * ((came_at - before) / (beyond - before))))


def digest(came_at: Sequence[datetime], at: datetime) -> QueueDigest:
    """Return the digest of a queue of those who came at these instants, in their order."""
    length = len(came_at)
    step = max(1, -(-length // MARKS))
    marks = [*came_at[::step]]
    if length and (length - 1) % step:
        marks.append(came_at[-1])
    return QueueDigest(at, length, step, tuple(marks))
