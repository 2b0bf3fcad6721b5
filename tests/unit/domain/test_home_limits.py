"""How large a home may be, and how long a server still runs when it is larger."""

from datetime import timedelta

import pytest

from hubless.domain.home_limits import HomeLimits, SetLimits, is_nearly_full
from hubless.domain.home_usage import HomeUsage
from hubless.domain.lifecycle import State
from tests.support.builders import NOW, a_server, a_user

MINUTE = timedelta(minutes=1)
LIMITS = HomeLimits(100, {"physics": 300, "maths": 50}, {"ada": None, "bob": 10}, 30 * MINUTE)


@pytest.mark.parametrize(
    ("name", "groups", "limit"),
    [
        ("alice", (), 100),
        ("alice", ("art",), 100),
        ("alice", ("maths",), 50),
        ("alice", ("maths", "physics"), 300),
        ("bob", ("physics",), 10),
        ("ada", ("physics",), None),
    ],
)
def test_a_users_own_limit_comes_first_and_then_the_groups(name, groups, limit):
    assert LIMITS.of(a_user(name, groups=groups)) == limit


@pytest.mark.parametrize(
    ("name", "groups", "chosen", "limit"),
    [
        ("alice", (), SetLimits({"u-alice": 7}), 7),
        ("bob", (), SetLimits({"u-bob": None}), None),  # no limit at run time is stronger than one of the settings
        ("ada", (), SetLimits({"u-alice": 7}), None),
        ("alice", ("maths",), SetLimits(groups={"maths": 60}), 60),
        ("alice", ("maths", "physics"), SetLimits(groups={"physics": 20}), 50),
        ("alice", ("maths", "art"), SetLimits(groups={"art": None}), None),
        ("bob", ("art",), SetLimits(groups={"art": 400}), 10),  # the settings name this user
        ("alice", (), SetLimits(groups={"art": 400}), 100),
    ],
)
def test_what_admins_set_at_run_time_is_stronger_than_settings(name, groups, chosen, limit):
    assert LIMITS.of(a_user(name, groups=groups), chosen) == limit


def stop(size=101, *, started=NOW, over=NOW, limits=LIMITS, **facts):
    server = a_server(**{"state": State.READY, "started_at": started} | facts)
    found = limits.next_stop(a_user(), server, HomeUsage("u-alice", size, True, NOW, over))
    return found and found.at


def test_a_server_over_the_limit_runs_for_a_while():
    assert stop() == NOW + 30 * MINUTE
    assert stop(started=NOW + 60 * MINUTE) == NOW + 90 * MINUTE  # it can always be started
    assert stop(started=NOW - 600 * MINUTE) == NOW + 30 * MINUTE  # and does not end at once


def test_other_servers_run_on():
    assert stop(100) is None
    assert stop(over=None) is None
    assert stop(state=State.STARTING) is None
    assert stop(started=None) is None
    assert stop(limits=HomeLimits(100)) is None
    assert LIMITS.next_stop(a_user(), a_server(state=State.READY, started_at=NOW), None) is None


def test_most_of_a_limit_is_four_fifths():
    used = {size: is_nearly_full(HomeUsage("u", size, True, NOW), 100) for size in (79, 80, 100, 101)}
    assert used == {79: False, 80: True, 100: True, 101: False}
    assert not is_nearly_full(HomeUsage("u", 2**60, True, NOW), None)
