"""Two sweeps of one lesson, on each store."""

from datetime import timedelta

from hubless.domain.lifecycle import State
from tests.support.concurrency import concurrently
from tests.unit.services.test_schedules import MEMBERS, School


def test_sweeps_at_once_start_and_stop_each_server_once(stores):
    school = School(stores=stores)
    school.clock.advance(timedelta(minutes=30))
    concurrently(lambda _: school.run(), times=3)
    assert [school.of(name).state for name in MEMBERS] == [State.REQUESTED] * 3
    assert len(school.queue.sent) == 3
    assert school.run() == 0
    school.clock.advance(timedelta(minutes=90))
    assert school.run() == 3
    assert school.run() == 0
