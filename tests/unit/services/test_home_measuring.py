from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.adapters.sqlite.home_limits import SqliteHomeLimitStore
from hubless.adapters.sqlite.home_usage import SqliteHomeUsageStore
from hubless.domain.home_limits import HomeLimits
from hubless.domain.home_usage import HomeUsage
from hubless.domain.lifecycle import State
from hubless.ports.home_limits import LimitOf
from hubless.ports.home_usage import HomeSize
from hubless.services import home_measuring
from hubless.services.home_limiting import HomeLimiting
from hubless.services.home_measuring import AGAIN_AFTER, AGAIN_WHEN_OVER, HomeMeasuring
from tests.support.builders import NOW, a_server, a_user
from tests.support.fakes import StoppedClock
from tests.support.sqlite import InMemory, stores_of


class Homes:
    """Homes of which each measurement takes two steps."""

    def __init__(self):
        self.sizes, self.measured = {}, []

    def walk(self, owner_id, task):
        if owner_id not in self.sizes:
            return None
        self.measured.append((owner_id, task))
        return iter([HomeSize(1), HomeSize(self.sizes[owner_id])])


class Place:
    def __init__(self):
        database = InMemory()
        self.stores, self.clock, self.homes = stores_of(database), StoppedClock(NOW), Homes()
        self.usage = SqliteHomeUsageStore(database)
        self.limits = SqliteHomeLimitStore(database)
        self.measuring = HomeMeasuring(
            self.stores.servers,
            self.stores.users,
            self.usage,
            self.homes,
            self.clock,
            HomeLimiting(HomeLimits(), self.usage, self.limits),
        )

    def user(self, name, size=100, **facts):
        self.stores.users.create([a_user(name, **facts)])
        self.homes.sizes[f"u-{name}"] = size

    def measure(self, **how):
        self.homes.measured.clear()
        steps = sum(1 for _ in self.measuring.steps(**how))
        assert steps == 2 * len(self.homes.measured)
        return [owner_id.removeprefix("u-") for owner_id, _ in self.homes.measured]


@pytest.fixture
def place():
    return Place()


def test_the_home_of_an_active_server_is_measured_again_and_again(place):
    place.user("alice", 700)
    place.stores.servers.create(a_server(state=State.READY, launch_id="l1", task="t1"))
    assert place.measure() == ["alice"]
    assert place.homes.measured == [("u-alice", "t1")]
    assert place.usage.get_many(["u-alice"]) == {"u-alice": HomeUsage("u-alice", 700, True, NOW)}
    assert place.measure() == []
    place.clock.advance(AGAIN_AFTER)
    place.homes.sizes["u-alice"] = 900
    assert place.measure() == ["alice"]
    assert place.usage.get_many(["u-alice"])["u-alice"].size == 900


def test_without_a_server_a_home_is_measured_until_it_rests(place):
    place.user("alice")
    place.stores.users.touch("u-alice", NOW)
    assert place.measure() == ["alice"]
    rounds = 0
    for _ in range(10):
        place.clock.advance(AGAIN_AFTER)
        rounds += len(place.measure())
    assert rounds <= 2


def test_who_was_never_there_is_not_measured(place):
    place.user("alice")
    assert place.measure(everybody=True) == []


def test_everybody_is_more_than_the_first_page(place, monkeypatch):
    monkeypatch.setattr(home_measuring, "PAGE", 2)
    for number in range(5):
        place.user(f"user{number}")
        place.stores.users.touch(f"u-user{number}", NOW + timedelta(seconds=number))
    assert sorted(place.measure()) == ["user3", "user4"]
    assert sorted(place.measure(everybody=True)) == ["user0", "user1", "user2"]
    assert place.measure(everybody=True) == []


@pytest.mark.parametrize("at_once", [True, False])
def test_a_home_that_cannot_be_read_does_not_stop_the_round(place, caplog, at_once):
    def fail_later():
        yield HomeSize(40)
        raise PermissionError("no")

    walk = place.homes.walk

    def walk_or_fail(owner_id, task):
        if owner_id != "u-bob":
            return walk(owner_id, task)
        if at_once:
            raise PermissionError("no")
        return fail_later()

    place.homes.walk = walk_or_fail
    for number, name in enumerate(["carol", "bob", "alice"]):
        place.user(name)
        place.stores.users.touch(f"u-{name}", NOW + timedelta(seconds=number))
    list(place.measuring.steps())
    found = {
        key: (one.size, one.is_whole) for key, one in place.usage.get_many(["u-alice", "u-bob", "u-carol"]).items()
    }
    assert found == {"u-alice": (100, True), "u-bob": (0 if at_once else 40, False), "u-carol": (100, True)}
    assert "u-bob" in caplog.text
    assert list(place.measuring.steps()) == []


def test_a_measurement_that_is_broken_off_is_not_stored(place):
    place.user("alice")
    place.stores.users.touch("u-alice", NOW)
    next(place.measuring.steps())
    assert place.usage.get_many(["u-alice"]) == {}
    assert place.measure() == ["alice"]


def test_who_is_removed_meanwhile_leaves_nothing(place):
    place.user("alice")
    place.stores.users.touch("u-alice", NOW)
    steps = place.measuring.steps()
    next(steps)
    place.stores.users.delete("u-alice")
    assert list(steps)
    assert place.usage.get_many(["u-alice"]) == {}


def test_a_measurement_goes_with_its_user(place):
    place.user("alice")
    place.stores.users.touch("u-alice", NOW)
    place.measure()
    place.stores.users.delete("u-alice")
    assert place.usage.get_many(["u-alice"]) == {}


def test_a_clock_that_was_set_back_does_not_stop_the_measuring(place):
    place.user("alice")
    place.stores.servers.create(a_server(state=State.READY, launch_id="l1", task="t1"))
    place.clock.advance(timedelta(days=3))
    place.measure()
    place.clock.advance(timedelta(days=-3))
    assert place.measure() == ["alice"]


def over_since(place):
    return place.usage.get_many(["u-alice"])["u-alice"].over_since


def with_limit(place, limit, overrun=timedelta(minutes=30)):
    limiting = replace(place.measuring.limiting, limits=HomeLimits(limit, overrun=overrun))
    place.measuring = replace(place.measuring, limiting=limiting)
    place.user("alice", 700)
    place.stores.servers.create(a_server(state=State.READY, launch_id="l1", task="t1"))


def test_an_overrun_begins_once_and_ends_with_fewer_files(place):
    with_limit(place, 500)
    place.measure()
    assert over_since(place) == NOW
    place.clock.advance(AGAIN_WHEN_OVER)
    assert place.measure() == ["alice"]
    assert over_since(place) == NOW
    place.homes.sizes["u-alice"] = 500
    place.clock.advance(AGAIN_WHEN_OVER)
    place.measure()
    assert over_since(place) is None
    place.clock.advance(AGAIN_WHEN_OVER)
    assert place.measure() == []


def test_an_overrun_goes_by_the_limit_that_admins_set_at_run_time(place):
    with_limit(place, 500)
    place.limits.put(LimitOf.USER, "u-alice", 700)
    place.measure()
    assert over_since(place) is None
    place.limits.put(LimitOf.USER, "u-alice", 600)
    place.clock.advance(AGAIN_AFTER)
    place.measure()
    assert over_since(place) == place.clock.now()


def test_homes_whose_overrun_stops_nothing_are_measured_as_usual(place):
    with_limit(place, 500, overrun=None)
    place.measure()
    assert over_since(place) == NOW
    place.clock.advance(AGAIN_WHEN_OVER)
    assert place.measure() == []
