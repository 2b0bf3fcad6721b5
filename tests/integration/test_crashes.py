"""Crashes of the hub's functions before and after every call to AWS, in a start, a stop and a sweep.

Two sweeps, the queue and the servers' reports must settle what a crash leaves; no event helps.
"""

from datetime import timedelta

import pytest

from hubless.adapters.ecs.config import Capacity
from hubless.adapters.ecs.definition_usage import UNUSED_AFTER
from hubless.domain.idleness import IdlePolicy
from hubless.domain.lifecycle import ACTIVE, State
from hubless.domain.profiles import Profile
from hubless.domain.routes import EdgeReport, Route
from hubless.domain.tokens import OwnerKind
from hubless.ports.launcher import Launch
from tests.support.builders import a_code, a_session, a_token
from tests.support.cloud_hub import CloudHub
from tests.support.crash_points import CrashPoints
from tests.support.ecs import HOMES

IDLE_AFTER = timedelta(days=2)
UP = timedelta(seconds=100)  # longer than any task takes to come up
OLD = Profile("old", image="jupyter/r:1")


@pytest.fixture
def hub(places):
    made = CloudHub(
        *places, idle_policy=IdlePolicy(idle_after=IDLE_AFTER), homes=HOMES, capacity=Capacity.SPOT_OR_FARGATE
    )
    made.account.full["FARGATE_SPOT"] = "failure"  # so that what is done where Spot is full is done too
    return made


# --- after a crash ---


def two_sweeps(hub):
    """Nothing helps but two sweeps, the queue, and servers that speak."""
    hub.account.full.clear()  # from now on Spot has room: nothing may start there beside what runs
    hub.account.take_news()
    for _ in range(2):
        hub.work(40)
        hub.sweep_once()
        hub.work(120)


def ends_well(hub):
    two_sweeps(hub)
    hub.assert_settled()
    assert {server.state for server in hub.servers.of_owners([hub.alice.id])} <= {State.READY, State.STOPPED}
    assert len(hub.launches()) <= 1


def ends_well_when_stopped(hub):
    """Somebody's stop comes before the message that was at work comes again."""
    for server in hub.servers.in_states(ACTIVE):
        hub.stopping.request_until_done(server)
    two_sweeps(hub)
    hub.assert_settled()
    assert hub.cloud.launches_running() == []
    assert hub.account.secrets() == {}


def ends_well_swept(hub):
    two_sweeps(hub)
    assert_swept(hub)


def crashed_everywhere(hub, story, then):
    """Tell a story in which every act dies at every call, and return what was seen."""

    def and_then():
        hub.forget()
        then(hub)

    crash_points = CrashPoints(hub.aws(), hub.left_behind, and_then)
    story(hub, crash_points.act)
    crash_points.assert_none_ended_badly()
    return crash_points


def once(step):
    return step()


# --- the stories ---


def start(hub, act):
    act(lambda: hub.spawning.start(hub.alice, ""))
    act(hub.handle_next)
    hub.clock.advance(UP)
    for event in hub.account.take_news():
        act(lambda event=event: hub.tell(event))
    act(hub.speak)
    act(hub.handle_next)  # it is routed, and no edge has it yet
    hub.edge.look()
    hub.sqs.show()
    act(hub.handle_next)


def stop(hub, act):
    act(lambda: hub.stopping.request(hub.server()))
    act(hub.handle_next)
    hub.clock.advance(timedelta(seconds=20))
    for event in hub.account.take_news():
        act(lambda event=event: hub.tell(event))


def sweeps(hub, act):
    act(hub.sweep_once)
    while act(hub.handle_next):
        pass
    hub.clock.advance(timedelta(seconds=60))
    hub.account.take_news()  # lost
    act(hub.sweep_once)


@pytest.mark.parametrize("then", [ends_well, ends_well_when_stopped])
def test_a_start_that_dies_at_any_call_ends_well(hub, then):
    crash_points = crashed_everywhere(hub, start, then)

    assert hub.server().state is State.READY
    hub.assert_settled()
    assert {service for service, _ in crash_points.calls} == {"dynamodb", "sqs", "ecs", "s3", "efs"}
    assert crash_points.lived > 20


def test_a_stop_that_dies_at_any_call_ends_well(hub):
    start(hub, once)
    crash_points = crashed_everywhere(hub, stop, ends_well)

    assert hub.server().state is State.STOPPED
    hub.assert_settled()
    assert crash_points.lived > 10


def test_a_sweep_that_dies_at_any_call_ends_well(neglected):
    crash_points = crashed_everywhere(neglected, sweeps, ends_well_swept)

    assert crash_points.lived > 30
    two_sweeps(neglected)
    assert_swept(neglected)


# --- a hub that was left alone ---


@pytest.fixture
def neglected(hub):
    """A hub in which everything that a sweep looks after has gone wrong at once, and nobody has noticed."""
    for name in ("idle", "dead", "unheard"):
        hub.spawning.start(hub.alice, name)
    hub.work(240)
    assert len(hub.servers.in_states([State.READY])) == 3
    hub.launcher.launch(Launch("l-old", "s-old", hub.alice.id, "alice", "", "/user/alice/", OLD, {}, {"T": "0ld"}))
    end(hub, "l-old")
    hub.launcher.forget("l-old/")
    hub.clock.advance(max(IDLE_AFTER, UNUSED_AFTER) + timedelta(hours=1))
    for name in ("dead", "unheard"):
        hub.servers.touch(hub.server(name).id, hub.clock.now())
    end(hub, hub.server("dead").launch_id)
    hub.stopping.request(hub.server("unheard"))
    hub.spawning.start(hub.alice, "asked")
    hub.sqs.clear()  # both messages are lost
    for launch_id in ("l-unknown", "l-left"):
        hub.launcher.launch(
            Launch(launch_id, "s-gone", hub.alice.id, "alice", "", "/user/alice/", Profile("default"), {}, {"T": "x"})
        )
    end(hub, "l-left")
    hub.routes.put(Route("/user/gone/", "10.9.9.9:8888", "l-gone"))
    now = hub.clock.now()
    hub.routes.report(EdgeReport("lost", 1, now - timedelta(hours=1)))
    hub.sessions.create(a_session(user_id=hub.alice.id, expires_at=now))
    hub.sessions.create(a_session("lasting", user_id=hub.alice.id, expires_at=now + IDLE_AFTER))
    hub.tokens.create(a_token("t", owner_id=hub.alice.id, expires_at=now, session_id="session-lasting"))
    hub.clients.add_code(a_code(user_id=hub.alice.id, session_id="session-lasting", expires_at=now, client_id="c9"))
    hub.account.take_news()
    hub.clock.advance(timedelta(seconds=30))
    return hub


def end(hub, launch_id):
    """Have the task of a launch end by itself."""
    for task in hub.account.running():
        if hub.account.environment_of(task)["HUBLESS_LAUNCH_ID"] == launch_id:
            hub.account.die(task["taskArn"], 137)
    hub.clock.advance(timedelta(seconds=20))


def assert_swept(hub):
    hub.assert_settled()
    states = {server.name: server.state for server in hub.servers.of_owners([hub.alice.id])}
    assert states == {"idle": State.STOPPED, "dead": State.FAILED, "unheard": State.STOPPED, "asked": State.READY}
    assert "137" in hub.server("dead").failure
    assert len(hub.usage.of_owner(hub.alice.id)) == 3
    assert [session.id for session in hub.sessions.of_user(hub.alice.id)] == ["session-lasting"]
    tokens = hub.tokens.of_owner(OwnerKind.USER, hub.alice.id)
    assert [token.server_id for token in tokens] == [hub.server("asked").id]
    assert hub.clients.find_code(a_code().sha256) is None
    assert [report.edge_id for report in hub.routes.reports()] == ["edge"]
    images = [
        one["status"]
        for family in hub.account.definitions.values()
        for one in family
        if one["containerDefinitions"][0]["image"] == OLD.image
    ]
    assert images == ["DELETE_IN_PROGRESS"]
