from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubless.domain.launch_rate import LaunchRate, NoFreeSlot, Slot
from tests.support.builders import NOW

TENTH = timedelta(seconds=0.1)
RATE = LaunchRate(rate=10, burst=3, longest_wait=timedelta(seconds=1))


def seconds(number):
    return timedelta(seconds=number)


def taken(limiter, arrivals, free=None):
    """Return the slot of each of *arrivals* (instants of the caller's own clock) in turn."""
    found = []
    for now in arrivals:
        got = limiter.next_slot(free, now)
        free = got.next_free if isinstance(got, Slot) else free
        found.append(got)
    return found


def test_after_a_pause_the_burst_comes_at_once_then_slots_at_the_interval():
    turns = taken(RATE, [NOW] * 6)

    assert [turn.at - NOW for turn in turns] == [-2 * TENTH, -TENTH, 0 * TENTH, TENTH, 2 * TENTH, 3 * TENTH]


def test_expired_slots_are_lost_except_the_burst():
    first, *_ = taken(RATE, [NOW] * 10)
    (later,) = taken(RATE, [NOW + seconds(60)], first.next_free)

    assert later.at == NOW + seconds(60) - 2 * TENTH


def test_a_caller_below_the_rate_never_waits():
    turns = taken(RATE, [NOW + number * TENTH for number in range(50)])

    assert all(turn.at <= NOW + number * TENTH for number, turn in enumerate(turns))


def test_a_slot_beyond_the_longest_wait_is_refused_with_a_retry_time():
    *turns, refused = taken(RATE, [NOW] * 14)

    assert turns[-1].at == NOW + RATE.longest_wait
    assert refused == NoFreeSlot(TENTH)
    again = RATE.next_slot(turns[-1].next_free, NOW + refused.after)
    assert again == Slot(turns[-1].next_free, turns[-1].next_free + TENTH)


def test_a_refused_caller_takes_no_slot():
    outcomes = taken(RATE, [NOW] * 20)

    assert outcomes[13:] == [outcomes[13]] * 7


def test_a_slot_that_a_wrong_clock_wrote_is_ignored():
    wrong = NOW + seconds(3600)

    assert RATE.next_slot(wrong, NOW) == Slot(NOW, NOW + TENTH)
    assert isinstance(RATE.next_slot(NOW + seconds(30), NOW), NoFreeSlot)  # that much clocks may differ


@pytest.mark.parametrize(
    ("free", "is_under_way"),
    [(None, False), (-0.3, False), (-0.2, True), (0, True), (1, True), (1.1, False)],
)
def test_the_free_slot_is_next_while_it_is_neither_expired_nor_too_far(free, is_under_way):
    at = None if free is None else NOW + seconds(free)

    assert RATE.is_under_way(at, NOW) is is_under_way


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(
    rate=st.floats(0.5, 50),
    burst=st.integers(1, 20),
    wait=st.floats(0, 5),
    skews=st.lists(st.floats(-3, 3), min_size=1, max_size=4),
    askers=st.lists(st.tuples(st.floats(0, 10), st.integers(0, 3)), max_size=60),
)
def test_no_period_exceeds_rate_and_burst_and_clock_differences(rate, burst, wait, skews, askers):
    limiter = LaunchRate(rate, burst, seconds(wait))
    free, began = None, []
    for at, clock in sorted(askers):
        skew = seconds(skews[clock % len(skews)])
        got = limiter.next_slot(free, NOW + seconds(at) + skew)
        if isinstance(got, Slot):
            assert free is None or got.at >= free
            assert got.at - (NOW + seconds(at) + skew) <= limiter.longest_wait
            free = got.next_free
            began.append(max(NOW + seconds(at), got.at - skew))
    began.sort()
    differ = seconds(max(skews)) - seconds(min(skews))
    for first, start in enumerate(began):
        for last, end in enumerate(began[first:], first):
            assert (last - first + 1 - burst) * limiter.interval <= end - start + differ


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(st.floats(0, 5), min_size=1, max_size=60))
def test_no_slot_expires_while_a_caller_waits(arrivals):
    limiter = LaunchRate(10, 1, seconds(60))
    instants = [NOW + seconds(at) for at in sorted(arrivals)]

    turns = taken(limiter, instants)

    began = [max(turn.at, at) for turn, at in zip(turns, instants, strict=True)]
    for before, here, at in zip(began, began[1:], instants[1:], strict=False):
        assert here == max(at, before + limiter.interval)


def test_a_caller_with_a_reserve_acts_later_and_moves_slots_on_alike():
    modest = LaunchRate(rate=10, burst=3, longest_wait=timedelta(seconds=1), reserve=2)
    first, second = taken(modest, [NOW] * 2)

    assert [modest.due(slot.at) - NOW for slot in (first, second)] == [0 * TENTH, TENTH]
    assert [slot.next_free for slot in (first, second)] == [slot.next_free for slot in taken(RATE, [NOW] * 2)]


def test_a_caller_with_a_reserve_waits_no_longer_than_others():
    modest = LaunchRate(rate=10, burst=3, longest_wait=timedelta(seconds=1), reserve=2)
    outcomes = taken(modest, [NOW] * 20)

    assert max(modest.due(slot.at) for slot in outcomes if isinstance(slot, Slot)) == NOW + modest.longest_wait
    assert isinstance(outcomes[-1], NoFreeSlot)
