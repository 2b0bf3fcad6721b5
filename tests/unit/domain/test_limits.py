from datetime import timedelta

import pytest

from hubless.domain import limits
from hubless.domain.limits import NOTICE_INTERVAL, LimitReached, Resource
from tests.support.builders import NOW

GIB = 2**30


def memory(count, at=None):
    return LimitReached(Resource.MEMORY, GIB, count, at)


def processes(count, at=None):
    return LimitReached(Resource.PROCESSES, 512, count, at)


def test_what_is_first_seen_is_noted_with_the_time():
    assert limits.noted((), [memory(1)], NOW) == (memory(1, NOW),)
    assert limits.noted((), [], NOW) is None
    assert limits.noted((), [memory(0)], NOW) is None


def test_what_is_known_is_no_news():
    assert limits.noted((memory(1, NOW),), [memory(1)], NOW + timedelta(days=1)) is None


def test_a_count_that_grows_is_noted_once_an_interval():
    known = (memory(1, NOW),)
    assert limits.noted(known, [memory(9)], NOW + NOTICE_INTERVAL / 2) is None
    later = NOW + NOTICE_INTERVAL
    assert limits.noted(known, [memory(9)], later) == (memory(9, later),)


def test_one_resource_does_not_silence_the_other():
    known = (memory(1, NOW),)
    assert limits.noted(known, [memory(1), processes(3)], NOW) == (memory(1, NOW), processes(3, NOW))


def test_a_clock_that_was_set_back_silences_nothing():
    before = NOW - timedelta(hours=3)
    assert limits.noted((memory(1, NOW),), [memory(2)], before) == (memory(2, before),)


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0 MiB"), (200 * 2**20, "200 MiB"), (GIB, "1 GiB"), (3 * GIB // 2, "1.5 GiB"), (2**40, "1 TiB")],
)
def test_sizes_are_said_as_people_say_them(number, words):
    assert limits.size(number) == words


def test_limits_are_said_with_their_unit():
    assert limits.limit_in_words(Resource.MEMORY, GIB) == "memory limit of 1 GiB"
    assert limits.limit_in_words(Resource.PROCESSES, 512) == "limit of 512 processes and threads"
