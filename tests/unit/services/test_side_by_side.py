"""Doing one thing to many at once: the order of results, the bound, and what a failure ends."""

import threading
from itertools import count

import pytest

from hubless.services import side_by_side
from hubless.services.side_by_side import AHEAD, in_order


class Broken(Exception):
    pass


@pytest.mark.parametrize("at_once", [1, 4])
def test_results_come_in_the_order_of_the_things(at_once):
    assert list(in_order(lambda number: number * 2, range(50), at_once)) == list(range(0, 100, 2))


def test_one_at_once_is_this_thread():
    assert set(in_order(lambda _: threading.get_ident(), range(3), 1)) == {threading.get_ident()}


def test_as_many_run_at_once_as_may():
    together = threading.Barrier(3, timeout=20)
    assert list(in_order(lambda number: (together.wait(), number)[1], range(6), 3)) == list(range(6))


def test_few_things_are_begun_before_a_result_is_taken():
    begun = list[int]()
    results = in_order(begun.append, count(), 2)
    next(results)
    assert len(begun) <= AHEAD * 2 + 1
    results.close()


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_failure_is_raised_and_no_other_begins(at_once):
    begun = list[int]()

    def act(number):
        begun.append(number)
        if number == 3:
            raise Broken

    with pytest.raises(Broken):
        list(in_order(act, range(1000), at_once))
    assert len(begun) <= 3 + AHEAD * at_once + 1


def test_who_waits_is_told_so(monkeypatch):
    monkeypatch.setattr(side_by_side, "LOOK_SECONDS", 0)
    told = threading.Event()
    assert list(in_order(lambda _: told.wait(20), [1], 2, told.set)) == [True]
