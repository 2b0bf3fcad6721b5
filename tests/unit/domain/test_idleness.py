from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hubless.domain import lifecycle
from hubless.domain.idle_policies import IdlePolicies
from hubless.domain.idleness import (
    IdlePolicy,
    Keep,
    Reap,
    ServerWork,
    is_look_due,
    is_too_old,
    kept_until,
    next_stop,
    verdict,
)
from hubless.domain.lifecycle import Server, State
from hubless.domain.profiles import Profile
from hubless.domain.stop_reasons import StopCause

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


# --- what a server says of its work ---

SECOND, MINUTE, MICROSECOND = timedelta(seconds=1), timedelta(minutes=1), timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("ages", "expected"),
    [
        ([], None),
        ([timedelta(minutes=5)], timedelta(minutes=5)),
        ([timedelta(hours=3), timedelta(minutes=2), timedelta(days=9)], timedelta(minutes=2)),
        ([-SECOND], timedelta(0)),  # dated by a clock that runs on while the answer is made
        ([-HOUR], None),  # the server's clock was set back since: it proves nothing
        ([-HOUR, timedelta(minutes=7)], timedelta(minutes=7)),
    ],
)
def test_the_latest_activity_of_kernels_and_terminals_is_work(ages, expected):
    work = ServerWork(said_at=NOW, moved_at=tuple(NOW - age for age in ages))

    assert work.last_worked_at(NOW, count_busy=True) == (None if expected is None else NOW - expected)


@pytest.mark.parametrize("skew", [-HOUR * 30, -MINUTE, MINUTE, HOUR * 30])
def test_the_servers_clock_need_not_agree_with_the_hubs(skew):
    work = ServerWork(said_at=NOW + skew, moved_at=(NOW + skew - MINUTE,))

    assert work.last_worked_at(NOW, count_busy=True) == NOW - MINUTE


def test_a_busy_kernel_works_now_unless_settings_say_otherwise():
    silent = ServerWork(said_at=NOW, busy_kernels=1, moved_at=(NOW - HOUR,))

    assert silent.last_worked_at(NOW, count_busy=True) == NOW
    assert silent.last_worked_at(NOW, count_busy=False) == NOW - HOUR


@pytest.mark.parametrize(
    ("seen", "worked", "verdict_type"),
    [
        (HOUR * 2, None, Reap),
        (HOUR * 2, HOUR, Reap),
        (HOUR * 2, HOUR - SECOND, Keep),
        (HOUR - SECOND, HOUR * 2, Keep),
        (HOUR * 2, timedelta(0), Keep),
    ],
)
def test_work_counts_as_activity_that_is_seen_does(seen, worked, verdict_type):
    worked_at = None if worked is None else NOW - worked

    assert isinstance(
        verdict(a_running_server(idle_for=seen), IdlePolicy(HOUR), NOW, worked_at=worked_at), verdict_type
    )


def test_a_server_at_its_maximum_age_is_stopped_though_it_works():
    server, limits = a_running_server(age=HOUR * 8), IdlePolicy(HOUR, HOUR * 8)

    assert isinstance(verdict(server, limits, NOW, worked_at=NOW), Reap)
    assert is_too_old(server, limits, NOW)
    assert not is_look_due(server, limits, NOW, None)


@pytest.mark.parametrize(
    ("idle_after", "interval"),
    [
        (None, MINUTE * 5),
        (HOUR * 8, MINUTE * 5),
        (MINUTE * 15, MINUTE * 5),
        (timedelta(seconds=90), SECOND * 30),
        (timedelta(seconds=100), SECOND * 33),
        (SECOND, SECOND * 10),
    ],
)
def test_looks_follow_the_idle_limit(idle_after, interval):
    assert IdlePolicy(idle_after).look_interval == interval


@pytest.mark.parametrize(
    ("idle_for", "looked", "is_due"),
    [
        (MINUTE * 4, None, False),  # seen a moment ago
        (MINUTE * 5, None, True),
        (MINUTE * 50, MINUTE * 4, False),
        (MINUTE * 50, MINUTE * 5, True),
        (MINUTE * 50, -MINUTE, True),  # the hub's clock was set back
        (HOUR, SECOND, True),  # nobody is stopped unasked
    ],
)
def test_a_server_is_asked_when_it_may_be_idle_and_was_not_just_asked(idle_for, looked, is_due):
    looked_at = None if looked is None else NOW - looked

    assert is_look_due(a_running_server(idle_for=idle_for), IdlePolicy(HOUR), NOW, looked_at) is is_due


def test_activity_that_edges_have_not_reported_yet_may_still_come():
    server, lag = a_running_server(idle_for=HOUR), MINUTE * 5

    assert verdict(server, IdlePolicy(HOUR), NOW, report_interval=lag) == Keep()
    assert isinstance(verdict(server, IdlePolicy(HOUR), NOW + lag, report_interval=lag), Reap)


@pytest.mark.parametrize(
    ("hub", "profile", "user", "seconds"),
    [
        (None, None, None, 300),
        (HOUR, None, None, 300),
        (SECOND * 90, None, None, 30),
        (HOUR, SECOND * 90, None, 30),
        (HOUR, SECOND * 90, SECOND * 60, 20),
        (SECOND, None, None, 10),
    ],
)
def test_edges_report_often_enough_for_the_shortest_limit(hub, profile, user, seconds):
    profiles = {"p": Profile("p", idle_policy=IdlePolicy(profile))}
    policies = IdlePolicies(IdlePolicy(hub), {"ada": IdlePolicy(user)}, profiles)

    assert policies.report_interval(MINUTE * 5) == SECOND * seconds
    assert policies.report_interval(SECOND * 15) == SECOND * min(seconds, 15)


@pytest.mark.parametrize("year", [1, 1900, 7500, 9999])
def test_a_clock_that_cannot_be_right_proves_no_work(year):
    work = ServerWork(said_at=datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC), moved_at=(NOW,))

    assert work.last_worked_at(NOW, count_busy=True) is None


# --- when the next stop is, and keeping a server running ---


@pytest.mark.parametrize(
    ("policy", "idle_for", "at", "cause"),
    [
        (IdlePolicy(), HOUR, None, None),
        (IdlePolicy(idle_after=HOUR), 10 * MINUTE, NOW + 50 * MINUTE, StopCause.IDLE),
        (IdlePolicy(max_age=HOUR * 12), HOUR, NOW + 2 * HOUR, StopCause.AGE),
        (IdlePolicy(HOUR * 3, HOUR * 12), 59 * MINUTE, NOW + 2 * HOUR, StopCause.AGE),
        (IdlePolicy(HOUR * 3, HOUR * 12), HOUR, NOW + 2 * HOUR, StopCause.AGE),
        (IdlePolicy(HOUR * 3, HOUR * 12), 61 * MINUTE, NOW + 119 * MINUTE, StopCause.IDLE),
        (IdlePolicy(idle_after=timedelta.max), HOUR, None, None),
    ],
)
def test_the_next_stop_is_the_limit_that_is_reached_first(policy, idle_for, at, cause):
    stop = next_stop(a_running_server(idle_for=idle_for), policy)
    assert (stop and stop.at, stop and stop.reason.cause) == (at, cause)


def test_a_limit_that_no_server_reaches_is_none():
    server, policy = a_running_server(idle_for=HOUR), IdlePolicy(timedelta.max, timedelta.max)
    assert next_stop(server, policy, report_interval=MINUTE) is None
    assert verdict(server, policy, NOW, report_interval=MINUTE) == Keep()
    assert kept_until(server, policy, HOUR, NOW, report_interval=MINUTE) is None
    kept = kept_until(server, IdlePolicy(HOUR, HOUR * 20), timedelta.max, NOW, report_interval=MINUTE)
    assert kept == server.started_at + HOUR * 20


@pytest.mark.parametrize("report_interval", [timedelta(), 30 * SECOND])
def test_the_verdict_falls_at_the_next_stop_and_not_before(report_interval):
    server, policy = a_running_server(idle_for=MINUTE), IdlePolicy(idle_after=HOUR)
    at = next_stop(server, policy, report_interval=report_interval).at
    late = verdict(server, policy, at, report_interval=report_interval)
    assert verdict(server, policy, at - MICROSECOND, report_interval=report_interval) == Keep()
    assert late.reason == next_stop(server, policy, report_interval=report_interval).reason


@pytest.mark.parametrize("state", [state for state in State if state is not State.READY])
def test_only_a_ready_server_has_a_next_stop(state):
    assert next_stop(replace(a_running_server(), state=state), IdlePolicy(HOUR, HOUR)) is None


def test_a_kept_server_stays_until_then_however_idle_it_is():
    policy, server = IdlePolicy(idle_after=HOUR), a_running_server(idle_for=50 * MINUTE)
    until = kept_until(server, policy, HOUR, NOW, report_interval=timedelta())
    kept = lifecycle.kept(server, until)

    assert until == NOW + 70 * MINUTE
    assert (kept.times_kept, kept.revision, next_stop(kept, policy).at) == (1, server.revision + 1, until)
    assert verdict(kept, policy, until - MICROSECOND) == Keep()
    assert isinstance(verdict(kept, policy, until), Reap)


def test_activity_after_a_keep_counts_as_usual():
    kept = lifecycle.kept(a_running_server(), NOW + HOUR)
    active = replace(kept, last_activity_at=NOW + 50 * MINUTE)
    assert next_stop(active, IdlePolicy(idle_after=HOUR)).at == NOW + 110 * MINUTE


def test_a_stop_that_is_late_already_is_put_off_from_now():
    late = a_running_server(idle_for=HOUR * 5)
    assert kept_until(late, IdlePolicy(idle_after=HOUR), HOUR, NOW, report_interval=timedelta()) == NOW + HOUR


def test_a_keep_never_outlives_the_maximum_age():
    server, policy = a_running_server(idle_for=30 * MINUTE, age=HOUR * 10), IdlePolicy(HOUR, HOUR * 11)
    until = kept_until(server, policy, HOUR, NOW, report_interval=timedelta())
    assert until == NOW + HOUR
    assert isinstance(verdict(lifecycle.kept(server, until), policy, until), Reap)


@pytest.mark.parametrize("policy", [IdlePolicy(), IdlePolicy(max_age=HOUR * 12), IdlePolicy(HOUR * 9, HOUR * 10)])
def test_a_server_that_idleness_does_not_stop_is_not_kept(policy):
    assert kept_until(a_running_server(idle_for=MINUTE), policy, HOUR, NOW, report_interval=timedelta()) is None
