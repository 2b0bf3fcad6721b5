"""A running server that runs into a limit: its record says so, until the next launch."""

from datetime import timedelta

import pytest

from hubless.domain.errors import StoreConflictError
from hubless.domain.lifecycle import State
from hubless.domain.limits import LimitReached, Resource
from hubless.ports.launcher import TaskRunning, TaskStopped
from tests.support.world import World

REACHED = LimitReached(Resource.MEMORY, 2**30, 1)


@pytest.fixture
def world():
    return World()


def reach(world, *reached):
    server = world.server()
    world.launcher.status[server.task] = TaskRunning(server.address, reached)
    world.launching.reconcile_running()
    return world.server()


def test_a_limit_that_was_reached_is_noted(world):
    world.running()
    noted = reach(world, REACHED)
    assert [(one.resource, one.limit, one.at) for one in noted.limits_reached] == [
        (Resource.MEMORY, 2**30, world.clock.now())
    ]
    assert noted.state is State.READY


def test_the_same_count_is_written_once(world):
    world.running()
    first = reach(world, REACHED)
    world.clock.advance(timedelta(hours=1))
    assert reach(world, REACHED).revision == first.revision


def test_the_note_outlives_the_server_and_goes_with_the_next_launch(world):
    world.running()
    server = reach(world, REACHED)
    world.launcher.status[server.task] = TaskStopped("was killed by SIGKILL")
    world.launching.reconcile_running()
    assert world.server().state is State.FAILED
    assert len(world.server().limits_reached) == 1
    world.running()
    assert world.server().limits_reached == ()


def test_a_stop_that_comes_first_wins(world):
    server = world.running()
    world.launcher.status[server.task] = TaskRunning(server.address, (REACHED,))
    world.stopping.request(server)
    with pytest.raises(StoreConflictError):
        world.launching.reconcile(server)
    assert world.server().state is State.STOPPING
