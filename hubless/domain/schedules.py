"""Schedules: when a class meets, in its own time zone, and which instants that is."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final

from hubless.domain.lifecycle import ACTIVE, Server, State
from hubless.domain.values import value

CATCH_UP: Final = timedelta(hours=1)  # after a lesson, within which its servers are stopped
_DAY = timedelta(days=1)
_RUNS = ACTIVE - {State.STOPPING}


@value
class Schedule:
    """A class that meets on the same days of each week, from *begins* to *ends* by the clocks of *zone*."""

    name: str
    days: frozenset[int]  # as `date.weekday` counts: Monday is 0
    begins: time
    ends: time
    zone: tzinfo
    groups: tuple[str, ...]
    profile: str = ""  # "" for what each member started last
    stops: bool = True  # whether servers that were started for a lesson end with it


@value
class Lesson:
    """One meeting of a class."""

    schedule: Schedule
    begins: datetime
    ends: datetime

    def needs_start(self, server: Server | None) -> bool:
        """Say whether a member's main server is to be started: each is at most once in a lesson, whoever asked for it.

        The server's record says so itself: the write of a start sets `requested_at`, so no second sweep repeats it.
        """
        if server is None:
            return True
        return server.state not in ACTIVE and (server.requested_at is None or server.requested_at < self.begins)

    def needs_stop(self, server: Server) -> bool:
        """Say whether a server that was started in the lesson runs on after it."""
        asked = server.requested_at
        return server.state in _RUNS and asked is not None and self.begins <= asked < self.ends


def lessons(schedule: Schedule, now: datetime) -> Iterator[Lesson]:
    """Yield the lessons that are on at *now*, or ended within the last hour.

    A time that clocks skip in spring is that of clocks which were not changed. A time that comes twice in autumn is the
    first one for a beginning, and the second for an end (PEP 495).
    """
    today = now.astimezone(schedule.zone).date()
    for day in (today - _DAY, today):
        if day.weekday() in schedule.days:
            begins = datetime.combine(day, schedule.begins, schedule.zone).astimezone(UTC)
            ends = max(
                datetime.combine(day, schedule.ends.replace(fold=fold), schedule.zone).astimezone(UTC)
                for fold in (0, 1)
            )
            if begins < ends and begins <= now < ends + CATCH_UP:
                yield Lesson(schedule, begins, ends)
