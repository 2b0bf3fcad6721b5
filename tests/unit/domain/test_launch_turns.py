from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubless.domain.launch_turns import (
    MEMORY_OF_START,
    MIB,
    MOST,
    Pace,
    Room,
    first_pace,
    line,
    next_turns,
)
from hubless.domain.lifecycle import State
from tests.support.builders import NOW, a_server

MINUTE = timedelta(minutes=1)
PLENTY = Room(2, memory=24_000 * MIB, free=20_000 * MIB)
OWNERS = st.lists(st.sampled_from("abcd"), max_size=20)


def seconds(number):
    return timedelta(seconds=number)


def waiting(owners, profile="lab", first=0):
    """Return servers of these *owners*, in the order in which they were requested."""
    return [
        a_server(f"{n}", owner, state=State.REQUESTED, entered_at=NOW + seconds(first + n), profile=profile)
        for n, owner in enumerate(owners)
    ]


def starting(owners, profile="lab", since=NOW):
    return [
        a_server(f"on{n}", owner, state=State.STARTING, entered_at=since, profile=profile, launch_id=f"on{n}")
        for n, owner in enumerate(owners)
    ]


# --- whose turn it is ---


@given(OWNERS, OWNERS)
def test_everybody_comes_once_and_nobodys_many_servers_go_first(owners, busy):
    servers, on = waiting(owners), starting(busy)
    in_line = line(reversed(servers), on)
    assert Counter(in_line) == Counter(servers)
    before = Counter(server.owner_id for server in on)
    ranks = []
    for server in in_line:
        ranks.append(before[server.owner_id])
        before[server.owner_id] += 1
    assert ranks == sorted(ranks)
    for rank in set(ranks):  # first come, first served
        alike = [server.entered_at for server, its in zip(in_line, ranks, strict=True) if its == rank]
        assert alike == sorted(alike)


@given(st.permutations("abcdefgh"))
def test_with_one_server_each_the_line_is_the_order_of_requests(owners):
    assert line(waiting(owners), []) == waiting(owners)


def test_who_asks_for_twenty_servers_waits_for_others_after_the_first():
    many, late = waiting("a" * 20), waiting("bcd", first=100)
    assert line([*many, *late], [])[:5] == [many[0], *late, many[1]]
    assert line([*many, *late], starting("a"))[:4] == [*late, many[0]]


# --- how many start ---


@given(OWNERS, OWNERS, st.integers(1, 64), st.floats(1, 500), st.integers(0, 5))
def test_turns_are_the_head_of_the_line_and_fill_the_machine(owners, busy, processors, at_once, most):
    room = Room(processors, memory=10**12, free=10**12)
    servers, on = waiting(owners), starting(busy)
    turns = next_turns(servers, on, {"lab": Pace(at_once)}, room, NOW, most=most)
    assert turns == servers[: len(turns)]
    limit = most or max(1, int(at_once + 1e-6))
    assert len(turns) == min(len(servers), max(0, limit - len(on)))


@given(st.integers(0, 8000), st.integers(0, 8), st.integers(1, 20))
def test_no_turn_takes_memory_that_must_stay_free(free, on, many):
    room = Room(64, memory=8000 * MIB, free=free * MIB)
    turns = next_turns(waiting("abcdefghij"[:many]), starting("x" * on), {}, room, NOW)
    assert not turns or room.free - (on + len(turns)) * MEMORY_OF_START >= room.kept
    if len(turns) < min(many, 10):
        assert room.free - (on + len(turns) + 1) * MEMORY_OF_START < room.kept


def test_a_machine_in_which_programs_wait_for_memory_starts_nothing():
    assert next_turns(waiting("ab"), [], {}, PLENTY, NOW)
    assert not next_turns(waiting("ab"), [], {}, Room(2, PLENTY.memory, PLENTY.free, stalled=0.2), NOW)
    assert next_turns(waiting("ab"), [], {}, Room(2), NOW)  # nobody tells of memory


def test_a_small_machine_keeps_little_and_a_large_one_not_too_much():
    assert Room(1, memory=512 * MIB).kept == 64 * MIB
    assert Room(1, memory=8000 * MIB).kept == 400 * MIB
    assert Room(1, memory=512_000 * MIB).kept == 1024 * MIB


def test_slow_and_quick_starts_share_the_machine():
    paces = {"slow": Pace(2), "quick": Pace(8)}
    quick = waiting("bcdefghij", "quick")
    assert len(next_turns(quick, [], paces, PLENTY, NOW)) == 8
    assert len(next_turns(quick, starting("a", "slow"), paces, PLENTY, NOW)) == 4
    assert next_turns(waiting("b", "slow"), starting("acde", "quick"), paces, PLENTY, NOW) != []
    assert next_turns(waiting("b", "slow"), starting("acdef", "quick"), paces, PLENTY, NOW) == []


@given(st.floats(0, 10_000), st.floats(0, 10_000), st.one_of(st.none(), st.floats(0.001, 100)), st.integers(0, 5))
def test_a_start_that_lasts_gives_back_ever_more_of_its_turn(earlier, more, quick, most):
    paces = {"lab": Pace(4, seconds(quick) if quick else None)}

    def turns(lasted):
        on = starting("xxxx", since=NOW - seconds(lasted))
        return len(next_turns(waiting("abcdefgh"), on, paces, PLENTY, NOW, most=most))

    assert turns(earlier) <= turns(earlier + more) <= (most or 4)


def test_servers_that_hang_hold_up_nobody_for_long():
    paces = {"lab": Pace(4, seconds(0.7)), "slow": Pace(4)}
    for profile, late in (("lab", 2.8), ("slow", 10)):
        on = starting("xxxx", profile, since=NOW - seconds(late))
        assert next_turns(waiting("ab", profile), on, paces, PLENTY, NOW) == []
        on = starting("xxxx", profile, since=NOW - seconds(2 * late))
        assert len(next_turns(waiting("abc", profile), on, paces, PLENTY, NOW)) == 2
        assert next_turns(waiting("ab", profile), on, paces, PLENTY, NOW, most=2) == []  # two and two
    on = starting("x" * 20, since=NOW - seconds(56))
    assert len(next_turns(waiting("abcd"), on, paces, PLENTY, NOW)) == 3


@given(st.integers(0, 40), st.integers(0, 5))
def test_starts_that_do_nothing_hold_up_nobody_however_many_they_are(many, most):
    on = starting("x" * many)
    idle = {one.launch_id for one in on}
    paces = {"lab": Pace(4)}
    assert len(next_turns(waiting("abcdefgh"), on, paces, PLENTY, NOW, most=most, idle=idle)) == (most or 4)


def test_a_start_that_works_again_has_its_turn_again():
    on = starting("xxxx")
    for working in range(5):
        idle = {one.launch_id for one in on[working:]}
        assert len(next_turns(waiting("abcdef"), on, {"lab": Pace(4)}, PLENTY, NOW, idle=idle)) == 4 - working


@pytest.mark.parametrize("is_idle", [False, True])
def test_a_server_that_hangs_keeps_its_memory(is_idle):
    on = starting("x" * 10, since=NOW - MINUTE)
    scarce = Room(2, memory=8000 * MIB, free=400 * MIB + 10 * MEMORY_OF_START)
    assert next_turns(waiting("a"), on, {}, scarce, NOW, idle=[one.launch_id for one in on if is_idle]) == []


def test_a_clock_that_was_put_back_takes_no_turn_away():
    on = starting("xxx", since=NOW + MINUTE)
    assert len(next_turns(waiting("ab"), on, {"lab": Pace(4)}, PLENTY, NOW)) == 1


# --- the pace ---


@given(st.lists(st.tuples(st.floats(0, 1000), st.integers(1, 100)), max_size=60), st.integers(1, 64))
def test_the_pace_stays_within_its_bounds(starts, processors):
    pace = first_pace(processors)
    for took, others in starts:
        pace = pace.after(seconds(took), starting=others, processors=processors, longest=MINUTE)
        assert processors <= pace.at_once <= MOST * processors


def settled(alone, work, processors, longest=MINUTE):
    """Return the pace on a machine where a start takes *alone* seconds, *work* of them of a processor."""
    pace = first_pace(processors)
    for _ in range(300):
        at_once = int(pace.at_once)
        took = max(alone, at_once * work / processors)
        pace = pace.after(seconds(took), starting=at_once, processors=processors, longest=longest)
    return int(pace.at_once)


def test_forked_servers_start_more_at_once_than_those_that_load_packages():
    forked, fresh = settled(0.65, 0.3, 2), settled(3.9, 2.7, 2)
    assert fresh < forked
    for at_once, alone, work in ((forked, 0.65, 0.3), (fresh, 3.9, 2.7)):
        assert at_once * work / 2 >= alone  # the processors are busy
        assert at_once * work / 2 <= 4 * alone  # and nobody waits long in a start


def test_starts_stay_far_from_the_time_that_they_may_take():
    assert settled(10, 10, 2, longest=MINUTE) * 10 / 2 <= 20


def test_a_start_that_ran_out_of_time_slows_the_others_down():
    pace = Pace(10, seconds(1))
    assert pace.after(MINUTE, starting=10, processors=2, longest=MINUTE).at_once < pace.at_once
    assert pace.after(seconds(1), starting=10, processors=2, longest=MINUTE).at_once > pace.at_once
    assert pace.after(seconds(1), starting=1, processors=2, longest=MINUTE).at_once == pace.at_once  # nobody tried more


def test_a_start_in_which_the_clock_was_set_back_says_nothing():
    pace = Pace(8, seconds(1))
    for took in (seconds(-3600), seconds(0)):
        assert pace.after(took, starting=8, processors=2, longest=MINUTE) == pace
