"""Servers are asked side by side whether they answer, a few of each owner."""

import itertools
import threading

import pytest

from hubless.adapters.processes import concurrent_readiness
from hubless.adapters.processes.concurrent_readiness import ConcurrentReadiness
from hubless.ports.readiness import Answer
from tests.support.builders import a_server
from tests.support.concurrency import eventually


class Servers:
    """Answers at once, except for owners who hang: their servers accept and say nothing until they are let go."""

    def __init__(self):
        self.hanging, self.let_go = set(), threading.Event()
        self.asked, self.at_once, self.most_at_once = [], 0, 0
        self.guard, self.silent, self.error = threading.Lock(), set(), None

    def answers(self, server, prefix):
        with self.guard:
            self.asked.append(server.id)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        if server.owner_id in self.hanging:
            assert self.let_go.wait(30)
        with self.guard:
            self.at_once -= 1
        if self.error:
            raise self.error
        return None if server.owner_id in self.hanging | self.silent else Answer(prefix)


@pytest.fixture
def servers():
    return Servers()


class Time:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def readiness(servers, time):
    one = ConcurrentReadiness(servers, time, wait_seconds=0)
    yield one
    servers.let_go.set()
    one.close()


def of(owner, number=0):
    return a_server(id=f"{owner}{number}", owner_id=owner, launch_id=f"l-{owner}{number}", address="127.0.0.1:1")


def settle(readiness):
    """Wait until all threads have finished what they were given."""
    readiness._pool.shutdown()
    readiness._pool = type(readiness._pool)(concurrent_readiness.AT_ONCE)


def test_an_answer_that_comes_at_once_is_told_at_once(servers, time):
    patient = ConcurrentReadiness(servers, time, wait_seconds=30)

    assert patient.answers(of("ada"), "/user/ada/") == Answer("/user/ada/")
    patient.close()


def test_an_answer_is_told_at_the_next_question(readiness):
    readiness.answers(of("ada"), "/user/ada/")
    settle(readiness)

    assert readiness.answers(of("ada"), "/user/ada/") == Answer("/user/ada/")


def test_servers_of_one_owner_that_hang_delay_no_other(readiness, servers):
    servers.hanging = {"eve"}
    for _ in range(5):
        for number in range(20):
            assert readiness.answers(of("eve", number), "/") is None

    asked = threading.Event()
    plain = servers.answers
    servers.answers = lambda server, prefix: (plain(server, prefix), asked.set())[0]
    readiness.answers(of("ada"), "/")

    assert asked.wait(30)
    assert sum(one.startswith("eve") for one in servers.asked) <= concurrent_readiness.AT_ONCE_OF_OWNER


def test_a_server_that_hangs_is_asked_less_and_less_often(readiness, servers, time):
    servers.hanging = {"eve"}
    asked_at = []
    for _ in range(400):
        servers.let_go.clear()
        before = len(servers.asked)
        readiness.answers(of("eve"), "/")
        is_asked = readiness._launches["l-eve0@127.0.0.1:1"].is_under_way
        if is_asked:
            asked_at.append(time.now)
            eventually(lambda before=before: len(servers.asked) > before)  # from then on it takes time
            time.now += 1.0  # its time-out
            servers.let_go.set()
            settle(readiness)
            assert len(servers.asked) == before + 1
        time.now += 0.1

    gaps = [round(later - earlier) for earlier, later in itertools.pairwise(asked_at)]
    assert gaps == sorted(gaps)
    assert gaps[-1] == round(1 + concurrent_readiness.LONGEST_PAUSE_SECONDS)


def test_a_server_that_refuses_at_once_is_asked_again_at_once(readiness, servers):
    servers.silent = {"ada"}
    for number in range(1, 4):
        readiness.answers(of("ada"), "/")
        settle(readiness)
        assert len(servers.asked) == number


def test_an_answer_is_kept_for_a_moment_and_then_asked_for_anew(readiness, servers, time):
    readiness.answers(of("ada"), "/")
    settle(readiness)
    time.now += concurrent_readiness.KEPT_SECONDS / 2
    assert readiness.answers(of("ada"), "/") == Answer("/")

    servers.silent = {"ada"}
    time.now += concurrent_readiness.KEPT_SECONDS
    assert readiness.answers(of("ada"), "/") is None
    settle(readiness)
    assert readiness.answers(of("ada"), "/") is None


def test_an_answer_of_another_launch_or_address_does_not_count(readiness, servers):
    readiness.answers(of("ada"), "/")
    settle(readiness)

    servers.silent = {"ada"}
    assert readiness.answers(of("ada", 1), "/") is None
    assert readiness.answers(a_server(owner_id="ada", launch_id="l-ada0", address="127.0.0.1:2"), "/") is None


def test_a_bug_in_one_check_is_logged_and_leaves_room(readiness, servers, caplog):
    servers.error = RuntimeError("a bug")
    for _ in range(10):
        assert readiness.answers(of("ada"), "/") is None
        settle(readiness)
    assert "cannot ask whether it answers" in caplog.text

    servers.error = None
    readiness.answers(of("ada"), "/")
    settle(readiness)
    assert readiness.answers(of("ada"), "/") == Answer("/")


def test_launches_that_nobody_asks_about_are_forgotten(readiness, time):
    for number in range(100):
        readiness.answers(of(f"u{number}"), "/")
    settle(readiness)
    time.now += 2 * concurrent_readiness.FORGOTTEN_SECONDS

    readiness.answers(of("ada"), "/")

    assert list(readiness._launches) == ["l-ada0@127.0.0.1:1"]
