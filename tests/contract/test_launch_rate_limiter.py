"""What a pace promises to all who launch, each in a process of its own with a clock of its own."""

from datetime import timedelta

import pytest

from hubless.adapters.no_rate_limit import NoRateLimit
from hubless.domain.errors import CapacityUnavailableError, StoreUnavailableError
from tests.support.builders import NOW
from tests.support.concurrency import MANY, concurrently
from tests.support.dynamodb import Contents, a_rate_limiter, in_new_table
from tests.support.fakes import StoppedClock

TENTH = timedelta(seconds=0.1)


class Launcher:
    """One who takes turns by its own clock, which passes while it sleeps only, and notes when they were."""

    def __init__(self, database, clock=None):
        self.clock, self.turns = clock or StoppedClock(NOW), []
        self.launch_rate_limiter = a_rate_limiter(database, self.clock, self.sleep)

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


def test_turns_follow_each_other_at_the_rate_after_a_burst(database):
    launcher = Launcher(database)

    for _ in range(6):
        launcher.take()

    assert launcher.turns == [NOW, NOW, NOW, NOW + TENTH, NOW + 2 * TENTH, NOW + 3 * TENTH]


def test_all_share_one_row_of_turns(database):
    one, other = Launcher(database), Launcher(database)

    for launcher in (one, other, other, one, other):
        launcher.take()

    assert (one.turns, other.turns) == ([NOW, NOW + TENTH], [NOW, NOW, NOW + 2 * TENTH])


def test_of_many_at_once_each_has_a_turn_of_its_own(database):
    waits = [0.0] * MANY

    def take(number):
        a_rate_limiter(database, sleep=lambda seconds: waits.__setitem__(number, seconds)).acquire()

    assert concurrently(take) == [None] * MANY
    assert sorted(waits) == pytest.approx([max(0, number - 2) / 10 for number in range(MANY)])


def test_after_a_rest_turns_come_at_once_again_but_no_more_than_the_burst(database):
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


def test_a_turn_that_is_too_far_off_is_refused_with_when_to_ask_and_takes_nothing(database):
    asleep = StoppedClock(NOW)
    waiting = [Launcher(database) for _ in range(13)]
    for launcher in waiting:
        launcher.take()
    refused = []
    for launcher in (Launcher(database), waiting[0], waiting[-1]):
        launcher.clock = launcher.launch_rate_limiter._clock = asleep
        with pytest.raises(CapacityUnavailableError, match=r"comes in 0\.1 seconds") as error:
            launcher.take()
        refused.append(error.value.after)

    assert all(TENTH <= after <= TENTH + timedelta(seconds=1) for after in refused)
    assert len(set(refused)) == 3  # not all come back at one moment
    asleep.advance(TENTH)
    launcher.take()
    assert launcher.turns[-1] == NOW + timedelta(seconds=1.1)


def test_clocks_that_differ_bring_no_more_turns_together_than_they_differ_by(database):
    behind, ahead = StoppedClock(NOW), StoppedClock(NOW)
    ahead.skew = timedelta(seconds=0.5)
    late, early = Launcher(database, behind), Launcher(database, ahead)

    for _ in range(3):
        late.take()
    for _ in range(8):
        early.take()

    # To the one ahead it is half a second later: another burst was there for it. Five turns could be the most.
    began = sorted([*late.turns, *(turn - ahead.skew for turn in early.turns)])
    assert began == [NOW] * 6 + [NOW + number * TENTH for number in (1, 2, 3, 4, 5)]


def test_a_clock_that_was_quite_wrong_holds_up_nobody(database):
    wrong, right = Launcher(database), Launcher(database)
    wrong.clock.advance(timedelta(hours=1))
    wrong.take()

    for _ in range(2):
        right.take()

    assert right.turns == [NOW, NOW + TENTH]


def test_a_table_that_does_not_answer_is_said_to_be_away(database):
    launcher = Launcher(database)
    launcher.take()
    database.drop()
    try:
        with pytest.raises(StoreUnavailableError):
            launcher.take()
    finally:
        database.create(expires=False)


def test_a_turn_is_one_write_and_the_first_of_a_function_at_most_two(in_moto):
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


def test_where_nothing_is_shared_there_is_nothing_to_wait_for():
    for _ in range(1000):
        assert NoRateLimit().acquire() is None
