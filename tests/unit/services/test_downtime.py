"""A hub that was down, or whose clock jumped, stops and removes nothing for time in which nobody could report."""

from datetime import timedelta

import pytest

from hubless.domain.downtime import CLOCK_DOUBT, FIRST_REPORTS
from hubless.domain.errors import StoreConflictError
from hubless.domain.idleness import IdlePolicy
from hubless.domain.lifecycle import Deadlines, State
from tests.support.builders import a_session
from tests.support.fakes import ScriptedReadiness
from tests.support.world import World

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
SWEEP = 30 * SECOND


def a_world(**others):
    world = World(idle_policy=IdlePolicy(idle_after=HOUR), longest_pause=70 * SECOND, **others)
    world.sweep()
    return world


def pass_time(world, span):
    """Let the hub sweep for so long."""
    for _ in range(span // SWEEP):
        world.clock.advance(SWEEP)
        world.sweep()


@pytest.mark.parametrize("pause", ["advance", "jump"], ids=["the hub is down", "the clock jumps"])
def test_a_server_in_use_survives_a_pause_longer_than_the_idle_limit(pause):
    world = a_world()
    world.running()
    pass_time(world, 10 * MINUTE)

    getattr(world.clock, pause)(3 * HOUR)
    world.sweep()
    pass_time(world, 49 * MINUTE)

    assert world.server().state is State.READY
    pass_time(world, 2 * MINUTE)
    assert world.server().state is State.STOPPED


def test_after_a_restart_a_sweep_waits_for_what_the_edge_has_seen():
    world = a_world()
    world.running()
    pass_time(world, HOUR - SWEEP)
    world.clock.advance(SWEEP + SECOND)

    world.uptime_log.note(is_start=True)
    world.sweep()

    assert world.server().state is State.READY
    world.clock.advance(FIRST_REPORTS + SWEEP)
    world.sweep()
    assert world.server().state is State.STOPPED


def test_nobody_is_idle_while_the_edge_cannot_report():
    world = a_world()
    world.running()
    for _ in range(200):
        world.clock.advance(SWEEP)
        world.reaping.sweep()  # the edge does not look
    assert world.server().state is State.READY

    world.sweep()
    pass_time(world, HOUR + MINUTE)

    assert world.server().state is State.STOPPED


def test_a_load_balancer_reports_nothing_and_nobody_waits_for_it():
    world = a_world()
    world.running()
    object.__setattr__(world.uptime_log, "edges_see_traffic", False)
    for _ in range(125):
        world.clock.advance(SWEEP)
        world.reaping.sweep()

    assert world.server().state is State.STOPPED


@pytest.mark.parametrize("pause", ["advance", "jump"], ids=["the hub is down", "the clock jumps"])
def test_a_start_under_way_goes_on_after_a_pause(pause):
    ready = ScriptedReadiness()
    ready.is_answering = False
    world = a_world(readiness=ready, deadlines=Deadlines(starting=MINUTE))
    starting = world.running()
    assert starting.state is State.STARTING

    world.clock.advance(20 * SECOND)
    world.sweep()
    getattr(world.clock, pause)(HOUR)
    world.turn()  # between two sweeps
    world.sweep()
    world.clock.advance(39 * SECOND)
    world.sweep()
    assert world.server().launch_id == starting.launch_id
    assert world.server().state is State.STARTING

    world.clock.advance(2 * SECOND)
    world.turn()
    assert world.server().state is State.FAILED


def test_what_expires_by_a_jump_alone_is_removed_only_when_it_is_sure():
    world = a_world()
    session = a_session(user_id=world.alice.id, expires_at=world.clock.now() + HOUR)
    world.sessions.create(session)

    world.clock.jump(5 * HOUR)
    world.sweep()
    assert world.sessions.of_user(world.alice.id)

    world.clock.jump(-5 * HOUR)
    world.sweep()
    pass_time(world, MINUTE)
    assert world.sessions.of_user(world.alice.id)

    pass_time(world, HOUR + CLOCK_DOUBT)
    assert not world.sessions.of_user(world.alice.id)


def test_a_sweep_that_takes_long_is_no_downtime():
    """Each takes five minutes, and so would never see anybody idle."""
    world = a_world()
    world.running()
    collect = world.launcher.garbage_collect

    def slowly(offered):
        world.clock.advance(5 * MINUTE)
        world.edge.look()
        return collect(offered)

    world.launcher.garbage_collect = slowly
    for _ in range(13):
        world.sweep()

    assert world.server().state is State.STOPPED


def test_a_jump_while_a_sweep_runs_is_a_downtime():
    world = a_world()
    world.running()
    collect = world.launcher.garbage_collect

    def meanwhile(offered):
        world.clock.advance(6 * SECOND)
        world.clock.jump(2 * HOUR)
        world.launcher.garbage_collect = collect
        return collect(offered)

    world.launcher.garbage_collect = meanwhile
    world.sweep()
    pass_time(world, 58 * MINUTE)
    assert world.server().state is State.READY


def test_of_two_sweeps_at_once_one_notes_that_the_hub_is_up():
    world = a_world()
    world.clock.advance(HOUR)
    plain = world.sweeps.set_uptimes

    def lose(before, after):
        plain(before, after)
        raise StoreConflictError("Another sweep noted meanwhile that the hub is up")

    world.sweeps.set_uptimes = lose

    assert world.uptime_log.note().hub.down_between(world.clock.now() - HOUR, world.clock.now()) == HOUR
