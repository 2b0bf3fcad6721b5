"""Servers are asked for their work before they are stopped, and what they say is stored as activity."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain import lifecycle, tokens
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.idleness import IdlePolicy, NoAnswer, ServerWork
from hubless.domain.lifecycle import State
from hubless.domain.messages import MessageKind
from hubless.domain.profiles import Profile
from hubless.domain.stop_reasons import StopCause, StopReason
from hubless.services import inspecting
from tests.support.world import World

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
def world():
    return World(idle_policy=IdlePolicy(idle_after=HOUR))


def says(world, name="", *, busy=0, moved=()):
    """Let the server of that name say what its kernels do; *moved* are their ages."""
    now = world.clock.now()
    world.inspector.said[name] = ServerWork(now, busy, tuple(now - age for age in moved))


def idle_for(world, time, name=""):
    world.running(name)
    world.clock.advance(time)


def test_a_server_with_a_busy_kernel_stays_until_it_rests(world):
    idle_for(world, HOUR)
    says(world, busy=1, moved=[HOUR])
    world.sweep()
    assert (world.server().state, world.server().last_activity_at) == (State.READY, world.clock.now())
    world.clock.advance(HOUR)
    says(world, moved=[HOUR])
    world.sweep()
    assert world.server().state is State.STOPPED


def test_a_busy_kernel_counts_for_nothing_where_settings_say_so():
    world = World(idle_policy=IdlePolicy(idle_after=HOUR), count_busy=False)
    idle_for(world, HOUR)
    says(world, busy=1, moved=[HOUR])
    world.sweep()
    assert world.server().state is State.STOPPED


def test_a_busy_kernel_keeps_no_server_beyond_its_maximum_age():
    world = World(idle_policy=IdlePolicy(idle_after=HOUR, max_age=HOUR * 2))
    idle_for(world, HOUR * 2)
    says(world, busy=1)
    world.sweep()
    assert world.server().state is State.STOPPED
    assert world.inspector.asked == []


def test_a_kernel_that_prints_is_activity_of_server_and_owner(world):
    idle_for(world, MINUTE * 10)
    says(world, moved=[HOUR * 5, MINUTE])
    world.sweep()
    at = world.clock.now() - MINUTE
    assert (world.server().last_activity_at, world.users.get(world.alice.id).last_activity_at) == (at, at)


def test_the_same_work_dated_a_moment_later_is_not_stored_again(world):
    idle_for(world, MINUTE * 10)
    says(world, moved=[MINUTE * 6])
    world.sweep()
    before = world.server().last_activity_at
    world.clock.advance(MINUTE * 5)
    says(world, moved=[MINUTE * 11 - timedelta(milliseconds=900)])
    world.sweep()
    assert world.server().last_activity_at == before
    assert len(world.inspector.asked) == 2


def test_a_server_stays_while_an_edge_may_still_report_its_use(world):
    reaping = replace(world.reaping, report_interval=MINUTE)
    idle_for(world, HOUR)
    reaping.sweep()
    assert world.server().state is State.READY
    world.clock.advance(MINUTE)
    reaping.sweep()
    assert world.server().state is State.STOPPING


def test_a_stop_for_idleness_is_logged_once_with_its_reason(world, caplog):
    caplog.set_level("INFO")
    idle_for(world, HOUR)
    world.sweep()
    (line,) = [record.getMessage() for record in caplog.records if "the sweep stops it" in record.getMessage()]
    assert line == f"server {world.server().id} of alice: the sweep stops it because it was idle for 1:00:00"


def test_what_a_server_says_never_moves_its_activity_back(world):
    idle_for(world, MINUTE * 10)
    before = world.server().last_activity_at
    says(world, moved=[HOUR * 5])
    world.sweep()
    assert world.server().last_activity_at == before


def test_a_server_is_asked_with_its_own_launchs_token_alone(world):
    idle_for(world, MINUTE * 10, "lab")
    world.sweep()
    launch_id = world.server("lab").launch_id
    assert world.inspector.asked == [("lab", "/user/alice/lab/", tokens.launch_secret(b"k" * 32, launch_id))]


def test_servers_are_asked_at_their_interval_and_not_at_each_sweep(world):
    idle_for(world, MINUTE * 10)
    for _ in range(6):
        world.sweep()
        world.clock.advance(MINUTE)
    assert len(world.inspector.asked) == 2


def test_servers_whose_activity_was_seen_are_not_asked(world):
    idle_for(world, MINUTE * 10)
    world.servers.touch(world.server().id, world.clock.now())
    world.sweep()
    assert world.inspector.asked == []


def test_servers_without_limits_are_asked_too():
    world = World()
    idle_for(world, HOUR)
    says(world, busy=1)
    world.sweep()
    assert world.server().last_activity_at == world.clock.now()


def test_a_server_that_is_no_jupyter_is_judged_by_what_was_seen(world):
    idle_for(world, HOUR)
    world.inspector.said[""] = NoAnswer.NOT_JUPYTER
    world.sweep()
    assert world.server().state is State.STOPPED


def test_a_silent_server_is_asked_again_and_then_judged_by_what_was_seen(world, caplog):
    idle_for(world, HOUR)
    world.inspector.said[""] = NoAnswer.SILENT
    for _ in range(inspecting.TOLERATED_SILENCE):
        world.sweep()
        assert world.server().state is State.READY
    world.sweep()
    assert world.server().state is State.STOPPED
    assert "none of 1 servers that the hub asked for their kernels answered" in caplog.text


def test_an_answer_ends_the_count_of_silent_rounds(world):
    idle_for(world, HOUR)
    for _ in range(3):
        world.inspector.said[""] = NoAnswer.SILENT
        world.sweep(times=inspecting.TOLERATED_SILENCE)
        says(world, busy=1)
        world.sweep()
        world.clock.advance(HOUR)
    assert world.server().state is State.READY


def test_a_new_launch_starts_without_the_silence_of_the_last(world):
    idle_for(world, HOUR)
    world.inspector.said[""] = NoAnswer.SILENT
    world.sweep(times=inspecting.TOLERATED_SILENCE + 1)
    idle_for(world, HOUR)
    world.sweep(times=inspecting.TOLERATED_SILENCE)
    assert world.server().state is State.READY


def test_a_server_that_there_was_no_time_to_ask_is_not_stopped(world, caplog, monkeypatch):
    monkeypatch.setattr(inspecting, "AT_ONCE", 1)
    for number in range(3):
        idle_for(world, timedelta(0), f"s{number}")
    world.clock.advance(HOUR)

    def slow(server, prefix, token):
        world.clock.advance(HOUR)
        return ServerWork(world.clock.now())

    world.inspector.inspect = slow
    world.sweep()
    assert len(world.servers.in_states([State.READY])) == 2
    assert "were not asked for their work in time" in caplog.text


def test_a_look_takes_half_of_what_is_left_of_a_sweep(world):
    idle_for(world, HOUR)
    found = world.inspecting.look([(world.server(), world.alice)], until=world.clock.now())
    assert [finding.is_open for finding in found.values()] == [True]
    assert world.inspector.asked == []


def test_a_server_that_wakes_during_the_look_is_not_stopped(world):
    idle_for(world, HOUR)

    def wakes(server, prefix, token):
        world.servers.touch(server.id, world.clock.now())
        return ServerWork(world.clock.now())

    world.inspector.inspect = wakes
    world.sweep()
    assert world.server().state is State.READY


def test_a_broken_look_stops_neither_the_sweep_nor_a_server(world, caplog):
    idle_for(world, HOUR)
    idle_for(world, timedelta(0), "crashed")

    def broken(*_):
        raise RuntimeError("a bug")

    world.inspector.inspect = broken
    world.launcher.dies(world.server("crashed").task)
    world.sweep()
    assert (world.server().state, world.server("crashed").state) == (State.READY, State.FAILED)
    assert "cannot ask servers for their work" in caplog.text


def test_an_unavailable_store_does_not_stop_a_server_that_works(world, monkeypatch):
    idle_for(world, HOUR)
    says(world, busy=1)

    def away(*_, **__):
        raise StoreUnavailableError("away")

    monkeypatch.setattr(type(world.servers), "touch", away)
    world.sweep()
    assert world.server().state is State.READY


def test_a_server_whose_task_is_not_known_to_run_is_not_asked(world):
    idle_for(world, HOUR)
    world.launcher.dies(world.server().task)
    world.sweep()
    assert world.inspector.asked == []


def test_the_interval_follows_the_limit_of_the_servers_profile():
    quick = Profile("quick", idle_policy=IdlePolicy(idle_after=timedelta(seconds=90)))
    world = World(profiles=[quick], hub_sees_work=False)
    idle_for(world, timedelta(seconds=30))
    world.sweep()
    assert len(world.inspector.asked) == 1
    (launch,) = world.launcher.started
    assert launch.environment["JUPYTERHUB_ACTIVITY_INTERVAL"] == "30"


def test_without_a_short_limit_a_server_reports_at_its_own_interval():
    world = World(idle_policy=IdlePolicy(idle_after=HOUR), hub_sees_work=False)
    world.running()
    (launch,) = world.launcher.started
    assert "JUPYTERHUB_ACTIVITY_INTERVAL" not in launch.environment


def test_a_server_whose_reports_count_for_nothing_reports_rarely():
    """In AWS each report is a request that is billed."""
    world = World(idle_policy=IdlePolicy(idle_after=timedelta(seconds=90)))
    world.running()
    (launch,) = world.launcher.started
    assert launch.environment["JUPYTERHUB_ACTIVITY_INTERVAL"] == "1800"


# --- what servers report of themselves ---


def test_a_ready_servers_own_report_is_no_activity(world):
    idle_for(world, HOUR)
    server = world.server()
    before, now = (server.last_activity_at, world.users.get(world.alice.id).last_activity_at), world.clock.now()
    world.activity.report(world.alice, now, {"": now}, by_server=server.id)
    assert (world.server().last_activity_at, world.users.get(world.alice.id).last_activity_at) == before
    world.sweep()
    assert world.server().state is State.STOPPED


def test_anybody_elses_report_is_activity(world):
    idle_for(world, HOUR)
    now = world.clock.now()
    world.activity.report(world.alice, now, {"": now})
    assert (world.server().last_activity_at, world.users.get(world.alice.id).last_activity_at) == (now, now)


def test_a_servers_own_report_counts_where_the_hub_sees_no_work():
    world = World(idle_policy=IdlePolicy(idle_after=HOUR), hub_sees_work=False)
    idle_for(world, HOUR)
    now = world.clock.now()
    world.activity.report(world.alice, now, {"": now}, by_server=world.server().id)
    assert (world.server().last_activity_at, world.users.get(world.alice.id).last_activity_at) == (now, now)


def test_a_starting_servers_own_report_says_that_it_listens(world):
    world.spawning.start(world.alice, "")
    world.deliver()
    server, now = world.server(), world.clock.now()
    world.activity.report(world.alice, now, {"": now}, by_server=server.id)
    assert world.server().last_activity_at == now
    assert [message.kind for message in world.queue.sent] == [MessageKind.ACTIVITY]


def test_the_sweep_notes_which_limit_a_server_reached():
    world = World(idle_policy=IdlePolicy(idle_after=HOUR, max_age=3 * HOUR))
    idle_for(world, HOUR)
    world.sweep()
    assert world.server().stop_reason == StopReason(StopCause.IDLE, limit=HOUR)

    idle_for(world, 3 * HOUR)
    says(world, busy=1)
    world.sweep()
    assert world.server().stop_reason == StopReason(StopCause.AGE, limit=3 * HOUR)


def test_a_server_that_was_kept_between_list_and_stop_stays(world):
    idle_for(world, HOUR)
    kept = world.inspector.inspect

    def inspect(server, *rest):
        world.servers.write(server, lifecycle.kept(server, world.clock.now() + HOUR))
        return kept(server, *rest)

    world.inspector.inspect = inspect
    world.sweep()
    assert world.server().state is State.READY
