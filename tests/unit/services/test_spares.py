"""Spares: who gets one, what the sweep starts and ends, and what their tasks are told."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from hubless.domain.errors import CapacityUnavailableError, LaunchFailedError, NotFoundError
from hubless.domain.launch_times import AT_LEAST
from hubless.domain.lifecycle import State
from hubless.domain.messages import Message, MessageKind
from hubless.domain.profile_options import Access, Changes, Choice, ChoiceOption, NumberOption, PerValue, TextOption
from hubless.domain.profiles import Profile
from hubless.domain.schedules import Schedule
from hubless.domain.spares import LONGEST_START, LONGEST_WAIT, PAUSE_AFTER_FAILURE, SpareClaim, Warmth
from hubless.domain.tokens import launch_secret, spare_secret
from hubless.domain.users import Group
from hubless.ports.launcher import TaskEvent, TaskPending, TaskRunning, TaskStopped
from hubless.services.spare_keeping import LEASE, LONGEST_LEASE
from tests.support.fakes import SparesInMemory
from tests.support.world import World

WARM, COLD = Profile("warm", image="lab:1", warmth=Warmth(2)), Profile("cold")
MINUTE = timedelta(minutes=1)


class Warm(World):
    def __init__(self, *profiles, **others):
        super().__init__(profiles=profiles or (WARM, COLD), spare_store=SparesInMemory, **others)

    def store(self):
        return self.spares.store

    def all(self):
        return self.store().all()

    def wait(self):
        """Have each spare that runs ask for its launch, and return the answers."""
        running = [task for task, status in self.launcher.status.items() if isinstance(status, TaskRunning)]
        return {name: self.ask(name) for name, slash, _ in (task.partition("/") for task in running) if slash}

    def ask(self, spare_id):
        try:
            return self.spare_questions.answer(spare_id)
        except NotFoundError:
            return "gone"

    def keep(self, times=1):
        for _ in range(times):
            self.reaping.sweep()
            self.wait()
            self.clock.advance(MINUTE)

    def start(self, profile="warm", name=""):
        self.spawning.start(self.alice, name, user_options={"profile": profile})
        self.deliver()
        return self.server(name)

    def free(self):
        return [spare for spare in self.all() if spare.can_be_claimed]

    def offer(self, *profiles):
        """Change the settings."""
        offered = {profile.name: profile for profile in profiles}
        self.spare_keeping = replace(self.spare_keeping, profiles=offered)
        self.launching = replace(self.launching, profiles=offered)
        self.reaping = replace(self.reaping, profiles=offered, spares=self.spare_keeping, launching=self.launching)


@pytest.fixture
def world():
    made = Warm()
    made.keep(2)
    return made


# --- claims ---


def test_a_launch_gets_a_spare_and_starts_no_task(world):
    server = world.start()

    assert server.task == f"{server.spare_id}/task"
    assert world.store().claim_of(server.spare_id) == SpareClaim(server.spare_id, server.id, server.launch_id)
    assert [spare.id for spare in world.all()] == [spare.id for spare in world.free()]
    assert server.state in {State.STARTING, State.READY}
    assert server.address == world.launcher.describe(server.task).address  # no event follows that would bring it
    assert world.launcher.started == []


def test_the_spares_task_is_given_the_launch_and_no_others_is(world):
    world.readiness.is_answering = False
    server = world.start()

    answers = world.wait()

    (given,) = [answer for answer in answers.values() if answer]
    assert given["JUPYTERHUB_API_TOKEN"] == launch_secret(b"k" * 32, server.launch_id)
    assert given["JUPYTERHUB_SERVICE_PREFIX"] == "/user/alice/"
    assert sorted(map(bool, answers.values())) == [False, True]


def test_no_spare_goes_to_another_profile_nor_before_it_waits(world):
    world.start("cold")
    assert [launch.profile.name for launch in world.launcher.started] == ["cold"]

    new = Warm()
    new.reaping.sweep()  # they have not asked yet
    new.start()
    assert [launch.profile.name for launch in new.launcher.started] == ["warm"]


def test_a_spare_is_what_whoever_chooses_nothing_starts():
    images = tuple(Choice(name, changes=Changes(image=f"{name}:1")) for name in ("r", "python"))
    options = (
        ChoiceOption("image", images),
        NumberOption("gb", 1, 8, 2, changes=Changes(memory_bytes=PerValue(2**30))),
        TextOption("course", is_required=True, changes=Changes(environment={"COURSE": "{value}"})),
    )
    world = Warm(Profile("warm", warmth=Warmth(2), options=options))
    world.keep(2)
    orders = world.launcher.spares.values()
    assert {(order.profile.image, order.profile.memory_bytes) for order in orders} == {("r:1", 2 * 2**30)}

    world.spawning.start(world.alice, "", user_options={"profile": "warm", "course": "a"})
    world.deliver()
    assert world.launcher.started == []

    world.spawning.start(world.alice, "lab", user_options={"profile": "warm", "course": "a", "image": "python"})
    world.deliver()
    assert [launch.profile.image for launch in world.launcher.started] == ["python:1"]


def test_a_spare_of_a_default_of_others_is_given_to_them_alone():
    staff = Choice("big", access=Access(groups=("staff",)), changes=Changes(image="big:1"), is_default=True)
    world = Warm(Profile("warm", warmth=Warmth(2), options=(ChoiceOption("size", (Choice("small"), staff)),)))
    world.keep(2)

    world.start()
    assert [launch.profile.image for launch in world.launcher.started] == [""]

    world.groups.create(Group("g1", "staff", ("alice",)))
    world.alice = world.users.get(world.alice.id)
    assert world.start(name="lab").spare_id


def test_a_message_that_comes_twice_takes_one_spare(world):
    server = world.start()
    for _ in range(3):
        world.launching.on_message(Message(MessageKind.LAUNCH, server.id, server.launch_id))

    assert (len(world.store().claims), len(world.all())) == (1, 1)
    assert world.launcher.started == []


def test_a_worker_whose_list_of_spares_is_old_takes_the_next(world):
    first, second = world.free()
    taken = world.start()
    claimed = next(spare for spare in (first, second) if spare.id in taken.task)
    stale = replace(world.spares, store=Stale(world.store(), [first, second]))
    world.launching = replace(world.launching, spares=stale)

    server = world.start(name="lab")

    assert claimed.task != server.task
    assert {server.task, taken.task} == {first.task, second.task}


class Stale:
    """A store whose list is old."""

    def __init__(self, store, old):
        self.store, self.old = store, old

    def all(self):
        return self.old

    def __getattr__(self, name):
        return getattr(self.store, name)


def test_a_spare_that_has_died_is_passed_over(world):
    for spare in world.free():
        world.launcher.dies(spare.task)

    server = world.start()

    assert [launch.launch_id for launch in world.launcher.started] == [server.launch_id]
    assert {spare.failure for spare in world.all()} == {"exited with code 1"}


def test_a_spare_that_dies_after_its_claim_fails_the_start_with_its_reason(world):
    world.readiness.is_answering = False
    server = world.start()
    world.launcher.dies(server.task, "exited with code 127")

    world.keep()

    assert world.server().state is State.FAILED
    assert world.server().failure == "The server exited with code 127"
    world.turn()
    assert world.store().claims == {}


def test_a_start_with_a_spare_says_nothing_of_how_long_others_take(world):
    for number in range(AT_LEAST):
        world.clock.advance(MINUTE)
        world.store().found.clear()
        assert not world.running(name=f"cold-{number}", profile="warm").spare_id
    usual, known = world.spawning.usual_time(world.server("cold-0")), world.launch_times.of("warm")
    assert (usual is None, len(known)) == (False, AT_LEAST)

    world.keep(2)
    server = world.running(profile="warm")

    assert server.spare_id
    assert world.launch_times.of("warm") == known
    assert world.spawning.usual_time(server) is None
    assert world.spawning.usual_time(replace(server, spare_id="")) == usual


def test_a_stop_ends_the_spares_task_and_its_claim_goes(world):
    server = world.running(profile="warm")
    assert server.state is State.READY

    world.stopping.request(server)
    world.turn()

    assert (world.server().state, world.server().spare_id) == (State.STOPPED, "")
    assert isinstance(world.launcher.describe(server.task), TaskStopped)
    assert world.store().claims == {}
    assert server.task in world.launcher.forgotten


def test_an_event_of_a_claimed_task_is_one_of_its_launch(world):
    server = world.running(profile="warm")
    spare_id = server.spare_id
    world.launcher.dies(server.task, "exited with code 9")

    world.launching.on_task_event(TaskEvent(server.task, "", spare_id, TaskStopped("exited with code 9")))

    assert world.server().failure == "The server exited with code 9"


def test_events_of_a_task_that_came_too_late_for_its_launch_change_nothing(world):
    """One message starts a task while another of the same launch gets a spare: the task is ended."""
    world.readiness.is_answering = False
    asked = world.spawning.start(world.alice, "", user_options={"profile": "warm"})
    slow, launch = replace(world.launching, spares=None), world.launcher.launch

    def launched_and_overtaken(given):
        task = launch(given)
        world.deliver()
        return task

    world.launcher.launch = launched_and_overtaken
    slow.on_message(Message(MessageKind.LAUNCH, asked.id, asked.launch_id))
    server, late = world.server(), world.launcher.started[0].launch_id
    assert server.spare_id in server.task
    assert isinstance(world.launcher.describe(late), TaskStopped)

    for status in (TaskRunning("127.0.0.1:1"), TaskStopped("ended")):
        world.launching.on_task_event(TaskEvent(late, server.id, server.launch_id, status))
    assert world.server() == server


def test_events_of_other_tasks_that_wait_change_no_server(world):
    spare = world.free()[0]
    world.launching.on_task_event(TaskEvent(spare.task, "", spare.id, TaskPending()))
    world.launching.on_task_event(TaskEvent("w-unknown/t", "", "w-unknown", TaskStopped("ended")))
    assert len(world.free()) == 2

    world.launching.on_task_event(TaskEvent(spare.task, "", spare.id, TaskStopped("was reclaimed")))

    assert world.store().find(spare.id).failure == "was reclaimed"
    assert len(world.free()) == 1


# --- questions ---


def test_a_secret_opens_its_own_spare_alone(world):
    first, second = (spare.id for spare in world.free())
    own = world.launcher.spares[first].secret
    assert own == spare_secret(b"k" * 32, first)
    assert world.spare_questions.is_secret_of(first, own)
    for spare_id, secret in ((second, own), (first, ""), (first, own[:-1]), (first, "ü\ud800"), ("w" * 27, own)):
        assert not world.spare_questions.is_secret_of(spare_id, secret)


def test_a_spare_that_is_given_up_or_whose_launch_is_over_is_told_to_end(world):
    server = world.running(profile="warm")
    assert world.ask(server.spare_id) == "gone"  # it became ready: whoever asks now is not the server

    spare = world.free()[0]
    world.spares.give_up(spare)
    assert world.ask(spare.id) == "gone"
    assert world.ask("w" + "0" * 26) == "gone"


# --- the sweep ---


def test_the_sweep_keeps_as_many_as_the_profile_wants(world):
    assert [spare.profile for spare in world.free()] == ["warm", "warm"]
    world.start()
    world.keep(2)
    assert len(world.free()) == 2
    assert len(world.all()) == 2
    assert world.reaping.sweep().orphans == 0


def test_spares_are_no_servers(world):
    assert world.reaping.sweep().active == 0
    assert world.reaping.sweep().waiting_spares == 2


def test_spares_wait_within_their_hours_alone():
    hours = Schedule("warm", frozenset(range(7)), time(8), time(18), UTC, ())
    world = Warm(replace(WARM, warmth=Warmth(2, hours)))
    world.clock.advance(datetime(2031, 1, 7, 7, 58, tzinfo=UTC) - world.clock.now())
    world.keep()
    assert world.all() == []
    world.keep(3)
    assert len(world.free()) == 2
    world.clock.advance(timedelta(hours=10))
    world.keep(2)
    assert world.all() == []
    assert world.launcher.tasks() == []


@pytest.mark.parametrize(
    "changed", [(replace(WARM, image="lab:2"), COLD), (replace(WARM, memory_bytes=1),), (COLD,), (Profile("warm"),)]
)
def test_a_spare_of_an_older_state_of_its_profile_is_ended(world, changed):
    old = world.free()
    world.offer(*changed)
    assert world.spares.fitting("l1", changed[0]) == []

    world.keep(3)

    assert {spare.id for spare in old}.isdisjoint({spare.id for spare in world.all()})
    assert all(isinstance(world.launcher.describe(spare.task), TaskStopped) for spare in old)
    assert len(world.free()) == changed[0].warmth.count


def test_a_spare_that_dies_is_replaced_after_a_while(world):
    world.launcher.dies(world.free()[0].task)
    world.keep(3)
    assert len(world.free()) == 1  # the next would probably fail as well

    world.clock.advance(PAUSE_AFTER_FAILURE)
    world.keep(3)

    assert len(world.free()) == len(world.all()) == 2


def test_a_spare_that_does_not_come_to_wait_is_replaced(world):
    world.launcher.begins_as = TaskPending()
    world.start()
    world.keep()
    (new,) = [spare for spare in world.all() if spare.waits_since is None]

    world.clock.advance(LONGEST_START)
    world.keep()

    assert "did not wait" in world.store().find(new.id).failure
    assert isinstance(world.launcher.describe(new.task), TaskStopped)


def test_old_spares_are_replaced_one_after_the_other(world):
    old = {spare.id for spare in world.free()}
    world.clock.advance(LONGEST_WAIT)
    waiting = []
    for _ in range(8):
        world.keep()
        waiting.append(len(world.free()))
    assert min(waiting) == 1
    assert old.isdisjoint({spare.id for spare in world.free()})
    assert len(world.free()) == 2


def test_superfluous_spares_are_ended_those_that_do_not_wait_first(world):
    kept = {spare.id for spare in world.free()}
    world.offer(replace(WARM, warmth=Warmth(4)))
    world.reaping.sweep()
    world.offer(WARM)
    world.keep(2)
    assert {spare.id for spare in world.all()} == kept


def test_a_sweep_whose_turn_it_is_not_starts_nothing(world):
    world.start()
    now = world.clock.now()
    lease = world.stores.leases.claim(LEASE, limit=1, now=now, until=now + LONGEST_LEASE)
    world.keep()
    assert len(world.free()) == 1

    world.stores.leases.release(lease)
    world.keep()
    assert len(world.free()) == 2


@pytest.mark.parametrize(("refusal", "failures"), [(CapacityUnavailableError("full"), 0), (LaunchFailedError("no"), 2)])
def test_a_start_that_is_refused_is_tried_again_later(refusal, failures):
    world = Warm()
    world.launcher.refusal = refusal
    world.reaping.sweep()
    assert sum(bool(spare.failure) for spare in world.all()) == failures
    world.launcher.refusal = None
    world.clock.advance(PAUSE_AFTER_FAILURE)
    world.keep(2)
    assert len(world.free()) == 2


def test_a_task_whose_starter_died_before_it_noted_it_is_adopted(world):
    spare = world.free()[0]
    world.store().found[spare.id] = replace(spare, task="")
    world.keep()
    assert world.store().find(spare.id).task == spare.task
    assert len(world.launcher.spares) == 2


def test_a_slow_starter_does_not_end_its_task_once_that_is_claimed():
    world = Warm(replace(WARM, warmth=Warmth(1)))
    start_spare = world.launcher.start_spare

    def slow(order):
        task = start_spare(order)
        world.store().replace(world.store().find(order.spare_id), replace(world.all()[0], task=task, revision=1))
        world.wait()
        world.start()
        return task

    world.launcher.start_spare = slow
    world.reaping.sweep()

    server = world.server()
    assert server.spare_id
    assert isinstance(world.launcher.describe(server.task), TaskRunning)


def test_a_stop_that_died_before_it_was_written_is_taken_up(world):
    server = world.running(profile="warm")
    world.stopping.request(server)
    world.store().remove_claim(server.spare_id)
    world.turn()
    assert world.server().state is State.STOPPED


def test_a_task_without_a_record_and_a_second_task_of_a_spare_are_ended(world):
    spare = world.free()[0]
    world.launcher.status["w-lost/task"] = world.launcher.status[f"{spare.id}/second"] = TaskRunning("127.0.0.1:1")

    world.keep()

    assert {task.task for task in world.launcher.tasks()} == {one.task for one in world.all()}


def test_a_servers_task_is_no_orphan_although_its_claim_is_gone(world):
    server = world.running(profile="warm")
    world.store().remove_claim(server.spare_id)

    world.keep(2)

    assert world.server().state is State.READY


def test_where_nothing_waits_starts_and_sweeps_are_as_ever():
    world = World(profiles=(WARM,))
    server = world.running(profile="warm")
    world.sweep()
    assert (server.state, len(world.launcher.started)) == (State.READY, 1)
