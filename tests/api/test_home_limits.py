"""Files beyond a limit: who is told, what still starts, and what is stopped."""

from datetime import timedelta

import pytest

from hubless.domain.home_usage import HomeUsage
from hubless.domain.lifecycle import State
from hubless.domain.stop_reasons import StopCause
from hubless.ports.launcher import TaskRunning
from tests.api.hub import SETTINGS, build_hub
from tests.support.builders import NOW, a_server
from tests.support.fakes import ScriptedLauncher, StoppedClock

GIB = 2**30
MINUTE = timedelta(minutes=1)
LIMITS = """
home_limit = "10G"
home_limits = { bob = "20G" }
home_overrun = "30m"
[culling]
idle_after = "8h"
[groups.physics]
home_limit = "15G"
[[profiles]]
name = "small"
[[profiles]]
name = "large"
"""


@pytest.fixture
def hub(tmp_path):
    made = build_hub(tmp_path / "hub", SETTINGS.replace("\nnamed_limit = 5", "\nnamed_limit = 5" + LIMITS))
    made.hub.clock = StoppedClock(NOW)
    made.hub.launcher = ScriptedLauncher()
    return made


def measured(hub, name, size, *, since=NOW):
    hub.hub.home_usage.put(HomeUsage(hub.user(name).id, size, True, hub.hub.clock.now(), since))


def running(hub, name):
    task = f"l-{name}"
    hub.hub.launcher.status[task] = TaskRunning("127.0.0.1:1")
    facts = {"state": State.READY, "launch_id": task, "task": task, "address": "127.0.0.1:1"}
    made = a_server(owner=name, owner_id=hub.user(name).id, started_at=NOW, last_activity_at=NOW, **facts)
    hub.hub.servers.create(made)
    return made


def swept(hub, server, after):
    hub.hub.clock.now = lambda: NOW + after
    hub.hub.reaping.sweep()
    return hub.hub.servers.get(server.id)


def test_who_is_near_the_limit_is_told(hub):
    measured(hub, "alice", 9 * GIB, since=None)
    page = hub.browser("alice").get("/hub/home").text
    assert "Your files take 9 GiB, most of the 10 GiB that this hub allows." in page
    assert "With more than that, a server runs for 30 minutes at a time." in page
    measured(hub, "alice", 7 * GIB, since=None)
    assert "most of" not in hub.browser("alice").get("/hub/home").text


def test_limits_of_groups_and_users_come_first(hub):
    hub.user("carol", groups=["physics"])
    for name in ("alice", "bob", "carol"):
        measured(hub, name, 7 * GIB, since=None)
    pages = {name: hub.browser(name).get("/hub/home").text for name in ("alice", "bob", "carol")}
    for name, limit in {"alice": 10, "bob": 20, "carol": 15}.items():
        assert f"of {limit} GiB" in pages[name]


def test_who_is_over_the_limit_may_start_a_server_to_remove_files(hub):
    measured(hub, "alice", 11 * GIB)
    alice = hub.browser("alice")
    page = alice.get("/hub/spawn").text
    assert "Until it is enough, a server runs for 30 minutes at a time." in page
    assert alice.submit("/hub/spawn", profile="small").status_code == 303


def test_home_says_when_too_many_files_stop_a_server(hub):
    running(hub, "alice")
    measured(hub, "alice", 11 * GIB)
    page = hub.browser("alice").get("/hub/home").text
    assert 'data-stops="2026-11-24T09:30:00Z"' in page
    assert "Your files take more room than they may, so a server runs for 30 minutes." in page
    assert "Keep running" not in page


def test_a_server_is_stopped_when_its_time_is_over(hub):
    server = running(hub, "alice")
    measured(hub, "alice", 11 * GIB)
    assert swept(hub, server, 29 * MINUTE).state is State.READY
    stopped = swept(hub, server, 30 * MINUTE)
    assert stopped.state is State.STOPPING, stopped
    assert stopped.stop_reason.cause is StopCause.FILES


def test_a_server_runs_on_when_enough_files_are_gone(hub):
    server = running(hub, "alice")
    measured(hub, "alice", 11 * GIB)
    measured(hub, "alice", 9 * GIB, since=None)
    assert swept(hub, server, 60 * MINUTE).state is State.READY


def test_files_of_one_user_stop_no_other_servers(hub):
    server = running(hub, "bob")
    measured(hub, "alice", 50 * GIB)
    measured(hub, "bob", 19 * GIB, since=None)
    assert swept(hub, server, 60 * MINUTE).state is State.READY


def test_without_an_overrun_nothing_is_stopped(tmp_path):
    settings = SETTINGS.replace("\nnamed_limit = 5", '\nnamed_limit = 5\nhome_limit = "10G"')
    hub = build_hub(tmp_path / "hub", settings)
    hub.hub.clock, hub.hub.launcher = StoppedClock(NOW), ScriptedLauncher()
    server = running(hub, "alice")
    measured(hub, "alice", 11 * GIB)
    assert swept(hub, server, timedelta(days=2)).state is State.READY
    assert "at a time" not in hub.browser("alice").get("/hub/home").text


def test_admins_see_each_users_own_limit_and_when_it_was_measured(hub):
    hub.user("root", admin=True)
    measured(hub, "alice", 11 * GIB)
    measured(hub, "bob", 11 * GIB, since=None)
    root = hub.browser("root")
    assert root.get("/hub/admin").text.count("over the limit") == 1
    assert "<small" not in root.get("/hub/admin").text
    hub.hub.clock.now = lambda: NOW + timedelta(days=2)
    assert '<time datetime="2026-11-24T09:00:00' in root.get("/hub/admin").text
    page = root.get("/hub/admin/users/bob").text
    assert "11 GiB of 20 GiB" in page
    assert "measured <time" in page
