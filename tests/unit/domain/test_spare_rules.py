"""When spares are wanted, which ones a launch tries first, and which are to end."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from hubless.domain.schedules import Schedule
from hubless.domain.spares import (
    LONGEST_NOTE,
    LONGEST_START,
    LONGEST_WAIT,
    PAUSE_AFTER_FAILURE,
    Spare,
    Warmth,
    ended,
    fault,
    fitting,
    is_lost,
    missing,
    too_many,
    waiting,
)
from tests.support.builders import NOW

SECOND = timedelta(seconds=1)
MONDAYS = Schedule("lab", frozenset({0}), time(8), time(18), ZoneInfo("Europe/Berlin"), ())


def a_spare(number=1, *, waits=True, **facts):
    return replace(Spare(f"w{number}", "lab", "k", NOW, f"w{number}/t", NOW if waits else None), **facts)


@pytest.mark.parametrize(
    ("at", "count"),
    [("06:59", 0), ("07:00", 5), ("16:59", 5), ("17:00", 0)],  # UTC: Berlin is an hour ahead in winter
)
def test_within_their_hours_spares_are_wanted(at, count):
    day = datetime(2026, 11, 30, tzinfo=UTC)  # a Monday
    now = day.replace(hour=int(at[:2]), minute=int(at[3:]))
    assert Warmth(5, MONDAYS).wanted(now) == count
    assert Warmth(5, MONDAYS).wanted(now + timedelta(days=1)) == 0
    assert Warmth(5).wanted(now) == 5


def test_a_launch_tries_those_of_its_kind_that_wait_in_an_order_of_its_own():
    good = [a_spare(number) for number in range(8)]
    bad = [
        a_spare(10, kind="other"),
        a_spare(11, waits=False),
        a_spare(12, task=""),
        ended(a_spare(14), NOW),
    ]
    orders = [tuple(one.id for one in fitting([*bad, *good], "k", f"l{number}")) for number in range(20)]
    assert all(set(order) == {one.id for one in good} for order in orders)
    assert len({order[0] for order in orders}) > 4
    assert fitting([*good], "k", "l1") == fitting(reversed(good), "k", "l1")


def test_a_spare_has_so_long_to_come_to_wait():
    late = a_spare(waits=False)
    assert fault(late, NOW + LONGEST_START - SECOND) is None
    assert fault(late, NOW + LONGEST_START) == "did not wait for a launch within 15 minutes"
    assert fault(waiting(late, NOW), NOW + LONGEST_START) is None


def test_a_record_without_a_task_is_lost_after_a_while():
    assert not is_lost(a_spare(task=""), NOW + LONGEST_NOTE - SECOND)
    assert is_lost(a_spare(task=""), NOW + LONGEST_NOTE)
    assert not is_lost(a_spare(), NOW + LONGEST_NOTE)


def test_superfluous_ones_end_and_otherwise_the_oldest_for_its_age():
    old, new = a_spare(1), a_spare(2, recorded_at=NOW + SECOND)
    starting = a_spare(3, waits=False, recorded_at=NOW - SECOND)
    later = NOW + LONGEST_WAIT
    assert too_many([starting, new, old], 2, later) == [starting]
    assert too_many([new, old], 0, NOW) == [old, new]
    assert too_many([new, old], 2, later - SECOND) == []
    assert too_many([new, old], 2, later + SECOND) == [old]
    assert too_many([], 2, later) == []


def test_what_is_missing_leaves_out_those_that_failed_lately():
    free = a_spare(1)
    failed, superfluous = ended(a_spare(3), NOW, "exited"), ended(a_spare(4), NOW)
    assert missing([free, failed, superfluous], 3, NOW) == 1
    assert missing([free, failed, superfluous], 3, NOW + PAUSE_AFTER_FAILURE) == 2
    assert missing([free], 0, NOW) == 0
