"""Which requests ask the launcher about a task: in AWS these calls are limited for the whole account."""

from datetime import timedelta

import pytest

from hubless.domain import lifecycle
from hubless.domain.errors import RetryLaterError
from hubless.domain.lifecycle import State
from hubless.domain.messages import Message, MessageKind
from hubless.ports.launcher import TaskPending, TaskRunning
from hubless.services.launching import LOOK_PAUSE
from tests.api.hub import build_hub
from tests.support.fakes import ScriptedLauncher, StoppedClock

CROWD = 40


class CountingLauncher(ScriptedLauncher):
    def __init__(self):
        super().__init__()
        self.asked = []

    def describe(self, task):
        self.asked.append(task)
        return super().describe(task)


@pytest.fixture
def launcher(hub):
    hub.hub.clock = StoppedClock(hub.hub.clock.now())
    hub.hub.launcher = CountingLauncher()
    return hub.hub.launcher


def ready(hub, launcher, name="alice"):
    """Start the server of *name* and make it ready, without a worker; then nobody has looked yet."""
    inner, user = hub.hub, hub.user(name)
    server = inner.spawning.start(user, "")
    launcher.status[server.launch_id] = TaskRunning("127.0.0.1:9")
    now, deadlines = inner.clock.now(), inner.deadlines
    for step in (
        lambda one: lifecycle.launched(one, task=one.launch_id, now=now, deadlines=deadlines),
        lambda one: lifecycle.addressed(one, address="127.0.0.1:9", now=now, deadlines=deadlines),
        lambda one: lifecycle.answered(one, now=now, deadlines=deadlines),
    ):
        after = step(server)
        inner.servers.write(server, after)
        server = after
    return server


@pytest.mark.parametrize("path", ["/hub/home", "/hub/user/alice/", "/hub/user/alice/lab/tree/a.ipynb"])
def test_a_crowd_at_one_server_asks_the_launcher_once(hub, launcher, path):
    ready(hub, launcher)
    browser = hub.browser("alice")
    for _ in range(CROWD):
        browser.get(path)
    assert len(launcher.asked) == 1

    hub.hub.clock.advance(LOOK_PAUSE)
    browser.get(path)
    assert len(launcher.asked) == 2


def test_two_functions_that_look_at_one_server_ask_once(hub, launcher, tmp_path):
    ready(hub, launcher)
    other = build_hub(tmp_path)
    other.hub.clock, other.hub.launcher = hub.hub.clock, launcher
    for each in (hub, other):
        each.browser("alice").get("/hub/home")
    assert len(launcher.asked) == 1


def test_a_crash_is_seen_by_the_next_who_looks(hub, launcher):
    server = ready(hub, launcher)
    browser = hub.browser("alice")
    browser.get("/hub/home")
    launcher.dies(server.launch_id)
    hub.hub.clock.advance(LOOK_PAUSE)

    assert "exited with code 1" in browser.get("/hub/home").text
    assert hub.hub.servers.get(server.id).state is State.FAILED


def test_no_read_of_the_api_asks_the_launcher(hub, launcher, admin, alice):
    server = ready(hub, launcher)
    for path in ("/users", "/users/alice", "/users/alice/server", "/users/alice/servers/", "/user", "/proxy", "/"):
        assert admin.get(path).status_code in {200, 403}, path
    assert alice.get("/users/alice/server/progress").status_code == 200
    assert alice.get("/users/alice").json()["servers"][""]["ready"]
    assert server.task
    assert launcher.asked == []


def test_a_crowd_that_follows_one_start_asks_the_launcher_nothing(hub, launcher, alice, monkeypatch):
    monkeypatch.setattr(hub.hub, "progress_seconds", 0.01, raising=False)
    monkeypatch.setattr(hub.hub, "progress_poll_seconds", 0.01, raising=False)
    server = hub.hub.spawning.start(hub.user("alice"), "")
    launched = lifecycle.launched(server, task="t", now=hub.hub.clock.now(), deadlines=hub.hub.deadlines)
    hub.hub.servers.write(server, launched)
    browser = hub.browser("alice")
    for _ in range(CROWD):
        assert '"progress": 30' in alice.get("/users/alice/server/progress").text
        assert browser.get("/hub/spawn-pending/alice").status_code == 200
    assert launcher.asked == []


def test_an_anonymous_crowd_asks_the_launcher_nothing(hub, launcher):
    ready(hub, launcher)
    for accept in ("text/html", "application/json"):
        for _ in range(20):
            hub.client.get("/hub/user/alice/api/contents", headers={"Accept": accept})
    assert launcher.asked == []


def test_a_server_that_reports_without_a_pause_sends_one_message(hub, launcher, alice):
    server = hub.hub.spawning.start(hub.user("alice"), "")
    asked = lifecycle.launched(server, task="t", now=hub.hub.clock.now(), deadlines=hub.hub.deadlines)
    hub.hub.servers.write(server, asked)
    before, owner = hub.hub.queue.depth(), hub.user("alice")
    for number in range(CROWD):
        at = hub.hub.clock.now() - timedelta(days=1) + timedelta(seconds=number)
        hub.hub.activity.report(owner, None, {"": at}, by_server=server.id)
    assert hub.hub.queue.depth() == before + 1


def test_reports_before_the_address_is_known_ask_the_launcher_once(hub, launcher):
    server = hub.hub.spawning.start(hub.user("alice"), "")
    launched = lifecycle.launched(server, task="t", now=hub.hub.clock.now(), deadlines=hub.hub.deadlines)
    hub.hub.servers.write(server, launched)
    hub.hub.servers.touch(server.id, hub.hub.clock.now())
    launcher.status["t"] = TaskPending()
    for _ in range(20):
        with pytest.raises(RetryLaterError):
            hub.hub.launching.on_message(Message(MessageKind.ACTIVITY, server.id, server.launch_id))
    assert len(launcher.asked) == 1
