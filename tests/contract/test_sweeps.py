import pytest

from hubless.domain.errors import StoreConflictError
from tests.support.concurrency import MANY, concurrently


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
