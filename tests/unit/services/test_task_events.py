"""Starts without ticks: messages, task events and the server's activity reports."""

from datetime import timedelta
from itertools import permutations

import pytest

from hubless.adapters.activity_readiness import ActivityReadiness
from hubless.domain.errors import CapacityUnavailableError, RetryLaterError
from hubless.domain.lifecycle import State
from hubless.domain.messages import Message, MessageKind
from hubless.domain.profile_options import Chosen
from hubless.ports.launcher import TaskEvent, TaskPending, TaskRunning, TaskStopped
from tests.support.world import World

ADDRESS = "10.0.0.7:8888"


class Cloud(World):
    """A world without ticks, in which tasks take their time and readiness is hearsay."""

    def __init__(self):
        super().__init__(readiness=ActivityReadiness())
        self.launcher.begins_as = TaskPending()
        self.edge.look()

    def spawn(self):
        self.spawning.start(self.alice, "")
        self.deliver()
        return self.server()

    def tell(self, status, *, launch_id=None):
        """Have the launcher tell of the server's task."""
        server = self.server()
        self.launcher.status[server.launch_id] = status
        self.launching.on_task_event(TaskEvent(server.launch_id, server.id, launch_id or server.launch_id, status))

    def speak(self):
        """Have the server report its first activity, as with its own token."""
        self.clock.advance(timedelta(seconds=1))
        self.activity.report(self.alice, None, {"": self.clock.now()}, by_server=self.server().id)

    def deliver_patiently(self):
        """Hand out messages until none waits; those that come too early come again after the edge has looked."""
        for _ in range(5):
            self.deliver_in_time()
            self.edge.look()


@pytest.fixture
def cloud():
    return Cloud()


def test_events_and_activity_complete_a_start(cloud):
    assert cloud.spawn().state is State.LAUNCHING

    cloud.tell(TaskRunning(ADDRESS))
    assert (cloud.server().state, cloud.server().address) == (State.STARTING, ADDRESS)

    cloud.speak()
    cloud.deliver_patiently()
    assert cloud.server().state is State.READY
    cloud.assert_settled()


def test_an_address_does_not_make_a_server_ready(cloud):
    cloud.spawn()
    cloud.tell(TaskRunning(ADDRESS))
    cloud.deliver_patiently()

    assert cloud.server().state is State.STARTING
    assert not list(cloud.routes.all())


def test_a_reporting_server_is_not_ready_before_an_edge_serves_it(cloud):
    cloud.spawn()
    cloud.tell(TaskRunning(ADDRESS))
    cloud.speak()

    with pytest.raises(RetryLaterError):
        cloud.deliver()
    assert cloud.server().state is State.STARTING


def test_activity_of_an_earlier_launch_is_ignored(cloud):
    cloud.spawn()
    cloud.tell(TaskRunning(ADDRESS))
    cloud.speak()
    cloud.deliver_patiently()
    cloud.stopping.request(cloud.server())
    cloud.clock.advance(timedelta(seconds=5))
    cloud.tell(TaskStopped("ended"))
    assert cloud.server().state is State.STOPPED

    cloud.queue.sent.clear()
    cloud.spawn()
    cloud.tell(TaskRunning(ADDRESS))
    cloud.deliver_patiently()
    assert cloud.server().state is State.STARTING


def test_activity_reported_by_others_sends_no_message(cloud):
    cloud.spawn()
    cloud.activity.report(cloud.alice, None, {"": cloud.clock.now()})

    assert cloud.queue.sent == []


def test_activity_of_a_ready_server_sends_no_message(cloud):
    cloud.spawn()
    cloud.tell(TaskRunning(ADDRESS))
    cloud.speak()
    cloud.deliver_patiently()

    cloud.speak()
    assert cloud.queue.sent == []


STEPS = {
    "coming": lambda cloud: cloud.tell(TaskPending()),
    "running": lambda cloud: cloud.tell(TaskRunning(ADDRESS)),
    "running again": lambda cloud: cloud.launching.on_task_event(
        TaskEvent(cloud.server().launch_id, cloud.server().id, cloud.server().launch_id, TaskRunning(ADDRESS))
    ),
    "speaking": lambda cloud: cloud.speak(),
}


@pytest.mark.parametrize("order", [*permutations(STEPS)], ids=", ".join)
def test_a_server_gets_ready_in_any_order_of_events(cloud, order):
    cloud.spawn()
    for step in order:
        STEPS[step](cloud)
        cloud.deliver_patiently()

    assert cloud.server().state is State.READY
    cloud.assert_settled()


def test_activity_makes_up_for_a_lost_event(cloud):
    server = cloud.spawn()
    cloud.launcher.status[server.task] = TaskRunning(ADDRESS)  # without an event
    cloud.speak()
    cloud.deliver_patiently()

    assert cloud.server().state is State.READY


def test_an_event_before_the_launch_is_stored_stores_the_task(cloud):
    """The function dies between launch and write: the event names the task, and the repeated message adds nothing."""
    cloud.spawning.start(cloud.alice, "")
    message = cloud.queue.sent[0]
    cloud.launcher.launch(
        cloud.credentials.issue(cloud.server(), cloud.alice, Chosen(cloud.launching.profiles["default"]))
    )

    cloud.tell(TaskRunning(ADDRESS))
    assert (cloud.server().state, cloud.server().task) == (State.STARTING, cloud.server().launch_id)

    cloud.launching.on_message(message)
    assert len(cloud.launcher.started) == 1
    cloud.speak()
    cloud.deliver_patiently()
    cloud.assert_settled()


def test_an_early_crash_fails_at_once_with_the_launchers_reason(cloud):
    cloud.spawn()
    cloud.tell(TaskStopped("could not pull its image: not found"))

    assert cloud.server().state is State.FAILED
    assert cloud.server().failure == "The server could not pull its image: not found"
    cloud.assert_settled()


def test_the_end_event_completes_a_stop(cloud):
    cloud.launcher.obeys_stop = False
    cloud.spawn()
    cloud.tell(TaskRunning(ADDRESS))
    cloud.stopping.request(cloud.server())
    cloud.deliver()
    assert cloud.server().state is State.STOPPING

    cloud.tell(TaskStopped("ended"))
    assert cloud.server().state is State.STOPPED
    cloud.assert_settled()


def test_an_event_of_a_finished_launch_changes_nothing(cloud):
    cloud.spawn()
    before = cloud.server()
    cloud.launching.on_task_event(TaskEvent("old", before.id, "an-older-launch", TaskStopped("ended")))
    cloud.launching.on_task_event(TaskEvent("x", "no-such-server", "l", TaskRunning(ADDRESS)))

    assert cloud.server() == before


def test_activity_is_handled_without_asking_the_launcher(cloud):
    cloud.spawn()
    cloud.tell(TaskRunning(ADDRESS))
    cloud.speak()
    cloud.launcher.describe = None  # a call would raise

    cloud.deliver_patiently()
    assert cloud.server().state is State.READY


def test_a_sweep_describes_only_unlisted_tasks(cloud):
    cloud.spawn()
    cloud.launcher.status[cloud.server().task] = TaskRunning(ADDRESS)
    cloud.launcher.describe = None

    cloud.reaping.sweep()
    assert cloud.server().state is State.STARTING


def test_a_throttled_launch_writes_nothing(cloud):
    class Full:
        def acquire(self):
            raise CapacityUnavailableError("500 launches wait", after=timedelta(seconds=9))

    cloud.launching = cloud.with_rate_limiter(Full())
    with pytest.raises(CapacityUnavailableError):
        cloud.spawn()

    assert cloud.server().state is State.REQUESTED
    assert cloud.clients.get(f"jupyterhub-user-{cloud.server().id}") is None
    assert cloud.launcher.started == []


def test_an_activity_message_of_a_finished_launch_does_nothing(cloud):
    server = cloud.spawn()
    cloud.tell(TaskStopped("ended"))
    ended = cloud.server()

    cloud.launching.on_message(Message(MessageKind.ACTIVITY, server.id, server.launch_id))
    assert cloud.server() == ended


def test_a_sweep_completes_the_start_of_a_reporting_server(cloud):
    """The event of its address is lost, and so is the message that it spoke: the sweep sees both."""
    server = cloud.spawn()
    cloud.launcher.status[server.task] = TaskRunning(ADDRESS)
    cloud.speak()
    cloud.queue.sent.clear()

    cloud.reaping.sweep()
    assert cloud.server().state is State.STARTING  # the edge does not serve it yet
    cloud.deliver_patiently()
    assert cloud.server().state is State.READY


def test_activity_before_the_launch_is_stored_is_not_lost(cloud):
    cloud.spawning.start(cloud.alice, "")
    cloud.launcher.launch(
        cloud.credentials.issue(cloud.server(), cloud.alice, Chosen(cloud.launching.profiles["default"]))
    )
    cloud.launcher.status[cloud.server().launch_id] = TaskRunning(ADDRESS)
    cloud.speak()
    launch, follow = cloud.queue.sent
    cloud.queue.sent.clear()

    cloud.launching.on_message(follow)  # too early, and done with
    cloud.launching.on_message(launch)
    cloud.deliver_patiently()
    assert cloud.server().state is State.READY


@pytest.mark.parametrize("spoke", [True, False])
def test_a_missed_deadline_does_not_fail_a_server_with_progress(cloud, spoke):
    cloud.spawn()
    if spoke:
        cloud.speak()
        cloud.queue.sent.clear()
    cloud.clock.advance(cloud.deadlines.launching)
    cloud.edge.look()

    cloud.tell(TaskRunning(ADDRESS))
    assert cloud.server().state is State.STARTING

    cloud.clock.advance(cloud.deadlines.starting)
    cloud.edge.look()
    cloud.launching.reconcile(cloud.server(), TaskRunning(ADDRESS))
    assert cloud.server().state is (State.READY if spoke else State.FAILED)
    assert spoke or "did not answer" in cloud.server().failure


def test_a_server_that_no_edge_serves_fails_with_that_reason(cloud):
    cloud.spawn()
    cloud.tell(TaskRunning(ADDRESS))
    cloud.speak()
    cloud.clock.advance(cloud.deadlines.starting)

    cloud.launching.reconcile(cloud.server(), TaskRunning(ADDRESS))
    assert "did not reach every edge within 60 seconds" in cloud.server().failure
