"""How often the servers of one owner start within an hour, over each store."""

from datetime import timedelta

import pytest

from hubless.domain.errors import QuotaExceededError, StoreConflictError
from hubless.domain.lifecycle import ACTIVE, State
from tests.support.concurrency import MANY, concurrently
from tests.support.world import World

LIMIT = 3
MINUTE = timedelta(minutes=1)


@pytest.fixture
def world(stores):
    return World(stores=stores, start_limit=LIMIT, named_limit=0)


def start(world, name="", owner=None):
    return world.spawning.start(owner or world.alice, name)


def start_and_stop(world, owner=None):
    world.stopping.fail(start(world, owner=owner), "it was stopped at once")


def test_an_owner_starts_so_many_times_within_an_hour(world):
    for _ in range(LIMIT):
        start_and_stop(world)
        world.clock.advance(MINUTE)
    with pytest.raises(QuotaExceededError) as refused:
        start(world)

    assert str(refused.value) == (
        "alice's servers were started 3 times within an hour, which is the limit. Try again in 57 minutes."
    )
    assert (refused.value.limit, refused.value.retry) == (LIMIT, True)
    assert refused.value.after == timedelta(minutes=57)
    assert world.server().state not in ACTIVE

    world.clock.advance(refused.value.after)
    assert start(world).state is State.REQUESTED


def test_each_owner_has_starts_of_their_own(world):
    for _ in range(LIMIT):
        start_and_stop(world)
    assert start(world, owner=world.accounts.add("bob")).state is State.REQUESTED


def test_concurrent_starts_never_exceed_the_limit(stores):
    world = World(stores=stores, start_limit=LIMIT, named_limit=MANY)
    for number in range(MANY):
        world.spawning.create(world.alice, f"s{number}")
    outcomes = concurrently(lambda number: start(world, f"s{number}"))

    assert sum(isinstance(one, QuotaExceededError) for one in outcomes) == MANY - LIMIT
    assert world.servers.count(ACTIVE) == LIMIT


def test_a_start_that_another_won_does_not_count(world):
    stale = world.spawning.stored(world.alice, "")
    asked = start(world)
    for _ in range(LIMIT):
        with pytest.raises(StoreConflictError):
            world.spawning._write_start(world.alice, stale, asked, world.spawning._line(world.alice, waits=False))
    world.stopping.fail(asked, "stopped")
    for _ in range(LIMIT - 1):
        start_and_stop(world)
    with pytest.raises(QuotaExceededError):
        start(world)


def test_a_start_that_finds_the_hub_full_does_not_count(stores):
    world = World(stores=stores, start_limit=LIMIT, active_limit=1)
    bob = world.accounts.add("bob")
    world.spawning.stored(bob, "")
    held = start(world)
    for _ in range(2 * LIMIT):
        with pytest.raises(QuotaExceededError, match="hub is full"):
            start(world, owner=bob)
    world.stopping.fail(held, "stopped")
    assert start(world, owner=bob).state is State.REQUESTED


def test_no_limit_counts_nothing(stores):
    world = World(stores=stores)
    for _ in range(LIMIT + 2):
        start_and_stop(world)
    assert start(world).state is State.REQUESTED
