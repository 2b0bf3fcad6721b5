"""Who sleeps until somebody writes the database wakes at once, and is not kept busy."""

import os
import threading
from contextlib import closing

import pytest

from hubless.adapters.sqlite import write_watch
from hubless.adapters.sqlite.database import Database
from hubless.adapters.sqlite.write_watch import LONGEST_SECONDS, SHORTEST_SECONDS, WriteWatch

NEVER = 3600.0


@pytest.fixture
def database(tmp_path):
    with closing(Database(tmp_path / "hub.sqlite")) as made:
        yield made


@pytest.fixture
def watch(tmp_path):
    with closing(WriteWatch(tmp_path / "hub.sqlite")) as made:
        yield made


class Sleeper:
    """A thread that sleeps for an hour, unless it is woken."""

    def __init__(self, watch, beside=()):
        self._thread = threading.Thread(target=watch.sleep, args=(NEVER, beside), daemon=True)
        self._thread.start()

    def has_woken(self):
        self._thread.join(60)
        return not self._thread.is_alive()


def test_a_write_of_anybody_ends_the_sleep(database, watch):
    sleeper = Sleeper(watch)
    database.write("INSERT INTO leases VALUES ('l', 'o', 1)")
    assert sleeper.has_woken()


def test_who_leaves_ends_the_sleep_of_now_or_the_next_one(watch):
    sleeper = Sleeper(watch)
    watch.wake()
    assert sleeper.has_woken()
    watch.wake()
    watch.sleep(NEVER)


def test_news_beside_the_database_end_the_sleep(watch):
    reading, writing = os.pipe()
    try:
        sleeper = Sleeper(watch, [reading])
        os.write(writing, b"x")
        assert sleeper.has_woken()
    finally:
        os.close(reading)
        os.close(writing)


def slept(watch, monkeypatch, times):
    """Return the seconds that the watch would sleep, that often in a row, without sleeping."""
    asked = []

    class Poll:
        def register(self, *_):
            pass

        def poll(self, milliseconds):
            asked.append(milliseconds / 1000)
            return []

    monkeypatch.setattr(write_watch.select, "poll", Poll)
    for _ in range(times):
        watch.sleep()
    return asked


def test_looks_become_rarer_until_the_next_write(database, watch, monkeypatch):
    assert slept(watch, monkeypatch, 9)[-1] == LONGEST_SECONDS
    database.write("INSERT INTO leases VALUES ('l', 'o', 1)")
    seconds = slept(watch, monkeypatch, 6)
    assert seconds[:2] == [LONGEST_SECONDS, SHORTEST_SECONDS]
    assert seconds[1:] == sorted(seconds[1:])


def test_who_has_seen_a_write_need_not_look_again_soon(database, watch, monkeypatch):
    slept(watch, monkeypatch, 9)
    database.write("INSERT INTO leases VALUES ('l', 'o', 1)")
    slept(watch, monkeypatch, 1)
    watch.seen()
    assert slept(watch, monkeypatch, 1) == [LONGEST_SECONDS]


def test_a_kernel_that_tells_nothing_is_asked_often(tmp_path, monkeypatch):
    monkeypatch.setattr(write_watch, "_watch", lambda _folder: None)
    with closing(WriteWatch(tmp_path / "hub.sqlite")) as watch:
        assert not watch.is_told
        assert set(slept(watch, monkeypatch, 9)) == {SHORTEST_SECONDS}
