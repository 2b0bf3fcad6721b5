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


def taken(rhythm, arrivals, free=None):
    """Return what each of *arrivals* (instants by the asker's own clock) gets, one after the other."""
    found = []
    for now in arrivals:
        got = rhythm.next_slot(free, now)
        free = got.next_free if isinstance(got, Slot) else free
        found.append(got)
    return found


def test_after_a_rest_the_burst_is_had_at_once_and_then_turns_follow_at_the_interval():
    turns = taken(RATE, [NOW] * 6)

    assert [turn.at - NOW for turn in turns] == [-2 * TENTH, -TENTH, 0 * TENTH, TENTH, 2 * TENTH, 3 * TENTH]


def test_turns_that_have_gone_by_are_lost_but_for_the_burst():
    first, *_ = taken(RATE, [NOW] * 10)
    (later,) = taken(RATE, [NOW + seconds(60)], first.next_free)

    assert later.at == NOW + seconds(60) - 2 * TENTH


def test_who_asks_steadily_below_the_rate_never_waits():
    turns = taken(RATE, [NOW + number * TENTH for number in range(50)])

    assert all(turn.at <= NOW + number * TENTH for number, turn in enumerate(turns))


def test_the_farthest_turn_is_as_far_off_as_may_be_waited_and_the_next_is_told_when_to_ask():
    *turns, refused = taken(RATE, [NOW] * 14)

    assert turns[-1].at == NOW + RATE.longest_wait
    assert refused == NoFreeSlot(TENTH)
    again = RATE.next_slot(turns[-1].next_free, NOW + refused.after)
    assert again == Slot(turns[-1].next_free, turns[-1].next_free + TENTH)


def test_a_refusal_takes_nothing():
    outcomes = taken(RATE, [NOW] * 20)

    assert outcomes[13:] == [outcomes[13]] * 7


def test_a_time_that_no_right_clock_wrote_holds_up_nobody():
    wrong = NOW + seconds(3600)

    assert RATE.next_slot(wrong, NOW) == Slot(NOW, NOW + TENTH)
    assert isinstance(RATE.next_slot(NOW + seconds(30), NOW), NoFreeSlot)  # that much clocks may differ


@pytest.mark.parametrize(
    ("free", "is_under_way"),
    [(None, False), (-0.3, False), (-0.2, True), (0, True), (1, True), (1.1, False)],
)
def test_turns_are_under_way_while_the_next_one_has_not_gone_by_and_is_near(free, is_under_way):
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
def test_no_stretch_of_time_has_more_turns_than_burst_and_rate_allow_and_clocks_differ(
    rate, burst, wait, skews, askers
):
    rhythm = LaunchRate(rate, burst, seconds(wait))
    free, began = None, []
    for at, clock in sorted(askers):
        skew = seconds(skews[clock % len(skews)])
        got = rhythm.next_slot(free, NOW + seconds(at) + skew)
        if isinstance(got, Slot):
            assert free is None or got.at >= free
            assert got.at - (NOW + seconds(at) + skew) <= rhythm.longest_wait
            free = got.next_free
            began.append(max(NOW + seconds(at), got.at - skew))
    began.sort()
    differ = seconds(max(skews)) - seconds(min(skews))
    for first, start in enumerate(began):
        for last, end in enumerate(began[first:], first):
            assert (last - first + 1 - burst) * rhythm.interval <= end - start + differ


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(st.floats(0, 5), min_size=1, max_size=60))
def test_no_turn_is_left_idle_while_somebody_waits(arrivals):
    rhythm = LaunchRate(10, 1, seconds(60))
    instants = [NOW + seconds(at) for at in sorted(arrivals)]

    turns = taken(rhythm, instants)

    began = [max(turn.at, at) for turn, at in zip(turns, instants, strict=True)]
    for before, here, at in zip(began, began[1:], instants[1:], strict=False):
        assert here == max(at, before + rhythm.interval)
