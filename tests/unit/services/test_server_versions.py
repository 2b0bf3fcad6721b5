"""A server whose JupyterHub has another version than the hub's: its record says so, and one line of the log does."""

from datetime import timedelta

import pytest

from tests.support.world import World

OTHER = "jupyterhub version 6.1.1 != jupyterhub-singleuser version"


@pytest.fixture
def world(caplog):
    caplog.set_level("WARNING", "hubless")
    return World()


def start(world, version, name=""):
    world.readiness.version = version
    world.spawning.start(world.alice, name)
    world.turn()
    return world.server(name)


def test_a_server_of_another_version_is_noted_and_warned_of(world, caplog):
    assert start(world, "4.1.6").jupyterhub_version == "4.1.6"
    assert [line.message.split(". ")[0] for line in caplog.records] == [f"{OTHER} 4.1.6"]


def test_each_version_is_warned_of_once(world, caplog):
    for name, version in (("a", "4.1.6"), ("b", "4.1.6"), ("c", "2.3.1"), ("d", "4.1.6")):
        start(world, version, name)
    assert [line.message.split(". ")[0] for line in caplog.records] == [f"{OTHER} 4.1.6", f"{OTHER} 2.3.1"]


def test_it_is_warned_of_again_another_day(world, caplog):
    start(world, "4.1.6", "a")
    world.clock.advance(timedelta(days=1, seconds=1))
    start(world, "4.1.6", "b")
    assert len(caplog.records) == 2


@pytest.mark.parametrize("version", ["6.1.1", "6.1.0", ""])
def test_the_hubs_own_or_an_unknown_version_is_not_warned_of(world, caplog, version):
    assert start(world, version).jupyterhub_version == version
    assert caplog.records == []


def test_the_version_goes_with_the_next_launch(world):
    server = start(world, "4.1.6")
    world.stopping.request(server)
    world.turn()
    world.readiness.is_answering = False
    world.spawning.start(world.alice, "")
    assert world.server().jupyterhub_version == ""
