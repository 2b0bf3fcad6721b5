"""Beginnings of logins: a class gets in, a flood does not, and nobody pays for another network's."""

from datetime import UTC, datetime, timedelta

import pytest

from hubless.domain.errors import QuotaExceededError
from hubless.services import login_beginnings
from hubless.services.login_beginnings import MAX_BEGINNINGS, WINDOW, LoginBeginnings
from tests.support.fakes import StoppedClock


@pytest.fixture
def clock():
    return StoppedClock(datetime(2026, 11, 28, tzinfo=UTC))


def fill(beginnings, address="192.0.2.1"):
    for _ in range(MAX_BEGINNINGS):
        beginnings.admit(address)


def test_a_class_of_300_behind_one_address_logs_in_three_times_each():
    assert MAX_BEGINNINGS >= 900


def test_a_flood_from_one_network_ends_and_says_when_to_try_again(clock):
    beginnings = LoginBeginnings(clock)
    fill(beginnings, "2001:db8::1")
    clock.advance(timedelta(minutes=1))
    with pytest.raises(QuotaExceededError) as refused:
        beginnings.admit("2001:db8::2")
    assert refused.value.after == timedelta(minutes=4)
    beginnings.admit("2001:db8:0:1::1")


def test_after_its_time_a_network_begins_anew(clock):
    beginnings = LoginBeginnings(clock)
    fill(beginnings)
    clock.advance(WINDOW)
    fill(beginnings)
    with pytest.raises(QuotaExceededError):
        beginnings.admit("192.0.2.1")


def test_a_clock_that_was_ahead_locks_nobody_out(clock):
    beginnings = LoginBeginnings(clock)
    fill(beginnings)
    clock.advance(-timedelta(days=1))
    beginnings.admit("192.0.2.1")


def test_what_it_remembers_is_bounded(clock, monkeypatch):
    monkeypatch.setattr(login_beginnings, "_NETWORKS", 3)
    beginnings = LoginBeginnings(clock)
    for last in range(10):
        beginnings.admit(f"192.0.2.{last}")
    assert len(beginnings._counts) == 3
