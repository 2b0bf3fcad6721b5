from datetime import timedelta

import pytest

from hubless.domain.downtime import Uptimes
from hubless.domain.errors import StoreConflictError
from tests.support.builders import NOW
from tests.support.concurrency import MANY, concurrently

PAUSE, HOUR = timedelta(minutes=2), timedelta(hours=1)


def test_the_resume_point_is_the_beginning_at_first(stores):
    assert stores.sweeps.resume_point() == ""


def test_the_resume_point_is_the_last_stored_one(stores):
    for before, after in (("", "1 s1"), ("1 s1", "2 l1"), ("2 l1", "")):
        stores.sweeps.set_resume_point(before, after)
        assert stores.sweeps.resume_point() == after


@pytest.mark.parametrize("there", ["", "2 l1"])
@pytest.mark.parametrize("after", ["", "3 /user/alice/"])
def test_a_resume_point_stored_after_another_is_a_conflict(stores, there, after):
    if there:
        stores.sweeps.set_resume_point("", there)
    with pytest.raises(StoreConflictError):
        stores.sweeps.set_resume_point("1 s1", after)
    assert stores.sweeps.resume_point() == there


def test_of_eight_concurrent_resume_points_one_is_stored(stores):
    def act(number):
        try:
            stores.sweeps.set_resume_point("", f"1 s{number}")
        except StoreConflictError:
            return False
        return True

    assert sorted(concurrently(act)) == [False] * (MANY - 1) + [True]


def test_nobody_has_seen_a_new_hub_up(stores):
    assert stores.sweeps.uptimes() == Uptimes()


def test_when_the_hub_was_up_is_the_last_note(stores):
    first = Uptimes().seen(NOW, PAUSE, edges_report=True)
    later = first.seen(NOW + HOUR, PAUSE, edges_report=False)

    stores.sweeps.set_uptimes(Uptimes(), first)
    assert stores.sweeps.uptimes() == first
    stores.sweeps.set_uptimes(first, later)
    assert stores.sweeps.uptimes() == later
    assert stores.sweeps.resume_point() == ""


def test_of_two_notes_from_the_same_record_one_is_stored(stores):
    first, others = (Uptimes().seen(NOW + at, PAUSE, edges_report=True) for at in (timedelta(), HOUR))
    stores.sweeps.set_uptimes(Uptimes(), first)

    with pytest.raises(StoreConflictError):
        stores.sweeps.set_uptimes(Uptimes(), others)
    with pytest.raises(StoreConflictError):
        stores.sweeps.set_uptimes(others, others)
    assert stores.sweeps.uptimes() == first
