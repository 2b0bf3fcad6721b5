import pytest

from hubless.domain.errors import StoreConflictError
from hubless.services.resumable_sweep import Step, run_steps

KEYS = "abcdefg"


class Hours:
    """Some steps, and a time that is over after as many as fit."""

    def __init__(self, fit=99):
        self.fit, self.taken = fit, []

    def step(self, key, part=1, act=lambda: 1):
        def taken():
            self.taken.append(key)
            return act()

        return Step(part, key, taken)

    def go(self, steps, after=""):
        first = len(self.taken)
        return run_steps(steps, after, lambda: len(self.taken) - first >= self.fit)


def test_every_step_is_taken_once_by_part_and_key():
    hours = Hours()
    steps = [hours.step("x", 2), hours.step("b"), hours.step("a"), hours.step("c", 2, lambda: 0)]

    this = hours.go(steps)

    assert hours.taken == ["a", "b", "c", "x"]
    assert (this.taken, this.done, this.resume_after) == ({1: 2, 2: 2}, {1: 2, 2: 1}, "")


@pytest.mark.parametrize("fit", range(1, 9))
def test_cut_runs_go_on_and_miss_nothing(fit):
    hours, place, runs = Hours(fit), "", 0
    while set(hours.taken) != set(KEYS):
        place, runs = hours.go([hours.step(key) for key in KEYS], place).resume_after, runs + 1

    assert runs == -(-len(KEYS) // fit)
    assert hours.taken[: len(KEYS)] == list(KEYS)


def test_a_run_begins_behind_the_resume_point():
    hours = Hours()

    hours.go([hours.step(key) for key in "abdef"], "1 c")

    assert hours.taken == ["d", "e", "f", "a", "b"]


@pytest.mark.parametrize("place", ["", "0", "1 g", "9", "~"])
def test_an_unknown_resume_point_loses_nothing(place):
    hours = Hours()

    assert hours.go([hours.step(key) for key in KEYS], place).resume_after == ""
    assert sorted(hours.taken) == list(KEYS)


def test_a_run_without_time_takes_one_step():
    hours = Hours(0)

    assert hours.go([hours.step(key) for key in KEYS]).resume_after == "1 a"
    assert hours.taken == ["a"]


def test_a_run_that_ends_with_its_last_step_is_complete():
    hours = Hours(len(KEYS))

    assert hours.go([hours.step(key) for key in KEYS]).resume_after == ""


@pytest.mark.parametrize("error", [StoreConflictError("moved"), RuntimeError("the launcher stumbles")])
def test_a_failing_step_does_not_stop_the_others(error):
    def fail():
        raise error

    hours = Hours()
    this = hours.go([hours.step("a"), hours.step("b", act=fail), hours.step("c")])

    assert hours.taken == ["a", "b", "c"]
    assert (this.taken, this.done) == ({1: 3}, {1: 2})
