"""What is done at a signal is done though the signal comes at the worst moment."""

import signal
import threading
from collections.abc import Iterator

import pytest

from edge_proxy.signals import on_signals


@pytest.fixture
def number() -> Iterator[int]:
    before = signal.getsignal(signal.SIGUSR1)
    yield signal.SIGUSR1
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_sets_an_event_whose_lock_is_held(number: int) -> None:
    event = threading.Event()
    on_signals((number,), event.set)
    with event._cond:  # type: ignore[attr-defined]  # as for a moment within `wait`
        signal.raise_signal(number)  # a handler that set the event would wait here for ever
        assert not event.is_set()
    assert event.wait(20)


def test_each_signal_runs_the_next_action_until_there_is_none(number: int) -> None:
    first, second = threading.Event(), threading.Event()
    on_signals((number,), first.set, second.set)
    signal.raise_signal(number)
    assert first.wait(20)
    assert not second.is_set()
    for _ in range(3):
        signal.raise_signal(number)
    assert second.wait(20)
