"""A round of work in steps that stand in a fixed order, so that it goes on where it was cut.

A step must not mind being taken twice, nor two who take it at once. The order is by name alone: what came or went since the
last run moves nothing, and whoever begins after a step's name has all the others before him.
"""

import logging
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable

from hubless.domain.errors import StoreConflictError
from hubless.domain.values import value

logger = logging.getLogger(__name__)


@value
class Step:
    """One thing to look at; *part* says of what kind and comes first in the order, *act* returns how many things it did."""

    part: int
    key: str
    act: Callable[[], int]

    @property
    def name(self) -> str:
        """Return what it is called, where it stands in the order."""
        return f"{self.part} {self.key}"


@value
class SweepProgress:
    """How far a round came: by part, how many steps were taken and how many things they did."""

    taken: Counter[int]
    done: Counter[int]
    resume_after: str  # the last step that was taken in time; empty when all were


def run_steps(steps: Iterable[Step], after: str, is_over: Callable[[], bool]) -> SweepProgress:
    """Take every step once, beginning behind the one called *after*, until *is_over*; but always one.

    One bad step does not spoil the round for the others.
    """
    ordered = sorted(steps, key=lambda step: step.name)
    first = bisect_right([step.name for step in ordered], after)
    taken, done = Counter[int](), Counter[int]()
    for step in ordered[first:] + ordered[:first]:
        done[step.part] += _taken(step)
        taken[step.part] += 1
        if taken.total() < len(ordered) and is_over():
            return SweepProgress(taken, done, step.name)
    return SweepProgress(taken, done, "")


def _taken(step: Step) -> int:
    try:
        return step.act()
    except StoreConflictError:
        logger.info("%s moved meanwhile", step.name)
    except Exception:
        logger.exception("%s could not be looked after", step.name)
    return 0
