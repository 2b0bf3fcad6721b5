"""A ready server whose process does not run on: its record says so, the hub answers for it, and the sweep stops it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.errors import StoreConflictError
from hubless.domain.lifecycle import State
from hubless.domain.stop_reasons import StopCause
from hubless.ports.launcher import TaskRunning
from tests.support.world import World

LIMIT = timedelta(minutes=30)


@pytest.fixture
def world():
    made = World()
    made.reaping = replace(made.reaping, frozen_after=LIMIT)
    return made


def look(world, *, is_frozen):
    server = world.server()
    world.launcher.status[server.task] = TaskRunning(server.address, (), is_frozen)
    world.launching.reconcile_running()
    return world.server()


def routes(world):
    return [route.launch_id for route in world.routing.routes.all()]


def test_a_frozen_server_has_no_route_until_it_runs_on(world):
    world.running()
    frozen = look(world, is_frozen=True)
    assert (frozen.state, frozen.frozen_at) == (State.READY, world.clock.now())
    assert routes(world) == []
    thawed = look(world, is_frozen=False)
    assert (thawed.state, thawed.frozen_at) == (State.READY, None)
    assert routes(world) == [thawed.launch_id]


def test_what_is_not_sure_changes_nothing(world):
    before = world.running()
    assert look(world, is_frozen=None).revision == before.revision
    frozen = look(world, is_frozen=True)
    assert look(world, is_frozen=None).revision == frozen.revision


def test_a_freeze_is_written_once(world):
    world.running()
    first = look(world, is_frozen=True)
    world.clock.advance(timedelta(minutes=1))
    assert look(world, is_frozen=True) == first


def test_the_sweep_gives_a_frozen_server_no_route(world):
    world.running()
    frozen = look(world, is_frozen=True)
    world.sweep()
    assert routes(world) == []
    world.launching._route_again(frozen, world.alice)  # as a crash between the record and the route left it
    world.sweep()
    assert routes(world) == []


def test_after_a_crash_before_the_route_is_gone_the_sweep_removes_it(world, monkeypatch):
    world.running()
    with monkeypatch.context() as patch:
        patch.setattr(type(world.routing), "remove", lambda *_: (_ for _ in ()).throw(RuntimeError("the worker died")))
        look(world, is_frozen=True)
    assert (world.server().frozen_at is not None, len(routes(world))) == (True, 1)
    world.sweep()
    assert routes(world) == []


def test_a_server_that_thaws_while_its_route_is_removed_has_one(world, monkeypatch):
    world.running()
    removed = type(world.routing).remove

    def thaw_first(routing, prefix, launch_id):
        server = world.server()
        world.launcher.status[server.task] = TaskRunning(server.address)
        monkeypatch.undo()
        world.launching.reconcile_running()  # of another process
        removed(routing, prefix, launch_id)

    monkeypatch.setattr(type(world.routing), "remove", thaw_first)
    thawed = look(world, is_frozen=True)
    assert (thawed.frozen_at, routes(world)) == (None, [thawed.launch_id])


def test_a_stop_that_comes_before_the_thaw_leaves_no_route(world):
    server = world.running()
    frozen = look(world, is_frozen=True)
    world.launcher.obeys_stop = False
    world.stopping.request(frozen)
    with pytest.raises(StoreConflictError):
        world.launching.reconcile(frozen, TaskRunning(server.address))
    assert routes(world) == []


def test_the_sweep_stops_a_frozen_server_however_busy_it_was(world):
    world.running()
    look(world, is_frozen=True)
    world.clock.advance(LIMIT - timedelta(seconds=1))
    world.servers.touch(world.server().id, world.clock.now())
    world.sweep()
    assert world.server().state is State.READY
    world.clock.advance(timedelta(seconds=1))
    world.sweep()
    stopped = world.server()
    assert (stopped.state, stopped.frozen_at) == (State.STOPPED, None)
    assert stopped.stop_reason.cause is StopCause.FROZEN
    assert str(stopped.stop_reason.sentence) == "Stopped after it had not answered for 30 minutes"


def test_a_server_that_thaws_before_its_limit_runs_on(world):
    world.running()
    look(world, is_frozen=True)
    world.clock.advance(LIMIT - timedelta(seconds=1))
    look(world, is_frozen=False)
    world.clock.advance(LIMIT)
    world.sweep()
    assert world.server().state is State.READY


@pytest.mark.parametrize("is_frozen", [False, None])
def test_a_server_that_may_have_thawed_in_a_downtime_is_not_stopped(world, is_frozen):
    world.running()
    frozen = look(world, is_frozen=True)
    world.clock.advance(2 * LIMIT)
    world.launcher.status[frozen.task] = TaskRunning(frozen.address, (), is_frozen)
    world.sweep()
    assert world.server().state is State.READY
    assert (world.server().frozen_at is None) == (is_frozen is False)


def test_without_a_limit_a_frozen_server_stays(world):
    world.reaping = replace(world.reaping, frozen_after=None)
    world.running()
    look(world, is_frozen=True)
    world.clock.advance(timedelta(days=1))
    world.sweep()
    assert world.server().frozen_at is not None
