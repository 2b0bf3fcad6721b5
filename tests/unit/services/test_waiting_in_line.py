"""A full hub gives its places to those who wait, first come, first served."""

from datetime import timedelta

import pytest

from hubless.domain.errors import QuotaExceededError, StoreUnavailableError
from hubless.domain.waiting import GONE_AFTER
from tests.support.builders import a_user
from tests.support.world import World

REFUSED = ("server_spawn_duration_seconds", "failure", "too-many-users")


@pytest.fixture
def world():
    """A hub with one place, in which alice's server is; and three more people."""
    world = World(active_limit=1)
    world.people = {user.name: user for user in world.users.create([a_user(name) for name in ("ben", "cleo", "dan")])}
    world.spawning.start(world.alice, "")
    return world


def free(world):
    world.stopping.stop(world.stopping.request(world.server()))


def ahead(world, name):
    """Return how many wait before somebody who asks for a place; None if there is one."""
    world.clock.advance(timedelta(seconds=1))
    try:
        world.spawning.start(world.people[name], "", waits=True)
    except QuotaExceededError as full:
        return full.ahead
    return None


def test_places_go_to_those_who_wait_in_their_order(world):
    assert [ahead(world, name) for name in ("ben", "cleo", "dan", "ben", "cleo")] == [0, 1, 2, 0, 1]
    free(world)
    assert [ahead(world, name) for name in ("dan", "cleo", "ben", "cleo", "dan")] == [2, 1, None, 0, 1]


def test_who_does_not_wait_takes_no_place_of_those_who_do(world):
    ahead(world, "ben")
    free(world)
    with pytest.raises(QuotaExceededError) as full:
        world.spawning.start(world.people["cleo"], "")
    assert full.value.ahead is None
    assert world.servers.find(world.people["cleo"].id, "") is None  # nothing is left behind
    assert ahead(world, "ben") is None


def until_gone(world, name):
    """Have somebody ask until all others have gone, and return the last answer."""
    for _ in range(3):
        world.clock.advance(GONE_AFTER / 3)
        last = ahead(world, name)
    return last


def test_a_place_is_not_kept_for_ever_for_who_has_gone(world):
    ahead(world, "ben")
    ahead(world, "cleo")
    free(world)
    assert until_gone(world, "cleo") is None


def test_a_crash_after_a_start_holds_others_up_for_a_while_only(world, monkeypatch):
    ahead(world, "ben")
    ahead(world, "cleo")
    free(world)

    def crash(_owner_id):
        raise StoreUnavailableError("the process ended")

    with monkeypatch.context() as patched:
        patched.setattr(world.stores.waiting, "leave", crash)
        with pytest.raises(StoreUnavailableError):
            ahead(world, "ben")
    bens = world.servers.find(world.people["ben"].id, "")
    world.stopping.stop(world.stopping.request(bens))
    assert ahead(world, "cleo") == 1
    assert until_gone(world, "cleo") is None


def test_who_waits_is_counted_as_refused_once(world):
    for _ in range(3):
        ahead(world, "ben")
    assert len(world.metrics.observed[REFUSED]) == 1
    with pytest.raises(QuotaExceededError):
        world.spawning.start(world.people["cleo"], "")
    assert len(world.metrics.observed[REFUSED]) == 2


def test_a_hub_without_a_limit_asks_nobody_to_wait(monkeypatch):
    world = World()
    monkeypatch.delattr(type(world.stores.waiting), "find")
    world.spawning.start(world.alice, "", waits=True)
