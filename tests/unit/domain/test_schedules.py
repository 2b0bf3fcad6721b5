"""When lessons are, in the time zone of a class, also on the days on which clocks change."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubless.domain.errors import InvalidRequestError
from hubless.domain.lifecycle import State
from hubless.domain.schedules import (
    CATCH_UP,
    Lesson,
    Schedule,
    clock_of,
    date_of,
    facts_of,
    kept_until,
    lessons,
    of_facts,
    upcoming,
)
from hubless.domain.wall_times import zone_of
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


def test_servers_start_before_the_lesson_also_across_midnight():
    early = replace(a_schedule("00:05", "01:00", days=frozenset({0})), lead=timedelta(minutes=15))
    (lesson,) = lessons(early, at("2026-11-29T22:51"))  # a Sunday, 23:51 by its clocks
    assert (lesson.begins, lesson.meets_at) == (at("2026-11-29T22:50"), at("2026-11-29T23:05"))
    assert spans(early, "2026-11-29T22:49") == []


def test_the_next_lessons_come_in_order():
    monday = a_schedule(days=frozenset({0, 2}))
    found = [lesson.begins.isoformat()[:10] for lesson in upcoming(monday, at("2026-11-24T08:00"), 3)]
    assert found == ["2026-11-25", "2026-11-30", "2026-12-02"]
    once = replace(monday, days=frozenset(), on=date(2026, 12, 1))
    assert [one.begins for one in upcoming(once, at("2026-11-24T08:00"), 3)] == [at("2026-12-01T07:50")]
    assert upcoming(once, at("2026-12-01T09:30"), 3) == []
    assert upcoming(once, at("2026-12-01T09:29"), 3)


def test_lessons_one_after_the_other_keep_a_server_until_the_last():
    both = [a_schedule("08:00", "09:00"), replace(a_schedule("09:00", "10:00"), name="next", groups=("staff",))]
    assert kept_until(both, ("physics", "staff"), at("2026-11-24T07:30")).at == at("2026-11-24T09:00")
    assert kept_until(both, ("physics",), at("2026-11-24T07:30")).at == at("2026-11-24T08:00")
    assert kept_until(both, ("others",), at("2026-11-24T07:30")) is None
    assert kept_until([replace(both[0], is_paused=True)], ("physics",), at("2026-11-24T07:30")) is None


ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "UTC")
MINUTES = st.integers(0, 1439)


@settings(max_examples=60)
@given(st.sampled_from(ZONES), st.dates(date(2026, 3, 1), date(2026, 11, 30)), MINUTES, MINUTES, st.integers(0, 120))
def test_each_lesson_is_of_its_clocks_and_there_while_it_lasts(zone, day, begins, ends, lead):
    clock = [time(*divmod(minute, 60)) for minute in (begins, ends)]
    zone = zone_of(zone)
    once = Schedule("one", frozenset(), *clock, zone, ("g",), on=day, lead=timedelta(minutes=lead))
    for lesson in upcoming(once, datetime.combine(day - timedelta(days=2), time(), UTC), 2):
        if _exists(day, clock[0], zone):
            local = lesson.meets_at.astimezone(zone)
            assert (local.date(), local.time()) == (day, clock[0])
        for moment in (lesson.begins, lesson.ends - SECOND, lesson.ends + CATCH_UP - SECOND):
            assert list(lessons(once, moment)) == [lesson]
        for moment in (lesson.begins - SECOND, lesson.ends + CATCH_UP):
            assert list(lessons(once, moment)) == []
        assert of_facts(facts_of(once), 0) == once


def _exists(day, clock, zone):
    there = datetime.combine(day, clock, zone)
    return there.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == there.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (clock_of, "25:00"),
        (clock_of, "8.50"),
        (clock_of, "08:50+01:00"),
        (clock_of, "08:50:30"),
        (clock_of, "08:50:00.5"),
        (clock_of, "0" * 5000),
        (date_of, "2026-02-30"),
        (date_of, "9999-12-31"),
        (date_of, ""),
        (zone_of, ""),
        (zone_of, "../etc/passwd"),
        (zone_of, "Europe"),
        (zone_of, "x" * 5000),
    ],
)
def test_what_is_no_time_date_or_zone_is_refused(read, text):
    with pytest.raises(InvalidRequestError) as refused:
        read(text)
    assert len(refused.value.message) < 150
