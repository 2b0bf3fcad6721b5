"""Schedules: when a class meets, in its own time zone, and which instants that is."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice
from typing import Any, Final

from hubless.domain.bounds import MAX_IDENTIFIER
from hubless.domain.errors import InvalidRequestError
from hubless.domain.lifecycle import ACTIVE, Server, State
from hubless.domain.translatable import Message
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value
from hubless.domain.wall_times import zone_of

DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CATCH_UP: Final = timedelta(hours=1)  # after a lesson, within which its servers are stopped
MOST_GROUPS: Final = 20  # of a schedule
MOST_SCHEDULES: Final = 100  # that admins make, or a few more at a rush: each sweep reads them
LONGEST_LEAD: Final = timedelta(hours=2)
_NAME: Final = re.compile(r"\w(?:[\w .-]{0,62}[\w.-])?")  # a blank at the end nobody sees
_LONGEST: Final = 16  # characters of a time or a date
_DAY = timedelta(days=1)
_WEEKS: Final = 3  # ahead, within which a weekly schedule has a lesson, also if clocks skip one
_FOLLOWING: Final = 20  # lessons one after the other that are looked at
_RUNS = ACTIVE - {State.STOPPING}


@value
class Schedule:
    """A class that meets on the same days of each week, or once, by the clocks of its time zone.

    Args:
        name: its name, unique in the hub; members read it.
        days: of each week, as `date.weekday` counts: Monday is 0; empty for a class that meets once.
        begins: when it begins.
        ends: when it ends, on the same day.
        zone: the time zone of both.
        groups: whose members' main servers it is about.
        profile: the profile to start; "" for what each member started last.
        stops: whether servers that were asked for in a lesson end with it.
        on: the day of a class that meets once; None for one of each week.
        lead: how long before the beginning its servers start.
        is_paused: whether it starts, keeps and stops nothing.
        revision: how often it was changed.
    """

    name: str
    days: frozenset[int]
    begins: time
    ends: time
    zone: tzinfo
    groups: tuple[str, ...]
    profile: str = ""
    stops: bool = True
    on: date | None = None
    lead: timedelta = timedelta()
    is_paused: bool = False
    revision: int = 0

    def meets(self, day: date) -> bool:
        """Say whether the class meets on that *day* of its own calendar."""
        return day == self.on if self.on is not None else day.weekday() in self.days


@value
class Lesson:
    """One meeting of a class: from when its servers start until it ends."""

    schedule: Schedule
    begins: datetime
    ends: datetime

    @property
    def meets_at(self) -> datetime:
        """Return when the class begins."""
        return self.begins + self.schedule.lead

    @property
    def mark(self) -> str:
        """Return a text that no other lesson has."""
        return f"{self.schedule.name}#{self.begins.isoformat()}"

    def is_on(self, now: datetime) -> bool:
        """Say whether its servers run at *now*."""
        return self.begins <= now < self.ends

    def is_of(self, groups: Collection[str]) -> bool:
        """Say whether members of *groups* are in it."""
        return not set(self.schedule.groups).isdisjoint(groups)

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


@value
class LessonStop:
    """When a server stops because of a lesson, or after one: what its owner reads.

    Args:
        at: the instant.
        schedule: the name of the schedule.
        ends_it: whether the schedule stops the server then; else it was only kept until then, and nobody used it.
    """

    at: datetime
    schedule: str
    ends_it: bool

    @property
    def expectation(self) -> Message:
        """Return why, for the owner."""
        if self.ends_it:
            return _("The lesson “%(name)s” is over then, and its servers stop.", name=self.schedule)
        return _("The lesson “%(name)s” keeps it until then, also if nobody uses it.", name=self.schedule)


def lessons(schedule: Schedule, now: datetime) -> Iterator[Lesson]:
    """Yield the lessons that are on at *now*, or ended within the last hour; none of a schedule that is paused.

    A time that clocks skip in spring is that of clocks which were not changed. A time that comes twice in autumn is the
    first one for a beginning, and the second for an end (PEP 495).
    """
    if schedule.is_paused:
        return
    today = now.astimezone(schedule.zone).date()
    for day in (today - _DAY, today, today + _DAY):  # servers of a class soon after midnight start the day before
        lesson = _lesson(schedule, day)
        if lesson is not None and lesson.begins <= now < lesson.ends + CATCH_UP:
            yield lesson


def upcoming(schedule: Schedule, now: datetime, most: int) -> list[Lesson]:
    """Return at most *most* lessons that have not ended at *now*, the next one first, as if it were not paused."""
    today = now.astimezone(schedule.zone).date()
    days = [schedule.on] if schedule.on is not None else [today + n * _DAY for n in range(-1, 7 * _WEEKS)]
    found = (lesson for day in days if (lesson := _lesson(schedule, day)) is not None and lesson.ends > now)
    return list(islice(found, most))


def keeper(present: Iterable[Lesson], groups: Collection[str], now: datetime) -> Lesson | None:
    """Return which of these lessons keeps the servers of a member of *groups* at *now*: the one that ends last."""
    return max((one for one in present if one.is_on(now) and one.is_of(groups)), key=lambda one: one.ends, default=None)


def kept_until(schedules: Collection[Schedule], groups: Collection[str], at: datetime) -> LessonStop | None:
    """Return until when lessons put off a stop for idleness at the instant *at*; None if none does."""
    found: LessonStop | None = None
    for _number in range(_FOLLOWING):
        lesson = keeper((one for schedule in schedules for one in lessons(schedule, at)), groups, at)
        if lesson is None:
            break
        at, found = lesson.ends, LessonStop(lesson.ends, lesson.schedule.name, ends_it=False)
    return found


def stopped_at(
    schedules: Collection[Schedule], groups: Collection[str], server: Server, now: datetime
) -> LessonStop | None:
    """Return when a schedule stops a main *server* of a member of *groups* after a lesson; None if none does.

    A lesson that follows at once keeps the server: then the stop comes within an hour after the first, or not at all.
    """
    found = list[LessonStop]()
    for schedule in schedules:
        if not schedule.stops:
            continue
        for lesson in lessons(schedule, now):
            if not lesson.is_of(groups) or not lesson.needs_stop(server):
                continue
            kept = kept_until(schedules, groups, max(lesson.ends, now))
            at = kept.at if kept is not None else max(lesson.ends, now)
            if at < lesson.ends + CATCH_UP:
                found.append(LessonStop(at, schedule.name, ends_it=True))
    return min(found, key=lambda one: one.at, default=None)


def check(schedule: Schedule) -> None:
    """Check a schedule that somebody wants to add or change.

    Raises:
        InvalidRequestError: naming what is wrong.
    """
    if not _NAME.fullmatch(schedule.name):
        raise InvalidRequestError("A schedule's name is 1 to 64 letters, digits, blanks, `.`, `_` or `-`")
    _check_groups(schedule)
    if (schedule.on is None) == (not schedule.days):
        raise InvalidRequestError("Choose days of the week, or one date, and not both")
    if not schedule.days <= frozenset(range(len(DAYS))):
        raise InvalidRequestError("A day of the week is one of Monday to Sunday")
    if schedule.ends <= schedule.begins:
        raise InvalidRequestError("A lesson ends on the day on which it begins: choose a later end")
    if not timedelta() <= schedule.lead <= LONGEST_LEAD:
        raise InvalidRequestError("Servers start at most 120 minutes before a lesson")


def _check_groups(schedule: Schedule) -> None:
    if not schedule.groups:
        raise InvalidRequestError("Name the group whose servers the schedule starts")
    if len(schedule.groups) > MOST_GROUPS:
        raise InvalidRequestError(_("A schedule is for at most %(count)s groups", count=MOST_GROUPS))
    if any(len(name) > MAX_IDENTIFIER for name in (*schedule.groups, schedule.profile)):
        raise InvalidRequestError("A name in the schedule is too long")


def clock_of(text: str) -> time:
    """Return the time of day in *text*, such as "08:50".

    Raises:
        InvalidRequestError: when it is none, or has an offset, or seconds, which no page and no answer shows.
    """
    try:
        found = time.fromisoformat(text) if len(text) <= _LONGEST else None
    except ValueError:
        found = None
    if found is None or found != found.replace(second=0, microsecond=0, tzinfo=None):
        raise InvalidRequestError(_("%(text)s is no time of day such as 08:50", text=repr(text[:_LONGEST])))
    return found


def date_of(text: str) -> date:
    """Return the day in *text*, such as "2026-11-30".

    Raises:
        InvalidRequestError: when it is none.
    """
    try:
        found = date.fromisoformat(text) if len(text) <= _LONGEST else date.min
    except ValueError:
        found = date.min
    if not _EARLIEST <= found <= _LATEST:
        raise InvalidRequestError(_("%(text)s is no date such as 2026-11-30", text=repr(text[:_LONGEST])))
    return found


_EARLIEST, _LATEST = date(2000, 1, 1), date(2200, 1, 1)  # of a lesson: beyond, a calendar may end


def facts_of(schedule: Schedule) -> dict[str, Any]:
    """Return the schedule as JSON has it, for stores and archives; without its revision."""
    return {
        "name": schedule.name,
        "days": sorted(schedule.days),
        "on": None if schedule.on is None else schedule.on.isoformat(),
        "begins": schedule.begins.isoformat(),
        "ends": schedule.ends.isoformat(),
        "zone": str(schedule.zone),
        "groups": list(schedule.groups),
        "profile": schedule.profile,
        "stops": schedule.stops,
        "lead": int(schedule.lead.total_seconds()),
        "is_paused": schedule.is_paused,
    }


def of_facts(facts: Mapping[str, Any], revision: int) -> Schedule:
    """Return the schedule that `facts_of` made these *facts* of."""
    return Schedule(
        facts["name"],
        frozenset(int(day) for day in facts["days"]),
        time.fromisoformat(facts["begins"]),
        time.fromisoformat(facts["ends"]),
        zone_of(facts["zone"]),
        tuple(facts["groups"]),
        facts["profile"],
        facts["stops"],
        None if facts["on"] is None else date.fromisoformat(facts["on"]),
        timedelta(seconds=int(facts["lead"])),
        facts["is_paused"],
        revision,
    )


def _lesson(schedule: Schedule, day: date) -> Lesson | None:
    """Return the lesson of that *day*; None if the class does not meet, or clocks leave nothing of it."""
    if not schedule.meets(day):
        return None
    begins = datetime.combine(day, schedule.begins, schedule.zone).astimezone(UTC)
    ends = max(
        datetime.combine(day, schedule.ends.replace(fold=fold), schedule.zone).astimezone(UTC) for fold in (0, 1)
    )
    return Lesson(schedule, begins - schedule.lead, ends) if begins < ends else None
