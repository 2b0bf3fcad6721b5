"""Announcements and maintenance: what is allowed, who reads it, and whom it refuses."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hubless.domain import announcements, maintenance
from hubless.domain.announcements import Announcement, Kind
from hubless.domain.errors import InvalidRequestError
from hubless.domain.maintenance import Maintenance, StartCheck
from hubless.domain.wall_times import instant_of, on_the_clock, zone_of
from tests.support.builders import NOW

HOUR, MOMENT = timedelta(hours=1), timedelta(microseconds=1)
EXAMS = Announcement("n-1", "Exams", Kind.INFO, NOW, NOW + HOUR, "ada", NOW, ("physics", "lab"))
DISKS = Maintenance("m-1", "New disks", NOW, "ada", NOW + HOUR)


@pytest.mark.parametrize(
    ("at", "is_shown"), [(NOW - MOMENT, False), (NOW, True), (NOW + HOUR - MOMENT, True), (NOW + HOUR, False)]
)
def test_an_announcement_is_shown_from_its_start_until_its_end(at, is_shown):
    assert EXAMS.is_shown(at) is is_shown


@pytest.mark.parametrize(
    ("named", "groups", "is_for"),
    [
        (("physics",), ("lab", "physics"), True),
        (("physics",), ("lab",), False),
        (("physics",), (), False),
        (("physics",), None, False),
        ((), (), True),
        ((), None, True),
    ],
)
def test_an_announcement_is_for_its_groups_or_for_everybody(named, groups, is_for):
    assert replace(EXAMS, groups=named).is_for(groups) is is_for


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"text": " \n"}, "Write what people shall read"),
        ({"text": "\u200b\u2060"}, "Write what people shall read"),
        ({"text": "x" * 2_001}, "at most 2000 characters"),
        ({"ends_at": NOW}, "must be in the future"),
        ({"ends_at": NOW + timedelta(days=367)}, "at most 366 days"),
        ({"starts_at": NOW + HOUR}, "must come after the start"),
        ({"groups": tuple(f"g{n}" for n in range(21))}, "at most 20 groups"),
        ({"groups": ("a/b",)}, "Invalid group name"),
    ],
)
def test_an_announcement_that_is_not_allowed_is_refused_by_name(facts, words):
    with pytest.raises(InvalidRequestError, match=words):
        announcements.check(replace(EXAMS, **facts), NOW)


def test_an_announcement_may_be_as_large_as_its_bounds():
    groups = tuple(f"g{n}" for n in range(20))
    announcements.check(
        replace(EXAMS, text="x" * 2_000, ends_at=NOW + timedelta(days=366), groups=groups, starts_at=NOW - HOUR), NOW
    )


@pytest.mark.parametrize(
    ("maintained", "at", "of_admin", "refuses"),
    [
        (DISKS, NOW, False, True),
        (DISKS, NOW - HOUR, False, True),  # by another machine's clock
        (DISKS, NOW + HOUR, False, False),
        (DISKS, NOW, True, True),
        (replace(DISKS, admins_start=True), NOW, True, False),
        (replace(DISKS, admins_start=True), NOW, False, True),
        (replace(DISKS, ends_at=None), NOW + 9999 * HOUR, False, True),
    ],
)
def test_maintenance_refuses_starts_until_its_end(maintained, at, of_admin, refuses):
    assert maintained.refuses(StartCheck(at, of_admin)) is refuses


@pytest.mark.parametrize("facts", [{"text": "x" * 1_001}, {"ends_at": NOW}, {"ends_at": NOW + timedelta(days=367)}])
def test_maintenance_that_is_not_allowed_is_refused(facts):
    with pytest.raises(InvalidRequestError):
        maintenance.check(replace(DISKS, **facts), NOW)


def test_a_refused_start_knows_how_long_the_maintenance_lasts():
    assert DISKS.refusal(NOW + HOUR / 4).after == HOUR * 3 / 4
    assert replace(DISKS, ends_at=None).refusal(NOW).after is None


@pytest.mark.parametrize(
    ("text", "zone", "at"),
    [
        ("2026-11-30T18:00", "Europe/Berlin", datetime(2026, 11, 30, 17, tzinfo=UTC)),
        (" 2026-07-30 18:00 ", "Europe/Berlin", datetime(2026, 7, 30, 16, tzinfo=UTC)),
        ("2026-11-30T18:00:30+03:00", "Europe/Berlin", datetime(2026, 11, 30, 15, 0, 30, tzinfo=UTC)),
        ("2026-10-25T02:30", "Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # the first of two
        ("2026-03-29T02:30", "Europe/Berlin", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),  # clocks skip it
        ("2026-11-30T18:00", "UTC", datetime(2026, 11, 30, 18, tzinfo=UTC)),
    ],
)
def test_a_time_on_the_clock_of_a_place_is_an_instant(text, zone, at):
    assert instant_of(text, zone_of(zone)) == at


@pytest.mark.parametrize("text", ["", "tomorrow", "18:00", "2026-13-01T00:00", "0001-01-01T00:00+14:00", "1" * 999])
def test_what_is_no_time_is_refused_with_an_example(text):
    with pytest.raises(InvalidRequestError, match="Write it as in 2026-11-30"):
        instant_of(text, zone_of("Europe/Berlin"))


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe\x00", "x" * 999])
def test_what_is_no_time_zone_is_refused_with_an_example(name):
    with pytest.raises(InvalidRequestError, match="Write it as in Europe/Berlin"):
        zone_of(name)


def test_a_form_has_the_time_on_the_clock():
    assert on_the_clock(datetime(2026, 7, 30, 16, 0, 59, tzinfo=UTC), zone_of("Europe/Berlin")) == "2026-07-30T18:00"
