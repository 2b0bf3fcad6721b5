"""Edge autosuspend: the edge runs when somebody needs it, and stops after the idle timeout, in any interleaving."""

from datetime import timedelta

import pytest

from hubless.domain.edges import INITIAL_STATE, DesiredEdgeState, EdgePower
from hubless.domain.errors import (
    EdgeCapacityError,
    EdgeUnavailableError,
    RetryLaterError,
    StoreUnavailableError,
)
from hubless.domain.lifecycle import Deadlines, State
from hubless.domain.users import Service
from tests.support.builders import NOW
from tests.support.crash_points import Crash
from tests.support.fakes import SleepyMachine
from tests.support.sqlite import InMemory, stores_of
from tests.support.world import World

MINUTE = timedelta(minutes=1)
DEADLINES = Deadlines(launching=10 * MINUTE, starting=3 * MINUTE, stopping=3 * MINUTE)  # the cloud's


class Points:
    """Counts calls of the ports that autosuspend uses, and acts or crashes before or after one of them."""

    def __init__(self):
        self.passed, self.at, self.act = 0, None, None

    def plan(self, at, act):
        self.passed, self.at, self.act = 0, at, act

    def around(self, port):
        return _Around(port, self)

    def hit(self):
        here, self.passed = self.passed, self.passed + 1
        if here == self.at:
            self.act()


class _Around:
    def __init__(self, port, points):
        self.__dict__.update(_port=port, _points=points)

    def __getattr__(self, name):
        found = getattr(self._port, name)
        if name not in {"read", "write", "start", "stop"}:
            return found

        def act(*given):
            self._points.hit()
            answer = found(*given)
            self._points.hit()
            return answer

        return act


class Economy(World):
    """A hub whose edge sleeps. Time passes in steps of five seconds; the sweep comes once a minute."""

    def __init__(self, services=None):
        points, stores = Points(), stores_of(InMemory())
        stores.desired_edge_state = points.around(stores.desired_edge_state)
        super().__init__(
            stores=stores,
            services=services,
            deadlines=DEADLINES,
            machine=lambda routes, clock: points.around(SleepyMachine(routes, clock)),
        )
        self.points, self.edge = points, self.machine._port
        self.edge.look()

    def live(self, time, *, sweeps=True):
        for second in range(5, int(time.total_seconds()) + 1, 5):
            self.clock.advance(timedelta(seconds=5))
            self.edge.look()
            self.deliver_in_time()
            self.launching.reconcile_pending()
            if sweeps and second % 60 == 0:
                self.edge.look()
                self.reaping.sweep()

    def start(self):
        self.spawning.start(self.alice, "")

    def stop(self):
        self.stopping.request(self.server())

    def asleep(self):
        self.live(13 * MINUTE)
        assert (self.edge.state, self.desired_state().power) == ("stopped", EdgePower.STOPPED)
        self.edge.calls.clear()

    def desired_state(self):
        return self.stores.desired_edge_state.read()


@pytest.fixture
def hub():
    return Economy()


def test_the_edge_stops_after_the_idle_timeout(hub):
    hub.live(10 * MINUTE)
    assert (hub.edge.state, hub.edge.calls) == ("running", [])
    hub.live(2 * MINUTE)
    assert (hub.edge.state, hub.desired_state().power) == ("stopped", EdgePower.STOPPED)
    assert hub.metrics.measured["EdgeStops", ""] == [1]
    hub.live(60 * MINUTE)
    assert set(hub.edge.calls) == {"stop"}
    assert len(hub.edge.calls) <= 7  # for some minutes only


def test_the_edge_runs_while_a_server_is_active(hub):
    hub.running()
    hub.live(40 * MINUTE)
    assert (hub.edge.state, hub.edge.calls, hub.desired_state()) == ("running", [], INITIAL_STATE)


def test_a_new_server_restarts_the_idle_timeout(hub):
    hub.live(9 * MINUTE)
    assert hub.desired_state().power is EdgePower.IDLE
    hub.running()
    hub.live(MINUTE)
    assert hub.desired_state().power is EdgePower.RUNNING
    hub.stop()
    hub.live(10 * MINUTE)
    assert hub.edge.calls == []


def test_a_service_keeps_the_edge_running_and_starts_it():
    hub = Economy(services={"grader": Service("grader", url="http://10.0.0.9")})
    hub.live(20 * MINUTE)
    assert hub.edge.calls == []
    hub.edge.stop()
    hub.live(3 * MINUTE)
    assert hub.edge.is_up()


def test_a_start_starts_the_edge_before_the_launch(hub):
    hub.asleep()
    hub.start()
    hub.launcher.refusal = StoreUnavailableError("later")
    with pytest.raises(StoreUnavailableError):
        hub.deliver()
    assert (hub.edge.state, hub.edge.calls) == ("pending", ["start"])


def test_a_start_with_a_stopped_edge_gets_ready_without_a_sweep(hub):
    hub.asleep()
    hub.start()
    hub.live(MINUTE, sweeps=False)
    assert hub.server().state is State.READY
    assert set(hub.edge.calls) == {"start"}
    assert hub.metrics.measured["EdgeStarts", ""] == [1]


def test_a_start_with_a_stopping_edge_gets_ready(hub):
    hub.asleep()
    hub.edge.state, hub.edge.until = "stopping", hub.clock.now() + SleepyMachine.GOES_DOWN
    hub.start()
    hub.live(2 * MINUTE, sweeps=False)
    assert hub.server().state is State.READY
    assert len(hub.edge.calls) <= 6  # one in fifteen seconds, however many wait


def test_the_sweep_starts_an_edge_that_a_server_lacks(hub):
    hub.running()
    hub.edge.stop()
    hub.live(3 * MINUTE)
    assert hub.edge.is_up()


def test_a_request_without_an_edge_starts_it_and_says_so(hub):
    hub.running()
    assert hub.edge_autosuspend.start_if_down() is False
    hub.edge.stop()
    hub.clock.advance(MINUTE)
    assert hub.edge_autosuspend.start_if_down() is True
    hub.clock.advance(SleepyMachine.COMES_UP)
    hub.edge.look()
    assert hub.edge_autosuspend.start_if_down() is False


@pytest.mark.parametrize(
    ("why", "level"), [(EdgeCapacityError("no room"), "WARNING"), (EdgeUnavailableError("it is not there"), "ERROR")]
)
def test_a_refused_start_is_counted_and_logged(hub, caplog, why, level):
    hub.asleep()
    hub.edge.refuses = why
    hub.start()
    hub.deliver_in_time()
    assert hub.metrics.measured["EdgeStartStopFailures", ""] == [1]
    assert [(one.levelname, str(why) in one.message) for one in caplog.records] == [(level, True)]


@pytest.mark.parametrize(
    "why", [EdgeCapacityError("no room"), EdgeUnavailableError("it is not there"), StoreUnavailableError("away")]
)
def test_an_unreachable_ec2_fails_neither_a_start_nor_a_sweep(hub, why):
    hub.asleep()
    hub.edge.refuses = why
    hub.start()
    hub.live(2 * MINUTE)
    assert hub.server().state is State.STARTING
    hub.edge.refuses = None
    hub.live(2 * MINUTE)
    assert hub.server().state is State.READY


def test_an_edge_started_by_hand_is_stopped_again(hub):
    hub.asleep()
    hub.live(30 * MINUTE)
    hub.edge.start()
    hub.live(3 * MINUTE)
    assert hub.edge.state == "stopped"


def test_one_of_many_concurrent_callers_starts_the_edge(hub):
    hub.asleep()
    for _ in range(20):
        hub.edge_autosuspend.request_start()
    assert hub.edge.calls == ["start"]


def test_a_page_starts_the_edge_ahead_of_a_start(hub):
    hub.asleep()
    hub.edge_autosuspend.start_ahead()
    hub.live(MINUTE)
    assert hub.edge.is_up()
    hub.live(12 * MINUTE)
    assert hub.edge.state == "stopped"  # nobody came: it was worth ten minutes


def test_a_page_keeps_an_idle_edge_for_another_idle_timeout(hub):
    hub.live(10 * MINUTE)
    assert hub.desired_state().power is EdgePower.IDLE
    hub.edge_autosuspend.start_ahead()
    hub.live(10 * MINUTE)
    assert (hub.edge.state, hub.edge.calls) == ("running", [])
    hub.live(3 * MINUTE)
    assert hub.edge.state == "stopped"


def test_many_pages_write_the_desired_state_once(hub):
    for is_down in (True, False):
        hub.asleep() if is_down else hub.live(3 * MINUTE)
        before, writes = hub.desired_state(), []
        write = hub.stores.desired_edge_state.write
        hub.stores.desired_edge_state.write = lambda *given, to=write, seen=writes: (seen.append(given), to(*given))
        for _ in range(20):
            hub.edge_autosuspend.start_ahead()
        hub.stores.desired_edge_state.write = write
        assert (len(writes), before.power) == (1, EdgePower.STOPPED if is_down else EdgePower.IDLE)
    assert hub.edge.calls == ["start"]


def test_a_page_is_shown_although_the_edge_cannot_be_started(hub, caplog):
    hub.asleep()
    hub.edge.refuses = EdgeUnavailableError("it is not there")
    hub.edge_autosuspend.start_ahead()
    hub.stores.desired_edge_state.read = _away
    hub.edge_autosuspend.start_ahead()
    assert [one.levelname for one in caplog.records] == ["ERROR", "WARNING"]


def _away():
    raise StoreUnavailableError("away")


def test_a_lost_write_to_a_running_server_needs_one_sweep(hub):
    hub.running()
    hub.edge.stop()
    hub.live(3 * MINUTE, sweeps=False)
    assert hub.edge.state == "stopped"  # CloudFront answers a POST itself, and the hub hears nothing of it
    hub.reaping.sweep()
    hub.clock.advance(SleepyMachine.COMES_UP)
    assert hub.edge.is_up()


def test_an_always_on_edge_costs_no_reads():
    world = World()
    world.stores.desired_edge_state.read = None
    world.edge_autosuspend.start_ahead()
    assert world.edge_autosuspend.start_if_down() is False
    world.running()
    world.sweep()


# --- races and crashes: whatever happens in the middle of a step, the edge ends as it is needed ---


def about_to_sleep(hub):
    hub.live(10 * MINUTE)
    hub.clock.advance(MINUTE)
    hub.edge.look()


def points_of(prepare, step):
    hub = Economy()
    prepare(hub)
    hub.points.plan(None, None)
    step(hub)
    return hub.points.passed


def sweep(hub):
    hub.reaping.sweep()


def spawn(hub):
    hub.start()
    hub.deliver_in_time()


def die():
    raise Crash


def refused_to_sleep(hub):
    """The hub tried to stop the machine a minute ago, and EC2 refused."""
    about_to_sleep(hub)
    hub.edge.refuses = RetryLaterError("it is on its way up")
    hub.reaping.sweep()
    hub.edge.refuses = None
    hub.clock.advance(MINUTE)
    hub.edge.look()
    hub.edge.calls.clear()


def started_by_hand(hub):
    hub.asleep()
    hub.live(30 * MINUTE)
    hub.edge.start()
    hub.clock.advance(SleepyMachine.COMES_UP)
    hub.edge.look()
    hub.edge.calls.clear()


STOPS = {"decides": about_to_sleep, "repeats": refused_to_sleep, "finds it up": started_by_hand}
SLEEP = points_of(about_to_sleep, sweep)
WAKE = points_of(Economy.asleep, spawn)


def test_there_are_interleaving_points():
    assert {points_of(prepare, sweep) for prepare in STOPS.values()} == {SLEEP} == {WAKE} == {6}


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("point", range(SLEEP))
def test_a_start_at_any_point_of_a_stopping_sweep_gets_ready(hub, stop, point):
    STOPS[stop](hub)
    hub.points.plan(point, lambda: spawn(hub))
    hub.reaping.sweep()
    hub.live(4 * MINUTE)
    assert hub.server().state is State.READY
    assert hub.edge.is_up()


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("point", range(SLEEP - 2))
def test_a_start_before_the_stop_call_keeps_the_edge_running(hub, stop, point):
    STOPS[stop](hub)
    hub.points.plan(point, lambda: spawn(hub))
    hub.reaping.sweep()
    assert "stop" not in hub.edge.calls
    hub.live(MINUTE)
    assert hub.server().state is State.READY


@pytest.mark.parametrize("point", range(WAKE))
def test_a_sweep_at_any_point_of_a_start_does_no_harm(hub, point):
    hub.asleep()
    hub.points.plan(point, hub.reaping.sweep)
    spawn(hub)
    hub.live(4 * MINUTE)
    assert hub.server().state is State.READY


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("point", range(SLEEP))
def test_the_next_sweep_repairs_a_crash_at_any_point(hub, stop, point):
    STOPS[stop](hub)
    hub.points.plan(point, die)
    with pytest.raises(Crash):
        hub.reaping.sweep()
    hub.live(3 * MINUTE)
    assert hub.edge.state == "stopped"


@pytest.mark.parametrize("point", range(WAKE))
def test_a_start_that_crashes_at_any_point_gets_ready(hub, point):
    hub.asleep()
    hub.start()
    messages = list(hub.queue.sent)
    hub.points.plan(point, die)
    with pytest.raises(Crash):
        hub.deliver_in_time()
    hub.queue.sent = messages
    hub.live(2 * MINUTE, sweeps=False)
    assert hub.server().state is State.READY


def test_two_concurrent_sweeps_stop_the_edge_once(hub):
    about_to_sleep(hub)
    hub.points.plan(2, hub.reaping.sweep)
    hub.reaping.sweep()
    assert hub.metrics.measured["EdgeStops", ""] == [1]


def test_the_initial_desired_state_is_running():
    assert DesiredEdgeState(EdgePower.RUNNING, INITIAL_STATE.since) == INITIAL_STATE
    assert INITIAL_STATE.since < NOW
