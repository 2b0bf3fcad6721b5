import pytest

from hubless.domain.errors import StoreConflictError
from tests.support.concurrency import MANY, concurrently


def test_a_sweep_that_was_never_cut_is_at_the_beginning(stores):
    assert stores.sweeps.resume_point() == ""


def test_the_place_is_the_one_that_was_set_last_and_may_be_the_beginning_again(stores):
    for before, after in (("", "1 s1"), ("1 s1", "2 l1"), ("2 l1", "")):
        stores.sweeps.set_resume_point(before, after)
        assert stores.sweeps.resume_point() == after


@pytest.mark.parametrize("there", ["", "2 l1"])
@pytest.mark.parametrize("after", ["", "3 /user/alice/"])
def test_who_was_cut_after_another_changes_nothing(stores, there, after):
    if there:
        stores.sweeps.set_resume_point("", there)
    with pytest.raises(StoreConflictError):
        stores.sweeps.set_resume_point("1 s1", after)
    assert stores.sweeps.resume_point() == there


def test_of_eight_who_are_cut_at_once_one_sets_the_place(stores):
    def act(number):
        try:
            stores.sweeps.set_resume_point("", f"1 s{number}")
        except StoreConflictError:
            return False
        return True

    assert sorted(concurrently(act)) == [False] * (MANY - 1) + [True]
