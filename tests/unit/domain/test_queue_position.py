from bisect import bisect_left
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from hubless.domain.queue_position import MARKS, QueueDigest, digest
from tests.support.builders import NOW

seconds = st.integers(0, 10**8).map(lambda number: timedelta(microseconds=number))
queues = st.lists(seconds, max_size=900).map(lambda times: [NOW + time for time in sorted(times)])


def every(second, length):
    return [NOW + timedelta(seconds=second * number) for number in range(length)]


def test_a_digest_has_every_entry_of_a_short_queue():
    queue = every(1, MARKS)

    made = digest(queue, NOW)

    assert made == QueueDigest(NOW, MARKS, 1, tuple(queue))
    assert [made.queue_position(at) for at in queue] == list(range(MARKS))


def test_the_position_in_an_empty_queue_is_zero():
    assert digest([], NOW).queue_position(NOW) == 0


def test_a_digest_of_2000_has_every_tenth_and_interpolates():
    queue = every(0.03, 2000)

    made = digest(queue, NOW)

    assert (made.length, made.step, len(made.marks)) == (2000, 10, MARKS + 1)
    assert [made.queue_position(at) for at in queue] == list(range(2000))


def test_an_entry_after_the_digest_is_behind_all_of_it():
    assert digest(every(1, 1000), NOW).queue_position(NOW + timedelta(days=1)) == 1000


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(queues, seconds)
def test_a_position_is_wrong_by_less_than_a_step(queue, later):
    made = digest(queue, NOW)

    assert len(made.marks) <= MARKS + 1
    for at in [*queue[:: max(1, len(queue) // 50)], NOW + later]:
        assert abs(made.queue_position(at) - bisect_left(queue, at)) < made.step


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(queues, st.lists(seconds, min_size=2, max_size=20))
def test_a_later_entry_never_has_a_better_position(queue, times):
    made = digest(queue, NOW)

    received = [made.queue_position(NOW + at) for at in sorted(times)]

    assert received == sorted(received)
