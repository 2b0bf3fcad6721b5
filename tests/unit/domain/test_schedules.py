"""When lessons are, in the time zone of a class, also on the days on which clocks change."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from hubless.domain.lifecycle import State
from hubless.domain.schedules import CATCH_UP, Lesson, Schedule, lessons
from tests.support.builders import a_server

BERLIN = ZoneInfo("Europe/Berlin")
EVERY_DAY = frozenset(range(7))
SECOND = timedelta(seconds=1)


def a_schedule(begins="08:50", ends="10:30", *, days=EVERY_DAY, zone=BERLIN):
    return Schedule("physics", days, time.fromisoformat(begins), time.fromisoformat(ends), zone, ("physics",))


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def spans(schedule, text):
    return [(lesson.begins, lesson.ends) for lesson in lessons(schedule, at(text))]


@pytest.mark.parametrize(
    ("now", "begins", "ends"),
    [
        ("2026-03-27T08:30", "2026-03-27T07:50", "2026-03-27T09:30"),  # before clocks change
        ("2026-03-30T08:30", "2026-03-30T06:50", "2026-03-30T08:30"),  # after: an hour earlier in UTC
        ("2026-10-26T08:30", "2026-10-26T07:50", "2026-10-26T09:30"),
    ],
)
def test_a_lesson_follows_the_clocks_of_its_zone(now, begins, ends):
    assert spans(a_schedule(), now) == [(at(begins), at(ends))]


def test_a_lesson_that_begins_at_a_time_which_clocks_skip():
    night = a_schedule("02:30", "04:00")
    assert spans(night, "2026-03-29T01:45") == [(at("2026-03-29T01:30"), at("2026-03-29T02:00"))]
    assert spans(a_schedule("02:10", "02:50"), "2026-03-29T01:20") == [(at("2026-03-29T01:10"), at("2026-03-29T01:50"))]
    assert spans(a_schedule("02:30", "03:10"), "2026-03-29T01:05") == []  # it would end before it begins


def test_a_lesson_within_the_hour_that_comes_twice_has_both():
    assert spans(a_schedule("02:15", "02:45"), "2026-10-25T01:00") == [
        (at("2026-10-25T00:15"), at("2026-10-25T01:45")),
    ]


def test_a_lesson_is_of_the_day_of_its_own_zone():
    monday = a_schedule("08:00", "09:00", days=frozenset({0}), zone=ZoneInfo("Pacific/Auckland"))
    assert spans(monday, "2026-11-22T19:30") == [(at("2026-11-22T19:00"), at("2026-11-22T20:00"))]  # a Sunday in UTC
    assert spans(monday, "2026-11-23T19:30") == []


def test_a_lesson_is_there_from_its_beginning_until_an_hour_after_its_end():
    (lesson,) = lessons(a_schedule(), at("2026-11-24T08:00"))
    for now, found in (
        (lesson.begins - SECOND, 0),
        (lesson.begins, 1),
        (lesson.ends + CATCH_UP - SECOND, 1),
        (lesson.ends + CATCH_UP, 0),
    ):
        assert len(list(lessons(a_schedule(), now))) == found


def test_a_server_starts_once_in_a_lesson_and_stops_if_it_started_then():
    lesson = Lesson(a_schedule(), at("2026-11-24T08:00"), at("2026-11-24T09:00"))
    before, within = lesson.begins - SECOND, lesson.begins
    assert lesson.needs_start(None)
    assert lesson.needs_start(a_server(state=State.STOPPED, requested_at=before))
    assert not lesson.needs_start(a_server(state=State.STOPPED, requested_at=within))
    assert not lesson.needs_start(a_server(state=State.READY, requested_at=before))
    assert lesson.needs_stop(a_server(state=State.READY, requested_at=within))
    assert not lesson.needs_stop(a_server(state=State.READY, requested_at=before))
    assert not lesson.needs_stop(a_server(state=State.READY, requested_at=lesson.ends))
    assert not lesson.needs_stop(a_server(state=State.STOPPED, requested_at=within))
