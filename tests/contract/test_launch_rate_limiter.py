"""The promises of the launch rate limiter to launchers in several processes, each with its own clock."""

from datetime import timedelta

import pytest

from hubless.adapters.dynamodb import keys
from hubless.adapters.no_rate_limit import NoRateLimit
from hubless.domain.errors import CapacityUnavailableError, StoreUnavailableError
from tests.support.builders import NOW
from tests.support.concurrency import MANY, concurrently
from tests.support.dynamodb import Contents, a_rate_limiter, in_new_table
from tests.support.fakes import StoppedClock

TENTH = timedelta(seconds=0.1)


class Launcher:
    """A launcher that takes slots and notes their times; its own clock advances only while it sleeps."""

    def __init__(self, database, clock=None, **others):
        self.clock, self.turns = clock or StoppedClock(NOW), []
        self.launch_rate_limiter = a_rate_limiter(database, self.clock, self.sleep, **others)

    def sleep(self, seconds):
        assert seconds > 0
        self.clock.advance(timedelta(seconds=seconds))

    def take(self):
        self.launch_rate_limiter.acquire()
        self.turns.append(self.clock.now())


@pytest.fixture(params=["in_moto", "in_ministack"])
def database(request):
    made = in_new_table(request.getfixturevalue(request.param))
    yield made.database
    made.close()


def test_slots_follow_at_the_rate_after_a_burst(database):
    launcher = Launcher(database)

    for _ in range(6):
        launcher.take()

    assert launcher.turns == [NOW, NOW, NOW, NOW + TENTH, NOW + 2 * TENTH, NOW + 3 * TENTH]


def test_all_launchers_share_the_slots(database):
    one, other = Launcher(database), Launcher(database)

    for launcher in (one, other, other, one, other):
        launcher.take()

    assert (one.turns, other.turns) == ([NOW, NOW + TENTH], [NOW, NOW, NOW + 2 * TENTH])


def test_concurrent_callers_get_different_slots(database):
    waits = [0.0] * MANY

    def take(number):
        a_rate_limiter(database, sleep=lambda seconds: waits.__setitem__(number, seconds)).acquire()

    assert concurrently(take) == [None] * MANY
    assert sorted(waits) == pytest.approx([max(0, number - 2) / 10 for number in range(MANY)])


def test_after_a_pause_only_the_burst_comes_at_once(database):
    one, other = Launcher(database), Launcher(database)
    for _ in range(5):
        one.take()
    later = NOW + timedelta(minutes=10)
    for launcher in (one, other):
        launcher.clock.advance(later - launcher.clock.now())
        launcher.turns.clear()

    for launcher in (other, one, other, one):
        launcher.take()

    assert sorted(one.turns + other.turns) == [later, later, later, later + TENTH]


def test_a_slot_too_far_away_is_refused_with_a_retry_time(database):
    asleep = StoppedClock(NOW)
    waiting = [Launcher(database) for _ in range(13)]
    for launcher in waiting:
        launcher.take()
    refused = []
    for launcher in (Launcher(database), waiting[0], waiting[-1]):
        launcher.clock = launcher.launch_rate_limiter._clock = asleep
        with pytest.raises(CapacityUnavailableError, match=r"is 0\.1 seconds away") as error:
            launcher.take()
        refused.append(error.value.after)

    assert all(TENTH <= after <= TENTH + timedelta(seconds=1) for after in refused)
    assert len(set(refused)) == 3  # not all come back at one moment
    asleep.advance(TENTH)
    launcher.take()
    assert launcher.turns[-1] == NOW + timedelta(seconds=1.1)


def test_clock_differences_bound_the_extra_slots(database):
    behind, ahead = StoppedClock(NOW), StoppedClock(NOW)
    ahead.skew = timedelta(seconds=0.5)
    late, early = Launcher(database, behind), Launcher(database, ahead)

    for _ in range(3):
        late.take()
    for _ in range(8):
        early.take()

    # The launcher's clock that is ahead sees half a second more: another burst. Five slots are the most.
    began = sorted([*late.turns, *(turn - ahead.skew for turn in early.turns)])
    assert began == [NOW] * 6 + [NOW + number * TENTH for number in (1, 2, 3, 4, 5)]


def test_a_slot_of_a_wrong_clock_is_ignored(database):
    wrong, right = Launcher(database), Launcher(database)
    wrong.clock.advance(timedelta(hours=1))
    wrong.take()

    for _ in range(2):
        right.take()

    assert right.turns == [NOW, NOW + TENTH]


def test_limiters_of_two_items_do_not_share_slots(database):
    launches, preparations = Launcher(database), Launcher(database, item=keys.PREPARATION_SLOT)

    for launcher in (launches, preparations) * 4:
        launcher.take()

    assert launches.turns == preparations.turns == [NOW, NOW, NOW, NOW + TENTH]


def test_who_leaves_a_reserve_leaves_that_much_of_the_burst(database):
    starts, ahead = Launcher(database), Launcher(database, reserve=2)

    for _ in range(4):
        ahead.take()
    starts.clock.advance(ahead.clock.now() - NOW)
    for _ in range(3):
        starts.take()

    assert ahead.turns == [NOW, NOW + TENTH, NOW + 2 * TENTH, NOW + 3 * TENTH]
    assert starts.turns == [NOW + 3 * TENTH] * 2 + [NOW + 4 * TENTH]


def test_who_leaves_a_reserve_is_refused_while_others_need_it(database):
    starts, ahead = Launcher(database), Launcher(database, reserve=2)
    for _ in range(12):
        starts.take()
    ahead.clock.advance(TENTH)

    with pytest.raises(CapacityUnavailableError):
        ahead.take()
    assert ahead.turns == []


def test_an_unreachable_table_raises_store_unavailable(database):
    launcher = Launcher(database)
    launcher.take()
    database.drop()
    try:
        with pytest.raises(StoreUnavailableError):
            launcher.take()
    finally:
        database.create(expires=False)


def test_a_slot_costs_one_write_and_the_first_at_most_two(in_moto):
    made = in_new_table(in_moto)
    calls = []
    in_moto.client.meta.events.register("before-call.dynamodb", count := lambda model, **_: calls.append(model.name))
    try:
        for _ in range(2):
            launcher = Launcher(in_moto)
            for _ in range(4):
                launcher.take()
        assert calls == ["UpdateItem"] * (4 + 5)
        assert len(Contents().read()) == 1
    finally:
        in_moto.client.meta.events.unregister("before-call.dynamodb", count)
        made.close()


def test_without_a_rate_limit_nobody_waits():
    for _ in range(1000):
        assert NoRateLimit().acquire() is None
    assert NoRateLimit().interval == timedelta()
