"""The pace of a long command at a table that throttles."""

import threading

import pytest

from hubless.adapters.dynamodb.pace import Pace


@pytest.fixture
def slept():
    return []


@pytest.fixture
def pace(slept):
    return Pace(8, slept.append)


def test_each_throttled_request_halves_the_pace_down_to_one(pace, slept):
    allowed = []
    for turn in range(5):
        pace.slow_down(turn)
        allowed.append(pace.allowed)
    assert allowed == [4, 2, 1, 1, 1]
    assert pace.throttled == 5
    assert len(slept) == 5


def test_waits_grow_and_stay_bounded(pace, slept, monkeypatch):
    monkeypatch.setattr("random.random", lambda: 1.0)
    for turn in range(30):
        pace.slow_down(turn)
    assert slept == sorted(slept)
    assert slept[0] < 0.1
    assert slept[-1] == 6.0


def test_answers_bring_the_pace_back_and_no_further(pace):
    pace.slow_down(0)
    for _ in range(100):
        assert pace.send(lambda: "answer") == "answer"
    assert pace.allowed == 8


def test_no_more_requests_are_under_way_than_are_allowed():
    pace, lock = Pace(2), threading.Lock()
    now, most, all_began = [0], [0], threading.Semaphore(0)

    def ask():
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        all_began.release()
        threading.Event().wait(0.01)
        with lock:
            now[0] -= 1

    threads = [threading.Thread(target=pace.send, args=(ask,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 2


def test_a_request_that_fails_gives_its_turn_back():
    pace = Pace(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            pace.send(lambda: 1 / 0)
    assert pace.send(lambda: 1) == 1
