from datetime import timedelta

import pytest

from hubless.domain.launch_times import COUNT_FOR, RECENT, LaunchTime, about, is_late, usual, with_newest
from tests.support.builders import NOW


def seconds(number):
    return timedelta(seconds=number)


def times(*numbers, at=NOW):
    return tuple(LaunchTime(at, seconds(number)) for number in numbers)


def test_nothing_is_promised_of_a_profile_that_was_rarely_launched():
    assert usual((), NOW) is None
    assert usual(times(30, 31), NOW) is None


def test_one_slow_launch_changes_little():
    assert usual(times(30, 32, 600), NOW) == seconds(32)


def test_launches_of_long_ago_count_no_more():
    old = times(30, 31, 32, at=NOW - COUNT_FOR)
    assert usual(old, NOW) is None
    assert usual(times(5, at=NOW) + old, NOW) is None
    assert usual(times(1, 1, 1, at=NOW + COUNT_FOR), NOW) is None  # of a wrong clock


def test_a_clock_that_was_set_back_makes_no_launch_negative():
    assert usual(times(-9, -9, -9), NOW) == seconds(0)


def test_only_the_latest_launches_are_remembered():
    known = times(*range(RECENT))
    assert with_newest(known, LaunchTime(NOW, seconds(99))) == (*known[1:], LaunchTime(NOW, seconds(99)))


@pytest.mark.parametrize(
    ("took", "said"),
    [
        (0, "a few seconds"),
        (5, "a few seconds"),
        (5.1, "about 10 seconds"),
        (38, "about 40 seconds"),
        (55, "about 55 seconds"),
        (56, "about a minute"),
        (89, "about a minute"),
        (91, "about 2 minutes"),
        (600, "about 10 minutes"),
    ],
)
def test_an_estimate_is_no_more_exact_than_it_can_be(took, said):
    assert about(seconds(took)) == said


def test_a_launch_is_late_that_takes_clearly_longer():
    assert not is_late(seconds(90), usually=seconds(40))
    assert is_late(seconds(91), usually=seconds(40))
    assert not is_late(seconds(9), usually=seconds(1))
