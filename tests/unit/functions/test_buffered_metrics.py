from datetime import timedelta

import pytest

from hubless.adapters import buffered_metrics
from hubless.adapters.buffered_metrics import FLUSH_SECONDS, BufferedMetrics
from hubless.domain.histograms import LOGOUT_DURATION, STOP_DURATION
from tests.support.concurrency import MANY, concurrently
from tests.support.fakes import HistogramsInMemory

TOOK = timedelta(seconds=2)


class Seconds:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def store():
    return HistogramsInMemory()


@pytest.fixture
def clock():
    return Seconds()


@pytest.fixture
def metrics(store, clock):
    return BufferedMetrics(store, clock)


def test_many_counts_are_one_write_when_the_first_is_due(metrics, store, clock):
    metrics.observe(LOGOUT_DURATION, TOOK)
    clock.now += FLUSH_SECONDS - 1
    metrics.observe(LOGOUT_DURATION, TOOK)
    metrics.flush_when_due()
    assert store.writes == []

    clock.now += 1
    metrics.flush_when_due()
    assert [[(one.count, one.total) for one in write] for write in store.writes] == [[(2, TOOK * 2)]]


def test_nothing_is_written_where_nothing_was_counted(metrics, store, clock):
    metrics.observe(LOGOUT_DURATION, TOOK)
    metrics.flush()
    clock.now += 2 * FLUSH_SECONDS
    metrics.flush_when_due()
    metrics.flush()
    assert len(store.writes) == 1


def test_a_store_that_is_away_gets_the_counts_later(metrics, store, clock):
    store.is_away = True
    metrics.observe(LOGOUT_DURATION, TOOK)
    metrics.flush()
    metrics.observe(LOGOUT_DURATION, TOOK)
    metrics.flush_when_due()
    store.is_away = False
    metrics.flush_when_due()
    assert store.writes == []  # not at once

    clock.now += FLUSH_SECONDS
    metrics.flush_when_due()
    assert [one.count for one in store.all()] == [2]


def test_memory_does_not_grow_with_the_counts(metrics, store, monkeypatch):
    monkeypatch.setattr(buffered_metrics, "_ENOUGH", 5)
    for number in range(1_000):
        metrics.observe(STOP_DURATION, TOOK, ("success", "failure")[number % 2])
        assert len(metrics._counts) < 5
    metrics.flush()
    assert sorted(one.count for one in store.all()) == [500, 500]


def test_threads_lose_nothing(metrics, store):
    def work(_):
        for _ in range(200):
            metrics.observe(LOGOUT_DURATION, TOOK)
            metrics.flush()

    concurrently(work)
    metrics.flush()
    assert [one.count for one in store.all()] == [200 * MANY]
