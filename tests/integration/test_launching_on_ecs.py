"""The life of servers as Fargate tasks: the services over the ECS launcher, with a clock that tests set."""

import contextlib
import itertools
import random
from datetime import timedelta

import pytest

from hubless.adapters.ecs.config import Capacity
from hubless.adapters.ecs.events import read
from hubless.domain.errors import RetryLaterError
from hubless.domain.lifecycle import Deadlines, State
from hubless.domain.profiles import Profile
from hubless.ports.launcher import Launch
from hubless.ports.readiness import Answer
from tests.support.ecs import HOMES, Cloud
from tests.support.world import World

DEADLINES = Deadlines(launching=timedelta(minutes=5), starting=timedelta(minutes=2), stopping=timedelta(minutes=1))
TICK = timedelta(seconds=5)


class UpWhenRunning:
    """Answers where a task runs at the address, as a server would."""

    def __init__(self, world):
        self.world = world

    def answers(self, server, prefix):
        running = [task for task in self.world.account.running() if task["lastStatus"] == "RUNNING"]
        is_up = server.address in [f"{task['attachments'][0]['details'][-1]['value']}:8888" for task in running]
        return Answer() if is_up else None


class CloudWorld(World):
    """A hub in the cloud. *hears*: whether task events arrive; *polls*: whether it polls pending servers."""

    def __init__(self, *, hears=False, polls=True, seed=0, lag=0.0, describe_lag=0.0, **others):
        def launcher(clock):
            self.cloud = Cloud(clock, seed, lag=lag, describe_lag=describe_lag, **others)
            return self.cloud.launcher()

        super().__init__(launcher=launcher, readiness=UpWhenRunning(self), deadlines=DEADLINES)
        self.account, self.hears, self.polls = self.cloud.account, hears, polls

    def deliver(self):
        self.deliver_in_time()

    def hear(self, news):
        for event in news:
            self.launching.on_task_event(read(event, self.cloud.config))

    def turn(self, times=3):
        for _ in range(times):
            self.deliver()
            self.edge.look()
            if self.hears:
                self.hear(self.account.take_news())
            if self.polls:
                self.launching.reconcile_pending()
            self.edge.look()
            self.clock.advance(TICK)

    def until(self, state, name=""):
        for _ in range(100):
            if self.server(name).state is state:
                return self.server(name)
            self.turn(1)
        raise AssertionError(self.server(name))

    def running(self, name="", **options):
        self.spawning.start(self.alice, name, user_options=options or None)
        return self.until(State.READY, name)

    def launches(self):
        return [self.account.environment_of(task)["HUBLESS_LAUNCH_ID"] for task in self.account.tasks.values()]

    def assert_settled(self):
        super().assert_settled()
        live = sorted(server.launch_id for server in self.servers.in_states(list(State)) if server.task)
        assert sorted(self.cloud.launches_running()) == live
        assert (
            sorted({key.removeprefix("launches/school/").partition(".")[0] for key in self.account.secrets()}) == live
        )


@pytest.fixture(params=["asks", "hears", "asks, and gets late lists"])
def world(request):
    return {
        "asks": lambda: CloudWorld(),
        "hears": lambda: CloudWorld(hears=True),
        "asks, and gets late lists": lambda: CloudWorld(lag=10, describe_lag=6, homes=HOMES),
    }[request.param]()


def test_a_spawn_ends_in_a_ready_server_and_a_stop_leaves_nothing(world):
    server = world.running()

    assert [(r.prefix, r.address) for r in world.routes.all()] == [("/user/alice/", server.address)]
    world.clock.advance(timedelta(seconds=10))
    world.assert_settled()

    world.stopping.request(server)
    world.until(State.STOPPED)
    world.assert_settled()
    assert world.account.secrets() == {}
    assert [u.outcome for u in world.usage.of_owner(world.alice.id)] == ["stopped"]


def test_the_server_is_given_the_token_that_the_hub_knows(world):
    from hubless.domain.tokens import sha256

    world.running()

    (task,) = world.account.running()
    seen = world.account.environment_of(task)
    assert world.tokens.find(sha256(seen["JUPYTERHUB_API_TOKEN"])).note == "Server at /user/alice/"
    assert seen["JUPYTERHUB_OAUTH_ACCESS_SCOPES"] == '["access:servers!server=alice/", "access:servers!user=alice"]'
    assert seen["JUPYTERHUB_SERVER_NAME"] == ""


def test_a_stop_and_a_start_again_are_two_launches_with_two_tokens(world):
    tokens = set()
    for _ in range(2):
        server = world.running()
        (task,) = world.account.running()
        tokens.add(world.account.environment_of(task)["JUPYTERHUB_API_TOKEN"])
        world.stopping.request(server)
        world.until(State.STOPPED)

    assert len(tokens) == 2
    assert len(world.launches()) == 2
    world.assert_settled()


@pytest.mark.parametrize("seconds", [0, 10, 20, 40, 60, 90])
def test_a_stop_at_any_moment_of_a_start_leaves_nothing(world, seconds):
    world.spawning.start(world.alice, "")
    world.deliver()
    world.clock.advance(timedelta(seconds=seconds))

    world.stopping.request_until_done(world.server())
    world.until(State.STOPPED)
    world.turn(5)

    world.assert_settled()
    assert world.account.running() == []


@pytest.mark.parametrize(
    "why",
    ["CannotPullContainerError: manifest unknown", "ResourceInitializationError: failed to invoke EFS utils commands"],
)
def test_a_task_that_cannot_start_fails_the_server_at_once_with_ecs_reason(world, why):
    world.spawning.start(world.alice, "")
    world.turn(2)
    (task,) = world.account.running()
    world.account.fail_to_start(task["taskArn"], why)
    world.turn(2)

    assert world.server().state is State.FAILED
    assert world.server().failure == f"The server could not be started: {why}"
    world.assert_settled()


def test_a_crash_is_reported_with_exit_code_and_reason(world):
    world.running()
    (task,) = world.account.running()
    world.account.die(task["taskArn"], 137, "OutOfMemoryError: Container killed due to memory usage")

    world.turn(1)
    if not world.hears:
        world.launching.reconcile_running()

    assert world.server().state is State.FAILED
    assert (
        world.server().failure
        == "The server exited with code 137 (OutOfMemoryError: Container killed due to memory usage)"
    )
    world.assert_settled()


def test_an_early_crash_is_reported_by_an_event_alone():
    world = CloudWorld(hears=True, polls=False)
    world.spawning.start(world.alice, "")
    world.turn(2)
    asked = world.account.count()["DescribeTasks"]
    (task,) = world.account.running()
    world.account.fail_to_start(task["taskArn"], "CannotPullContainerError: no")
    world.hear(world.account.take_news())

    assert world.server().state is State.FAILED
    assert asked == 0


def test_a_start_needs_no_question_where_news_come():
    world = CloudWorld(hears=True, polls=False)
    world.spawning.start(world.alice, "")
    world.turn(20)

    assert world.server().state is State.STARTING  # the edge and the server itself send no news
    assert world.account.count()["DescribeTasks"] == 0

    world.polls = True
    assert world.until(State.READY).address.endswith(":8888")


def shuffled(news, source):
    """Lose some of the news, double some, and deliver all in another order."""
    kept = [event for event in news if source.random() < 0.7]
    kept += [event for event in kept if source.random() < 0.4]
    source.shuffle(kept)
    return kept


@pytest.mark.parametrize("seed", range(6))
def test_lost_doubled_late_and_reordered_events_lead_to_the_same_end(seed):
    world, source, late = CloudWorld(seed=seed, lag=4, describe_lag=3), random.Random(seed), []

    def hear():
        late.extend(shuffled(world.account.take_news(), source))
        now = [late.pop() for _ in range(source.randint(0, len(late)))]
        world.hear(now)

    def until(state):
        for _ in range(100):
            world.turn(1)
            hear()
            if world.server().state is state:
                return
        raise AssertionError(world.server())

    for _ in range(2):
        world.spawning.start(world.alice, "")
        until(State.READY)
        world.stopping.request(world.server())
        until(State.STOPPED)
    world.spawning.start(world.alice, "")
    until(State.READY)
    world.hear(late)
    world.turn(3)

    assert world.server().state is State.READY
    world.assert_settled()
    assert len(world.launches()) == 3


def test_a_class_that_starts_at_once_is_queued_not_refused():
    world = CloudWorld()
    for number in range(30):
        world.accounts.add(f"user-{number}")
        world.spawning.start(world.users.find(f"user-{number}"), "")

    for _ in range(30):
        world.turn(1)

    assert len(world.servers.in_states([State.READY])) == 30
    assert sorted(world.launches()) == sorted(world.cloud.launches_running())
    assert world.account.count()["RegisterTaskDefinition"] == 1
    world.assert_settled()


def test_a_launch_without_capacity_is_retried():
    world = CloudWorld()
    world.account.full["FARGATE"] = "exception"
    world.spawning.start(world.alice, "")
    world.turn(5)
    assert world.server().state is State.REQUESTED

    world.account.full.clear()

    world.until(State.READY)
    world.assert_settled()


def test_a_lack_of_capacity_that_lasts_fails_in_words_and_leaves_nothing():
    world = CloudWorld()
    world.account.full["FARGATE"] = "failure"
    world.spawning.start(world.alice, "")
    world.turn(2)
    world.clock.advance(DEADLINES.requested)
    world.turn(1)
    assert "no free slot in time" in world.server().failure

    world.sweep()

    world.assert_settled()
    assert world.account.secrets() == {}


@pytest.mark.parametrize(
    "operation",
    [
        "ListTaskDefinitions",
        "RegisterTaskDefinition",
        "PutObject",
        "RunTask",
        "DescribeTasks",
        "StopTask",
        "DeleteObject",
        "ListTasks",
        "ListObjectsV2",
    ],
)
def test_throttles_delay_and_break_nothing(operation):
    world = CloudWorld(lag=3, describe_lag=2)
    world.account.refuse(operation, times=3)

    world.spawning.start(world.alice, "")
    for _ in range(40):
        survive(lambda: world.turn(1))
        world.clock.advance(timedelta(seconds=1))
    assert world.server().state is State.READY
    world.stopping.request(world.server())
    world.clock.advance(timedelta(seconds=30))
    for _ in range(10):
        survive(lambda: world.sweep())

    assert not world.account.refusals[operation]
    assert world.server().state is State.STOPPED
    world.assert_settled()
    assert len(world.launches()) == 1


def test_a_place_on_spot_that_is_taken_back_fails_the_server_in_words():
    world = CloudWorld(capacity=Capacity.SPOT, hears=True)
    world.running()
    (task,) = world.account.running()
    world.account.interrupt(task["taskArn"])
    world.turn(10)
    assert world.server().state is State.READY  # two minutes' notice

    world.until(State.FAILED)

    assert "AWS reclaimed its Spot capacity" in world.server().failure
    world.assert_settled()


@pytest.mark.parametrize("seconds", range(0, 100, 7))
def test_a_task_that_dies_at_any_moment_is_settled(seconds):
    world = CloudWorld()
    world.spawning.start(world.alice, "")
    world.deliver()
    for _ in range(seconds // 5):
        world.turn(1)
    (task,) = world.account.running()
    world.account.die(task["taskArn"], 1)
    world.turn(2)
    world.launching.reconcile_running()

    assert world.server().state is State.FAILED
    assert world.server().failure == "The server exited with code 1"
    world.assert_settled()


def test_a_task_that_no_record_knows_is_ended_with_its_secrets():
    world = CloudWorld(lag=5)
    world.launcher.launch(
        Launch("l-unknown", "s-unknown", "u-unknown", "x", "", "/user/x/", Profile("default"), {}, {"T": "t"})
    )
    assert world.account.secrets()

    for _ in range(2):
        world.sweep()
        world.clock.advance(timedelta(seconds=30))

    assert world.account.running() == []
    world.assert_settled()


# --- crashes ---


class Crash(BaseException):
    """The process dies: nothing catches this."""


# Each that is made on the way, by name and number; with Spot that is full, some are made once more.
CALLS = [
    *[
        (call, 1, Capacity.FARGATE)
        for call in ("CreateAccessPoint", "ListTaskDefinitions", "RegisterTaskDefinition", "PutObject")
    ],
    *[(call, nth, Capacity.FARGATE) for call in ("DescribeTasks", "ListTasks", "ListObjectsV2") for nth in (1, 3)],
    *[(call, nth, Capacity.FARGATE) for call in ("StopTask", "DeleteObject") for nth in (1, 2)],
    *[(call, nth, Capacity.SPOT_OR_FARGATE) for call in ("PutObject", "RunTask") for nth in (1, 2)],
    ("RunTask", 1, Capacity.FARGATE),
]


def let_die(world, call, nth, when):
    """Have the process die before or after the nth call of one operation."""
    world.has_died = False
    calls = itertools.count(1)

    def dying(operation):
        if operation == call and next(calls) == nth:
            world.has_died = True
            raise Crash

    setattr(world.cloud.wire, when, dying)


def survive(step):
    with contextlib.suppress(Crash, RetryLaterError):
        step()


@pytest.mark.parametrize("then", ["comes again", "is overtaken by a stop"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("call", "nth", "capacity"), CALLS)
def test_a_crash_at_any_call_converges_within_two_sweeps(call, nth, capacity, when, then):
    """Spawn, then stop, with a crash at one call; the message that was at work comes again, or a stop comes first."""
    world = CloudWorld(homes=HOMES, lag=4, describe_lag=3, capacity=capacity)
    if capacity is Capacity.SPOT_OR_FARGATE:
        world.account.full["FARGATE_SPOT"] = "failure"
    let_die(world, call, nth, when)

    def work():
        """Hand every message out, done or not: what was handled comes twice, which must not matter."""
        for message in list(world.queue.sent):
            survive(lambda message=message: world.launching.on_message(message))
            if world.has_died and then == "is overtaken by a stop":
                world.stopping.request_until_done(world.server())
        world.edge.look()
        survive(world.launching.reconcile_pending)

    world.spawning.start(world.alice, "")
    for _ in range(7):
        work()
        survive(world.reaping.sweep)
        world.clock.advance(timedelta(seconds=14))
    world.account.full.clear()  # from now on Spot has room: nothing may start there beside what runs
    world.stopping.request_until_done(world.server())
    for _ in range(5):
        work()
        world.clock.advance(TICK)
    assert world.has_died
    for _ in range(2):
        world.sweep()
        world.clock.advance(timedelta(seconds=30))

    world.assert_settled()
    assert world.server().state in {State.STOPPED, State.FAILED}
    assert world.account.running() == []
    assert world.account.secrets() == {}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("call", "nth", "capacity"), [call for call in CALLS if call[0] not in {"StopTask", "DeleteObject"}]
)
def test_a_crash_on_the_way_up_ends_in_one_running_server(call, nth, capacity, when):
    world = CloudWorld(homes=HOMES, lag=4, describe_lag=3, capacity=capacity)
    if capacity is Capacity.SPOT_OR_FARGATE:
        world.account.full["FARGATE_SPOT"] = "failure"
    let_die(world, call, nth, when)

    world.spawning.start(world.alice, "")
    for turn in range(14):
        for message in list(world.queue.sent):
            survive(lambda message=message: world.launching.on_message(message))
        if turn == 2:
            world.account.full.clear()
        for step in (world.launching.reconcile_pending, world.reaping.sweep, world.edge.look):
            survive(step)
        world.clock.advance(timedelta(seconds=9))

    assert world.has_died
    assert world.server().state is State.READY
    assert len(world.launches()) == 1
    world.assert_settled()
