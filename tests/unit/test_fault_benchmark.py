"""What the benchmark of bad days counts: a measurement of nothing meets no bound."""

from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

from tests.support.bad_days import Load

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def part():
    """Return a function that imports a part of the benchmark."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield lambda name: import_module(f"faults.{name}")


@pytest.fixture
def tally(part):
    return part("kills").Tally()


READY = {"adopted", "ada"}


def test_a_kill_under_load_after_which_all_is_there_meets_the_bound(tally):
    tally.add(10, [], READY, Counter(READY))
    assert tally.is_met()
    assert tally.shown() == "0, 0, 0 (of 10 and 1 servers in 1 kills)"


@pytest.mark.parametrize(
    ("lost", "running", "shown"),
    [
        (["ben: 404"], Counter(READY), "1, 0, 0"),
        ([], Counter({"adopted": 1}), "1, 0, 0"),
        ([], Counter({"adopted": 1, "ada": 2}), "0, 1, 0"),
        ([], Counter([*READY, "ben"]), "0, 0, 1"),
    ],
)
def test_what_is_lost_doubled_or_an_orphan_does_not(tally, lost, running, shown):
    tally.add(10, lost, READY, running)
    assert not tally.is_met()
    assert tally.shown().startswith(shown)
    assert len(tally.wrong) == 1


def test_no_kill_or_one_without_load_meets_nothing(tally):
    assert not tally.is_met()
    tally.add(10, [], READY, Counter(READY))
    tally.add(0, [], {"adopted"}, Counter(["adopted"]))
    assert not tally.is_met()
    assert "1 of them under no load" in tally.shown()


def test_kills_without_a_server_but_the_adopted_one_meet_nothing(tally):
    tally.add(10, [], {"adopted"}, Counter(["adopted"]))
    assert not tally.is_met()


def test_a_start_beside_nothing_that_hangs_meets_nothing(part):
    is_met = part("hanging").is_met
    assert is_met(1.0, 1.4, 20)
    assert not is_met(1.0, 1.6, 20)
    assert not is_met(1.0, 1.0, 0)


@pytest.mark.parametrize(
    ("used_running", "unused_running", "is_met"),
    [
        ({"ada", "ben"}, set(), True),
        ({"ada"}, set(), False),
        ({"ada", "ben"}, {"eve", "eva"}, False),  # a hub that culls nobody
        ({"ada", "ben"}, {"eve"}, False),
    ],
)
def test_a_downtime_ends_nobody_in_use_and_the_others_end_after_it(part, used_running, unused_running, is_met):
    found = part("downtime").Found(1)
    assert not found.is_met()
    found.add({"ada": "l1", "ben": "l2"}, used_running, unused_running)
    assert found.is_met() is is_met


def test_a_load_knows_the_servers_that_must_be_there():
    class Answers:
        """A hub that acknowledges all but the start of the server of user12."""

        def __init__(self):
            self.asked = []

        def ask(self, method, path):
            self.asked.append((method, path))
            if len(self.asked) > 60:
                load._is_over.set()
            refused = path.endswith("user12/server")
            return type("Answer", (), {"status_code": 201, "is_success": not refused})

    load = Load(Answers())
    load.run()
    assert load.servers[:3] == ["user4", "user20", "user28"]
