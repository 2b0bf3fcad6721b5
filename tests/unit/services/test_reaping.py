"""The sweep: its cost, its time limit and resume point, and two concurrent sweeps."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.errors import StoreConflictError, StoreUnavailableError
from hubless.domain.idleness import IdlePolicy
from hubless.domain.lifecycle import State
from hubless.domain.messages import MessageKind
from hubless.domain.routes import Route
from hubless.domain.tokens import OwnerKind
from hubless.domain.users import Service
from hubless.ports.launcher import TaskRunning, TaskStopped
from tests.support.builders import a_session, a_token
from tests.support.world import World

HOUR = timedelta(hours=1)
NAMES = [f"n{number}" for number in range(6)]


class Around:
    """Counts the calls of ports, and does something at each of them."""

    def __init__(self):
        self.before = lambda: None

    def __call__(self, port):
        return Watched(port, self)


class Watched:
    def __init__(self, port, around):
        self.__dict__.update(port=port, around=around)

    def __getattr__(self, name):
        part = getattr(self.port, name)
        if not callable(part):
            return part

        def call(*args, **kwargs):
            self.around.before()
            return part(*args, **kwargs)

        return call

    def __setattr__(self, name, value):
        setattr(self.port, name, value)


def busy_world(**others):
    """A hub with idle and crashed servers, orphan tasks, stale routes and expired records."""
    world = World(idle_policy=IdlePolicy(idle_after=HOUR), named_limit=50, **others)
    for name in NAMES:
        world.running(name)
    world.clock.advance(2 * HOUR)
    for name in NAMES[:3]:
        world.launcher.dies(world.server(name).task)
    for number in range(3):
        world.launcher.status[f"l-unknown{number}"] = TaskRunning(f"10.9.9.{number}:1")
        world.routes.put(Route(f"/user/gone{number}/", "10.9.9.9:1", f"l-gone{number}"))
    for number in range(60):
        world.tokens.create(a_token(f"t{number}", owner_id=world.alice.id, expires_at=world.clock.now()))
    world.sessions.create(a_session(user_id=world.alice.id, expires_at=world.clock.now()))
    return world


def assert_swept(world):
    states = [world.server(name).state for name in NAMES]
    assert states == [State.FAILED] * 3 + [State.STOPPED] * 3
    assert world.sessions.of_user(world.alice.id) == []
    assert world.tokens.of_owner(OwnerKind.USER, world.alice.id) == []
    outcomes = [usage.outcome for usage in world.usage.of_owner(world.alice.id)]
    assert len(outcomes) == len(NAMES)
    world.assert_settled()


def test_a_sweep_with_enough_time_is_complete():
    world = busy_world()

    done = world.reaping.sweep(until=world.clock.now() + HOUR)
    world.turn()

    assert (done.checked, done.reaped, done.orphans, done.stale_routes) == (6, 3, 3, 3)
    assert (done.expired, done.is_incomplete) == (61, False)
    assert world.sweeps.resume_point() == ""
    assert_swept(world)


@pytest.mark.parametrize("seconds", range(0, 40, 3))
def test_a_sweep_that_is_cut_repeatedly_reaches_everything(seconds):
    """Every call takes a second; each run has some of them, and begins where the last one was cut."""
    around = Around()
    world = busy_world(around=around)
    around.before = lambda: world.clock.advance(timedelta(seconds=1))

    cut = 0
    for _ in range(40):
        listed_at = world.clock.now() + timedelta(seconds=5)  # that making the lists takes
        done = world.reaping.sweep(until=listed_at + timedelta(seconds=seconds))
        cut += done.is_incomplete
        if not done.is_incomplete and world.sweeps.resume_point() == "":
            break
    around.before = lambda: None
    world.turn()
    world.sweep()

    assert cut >= 1
    assert_swept(world)


def test_a_bad_server_does_not_block_a_cut_sweep():
    world = World(named_limit=50)
    for name in NAMES:
        world.launcher.dies(world.running(name).task)
    plain, tries = world.launcher.describe, []

    def describe(task):
        if task == world.server(NAMES[0]).task:
            tries.append(task)
            world.clock.advance(HOUR)  # it takes all the time that there is
            raise RuntimeError("the launcher stumbles")
        return plain(task)

    world.launcher.describe = describe
    world.launcher.describe_many = lambda _: {}
    for _ in range(30):
        world.reaping.sweep(until=world.clock.now() + timedelta(seconds=1))

    assert {world.server(name).state for name in NAMES[1:]} == {State.FAILED}
    assert len(tries) > 1


def test_another_whole_sweep_at_any_call_of_a_sweep_does_no_harm():
    def calls_of_a_sweep():
        made, around = [], Around()
        world = busy_world(around=around)
        around.before = lambda: made.append(1)
        world.reaping.sweep()
        return len(made)

    for number in range(calls_of_a_sweep()):
        around, left = Around(), [number]
        world = busy_world(around=around)

        def be_faster(left=left, around=around, world=world):
            left[0] -= 1
            if left[0] < 0:
                around.before = lambda: None
                world.reaping.sweep()

        around.before = be_faster
        world.reaping.sweep()
        world.turn()

        assert left[0] < 0
        assert_swept(world)


def test_a_server_active_since_the_list_was_read_is_kept():
    world = World(idle_policy=IdlePolicy(idle_after=HOUR))
    server = world.running()
    world.clock.advance(HOUR)
    plain = world.users.get_many

    def meanwhile(ids):
        world.servers.touch(server.id, world.clock.now())
        return plain(ids)

    world.users.get_many = meanwhile

    assert world.reaping.sweep().reaped == 0
    assert world.server().state is State.READY


def test_unlisted_tasks_are_described_in_one_call():
    world, asked = World(), []
    for name in NAMES[:3]:
        world.running(name)
    for name in NAMES[:3]:
        world.launcher.dies(world.server(name).task)
    world.launcher.describe_many = lambda tasks: (
        asked.append(tasks) or {task: TaskStopped("exited with code 1") for task in tasks}
    )
    world.launcher.describe = None  # a call would raise

    world.reaping.sweep()

    assert [len(tasks) for tasks in asked] == [3]
    assert {world.server(name).state for name in NAMES[:3]} == {State.FAILED}


def test_routed_services_cost_no_reads_of_routes():
    services = {name: Service(name, url=f"http://10.1.1.{n}:80") for n, name in enumerate(("a", "b"))}
    around, calls = Around(), []
    world = World(services=services, around=around)
    world.reaping.sweep()
    assert len(list(world.routes.all())) == 2
    plain = world.routes.port.put
    world.routes.port.put = lambda route: calls.append(route) or plain(route)

    world.reaping.sweep()

    assert calls == []


def test_a_message_that_is_lost_again_is_sent_again_by_each_sweep():
    world = World()
    world.spawning.start(world.alice, "")
    for _ in range(2):
        world.queue.sent.clear()
        world.clock.advance(timedelta(seconds=20))
        world.reaping.sweep()
        assert [message.kind for message in world.queue.sent] == [MessageKind.LAUNCH]


# --- leftovers of two concurrent workers ---


def second_task(world, task):
    """Have the launcher run another task of the same launch, as where Spot and demand were tried at once."""
    launcher, name = world.launcher, f"{task}-second"
    launcher.status[name] = TaskRunning("127.0.0.1:9999")
    listed = launcher.tasks
    launcher.tasks = lambda: [replace(one, launch_id=task) if one.task == name else one for one in listed()]
    return name


def test_a_second_task_of_a_launch_is_ended_and_credentials_stay():
    world = World()
    server = world.running()
    second = second_task(world, server.task)

    world.sweep()

    assert isinstance(world.launcher.describe(second), TaskStopped)
    assert isinstance(world.launcher.describe(server.task), TaskRunning)
    assert world.server().state is State.READY
    assert world.launcher.forgotten == []
    assert world.stores.held()[0] == [server.launch_id]


def test_a_worker_that_starts_a_second_task_ends_only_that():
    world = World()
    world.spawning.start(world.alice, "")
    (message,) = world.queue.sent
    world.deliver()
    first = world.server()
    world.launcher.launch = lambda launch: second_task(world, launch.launch_id)

    world.launching._launch(replace(first, state=State.REQUESTED, task=None, revision=first.revision - 1))

    assert world.server().task == first.task
    assert isinstance(world.launcher.describe(f"{first.task}-second"), TaskStopped)
    assert isinstance(world.launcher.describe(first.task), TaskRunning)
    assert world.stores.held()[0] == [message.launch_id]


def test_a_ready_server_gets_a_lost_route_back():
    world = World()
    server = world.running()
    route = next(iter(world.routes.all()))
    world.routes.put(replace(route, address="10.9.9.9:8888", launch_id="an earlier launch"))

    world.sweep(2)

    assert list(world.routes.all()) == [route]
    assert world.server() == server


def test_a_route_added_after_a_stop_is_removed_again():
    world = World()
    world.spawning.start(world.alice, "")
    world.deliver()
    world.launching.reconcile_pending()
    stale = world.server()
    world.routes.remove("/user/alice/", stale.launch_id)
    world.launcher.dies(stale.task)
    world.launching.reconcile(stale)
    assert world.server().state is State.FAILED

    with suppress(StoreConflictError):
        world.launching.reconcile(stale, TaskRunning(stale.address))

    assert list(world.routes.all()) == []


@pytest.mark.parametrize(
    ("minutes", "messages", "sent"),
    [(1, 0, 0), (2.5, 0, 1), (5, 0, 1), (2.5, 1, 1), (5, 1, 0), (7.9, 1, 0), (8.5, 1, 1), (9.5, 1, 0)],
)
def test_a_waiting_launch_is_sent_again_if_its_message_may_be_lost(minutes, messages, sent):
    world = World()
    world.spawning.start(world.alice, "")
    world.queue.sent = world.queue.sent[:messages]
    world.clock.advance(timedelta(minutes=minutes))

    replace(world.reaping, message_is_lost_after=timedelta(minutes=2)).sweep()

    assert len(world.queue.sent) == messages + sent


def test_a_sweep_goes_on_without_the_queue_depth():
    world = World()
    world.spawning.start(world.alice, "")
    world.clock.advance(timedelta(minutes=1.5))

    def away():
        raise StoreUnavailableError("SQS is away")

    world.queue.depth = away

    assert world.reaping.sweep().checked == 1
