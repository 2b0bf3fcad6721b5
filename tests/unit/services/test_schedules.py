"""Schedules: servers of a class start once, stay through the lesson, and stop after it, however sweeps come."""

from dataclasses import replace
from datetime import date, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from hubless.domain.audit import Act, AuditQuery, DoerKind
from hubless.domain.errors import (
    InvalidRequestError,
    NameTakenError,
    NotFoundError,
    StoreConflictError,
    StoreUnavailableError,
)
from hubless.domain.idle_policies import IdlePolicies
from hubless.domain.idleness import IdlePolicy
from hubless.domain.lifecycle import ACTIVE, State
from hubless.domain.profiles import Profile
from hubless.domain.schedules import MOST_SCHEDULES, Schedule
from hubless.domain.stop_reasons import StopCause
from hubless.domain.users import Group
from hubless.services import lessons as module
from hubless.services.auditing import Auditing
from hubless.services.keeping import Keeping
from hubless.services.lessons import Lessons
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
        self.auditing = Auditing(self.stores.audit, self.clock, timedelta(days=400))
        self.schedules = Schedules(
            (schedule,), self.stores.schedules, self.group_references, self.spawning.profiles.keys(), self.clock
        )
        self.lessons = Lessons(
            self.schedules,
            self.groups,
            self.users,
            self.servers,
            lambda: self.spawning,
            self.stopping,
            self.clock,
            self.auditing,
            self.stores.single_use,
        )
        self.reaping = replace(self.reaping, lessons=self.lessons)

    def run(self, is_over=lambda: False):
        return self.lessons.sweep(self.lessons.present(), is_over)

    def acts(self):
        query = AuditQuery(self.clock.now() - timedelta(days=1), self.clock.now() + timedelta(days=1))
        records = self.auditing.page(query, limit=50).records
        return sorted((one.act, one.by.kind, one.by.name, one.on) for one in records)

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
    assert school.run(lambda: next(turns)) == 1
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
    school.schedules.add(following)
    school.clock.advance(30 * MINUTE)
    school.run()
    school.clock.advance(90 * MINUTE)
    assert school.run() == 2
    assert school.of("cid").state in {State.REQUESTED, State.LAUNCHING}


def test_a_member_without_the_profile_does_not_hold_up_the_others(school):
    world = School(replace(LAB, profile="none"))
    world.clock.advance(30 * MINUTE)
    assert world.run() == 0
    assert world.active() == []


AT_RUN_TIME = replace(LAB, name="Late lab", profile="", lead=10 * MINUTE)


def test_a_schedule_of_run_time_starts_servers_before_its_lesson(school):
    school = School(replace(LAB, days=frozenset({6})))
    school.schedules.add(AT_RUN_TIME)
    school.clock.advance(19 * MINUTE)
    assert school.run() == 0
    school.clock.advance(MINUTE)
    assert school.run() == 3


def test_a_paused_schedule_starts_and_stops_nothing(school):
    school = School(replace(LAB, days=frozenset({6})))
    school.schedules.add(AT_RUN_TIME)
    school.schedules.pause("Late lab", is_paused=True)
    school.clock.advance(30 * MINUTE)
    assert school.run() == 0
    school.schedules.pause("Late lab", is_paused=False)
    assert school.run() == 3
    school.schedules.pause("Late lab", is_paused=True)
    school.clock.advance(90 * MINUTE)
    assert school.run() == 0


def test_one_sweep_reads_the_schedules_once_however_many_servers(school, monkeypatch):
    school.schedules.add(AT_RUN_TIME)
    school.clock.advance(30 * MINUTE)
    school.sweep(3)
    reads, read = [], school.stores.schedules.all
    monkeypatch.setattr(school.stores.schedules, "all", lambda: reads.append(1) or read())
    school.reaping.sweep()
    assert len(school.active()) == 3
    assert len(reads) == 1


def test_a_sweep_goes_on_without_schedules_that_it_cannot_read(school, monkeypatch, caplog):
    def fail():
        raise StoreUnavailableError("away")

    monkeypatch.setattr(school.stores.schedules, "all", fail)
    school.running()
    school.sweep()
    assert school.of("alice").state is State.READY
    assert "cannot read the schedules" in caplog.text


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"name": "Physics lab"}, NameTakenError),  # of the settings
        ({"name": "no/slash"}, InvalidRequestError),
        ({"groups": ("nobody",)}, InvalidRequestError),
        ({"groups": ()}, InvalidRequestError),
        ({"groups": tuple(map(str, range(21)))}, InvalidRequestError),
        ({"groups": ("g" * 300,)}, InvalidRequestError),
        ({"profile": "huge"}, InvalidRequestError),
        ({"days": frozenset()}, InvalidRequestError),
        ({"days": frozenset({7})}, InvalidRequestError),
        ({"on": date(2026, 11, 30)}, InvalidRequestError),  # and days too
        ({"ends": time(10, 30)}, InvalidRequestError),
        ({"lead": 3 * HOUR}, InvalidRequestError),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(school, facts, error):
    with pytest.raises(error):
        school.schedules.add(replace(AT_RUN_TIME, **facts))


def test_a_schedule_changes_only_if_nobody_else_was_faster(school):
    before = school.schedules.add(AT_RUN_TIME)
    changed = school.schedules.change(before, replace(before, ends=time(13)))
    assert school.schedules.find("Late lab") == changed
    for late in (
        lambda: school.schedules.change(before, replace(before, ends=time(14))),
        lambda: school.schedules.remove(before),
    ):
        with pytest.raises(StoreConflictError):
            late()
    with pytest.raises(NameTakenError):
        school.schedules.add(AT_RUN_TIME)
    school.schedules.remove(changed)
    with pytest.raises(NotFoundError):
        school.schedules.pause("Late lab", is_paused=True)
    for act in (lambda: school.schedules.remove(LAB), lambda: school.schedules.pause(LAB.name, is_paused=True)):
        with pytest.raises(InvalidRequestError):
            act()


def test_there_are_only_so_many_schedules(school):
    for number in range(MOST_SCHEDULES):
        school.stores.schedules.add(replace(AT_RUN_TIME, name=f"n{number}"))
    with pytest.raises(InvalidRequestError, match="100 schedules"):
        school.schedules.add(AT_RUN_TIME)


def test_a_schedule_can_be_paused_when_its_group_is_gone(school):
    school.schedules.add(AT_RUN_TIME)
    school.groups.delete("g-1")
    assert school.schedules.pause("Late lab", is_paused=True).is_paused


def test_the_audit_has_the_schedule_as_who_started_and_stopped(school):
    school.clock.advance(30 * MINUTE)
    school.run()
    school.run()
    school.clock.advance(90 * MINUTE)
    school.run()
    school.run()
    by = (DoerKind.SCHEDULE, "Physics lab")
    assert school.acts() == sorted(
        (act, *by, name) for act in (Act.SERVER_STARTED, Act.SERVER_STOPPED) for name in MEMBERS
    )


def test_the_audit_says_once_in_a_lesson_that_a_server_was_kept():
    world = School(replace(LAB, ends=time(13)), idle_policy=IdlePolicy(idle_after=5 * MINUTE))
    world.running()
    world.clock.advance(40 * MINUTE)
    world.sweep(2)
    world.lessons.known.clear()  # as in another process
    world.sweep()
    kept = [one for one in world.acts() if one[0] is Act.SERVER_KEPT]
    assert kept == [(Act.SERVER_KEPT, DoerKind.SCHEDULE, "Physics lab", "alice")]


def test_the_audit_says_once_in_a_lesson_why_a_server_did_not_start():
    world = School(replace(LAB, profile="none"))
    world.clock.advance(30 * MINUTE)
    world.run()
    world.run()
    assert [one[0] for one in world.acts()] == [Act.LESSON_FAILED] * 3


def test_the_longest_age_ends_a_server_in_a_lesson():
    world = School(idle_policy=IdlePolicy(idle_after=5 * MINUTE, max_age=40 * MINUTE))
    world.running()
    world.clock.advance(39 * MINUTE)
    world.sweep()
    assert world.of("alice").state is State.READY
    world.clock.advance(5 * MINUTE)
    world.sweep()
    assert world.of("alice").stop_reason.cause is StopCause.AGE


def keeping(world, **policy):
    policies = IdlePolicies(IdlePolicy(**policy), {}, {})
    return Keeping(world.servers, world.clock, policies, HOUR, 1, timedelta())


def test_an_idle_server_stops_after_the_lesson_that_keeps_it():
    world = School(replace(LAB, stops=False))
    server, alice, at = world.running(), world.accounts.find("alice"), world.clock.now()
    known = world.schedules.all()
    assert keeping(world, idle_after=20 * MINUTE).next_stop(alice, server, known).at == at + 20 * MINUTE
    after = keeping(world, idle_after=40 * MINUTE).next_stop(alice, server, known)
    assert (after.at, after.schedule, after.ends_it) == (at + 2 * HOUR, "Physics lab", False)
    assert "keeps it until then" in after.expectation
    aged = keeping(world, idle_after=40 * MINUTE, max_age=HOUR).next_stop(alice, server, known)
    assert (aged.at, aged.reason.cause) == (at + HOUR, StopCause.AGE)
    assert keeping(world).next_stop(alice, server, known) is None


def test_a_server_of_the_lesson_stops_at_its_end_however_busy():
    world = School()
    world.clock.advance(30 * MINUTE)
    server, alice = world.running(), world.accounts.find("alice")
    ended = keeping(world).next_stop(alice, server, world.schedules.all())
    assert (ended.at, ended.ends_it) == (world.clock.now() + 90 * MINUTE, True)
    assert "is over then" in ended.expectation
    soon = world.schedules.add(replace(LAB, name="Next", begins=time(12), ends=time(12, 30), profile="", stops=False))
    later = keeping(world).next_stop(alice, server, [LAB, soon])
    assert (later.at, later.ends_it) == (world.clock.now() + 2 * HOUR, True)
    long = replace(soon, ends=time(15))
    assert keeping(world).next_stop(alice, server, [LAB, long]) is None  # the lesson after it lasts too long


def test_in_maintenance_no_class_starts_and_a_later_sweep_catches_up(school):
    school.clock.advance(30 * MINUTE)
    school.maintaining.turn_on("ada", ends_at=school.clock.now() + 20 * MINUTE)
    assert school.run() == 0
    assert (school.active(), school.acts()) == ([], [])  # that maintenance is on is in the record already
    school.clock.advance(20 * MINUTE)
    assert school.run() == 3
