"""A sweep in steps with a fixed order, which stops at a time limit and goes on in the next run.

Steps are idempotent and may run concurrently. They are sorted by name alone, so steps that come or go between two runs
do not move the resume point: a run that begins after a step's name takes every other step before it comes to that name
again.
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
    """One step: steps are sorted by *part*, then by *key*; *act* returns how many records it changed."""

    part: int
    key: str
    act: Callable[[], int]

    @property
    def name(self) -> str:
        """Return the name, by which steps are sorted."""
        return f"{self.part} {self.key}"


@value
class SweepProgress:
    """How far a run came: the numbers of steps taken and of records changed, by part."""

    taken: Counter[int]
    done: Counter[int]
    resume_after: str  # the last step that was taken; empty if all were


def run_steps(steps: Iterable[Step], after: str, is_over: Callable[[], bool]) -> SweepProgress:
    """Take every step once, beginning behind the one called *after*, until *is_over*; take at least one.

    A step that raises is logged and does not stop the others.
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
        logger.info("sweep step %s: another worker was faster", step.name)
    except Exception:
        logger.exception("sweep step %s failed", step.name)
    return 0
