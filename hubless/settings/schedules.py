"""The list `[[schedules]]`."""

from collections.abc import Collection
from datetime import time, tzinfo
from typing import Any

from hubless.domain.errors import InvalidRequestError
from hubless.domain.schedules import DAYS, Schedule
from hubless.domain.values import value
from hubless.domain.wall_times import zone_of
from hubless.settings.types import FLAG, NAME, SOME, TEXT, SettingsError, SettingType, setting


def _days(given: Any) -> frozenset[int]:
    if not isinstance(given, list) or not given:
        raise TypeError
    return frozenset(DAYS.index(one) for one in given)  # ValueError for what is no day


def _time(given: Any) -> time:
    if isinstance(given, time):
        found = given
    elif isinstance(given, str):
        found = time.fromisoformat(given)
    else:
        raise TypeError
    if found.tzinfo is not None:
        raise ValueError
    return found


SOME_DAYS = SettingType('a list of days such as "monday"', _days)
CLOCK = SettingType('a time such as "08:50"', _time)


@value
class ScheduleSettings:
    """One of `[[schedules]]`: a class whose servers the hub starts before it meets, and stops afterwards."""

    name: str = setting(None, NAME, "The class's name; its members read that it stopped their server")
    days: frozenset[int] = setting(None, SOME_DAYS, "The days of the week on which it meets")
    begins: time = setting(None, CLOCK, "When its servers start, and may idle from then on")
    ends: time = setting(None, CLOCK, "When they stop, on the same day")
    timezone: str = setting(None, NAME, "The time zone of these times, such as `Europe/Berlin`")
    groups: tuple[str, ...] = setting(None, SOME, "The groups whose members' main servers it is about")
    profile: str = setting("", TEXT, "The profile to start; empty for what each member started last")
    stop: bool = setting(True, FLAG, "Whether servers that were started in a lesson are stopped at its end")


def schedules_of(given: tuple[ScheduleSettings, ...], profiles: Collection[str]) -> tuple[Schedule, ...]:
    """Return the schedules.

    Raises:
        SettingsError: naming the key that is wrong.
    """
    return tuple(_schedule(one, profiles) for one in given)


def _schedule(one: ScheduleSettings, profiles: Collection[str]) -> Schedule:
    where = f"schedules.{one.name}"
    if one.ends <= one.begins:
        raise SettingsError(f"{where}.ends must be later than begins: a lesson ends on the day on which it begins")
    if one.profile and one.profile not in profiles:
        raise SettingsError(f"{where}.profile names {one.profile}, and there is no such profile")
    zone = _zone(one.timezone, where)
    return Schedule(one.name, one.days, one.begins, one.ends, zone, one.groups, one.profile, one.stop)


def _zone(name: str, where: str) -> tzinfo:
    try:
        return zone_of(name)
    except InvalidRequestError:
        raise SettingsError(
            f"{where}.timezone is {name!r:.60}, which is no time zone: write it as in Europe/Berlin"
        ) from None
