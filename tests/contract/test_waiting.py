from datetime import timedelta

import pytest

from hubless.domain.errors import QuotaExceededError
from hubless.domain.lifecycle import State
from hubless.domain.waiting import GONE_AFTER, MOST_AHEAD, Waiting
from tests.support.builders import NOW, a_server, a_user
from tests.support.concurrency import MANY, concurrently

SECOND = timedelta(seconds=1)


def at(seconds):
    return NOW + seconds * SECOND


@pytest.fixture
def line(stores, alice, bob):
    """Alice waits since NOW, and Bob since a second later."""
    stores.waiting.ask("u-alice", NOW)
    stores.waiting.ask("u-bob", at(1))
    return stores.waiting


def test_who_waits_keeps_the_place_at_each_question(line):
    assert line.ask("u-alice", at(60)) == Waiting("u-alice", NOW, at(60))
    assert line.find("u-alice", at(61)) == Waiting("u-alice", NOW, at(60))
    assert line.ahead(line.find("u-alice", at(61)), at(61)) == 0
    assert line.ahead(line.find("u-bob", at(61)), at(61)) == 1
    assert line.ahead(None, at(61)) == 2


def test_who_does_not_wait_has_no_place(line):
    assert line.find("u-carol", NOW) is None
    line.leave("u-carol")


def test_who_leaves_lets_others_move_up_and_comes_back_at_the_end(line):
    line.leave("u-alice")
    assert line.find("u-alice", at(2)) is None
    assert line.ahead(line.find("u-bob", at(2)), at(2)) == 0
    line.ask("u-alice", at(3))
    assert line.ahead(line.find("u-alice", at(3)), at(3)) == 1


def test_who_asks_no_more_holds_nobody_up(line):
    gone = NOW + GONE_AFTER
    line.ask("u-bob", gone - SECOND)
    assert line.find("u-alice", gone - SECOND) is not None
    assert line.find("u-alice", gone) is None
    assert line.ahead(line.find("u-bob", gone), gone) == 0
    assert line.ask("u-alice", gone) == Waiting("u-alice", gone, gone)
    assert line.ahead(line.find("u-alice", gone), gone) == 1
    assert line.ahead(None, gone) == 2


def test_what_a_wrong_clock_wrote_into_the_future_does_not_count(line):
    line.ask("u-alice", NOW + 10 * GONE_AFTER)
    line.ask("u-bob", at(2))
    assert line.find("u-alice", at(2)) is None
    assert line.ahead(None, at(2)) == 1
    assert line.ask("u-alice", at(3)) == Waiting("u-alice", at(3), at(3))


def test_those_who_have_gone_are_removed_on_the_way(line):
    long_after = NOW + 3 * GONE_AFTER
    line.ask("u-bob", long_after)
    assert line.ahead(None, long_after) == 1
    assert line.find("u-alice", NOW) is None


def test_a_question_of_many_requests_at_once_is_one_place(stores, alice):
    answers = concurrently(lambda number: stores.waiting.ask("u-alice", at(number)))
    assert {type(answer) for answer in answers} == {Waiting}
    assert stores.waiting.ahead(None, at(MANY)) == 1


def test_more_than_a_number_of_people_are_not_counted(stores):
    names = [f"user{number}" for number in range(MOST_AHEAD + 1)]
    stores.users.create([a_user(name) for name in names])
    for name in names:
        stores.waiting.ask(f"u-{name}", NOW)
    assert stores.waiting.ahead(None, NOW) == MOST_AHEAD


def test_a_place_in_the_line_ends_with_its_user(stores, line):
    stores.users.delete("u-alice")
    assert line.find("u-alice", at(2)) is None
    line.ask("u-alice", at(3))
    assert line.find("u-alice", at(3)) is None


def start(stores, owner, *, kept):
    server = a_server("lab", owner=owner)
    stores.servers.create(server)
    active = a_server("lab", owner=owner, state=State.REQUESTED, launch_id="l1", revision=1)
    stores.servers.write(server, active, active_limit=3, places_kept=kept)


@pytest.mark.parametrize("recounted", [False, True])
def test_places_that_are_kept_for_others_are_not_taken(stores, alice, bob, recounted):
    if recounted:
        stores.servers.recount_active(3, NOW)
    start(stores, "alice", kept=2)
    with pytest.raises(QuotaExceededError):
        start(stores, "bob", kept=2)
    bobs = stores.servers.find("u-bob", "lab")
    active = a_server("lab", owner="bob", state=State.REQUESTED, launch_id="l1", revision=1)
    stores.servers.write(bobs, active, active_limit=3, places_kept=1)
    assert stores.servers.count([State.REQUESTED]) == 2


def test_places_are_kept_beside_servers_that_no_counter_knows(stores, alice, bob):
    stores.servers.create(a_server(owner="bob", state=State.READY, launch_id="l0"))  # it started without a limit
    with pytest.raises(QuotaExceededError):
        start(stores, "alice", kept=2)
