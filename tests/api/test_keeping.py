"""Why a server was stopped, when it will be, and keeping it running: on home and by the API."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.lifecycle import State
from hubless.domain.stop_reasons import StopCause, StopReason
from hubless.ports.launcher import TaskRunning, TaskStopped
from tests.api.hub import SETTINGS, An, build_hub
from tests.support.builders import NOW, a_server
from tests.support.fakes import ScriptedLauncher, StoppedClock

CULLING = '\n[culling]\nidle_after = "1h"\nmax_age = "8h"\n'
MINUTE = timedelta(minutes=1)
KEEP = "/hub/home/keep-running"


@pytest.fixture
def idle(tmp_path):
    return with_idle_server(tmp_path)


def with_idle_server(tmp_path, more="", name=""):
    """A hub where alice's server has been idle for 50 minutes."""
    hub = build_hub(tmp_path / "hub", SETTINGS + CULLING + more)
    hub.hub.clock = StoppedClock(NOW + 50 * MINUTE)
    hub.hub.launcher = ScriptedLauncher()
    hub.hub.launcher.status["t1"] = TaskRunning("127.0.0.1:1")
    running(hub, name)
    return hub


def running(hub, name):
    facts = {"state": State.READY, "launch_id": "l1", "task": "t1", "address": "127.0.0.1:1"}
    made = a_server(name, owner_id=hub.user("alice").id, started_at=NOW, last_activity_at=NOW, **facts)
    hub.hub.servers.create(made)


def stored(hub, name=""):
    return hub.hub.servers.find(hub.user("alice").id, name)


def test_home_says_when_and_why_a_server_will_be_stopped(idle):
    page = idle.browser("alice").get("/hub/home").text
    assert 'data-stops="2026-11-24T10:00:30Z"' in page
    assert "A server that nobody uses for 1 hour is stopped." in page
    assert "Keep running 1 hour longer" in page


def test_a_click_keeps_a_server_running_once(idle):
    alice = idle.browser("alice")

    answer = alice.submit(KEEP, server_name="", times="0")

    assert (answer.status_code, answer.headers["location"]) == (303, "/hub/home")
    assert stored(idle).kept_until == NOW + timedelta(hours=2, seconds=30)
    assert "Keep running" not in alice.get("/hub/home").text
    again = alice.submit(KEEP, server_name="", times="1")
    assert (again.status_code, "This server was kept running once" in again.text) == (400, True)
    assert stored(idle).times_kept == 1


def test_a_double_click_counts_once(tmp_path):
    hub = with_idle_server(tmp_path, "keep_running_times = 5\n", "lab")
    alice = hub.browser("alice")
    answers = [alice.submit(KEEP, server_name="lab", times="0") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert stored(hub, "lab").times_kept == 1


def test_a_write_in_between_loses_no_click(idle, monkeypatch):
    stores, write, left = idle.hub.servers, idle.hub.servers.write, [1]

    def raced(before, after, **more):
        if left:
            left.pop()
            write(before, replace(before, revision=before.revision + 1))
        return write(before, after, **more)

    monkeypatch.setattr(stores, "write", raced)
    assert idle.browser("alice").submit(KEEP, server_name="", times="0").status_code == 303
    assert stored(idle).times_kept == 1


@pytest.mark.parametrize(("path", "name"), [("/server", ""), ("/servers/lab", "lab")])
def test_programs_keep_a_server_running_too(tmp_path, path, name):
    hub = with_idle_server(tmp_path, 'keep_running = "30m"\nkeep_running_times = 2\n', name)
    alice = hub.as_user("alice")

    answer = alice.post(f"/users/alice{path}/keep-running")

    assert (answer.status_code, answer.json()) == (
        200,
        {"kept_until": "2026-11-24T10:30:30Z", "times_left": 1},
    )
    assert alice.post(f"/users/alice{path}/keep-running").json()["times_left"] == 0
    refused = alice.post(f"/users/alice{path}/keep-running")
    assert (refused.status_code, refused.json()["status"]) == (400, 400)
    assert "was kept running 2 times" in refused.json()["message"]


def test_nobody_else_keeps_a_server_running(idle):
    assert idle.as_user("bob").post("/users/alice/server/keep-running").status_code == 404
    assert idle.as_user("alice", ["read:servers"]).post("/users/alice/server/keep-running").status_code in {403, 404}
    assert idle.browser("bob").submit(KEEP, server_name="", times="0").status_code == 400
    assert stored(idle).times_kept == 0


@pytest.mark.parametrize("name", ["nothing", "x" * 5000, "../lab"])
def test_keeping_a_server_that_does_not_exist_is_refused_in_words(idle, name):
    answer = idle.browser("alice").submit(KEEP, server_name=name, times="0")
    assert (answer.status_code, 'id="error"' in answer.text) == (400, True)
    assert idle.as_user("alice").post("/users/alice/servers/nothing/keep-running").status_code == 404


@pytest.mark.parametrize("more", ['keep_running = ""\n', 'users = { alice = { idle_after = "never" } }\n'])
def test_home_offers_no_button_that_changes_nothing(tmp_path, more):
    hub = with_idle_server(tmp_path, more)
    assert "Keep running" not in hub.browser("alice").get("/hub/home").text
    assert hub.as_user("alice").post("/users/alice/server/keep-running").status_code == 400


def stop_by_page(hub, who):
    return hub.browser(who).submit("/hub/stop/alice")


def stop_by_service(hub):
    return hub.as_token(An.ADMIN_TOKEN).delete("/users/alice/server")


@pytest.mark.parametrize(
    ("stop", "reason", "sentence"),
    [
        (lambda hub: stop_by_page(hub, "alice"), StopReason(StopCause.OWNER), "You stopped this server"),
        (lambda hub: stop_by_page(hub, "root"), StopReason(StopCause.USER, "root"), "root stopped this server"),
        (stop_by_service, StopReason(StopCause.SERVICE, "admin"), "The service admin stopped this server"),
        (
            lambda hub: hub.as_token(An.ADMIN_TOKEN).post("/shutdown", {"servers": True}),
            StopReason(StopCause.HUB),
            "Stopped when the hub was shut down",
        ),
    ],
)
def test_home_says_who_stopped_a_server_until_it_starts_again(idle, stop, reason, sentence):
    stop(idle)
    idle.hub.stopping.reconcile(stored(idle), TaskStopped(0))

    assert stored(idle).stop_reason == reason
    alice = idle.browser("alice")
    assert sentence in alice.get("/hub/home").text
    idle.hub.spawning.start(idle.user("alice"), "")
    assert stored(idle).stop_reason is None


def test_home_reloads_by_itself_without_scripts_only_while_it_must(idle):
    alice = idle.browser("alice")
    assert "http-equiv" not in alice.get("/hub/home").text
    alice.submit("/hub/stop/alice")
    assert '<noscript><meta http-equiv="refresh" content="5; url=/hub/home"></noscript>' in alice.get("/hub/home").text
