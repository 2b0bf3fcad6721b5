"""Files beyond a limit: who is told, what still starts, and what is stopped."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.home_usage import HomeUsage
from hubless.domain.lifecycle import State
from hubless.domain.stop_reasons import StopCause
from hubless.ports.launcher import TaskRunning
from tests.api.hub import SETTINGS, An, build_hub
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


def test_an_admin_limits_the_files_of_a_user_on_a_page(hub):
    hub.user("root", admin=True)
    root, path = hub.browser("root"), "/hub/admin/users/bob"
    measured(hub, "bob", 11 * GIB, since=None)
    assert "Now it is 20 GiB." in root.get(path).text  # by the settings

    for typed, words in (("50g", "11 GiB of 50 GiB"), ("none", "Files: 11 GiB<"), ("", "11 GiB of 20 GiB")):
        assert root.submit(f"{path}/home-limit", limit=typed).headers["location"] == path
        assert words in " ".join(root.get(path).text.split()).replace(", measured", "<"), typed
    for typed in ("much", "0", "5K", "1025T", "9" * 300):
        refused = root.submit(f"{path}/home-limit", limit=typed)
        assert refused.status_code == 400, typed
    assert acts(hub) == [
        ("home-limit-removed", "bob", {}),
        *(("home-limit-set", "bob", {"limit": n}) for n in ("none", "50G")),
    ]


def test_an_admin_limits_the_files_of_a_group_on_a_page(hub):
    hub.user("root", admin=True)
    carol = hub.user("carol", groups=["physics"])
    root, path = hub.browser("root"), "/hub/admin/groups/physics"
    assert "Now it is 15 GiB." in root.get(path).text
    assert root.submit(f"{path}/home-limit", limit="30G").status_code == 303
    assert hub.hub.home_limiting.of([carol]) == {carol.id: 30 * GIB}
    assert root.submit(f"{path}/home-limit", limit="?").status_code == 400
    assert root.submit(f"{path}/home-limit", limit="").status_code == 303
    assert hub.hub.home_limiting.of([carol]) == {carol.id: 15 * GIB}


def test_only_who_manages_all_servers_sets_limits(hub):
    hub.user("carol", groups=["physics"])
    teacher, program = hub.browser("teacher"), hub.as_user("teacher")
    assert teacher.submit("/hub/admin/users/carol/home-limit", limit="1T").status_code == 403
    for path in ("/users/carol/home-limit", "/groups/physics/home-limit"):
        answers = program.get(path), program.put(path, {"size": GIB}), program.delete(path)
        assert [one.status_code for one in answers] == [403] * 3
    assert hub.hub.home_limiting.all(9) == []


def test_a_program_sets_and_removes_limits(hub):
    carol, program = hub.user("carol", groups=["physics"]), hub.as_token(An.ADMIN_TOKEN)
    of_user, of_group = "/users/carol/home-limit", "/groups/physics/home-limit"
    assert program.get(of_user).json() == program.get(of_group).json() == {"size": 15 * GIB, "is_set": False}
    assert program.put(of_group, {"size": None}).json() == {"size": None, "is_set": True}
    assert program.get(of_user).json() == {"size": None, "is_set": False}
    assert program.put(of_user, {"size": 2 * GIB}).json() == {"size": 2 * GIB, "is_set": True}
    assert hub.hub.home_limiting.of([carol]) == {carol.id: 2 * GIB}
    for path in (of_user, of_group):
        assert [program.delete(path).status_code, program.delete(path).status_code] == [204, 404]
        for body in ({}, {"size": 0}, {"size": "1G"}, {"size": 2**60}, {"size": GIB, "more": 1}):
            assert program.put(path, body).status_code == 400, body
    for path in ("/users/nobody/home-limit", "/groups/nobody/home-limit"):
        assert [program.get(path).status_code, program.put(path, {"size": GIB}).status_code] == [404, 404]


def test_a_limit_set_at_run_time_stops_a_server_and_a_larger_one_spares_it(hub):
    alice = hub.user("alice")
    server = running(hub, "alice")
    hub.hub.home_limiting.put(alice, 5 * GIB)
    measured(hub, "alice", 7 * GIB)
    assert 'data-stops="2026-11-24T09:30:00Z"' in hub.browser("alice").get("/hub/home").text
    hub.hub.home_limiting.put(alice, 8 * GIB)
    assert swept(hub, server, 60 * MINUTE).state is State.READY
    hub.hub.home_limiting.put(alice, 5 * GIB)
    assert swept(hub, server, 60 * MINUTE).state is State.STOPPING


def test_a_hub_that_measures_no_files_offers_and_takes_no_limits(hub, monkeypatch):
    for name in ("root", "bob"):
        hub.user(name, admin=name == "root")
    monkeypatch.setitem(hub.hub.__dict__, "home_limiting", replace(hub.hub.home_limiting, store=None))
    assert "Limit of the files" not in hub.browser("root").get("/hub/admin/users/bob").text
    refused = hub.as_token(An.ADMIN_TOKEN).put("/users/bob/home-limit", {"size": GIB})
    assert (refused.status_code, "does not measure" in refused.json()["message"]) == (400, True)


def acts(hub):
    page = hub.hub.auditing.page(hub.hub.auditing.query(), limit=50)
    return [(one.act.value, one.on, one.about) for one in page.records if one.act.value.startswith("home-limit")]


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
