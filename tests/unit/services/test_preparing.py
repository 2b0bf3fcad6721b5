"""Launches are prepared before they start: in a queue of their own, or ahead."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain import lifecycle
from hubless.domain.errors import CapacityUnavailableError, LaunchFailedError, RetryLaterError
from hubless.domain.lifecycle import State
from hubless.domain.profile_options import Changes, Choice, ChoiceOption, TextOption
from hubless.domain.profiles import Profile
from hubless.ports.launcher import Preparation, TaskEvent, TaskRunning
from hubless.services.identifiers import new_id
from hubless.services.preparing import (
    LONGEST_PAUSE,
    LONGEST_PREPARATION,
    LONGEST_RUN,
    LOOK_AGAIN,
    LOOK_EVERY,
    PreparingAhead,
)
from tests.support.builders import NOW
from tests.support.world import World

SMALL, LARGE = Profile("small"), Profile("large")
TERM = timedelta(days=120)


class Rate:
    """A rate limiter: each caller waits for a second, or is refused."""

    interval = timedelta(seconds=1)

    def __init__(self, clock):
        self.clock, self.slots = clock, 10**6

    def acquire(self):
        if not self.slots:
            raise CapacityUnavailableError("no slot", after=timedelta(seconds=2))
        self.slots -= 1
        self.clock.advance(self.interval)


def a_world(**others):
    world = World(profiles=(SMALL, LARGE), prepare_ahead=TERM, **others)
    world.rate = Rate(world.clock)
    preparing = replace(world.preparing, rate_limiter=world.rate)
    world.launching = replace(world.launching, preparing=preparing)
    world.reaping = replace(world.reaping, launching=world.launching)
    world.preparing_ahead._rate_limiter = world.rate
    return world


@pytest.fixture
def world():
    return a_world()


def missing(world, *users, profile=SMALL):
    found = [Preparation(user.id, profile) for user in users or [world.alice]]
    world.launcher.missing |= set(found)
    return found


def others_waiting(world, count):
    """Have that many others start whose launches are not prepared, each later than the one before."""
    users = world.accounts.add_many([f"other-{number:03}" for number in range(count)])
    missing(world, *users)
    world.rate.slots = 0
    for user in users:
        world.clock.advance(timedelta(milliseconds=1))
        world.spawning.start(user, "")
        world.deliver_in_time()
    world.rate.slots = 10**6
    return users


# --- a start ---


def test_a_start_that_is_not_prepared_is_prepared_once(world):
    wanted = missing(world)

    assert world.running().state is State.READY

    assert world.launcher.prepared == wanted
    world.assert_settled()


def test_a_prepared_start_takes_no_slot_of_preparations(world):
    world.rate.slots = 0

    assert world.running().state is State.READY
    assert world.launcher.prepared == []


def test_who_waits_for_a_preparation_sees_the_position_in_its_queue(world):
    users = others_waiting(world, 5)

    servers = [world.servers.find(user.id, "") for user in users]
    assert {server.state for server in servers} == {State.PREPARING}
    assert [world.spawning.position(server) for server in servers] == [0, 1, 2, 3, 4]
    assert (
        lifecycle.progress(servers[4], 4)[1] == "Waiting for the server to be set up: 4 servers are ahead of this one"
    )
    assert lifecycle.progress(servers[1], 1)[1] == "Waiting for the server to be set up: 1 server is ahead of this one"


def test_a_prepared_launch_overtakes_those_that_must_be_prepared(world):
    others_waiting(world, 5)
    world.rate.slots = 0
    world.spawning.start(world.alice, "")

    world.deliver_in_time()

    assert world.server().state is State.LAUNCHING
    assert len(world.servers.in_states([State.PREPARING])) == 5


@pytest.mark.parametrize(("ahead", "seconds"), [(3, 1), (41, 19.5), (500, LONGEST_PAUSE.total_seconds())])
def test_whose_turn_is_far_returns_after_half_of_the_wait(world, monkeypatch, ahead, seconds):
    missing(world)
    world.spawning.start(world.alice, "")
    monkeypatch.setattr(type(world.servers), "queue_position", lambda *_: ahead)

    with pytest.raises(RetryLaterError) as later:
        world.launching.on_message(world.queue.sent[0])

    assert later.value.after == timedelta(seconds=seconds)
    assert not isinstance(later.value, CapacityUnavailableError)  # nobody throttles
    assert world.launcher.prepared == []


def test_a_queue_is_prepared_in_the_order_of_its_requests(world):
    users = others_waiting(world, 12)

    for _ in range(12):
        world.deliver_in_time()

    assert [wanted.owner_id for wanted in world.launcher.prepared] == [user.id for user in users]
    assert len(world.launcher.started) == 12


def test_the_wait_for_a_preparation_is_no_wait_for_a_slot(world):
    missing(world)
    world.spawning.start(world.alice, "")
    world.rate.slots = 0
    world.deliver_in_time()
    world.clock.advance(world.deadlines.requested + timedelta(hours=1))
    world.launching.reconcile_pending()
    assert world.server().state is State.PREPARING

    world.rate.slots, world.launcher.refusal = 1, None
    plain, world.launcher.launch = (
        world.launcher.launch,
        lambda _: (_ for _ in ()).throw(CapacityUnavailableError("full")),
    )
    world.deliver_in_time()
    assert world.server().state is State.REQUESTED
    assert world.server().deadline_at == world.clock.now() + world.deadlines.requested

    world.launcher.launch = plain
    world.turn()
    assert world.server().state is State.READY


def test_a_preparation_that_never_comes_fails_the_start_with_a_reason(world):
    missing(world)
    world.spawning.start(world.alice, "")
    world.rate.slots = 0
    world.deliver_in_time()
    world.clock.advance(world.deadlines.preparing)

    world.launching.reconcile_pending()

    assert (world.server().state, world.server().failure) == (
        State.FAILED,
        "The hub could not set up the server in time. Try again later.",
    )


def test_a_preparation_that_is_refused_fails_the_start_with_its_reason(world):
    missing(world)
    world.launcher.refusal = LaunchFailedError("The file system has no room for another home")
    world.spawning.start(world.alice, "")

    world.turn()

    assert (world.server().state, world.server().failure) == (
        State.FAILED,
        "The file system has no room for another home",
    )
    world.assert_settled()


def test_a_stop_ends_the_wait_for_a_preparation(world):
    missing(world)
    world.spawning.start(world.alice, "")
    world.rate.slots = 0
    world.deliver_in_time()
    world.stopping.request(world.server())

    world.turn()

    assert world.server().state is State.STOPPED
    assert world.launcher.prepared == []
    world.assert_settled()


def test_a_message_that_comes_twice_prepares_once(world):
    missing(world)
    world.spawning.start(world.alice, "")
    world.queue.sent *= 2

    world.turn()

    assert len(world.launcher.prepared) == 1
    assert len(world.launches()) == 1


def test_a_message_that_comes_twice_at_once_takes_one_slot(world):
    missing(world)
    world.spawning.start(world.alice, "")
    message, plain = world.queue.sent[0], world.rate.acquire
    world.rate.slots = 1

    def acquire():
        plain()
        with pytest.raises(RetryLaterError, match="Another worker prepares"):
            world.launching.on_message(message)

    world.rate.acquire = acquire
    world.launching.on_message(message)

    assert world.server().state is State.LAUNCHING
    assert len(world.launcher.prepared) == 1


def test_a_worker_that_crashed_holds_up_a_preparation_for_a_minute(world):
    missing(world)
    world.spawning.start(world.alice, "")
    server = world.server()
    world.stores.leases.claim(
        f"prepare#{server.id}", limit=1, now=world.clock.now(), until=world.clock.now() + LONGEST_PREPARATION
    )
    world.deliver_in_time()
    assert world.server().state is State.PREPARING

    world.clock.advance(LONGEST_PREPARATION)
    world.deliver_in_time()

    assert world.server().state is State.LAUNCHING


def test_a_lost_message_of_a_waiting_preparation_is_sent_again(world):
    missing(world)
    world.spawning.start(world.alice, "")
    world.rate.slots = 0
    world.deliver_in_time()
    world.queue.sent.clear()
    world.rate.slots = 10
    world.clock.advance(world.reaping.message_is_lost_after * 10)

    world.sweep()

    assert world.server().state is State.READY


def test_a_launch_survives_a_repeated_message_that_finds_it_unprepared(world):
    """ECS's list may lag: a second worker takes the launch for one that is not prepared, while the first runs it."""
    world.spawning.start(world.alice, "")
    message, plain = world.queue.sent[0], world.launcher.launch

    def launch(given):
        missing(world)
        world.rate.slots = 0
        with pytest.raises(CapacityUnavailableError):
            world.launching.on_message(message)
        assert world.server().state is State.PREPARING
        return plain(given)

    world.launcher.launch = launch
    world.launching.on_message(message)

    assert world.server().state is State.LAUNCHING
    assert world.launcher.tasks()


def test_the_event_of_a_task_moves_a_server_that_seems_unprepared(world):
    missing(world)
    world.spawning.start(world.alice, "")
    world.rate.slots = 0
    world.deliver_in_time()
    server = world.server()

    world.launching.on_task_event(TaskEvent("t1", server.id, server.launch_id, TaskRunning("127.0.0.1:9")))

    assert world.server().task == "t1"


# --- ahead ---


def test_the_sweep_prepares_for_users_who_were_seen_lately(world):
    old = world.clock.now() - timedelta(days=200)
    away, back = (
        replace(user, id=new_id("u", old), created_at=old)
        for user in (replace(world.alice, name="away"), replace(world.alice, name="back"))
    )
    world.users.create([away, back])
    world.users.touch(back.id, world.clock.now())
    missing(world, world.alice, away, back)

    assert world.reaping.sweep().prepared == 2

    assert {wanted.owner_id for wanted in world.launcher.prepared} == {world.alice.id, back.id}


def test_the_sweep_prepares_for_the_profiles_that_a_user_used_last(world):
    world.running(profile="large")
    used, first = *missing(world, profile=LARGE), *missing(world, profile=SMALL)

    world.reaping.sweep()

    assert world.launcher.prepared == [used]
    assert first in world.launcher.missing


def test_the_sweep_prepares_for_what_a_user_chose_last():
    option = ChoiceOption("image", (Choice("a", changes=Changes(image="a")), Choice("b", changes=Changes(image="b"))))
    profile = Profile("lab", options=(option,))
    world = World(profiles=(profile,), prepare_ahead=TERM)
    world.running(image="b")
    chosen, first = *missing(world, profile=replace(profile, image="b")), *missing(world, profile=profile)

    world.reaping.sweep()

    assert world.launcher.prepared == [chosen]
    assert first in world.launcher.missing


def test_a_choice_that_is_no_longer_offered_keeps_no_other_back():
    profile = Profile("lab", options=(TextOption("branch", changes=Changes(image="{value}")),))
    world = World(profiles=(profile,), prepare_ahead=TERM)
    world.running(branch="old")
    world.preparing_ahead._profiles = {"lab": replace(profile, options=(TextOption("branch", pattern="new"),))}
    (base,) = missing(world, profile=world.preparing_ahead._profiles["lab"])

    world.reaping.sweep()

    assert world.launcher.prepared == [base]


def test_without_the_setting_nothing_is_prepared_ahead():
    world = World(profiles=(SMALL,))
    missing(world)

    assert world.reaping.sweep().prepared == 0
    assert world.launcher.prepared == []


def test_a_sweep_prepares_for_a_while_and_the_next_goes_on(world):
    users = world.accounts.add_many([f"user-{number:03}" for number in range(100)])
    missing(world, *users)
    a_run = int(LONGEST_RUN.total_seconds())

    done = [world.reaping.sweep().prepared for _ in range(4)]

    assert done == [a_run, a_run, 100 - 2 * a_run, 0]
    assert len(set(world.launcher.prepared)) == 100


def test_a_sweep_ends_in_time_however_much_is_to_be_prepared(world):
    missing(world, *world.accounts.add_many([f"user-{number:03}" for number in range(100)]))

    report = world.reaping.sweep(world.clock.now() + timedelta(seconds=10))

    assert report.prepared == 10


def test_starts_come_before_preparations_ahead(world):
    missing(world, *world.accounts.add_many([f"user-{number:03}" for number in range(10)]))
    world.rate.slots = 4

    assert world.reaping.sweep().prepared == 4
    world.rate.slots = 100
    assert world.reaping.sweep().prepared == 6


def test_a_new_process_prepares_nothing_again(world):
    missing(world, *world.accounts.add_many(["bob", "carol"]))
    world.reaping.sweep()
    before = list(world.launcher.prepared)

    again = PreparingAhead(
        world.users,
        world.servers,
        world.launcher,
        world.rate,
        world.clock,
        profiles={"small": SMALL},
        seen_within=TERM,
    )

    assert again.prepare_some() == 0
    assert world.launcher.prepared == before
    assert len(before) == 2


def test_a_new_user_is_prepared_for_within_minutes(world):
    world.reaping.sweep()
    bob = world.accounts.add("bob")
    wanted = missing(world, bob)
    assert world.reaping.sweep().prepared == 0

    world.clock.advance(LOOK_EVERY)

    assert world.reaping.sweep().prepared == 1
    assert world.launcher.prepared == wanted


def test_a_failed_look_is_repeated_after_minutes_and_misses_nobody(world):
    wanted, looks = missing(world), []

    def fail(_):
        looks.append(world.clock.now())
        raise CapacityUnavailableError("AWS throttles")

    plain, world.launcher.unprepared = world.launcher.unprepared, fail
    assert [world.reaping.sweep().prepared for _ in range(3)] == [0, 0, 0]
    assert len(looks) == 1

    world.launcher.unprepared = plain
    world.clock.advance(LOOK_EVERY)
    assert world.reaping.sweep().prepared == 1
    assert world.launcher.prepared == wanted


def test_a_look_reads_the_servers_of_a_user_once_a_day(world):
    read, plain = [], world.servers.of_owners
    world.servers.of_owners = lambda owners: read.extend(owners) or plain(owners)
    world.reaping.sweep()
    world.clock.advance(LOOK_EVERY)
    world.reaping.sweep()
    assert read == [world.alice.id]

    world.clock.advance(LOOK_AGAIN)
    world.reaping.sweep()

    assert read == [world.alice.id] * 2


def test_a_look_at_many_users_ends_in_time_and_goes_on_in_the_next_sweep(world, monkeypatch):
    """A Lambda function that is killed forgets its look, and would never come to the end of it."""
    monkeypatch.setattr("hubless.services.preparing.OWNERS_PER_READ", 10)
    users = [world.alice, *world.accounts.add_many([f"user-{number:03}" for number in range(99)])]
    missing(world, *users)
    read, plain, a_read = [], world.servers.of_owners, timedelta(seconds=5)

    def of_owners(owners):
        world.clock.advance(a_read)
        read.extend(owners)
        return plain(owners)

    world.servers.of_owners = of_owners
    prepared = []
    for _ in range(6):
        until = world.clock.now() + timedelta(seconds=30)
        prepared.append(world.reaping.sweep(until).prepared)
        assert world.clock.now() < until + a_read

    assert prepared == [0, 10, 30, 30, 30, 0]
    assert sorted(read) == sorted(user.id for user in users)


def test_a_sweep_without_time_begins_no_look(world):
    missing(world)
    looks = []
    world.users.seen_since = lambda since: looks.append(since) or []

    assert world.preparing_ahead.prepare_some(world.clock.now()) == 0

    assert looks == []


def test_a_look_asks_about_one_profile_at_a_time(world):
    """AWS lists a hundred definitions a call, and a profile may have one for each of ten thousand people."""
    world.running(profile="large")
    missing(world, *world.accounts.add_many(["bob", "carol"]))
    asked, plain = [], world.launcher.unprepared

    def unprepared(wanted):
        asked.append(sorted({one.profile.name for one in wanted}))
        world.clock.advance(LONGEST_RUN)
        return plain(wanted)

    world.launcher.unprepared = unprepared
    collected = []
    world.launcher.garbage_collect = lambda offered: collected.append(list(offered)) or 0

    prepared = [world.reaping.sweep().prepared for _ in range(3)]

    assert sorted(asked) == [["large"], ["small"]]
    assert prepared == [0, 0, 2]
    assert len(collected) == 1


def test_nothing_is_prepared_for_a_user_who_is_gone(world):
    bob = world.accounts.add("bob")
    missing(world, bob, world.alice)
    world.rate.slots = 0
    world.reaping.sweep()
    world.users.delete(bob.id)
    world.rate.slots = 10

    world.reaping.sweep()

    assert [wanted.owner_id for wanted in world.launcher.prepared] == [world.alice.id]


def test_a_profile_that_cannot_be_prepared_keeps_no_other_back(world):
    bob = world.accounts.add("bob")
    bad, good = missing(world, world.alice, bob)
    plain = world.launcher.prepare
    refusal = LaunchFailedError("too large")
    world.launcher.prepare = lambda wanted: (_ for _ in ()).throw(refusal) if wanted == bad else plain(wanted)

    assert world.reaping.sweep().prepared == 1
    assert world.launcher.prepared == [good]


def test_garbage_stays_while_launches_are_to_be_prepared(world):
    collected = []
    world.launcher.garbage_collect = lambda offered: collected.append(list(offered)) or 0
    missing(world)
    world.rate.slots = 0
    world.reaping.sweep()
    assert collected == []

    world.rate.slots = 1
    world.reaping.sweep()

    assert len(collected) == 1


def test_the_sweep_removes_what_was_made_for_users_who_are_gone(world):
    world.launcher.owners = {world.alice.id, "u-gone"}

    world.reaping.sweep()

    assert world.launcher.owners == {world.alice.id}


def test_the_term_begins_with_the_creation_of_a_user(world):
    wanted = missing(world)
    world.clock.advance(TERM + timedelta(days=1))
    world.reaping.sweep()
    assert world.launcher.prepared == []

    world.users.touch(world.alice.id, world.clock.now())
    world.clock.advance(LOOK_EVERY)
    world.reaping.sweep()

    assert world.launcher.prepared == wanted
    assert world.clock.now() > NOW
