import logging
from datetime import timedelta

import pytest

from functions.reaper.sweep import RESERVE, handle, measure
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.lifecycle import State
from hubless.services.reaping import SweepReport
from tests.support.world import World

SCHEDULED = {"detail-type": "Scheduled Event"}
NAMES = ["a", "b", "c", "d"]


@pytest.fixture
def world():
    made = World()
    for name in NAMES:
        made.launcher.dies(made.running(name).task)
    return made


def test_a_sweep_reports_what_it_did(world, caplog):
    caplog.set_level(logging.INFO)

    assert handle(world, SCHEDULED) == {
        "active": 4,
        "checked": 4,
        "reaped": 0,
        "orphans": 0,
        "stale_routes": 0,
        "expired": 0,
        "prepared": 0,
        "discarded": 0,
        "is_incomplete": False,
        "waiting_spares": 0,
    }
    assert "sweep:" not in caplog.text  # nothing that anybody would look for


def test_a_run_without_enough_time_is_continued_by_the_next(world, caplog):
    caplog.set_level(logging.INFO)
    runs = [handle(world, SCHEDULED, time_left=RESERVE) for _ in NAMES]

    assert [run["is_incomplete"] for run in runs] == [True] * len(NAMES)
    assert [run["checked"] for run in runs] == [1] * len(NAMES)
    assert {world.server(name).state for name in NAMES} == {State.FAILED}
    assert "'is_incomplete': True" in caplog.text


def test_a_run_with_enough_time_is_complete(world):
    assert not handle(world, SCHEDULED, time_left=RESERVE + timedelta(seconds=1))["is_incomplete"]


def test_what_a_sweep_found_and_did_is_counted(world):
    handle(world, SCHEDULED)

    assert {
        name: values for (name, _), values in world.metrics.measured.items() if name not in {"Spawns", "SpawnDuration"}
    } == {
        "ServerCrashes": [1] * len(NAMES),
        "RunningServers": [4],
        "QueueLength": [0],
    }


def test_an_unreachable_queue_does_not_lose_other_metrics(world):
    def away():
        raise StoreUnavailableError("SQS is away")

    world.queue.depth = away

    assert handle(world, SCHEDULED)["checked"] == len(NAMES)
    assert world.metrics.measured["RunningServers", ""] == [4]
    assert ("QueueLength", "") not in world.metrics.measured


def test_zeros_are_not_counted(world):
    measure(
        world.metrics,
        SweepReport(
            active=1,
            checked=1,
            reaped=2,
            orphans=0,
            stale_routes=1,
            expired=3,
            prepared=0,
            discarded=0,
            is_incomplete=False,
        ),
    )

    received = {
        name: values for (name, _), values in world.metrics.measured.items() if name not in {"Spawns", "SpawnDuration"}
    }
    assert received == {"RunningServers": [1], "Culls": [2], "StaleRoutes": [1]}
