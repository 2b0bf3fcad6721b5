"""Spares: tasks that have pulled a profile's image, and wait for a launch to become its server.

A spare is free until a launch claims it. It is given to one launch at most, and used for no second one. From then on
its task is the server's, and nothing but a claim says which spare it was.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from hubless.domain.lifecycle import Server
from hubless.domain.schedules import Schedule, lessons
from hubless.domain.values import value

MOST_OF_A_PROFILE: Final = 50
MOST: Final = 200  # of all profiles together: each claim reads all records, and each spare asks every three seconds
LONGEST_START: Final = timedelta(minutes=15)  # from its record until it waits: large images take minutes
LONGEST_NOTE: Final = timedelta(minutes=2)  # from its record until its task is noted: longer than a sweep lasts
LONGEST_WAIT: Final = timedelta(days=1)  # then another replaces it, which pulls what the image's tag names by then
PAUSE_AFTER_FAILURE: Final = timedelta(minutes=10)  # before another is started in place of one that failed


@value
class Warmth:
    """How many spares of a profile wait at a time, and when: in *hours*, or always."""

    count: int = 0
    hours: Schedule | None = None

    def wanted(self, now: datetime) -> int:
        """Return how many spares are to wait at *now*."""
        if self.hours is not None and not any(one.is_on(now) for one in lessons(self.hours, now)):
            return 0
        return self.count


COLD: Final = Warmth()


@value
class Spare:
    """A spare, from before its task is started until a launch claims it, or nothing of it is left."""

    id: str
    profile: str
    kind: str  # the launcher's digest of all that its task was started with
    recorded_at: datetime
    task: str = ""  # the launcher's name of it; "" until the start has been noted
    waits_since: datetime | None = None
    ended_at: datetime | None = None  # when the hub gave it up
    failure: str = ""  # why it failed, if it did
    revision: int = 0  # +1 at every write

    @property
    def is_free(self) -> bool:
        """Say whether a launch may still get it, now or once it waits."""
        return self.ended_at is None

    @property
    def can_be_claimed(self) -> bool:
        """Say whether its task waits for a launch."""
        return self.is_free and bool(self.task) and self.waits_since is not None


@value
class SpareClaim:
    """To which launch a spare was given: what its task asks for, and whose the events of the task are."""

    spare_id: str
    server_id: str
    launch_id: str


def started(spare: Spare, task: str) -> Spare:
    """Return *spare* with the task that the launcher has started."""
    return replace(spare, task=task, revision=spare.revision + 1)


def waiting(spare: Spare, now: datetime) -> Spare:
    """Return *spare* after its task has asked for a launch the first time."""
    return replace(spare, waits_since=now, revision=spare.revision + 1)


def claimed(spare: Spare, server: Server) -> SpareClaim:
    """Return the claim by which *spare* is given to the present launch of *server*."""
    return SpareClaim(spare.id, server.id, server.launch_id or "")


def ended(spare: Spare, now: datetime, failure: str = "") -> Spare:
    """Return *spare* as given up, because of a *failure* or because nobody needs it."""
    return replace(spare, ended_at=now, failure=failure, revision=spare.revision + 1)


def fitting(spares: Iterable[Spare], kind: str, launch_id: str) -> list[Spare]:
    """Return the spares of *kind* that wait, in an order of each launch's own: so launches at once seldom collide."""
    found = [one for one in spares if one.kind == kind and one.can_be_claimed]
    return sorted(found, key=lambda one: hashlib.sha256(f"{launch_id} {one.id}".encode()).digest())


def fault(spare: Spare, now: datetime) -> str | None:
    """Return why a free *spare* counts as failed although its task has not ended; None if it does not."""
    if spare.waits_since is None and now - spare.recorded_at >= LONGEST_START:
        return f"did not wait for a launch within {LONGEST_START // timedelta(minutes=1)} minutes"
    return None


def is_lost(spare: Spare, now: datetime) -> bool:
    """Say whether whoever recorded *spare* died before it started the task: none is known long after."""
    return not spare.task and now - spare.recorded_at >= LONGEST_NOTE


def too_many(free: Collection[Spare], wanted: int, now: datetime) -> Sequence[Spare]:
    """Return which *free* spares of a profile are to end: those beyond *wanted*, or else the oldest if it is too old.

    One at a time is replaced for its age, so that the others wait meanwhile.
    """
    by_use = sorted(free, key=lambda one: (one.waits_since is None, one.recorded_at))
    if len(by_use) > wanted:
        return by_use[wanted:]
    oldest = min(free, key=lambda one: one.recorded_at, default=None)
    return [oldest] if oldest is not None and now - oldest.recorded_at >= LONGEST_WAIT else []


def holds_off(spare: Spare, now: datetime) -> bool:
    """Say whether *spare* failed so lately that none is started in its place: the next would probably fail as well."""
    return bool(spare.failure) and spare.ended_at is not None and now - spare.ended_at < PAUSE_AFTER_FAILURE


def missing(spares: Iterable[Spare], wanted: int, now: datetime) -> int:
    """Return how many spares are to be started, if these *spares* of a profile exist."""
    return max(0, wanted - sum(one.is_free or holds_off(one, now) for one in spares))
