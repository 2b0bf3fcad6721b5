"""Schedules: servers of a class start once, stay through the lesson, and stop after it, however sweeps come."""

from dataclasses import replace
from datetime import time, timedelta
from zoneinfo import ZoneInfo

import pytest

from hubless.domain.idleness import IdlePolicy
from hubless.domain.lifecycle import ACTIVE, State
from hubless.domain.profiles import Profile
from hubless.domain.schedules import Schedule
from hubless.domain.users import Group
from hubless.services import schedules as module
from hubless.services.schedules import Schedules
from tests.support.builders import a_server
from tests.support.world import World

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LAB = Schedule(  # the world begins at 10:00 by the clocks of Berlin, on a Tuesday
    "Physics lab", frozenset({1}), time(10, 30), time(12), ZoneInfo("Europe/Berlin"), ("physics", "staff"), "big"
)
MEMBERS = ("alice", "ben", "cid")


class School(World):
    """A world with a class of three, of whom one is in both groups."""

    def __init__(self, schedule=LAB, **others):
        super().__init__(profiles=(Profile("small"), Profile("big")), **others)
        self.accounts.add_many(["ben", "cid", "dora"])
        self.groups.create(Group("g-1", "physics", MEMBERS), Group("g-2", "staff", ("cid",)))
        self.schedules = Schedules(
            (schedule,), self.groups, self.users, self.servers, self.spawning, self.stopping, self.clock
        )
        self.reaping = replace(self.reaping, schedules=self.schedules)

    def run(self):
        return self.schedules.sweep(lambda: False)

    def of(self, name):
        return self.servers.find(self.users.find(name).id, "")

    def active(self):
        return [name for name in (*MEMBERS, "dora") if (found := self.of(name)) and found.state in ACTIVE]


@pytest.fixture
def school():
    return School()


def test_servers_of_a_class_start_once_with_its_profile(school, monkeypatch):
    monkeypatch.setattr(module, "_AT_ONCE", 2)
    school.clock.advance(29 * MINUTE)
    assert school.run() == 0
    school.clock.advance(MINUTE)
    assert [school.run(), school.run()] == [3, 0]
    assert school.active() == list(MEMBERS)
    assert {school.of(name).profile for name in MEMBERS} == {"big"}


def test_a_hub_that_was_down_starts_servers_within_the_lesson_only(school):
    school.clock.advance(HOUR)
    assert school.run() == 3
    late = School()
    late.clock.advance(2 * HOUR)
    assert late.run() == 0
    assert late.active() == []


def test_a_member_who_stops_a_server_in_the_lesson_is_not_started_again(school):
    school.clock.advance(30 * MINUTE)
    school.run()
    school.stopping.request(school.of("ben"))
    school.deliver_in_time()
    school.clock.advance(MINUTE)
    assert school.of("ben").state is State.STOPPED
    assert school.run() == 0


def test_a_full_hub_starts_as_many_as_it_may_and_the_others_later():
    school = School(active_limit=2)
    school.clock.advance(30 * MINUTE)
    assert school.run() == 2
    school.stopping.request(school.of("alice"))
    school.deliver_in_time()
    assert [school.run(), school.run()] == [1, 0]
    assert "alice" not in school.active()


def test_a_sweep_that_is_cut_short_goes_on_next_time(school):
    school.clock.advance(30 * MINUTE)
    turns = iter([False, True])
    assert school.schedules.sweep(lambda: next(turns)) == 1
    assert school.run() == 2


def test_idle_servers_stay_through_the_lesson(school):
    world = School(idle_policy=IdlePolicy(idle_after=5 * MINUTE))
    world.running()
    world.clock.advance(31 * MINUTE)
    world.sweep()
    assert world.of("alice").state is State.READY
    world.clock.advance(HOUR)
    world.sweep()
    assert world.of("alice").state is State.READY
    world.clock.advance(HOUR)
    world.sweep()
    assert world.of("alice").state is not State.READY


@pytest.mark.parametrize("stops", [True, False])
def test_what_was_started_in_the_lesson_stops_after_it(stops):
    school = School(replace(LAB, stops=stops))
    dora = school.accounts.find("dora")
    school.servers.create(a_server("", owner_id=dora.id, id="s-dora"))
    school.clock.advance(20 * MINUTE)
    school.spawning.start(school.accounts.find("ben"), "")  # before the lesson: it is no part of it
    school.spawning.start(dora, "")
    school.clock.advance(10 * MINUTE)
    assert school.run() == 2
    school.clock.advance(90 * MINUTE)
    assert school.run() == (2 if stops else 0)
    assert school.run() == 0
    assert school.of("ben").state is State.REQUESTED
    assert school.of("dora").state is State.REQUESTED
    if stops:
        assert school.of("alice").stop_reason.sentence == "Physics lab stopped this server"


def test_who_is_in_the_next_lesson_goes_on(school):
    following = replace(LAB, name="Next", begins=time(12), ends=time(13), groups=("staff",))
    both = replace(school.schedules, schedules=(LAB, following))
    school.clock.advance(30 * MINUTE)
    both.sweep(lambda: False)
    school.clock.advance(90 * MINUTE)
    assert both.sweep(lambda: False) == 2
    assert school.of("cid").state in {State.REQUESTED, State.LAUNCHING}


def test_a_member_without_the_profile_does_not_hold_up_the_others(school):
    world = School(replace(LAB, profile="none"))
    world.clock.advance(30 * MINUTE)
    assert world.run() == 0
    assert world.active() == []
