from datetime import UTC, datetime, timedelta

from hubless.domain.idleness import IdlePolicy, Keep, Reap, verdict
from hubless.domain.lifecycle import Server, State

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def a_running_server(*, idle_for=timedelta(0), age=HOUR * 10):
    return Server(
        id="s",
        owner_id="u",
        name="",
        created_at=NOW - age,
        entered_at=NOW - age,
        state=State.READY,
        started_at=NOW - age,
        last_activity_at=NOW - idle_for,
    )


def test_an_idle_server_is_reaped_at_the_limit_and_not_before():
    idle_policy = IdlePolicy(idle_after=HOUR)

    assert isinstance(verdict(a_running_server(idle_for=HOUR), idle_policy, NOW), Reap)
    assert verdict(a_running_server(idle_for=HOUR - timedelta(microseconds=1)), idle_policy, NOW) == Keep()


def test_a_server_that_has_just_started_is_not_idle():
    server = a_running_server(idle_for=HOUR * 5, age=timedelta(minutes=1))

    assert verdict(server, IdlePolicy(idle_after=HOUR), NOW) == Keep()


def test_the_maximum_age_counts_busy_servers_too():
    assert isinstance(verdict(a_running_server(age=HOUR * 8), IdlePolicy(max_age=HOUR * 8), NOW), Reap)


def test_without_limits_nothing_is_reaped():
    assert verdict(a_running_server(idle_for=HOUR * 9), IdlePolicy(), NOW) == Keep()


def test_a_narrower_policy_overrides_each_limit_that_it_sets():
    assert IdlePolicy(HOUR, HOUR * 8).overridden_by(IdlePolicy(idle_after=HOUR * 2)) == IdlePolicy(HOUR * 2, HOUR * 8)
