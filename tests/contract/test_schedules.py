"""Schedules that admins make, and two sweeps of one lesson, on each store."""

from dataclasses import replace
from datetime import date, time, timedelta

from hubless.domain.lifecycle import State
from tests.support.concurrency import concurrently
from tests.unit.services.test_schedules import LAB, MEMBERS, School


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


def test_a_schedule_is_stored_as_it_was_made(stores):
    once = replace(LAB, name="Ünit", days=frozenset(), on=date(2026, 12, 1), lead=timedelta(minutes=5), is_paused=True)
    assert stores.schedules.add(once)
    assert stores.schedules.add(replace(LAB, begins=time(8, 50, 30), stops=False))
    assert stores.schedules.all() == [replace(LAB, begins=time(8, 50, 30), stops=False), once]


def test_each_write_of_a_schedule_names_what_it_expects(stores):
    assert [stores.schedules.add(LAB), stores.schedules.add(replace(LAB, ends=time(13)))] == [True, False]
    later = replace(LAB, ends=time(13), revision=1)
    assert [stores.schedules.replace(LAB, later), stores.schedules.replace(LAB, LAB)] == [True, False]
    assert stores.schedules.all() == [later]
    assert not stores.schedules.remove(LAB.name, revision=0)
    assert stores.schedules.remove(LAB.name, revision=1)
    assert stores.schedules.add(later)
    assert [stores.schedules.remove(LAB.name), stores.schedules.remove(LAB.name)] == [True, False]
    assert not stores.schedules.replace(later, LAB)
    assert stores.schedules.all() == []


def test_of_changes_at_once_one_counts(stores):
    stores.schedules.add(LAB)
    done = concurrently(lambda n: stores.schedules.replace(LAB, replace(LAB, ends=time(13, n), revision=1)), times=4)
    assert sorted(done) == [False, False, False, True]
    added = concurrently(lambda _: stores.schedules.add(replace(LAB, name="new")), times=4)
    assert sorted(added) == [False, False, False, True]
