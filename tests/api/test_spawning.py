"""Starting servers: the page, and what comes back of what they are started with."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from starlette.requests import Request

from functions.api import progress
from hubless.bootstrap.cloud import CloudHub
from hubless.bootstrap.machine import MachineHub
from hubless.domain import lifecycle
from hubless.domain.launch_times import LaunchTime
from hubless.domain.launch_turns import Room
from hubless.services.following import CLOSING
from tests.api.hub import SETTINGS, build_hub
from tests.support.builders import NOW
from tests.support.fakes import StoppedClock


def test_a_start_waits_for_the_stop_before_it(hub, alice):
    alice.post("/users/alice/server")
    alice.delete("/users/alice/server")
    browser = hub.browser("alice")

    waiting = browser.get("/hub/spawn")
    assert waiting.status_code == 200
    assert "is stopping" in waiting.text
    assert 'http-equiv="refresh"' in waiting.text

    hub.hub.stopping.stop(hub.hub.servers.find(hub.user("alice").id, ""))
    assert browser.get("/hub/spawn").headers["location"] == "/hub/spawn-pending/alice"


def test_options_come_back_as_they_were_sent(alice):
    options = {"n": 10**40, "deep": [{"ü": 1.5}], "none": None}
    assert alice.put("/users/alice/servers/one", {"user_options": options}).json()["user_options"] == options
    assert alice.get("/users/alice/servers/one").json()["user_options"] == options


def looks_at_a_start(hub, api, monkeypatch, name="alice"):
    """Have a start that is followed for two looks after the first, and return where each look is noted."""
    monkeypatch.setattr(hub.hub, "progress_seconds", 0.2, raising=False)
    monkeypatch.setattr(hub.hub, "progress_poll_seconds", 0.1, raising=False)
    api.post(f"/users/{name}/server")
    asked = []
    step = progress._step
    monkeypatch.setattr(progress, "_step", lambda *given: asked.append(1) or step(*given))
    return asked


@pytest.mark.parametrize(
    ("accept", "looks"),
    [("text/event-stream", 1), ("*/*", 3)],  # an EventSource comes back by itself; others are kept a while
)
def test_a_progress_stream_of_limited_time_ends_and_asks_to_reconnect(hub, alice, monkeypatch, accept, looks):
    monkeypatch.setattr(hub.hub, "streams", False, raising=False)
    asked = looks_at_a_start(hub, alice, monkeypatch)

    received = alice.get("/users/alice/server/progress", headers={"Accept": accept}).text

    assert received.startswith("retry: 3000\n\n")
    assert '"progress": 10' in received
    assert "ready" not in received
    assert len(asked) == looks


def test_one_users_starts_have_so_many_followers_and_others_poll(hub, alice, monkeypatch):
    asked = looks_at_a_start(hub, alice, monkeypatch)
    owner, path = hub.user("alice"), "/users/alice/server/progress"
    others = [hub.hub.following.begin(owner) for _ in range(3)]
    assert None not in others
    assert hub.hub.following.begin(owner) is None

    received = alice.get(path)
    assert received.status_code == 200
    assert received.text.startswith("retry: 3000\n\n")
    assert '"progress": 10' in received.text
    assert len(asked) == 1

    hub.hub.following.end(others[0])
    alice.get(path)
    assert len(asked) == 1 + 3
    alice.get(path)  # the one before has ended
    assert len(asked) == 1 + 3 + 3


def test_a_user_whose_starts_are_followed_takes_no_followers_from_others(hub, alice, bob, monkeypatch):
    asked = looks_at_a_start(hub, bob, monkeypatch, name="bob")
    for _ in range(3):
        hub.hub.following.begin(hub.user("alice"))
    bob.get("/users/bob/server/progress")
    assert len(asked) == 3


def test_a_follower_whose_process_crashed_is_forgotten(hub, alice):
    hub.hub.clock = StoppedClock(hub.hub.clock.now())
    owner = hub.user("alice")
    for _ in range(3):
        hub.hub.following.begin(owner)
    hub.hub.clock.advance(hub.hub.following.longest + CLOSING)
    assert hub.hub.following.begin(owner) is not None


@pytest.mark.parametrize("how", ["hangs up", "process ends"])
def test_a_stream_that_is_cut_makes_room_for_another_follower(hub, alice, how):
    alice.post("/users/alice/server")
    hub.hub.progress_poll_seconds = 3600.0
    owner, sent = hub.user("alice"), []
    server = hub.hub.servers.find(owner.id, "")
    for _ in range(2):
        hub.hub.following.begin(owner)

    async def follow():
        has_begun, forever = asyncio.Event(), asyncio.Event()

        async def send(message):
            sent.append(message.get("body", b""))
            if b'"progress": 10' in sent[-1]:
                has_begun.set()
                if how == "process ends":
                    hub.transport.app.state.watchers.end()

        async def receive():
            await (has_begun if how == "hangs up" else forever).wait()
            return {"type": "http.disconnect"}

        scope = {"type": "http", "asgi": {"spec_version": "2.3"}, "headers": [], "app": hub.transport.app}
        answer = progress.progress_response(Request(scope), hub.hub, owner, server)
        assert hub.hub.following.begin(owner) is None
        await asyncio.wait_for(answer(scope, receive, send), 30)

    asyncio.run(follow())
    assert hub.hub.following.begin(owner) is not None
    if how == "process ends":
        assert sent[-2:] == [b"retry: 3000\n\n", b""]


def test_the_progress_of_a_server_that_runs_needs_no_follower(hub, alice):
    owner = hub.user("alice")
    alice.post("/users/alice/server")
    hub.hub.stopping.fail(hub.hub.servers.find(owner.id, ""), "it was stopped at once")
    for _ in range(3):
        hub.hub.following.begin(owner)
    assert '"failed": true' in alice.get("/users/alice/server/progress").text


@pytest.mark.parametrize(("headers", "looks"), [({}, 3), ({"Sec-Fetch-Mode": "cors"}, 1)])
def test_streamed_progress_lasts_for_programs_and_reconnects_for_browsers(hub, alice, monkeypatch, headers, looks):
    asked = looks_at_a_start(hub, alice, monkeypatch)

    received = alice.get("/users/alice/server/progress", headers={"Accept": "text/event-stream", **headers}).text

    assert received.startswith(
        'retry: 3000\n\ndata: {"progress": 0, "message": "Server requested"}\n\n'
    )  # comes again after it, too
    assert len(asked) == looks


def test_too_many_starts_in_an_hour_are_429_and_say_when_to_come_back(hub, alice, admin, monkeypatch):
    spawning = replace(hub.hub.spawning, start_limit=2)
    monkeypatch.setattr(hub.hub, "spawning", spawning, raising=False)
    for starter in (alice, admin):  # an admin's start counts for the owner
        assert starter.post("/users/alice/server").status_code == 202
        server = hub.hub.servers.find(hub.user("alice").id, "")
        hub.hub.stopping.fail(server, "it was stopped at once")
    refused = admin.post("/users/alice/server")

    assert refused.status_code == 429
    assert refused.json()["status"] == 429
    assert "2 times within an hour, which is the limit. Try again in 60 minutes." in refused.json()["message"]
    assert 3590 <= int(refused.headers["Retry-After"]) <= 3600

    browser = hub.browser("alice")
    page = browser.get(browser.submit("/hub/spawn/alice").headers["location"])
    assert page.status_code == 429
    assert "2 times within an hour, which is the limit" in page.text
    assert int(page.headers["Retry-After"]) <= 3600


def test_who_waits_for_a_preparation_is_told_how_many_are_ahead(hub, alice, bob, monkeypatch):
    monkeypatch.setattr(hub.hub, "progress_seconds", 0.0, raising=False)
    now = hub.hub.clock.now()
    for number, (name, api) in enumerate({"bob": bob, "alice": alice}.items()):
        api.post(f"/users/{name}/server")
        server = hub.hub.servers.find(hub.user(name).id, "")
        at = now + timedelta(seconds=number)
        hub.hub.servers.write(server, lifecycle.unprepared(server, now=at, deadlines=hub.hub.deadlines))

    events, page = alice.get("/users/alice/server/progress").text, hub.browser("alice").get("/hub/spawn-pending/alice")

    assert '"message": "Waiting for the server to be set up: 1 server is ahead of this one", "position": 1' in events
    assert '<p class="place">Waiting for the server to be set up: 1 server is ahead of this one</p>' in page.text
    assert "usually ready" not in page.text
    assert alice.get("/users/alice").json()["servers"][""]["pending"] == "spawn"
    assert '"message": "Waiting for the server to be set up"}' in bob.get("/users/bob/server/progress").text


def test_who_waits_for_memory_is_told_so(hub, admin, alice, monkeypatch):
    monkeypatch.setattr(hub.hub, "progress_seconds", 0.0, raising=False)
    alice.post("/users/alice/server")
    monkeypatch.setattr(hub.hub.turns, "_read_room", lambda: Room(1, memory=8 * 2**30, free=2**20))

    monkeypatch.setattr(hub.hub.turns, "_room", None)  # a look at the machine is good for a moment

    events = alice.get("/users/alice/server/progress").text
    page, metrics = hub.browser("alice").get("/hub/spawn-pending/alice").text, admin.get("/metrics").text

    assert '"message": "Waiting for free memory on the hub\'s machine", "held": true}' in events
    assert '<p class="place">Waiting for free memory on the hub&#39;s machine</p>' in page
    assert "hubless_starts_held 1\n" in metrics


@pytest.mark.parametrize(
    ("ahead", "milliseconds"), [(0, [3000]), (1, [3000] * 2), (700, [3000, 7000]), (9_000, [3000, 15_000])]
)
def test_a_browser_whose_turn_is_far_asks_less_often(hub, alice, monkeypatch, ahead, milliseconds):
    alice.post("/users/alice/server")
    monkeypatch.setattr(type(hub.hub.spawning), "position", lambda *_: ahead)

    polled = {"Accept": "text/event-stream", "Sec-Fetch-Mode": "cors"}
    monkeypatch.setattr(hub.hub, "progress_seconds", 0.2, raising=False)
    lines = alice.get("/users/alice/server/progress", headers=polled).text.splitlines()

    assert [int(line.removeprefix("retry: ")) for line in lines if line.startswith("retry")] == milliseconds


# --- what is done soon is answered as done, as on JupyterHub ---


def at_the_first_look(hub, monkeypatch, work):
    """Have *work* done to a server before the API first looks at it again, as a worker does meanwhile."""
    monkeypatch.setattr(hub.hub, "slow_call_seconds", 0.03)
    monkeypatch.setattr(hub.hub, "progress_poll_seconds", 0.01)
    get, looks = hub.hub.servers.get, []

    def look(server_id):
        looks.append(server_id)
        if len(looks) == 1:
            work(get(server_id))
        return get(server_id)

    monkeypatch.setattr(hub.hub.servers, "get", look)
    return looks


def make_ready(hub, server):
    now, deadlines = hub.hub.clock.now(), hub.hub.deadlines
    for step in (
        lambda one: lifecycle.launched(one, task="t", now=now, deadlines=deadlines),
        lambda one: lifecycle.addressed(one, address="127.0.0.1:9", now=now, deadlines=deadlines),
        lambda one: lifecycle.answered(one, now=now, deadlines=deadlines),
    ):
        after = step(server)
        hub.hub.servers.write(server, after)
        server = after


@pytest.mark.parametrize("path", ["/users/alice/server", "/users/alice/servers/", "/users/alice/servers/lab"])
def test_a_start_that_is_done_soon_is_201(hub, alice, monkeypatch, path):
    looks = at_the_first_look(hub, monkeypatch, lambda server: make_ready(hub, server))

    answer = alice.post(path)

    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (201, "", "text/plain")
    assert len(looks) == 1


def test_a_start_that_takes_longer_is_202(hub, alice, monkeypatch):
    looks = at_the_first_look(hub, monkeypatch, lambda server: None)

    answer = alice.post("/users/alice/server")

    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (202, "", "text/plain")
    assert len(looks) == 3

    assert alice.post("/users/alice/server").status_code == 202  # it is pending: nobody waits for it twice
    assert len(looks) == 3


def test_a_start_is_202_at_once_when_the_process_ends(hub, alice, monkeypatch):
    watchers = hub.transport.app.state.watchers
    looks = at_the_first_look(hub, monkeypatch, lambda server: watchers.end())

    assert alice.post("/users/alice/server").status_code == 202
    assert len(looks) == 1


def test_a_start_that_fails_soon_is_500_and_says_why(hub, alice, monkeypatch):
    at_the_first_look(hub, monkeypatch, lambda server: hub.hub.stopping.fail(server, "no such program"))

    answer = alice.post("/users/alice/server")

    assert (answer.status_code, answer.json()["message"]) == (500, "no such program")


def test_a_start_that_has_failed_and_whose_task_still_ends_is_500(hub, alice, monkeypatch):
    def fail(server):
        now, deadlines = hub.hub.clock.now(), hub.hub.deadlines
        hub.hub.servers.write(server, lifecycle.stopping(server, now=now, deadlines=deadlines, failure="too slow"))

    at_the_first_look(hub, monkeypatch, fail)

    answer = alice.post("/users/alice/server")

    assert (answer.status_code, answer.json()["message"]) == (500, "too slow")


def test_a_start_that_somebody_stops_is_202(hub, alice, monkeypatch):
    at_the_first_look(hub, monkeypatch, hub.hub.stopping.request)

    assert alice.post("/users/alice/server").status_code == 202


def test_a_start_tells_of_no_later_start_that_failed(hub, alice, monkeypatch):
    def stop_and_fail_again(server):
        hub.hub.stopping.stop(hub.hub.stopping.request(server))
        again = hub.hub.spawning.start(hub.user("alice"), "")
        hub.hub.stopping.fail(again, "no such program")

    at_the_first_look(hub, monkeypatch, stop_and_fail_again)

    assert alice.post("/users/alice/server").status_code == 202


def test_a_stop_of_a_server_that_is_removed_meanwhile_is_202(hub, alice, monkeypatch):
    def remove(server):
        hub.hub.stopping.stop(server)
        hub.hub.spawning.remove(hub.hub.servers.find(hub.user("alice").id, "lab"))

    alice.post("/users/alice/servers/lab")
    looks = at_the_first_look(hub, monkeypatch, remove)

    assert alice.delete("/users/alice/servers/lab").status_code == 202
    assert len(looks) == 1


def test_a_stop_that_is_done_soon_is_204(hub, alice, monkeypatch):
    alice.post("/users/alice/server")
    looks = at_the_first_look(hub, monkeypatch, hub.hub.stopping.stop)

    assert alice.delete("/users/alice/server").status_code == 204
    assert len(looks) == 1


def test_a_stop_that_takes_longer_is_202(hub, alice, monkeypatch):
    alice.post("/users/alice/server")
    looks = at_the_first_look(hub, monkeypatch, lambda server: None)

    answer = alice.delete("/users/alice/server")

    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (202, "", "text/plain")
    assert len(looks) == 3

    assert alice.delete("/users/alice/server").status_code == 202  # it is pending
    assert len(looks) == 3


def test_a_hub_on_one_machine_waits_for_a_start_and_one_in_the_cloud_not():
    assert MachineHub.slow_call_seconds == 10  # JupyterHub's slow_spawn_timeout and slow_stop_timeout
    assert CloudHub.slow_call_seconds == 0


def read_events(stream):
    return [json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line.startswith("data: ")]


def followed_by_page(hub, name="alice"):
    browser = hub.browser(name)
    browser.headers.update({"Accept": "text/event-stream", "Sec-Fetch-Mode": "cors"})
    xsrf = browser.cookies["_xsrf"]
    return read_events(browser.get(f"/hub/api/users/{name}/server/progress?_xsrf={xsrf}").text)


def test_a_page_gets_each_step_with_its_time_and_programs_do_not(hub, alice, monkeypatch):
    monkeypatch.setattr(hub.hub, "progress_seconds", 0.0, raising=False)
    hub.user("alice")
    asked_at = hub.hub.clock.now() - timedelta(seconds=30)
    alice.post("/users/alice/server")
    server = hub.hub.servers.find(hub.user("alice").id, "")
    begun = replace(server, start_steps=(lifecycle.StartStep(server.state, asked_at),))
    launched = lifecycle.launched(begun, task="t", now=asked_at + timedelta(seconds=20), deadlines=hub.hub.deadlines)
    hub.hub.servers.write(server, launched)

    event = followed_by_page(hub)[-1]

    assert event["steps"][:2] == [["Waiting for a free slot", "20 seconds"], ["Launching the server", ""]]
    assert (event["current"], event["is_late"]) == (1, False)
    assert 10 <= event["seconds"] < 60
    page = hub.browser("alice").get("/hub/spawn-pending/alice").text
    assert '<span>Waiting for a free slot</span> <span class="took">20 seconds</span>' in page
    told = read_events(alice.get("/users/alice/server/progress").text)[-1]
    assert told == {"progress": 30, "message": "Launching the server"}


def test_a_page_speaks_of_steps_in_its_readers_language(hub, alice, monkeypatch):
    monkeypatch.setattr(hub.hub, "progress_seconds", 0.0, raising=False)
    alice.post("/users/alice/server")
    browser = hub.browser("alice")
    browser.headers.update({"Accept": "text/event-stream", "Accept-Language": "de"})
    xsrf = browser.cookies["_xsrf"]
    event = read_events(browser.get(f"/hub/api/users/alice/server/progress?_xsrf={xsrf}").text)[-1]
    assert event["steps"][-1] == ["Der Weg zum Server wird geöffnet", ""]


def test_a_page_promises_what_launches_took_and_says_when_one_is_late(hub, alice, monkeypatch):
    monkeypatch.setattr(hub.hub, "progress_seconds", 0.0, raising=False)
    alice.post("/users/alice/server")
    server, now = hub.hub.servers.find(hub.user("alice").id, ""), hub.hub.clock.now()
    assert "it is ready in" not in hub.browser("alice").get("/hub/spawn-pending/alice").text
    for _ in range(3):
        hub.hub.launch_times.add(server.profile, LaunchTime(now, timedelta(seconds=38)))
    assert "Usually it is ready in about 40 seconds." in hub.browser("alice").get("/hub/spawn-pending/alice").text
    assert not followed_by_page(hub)[-1]["is_late"]

    long_ago = now - timedelta(seconds=100)
    hub.hub.servers.write(server, lifecycle.launched(server, task="t", now=long_ago, deadlines=hub.hub.deadlines))

    assert followed_by_page(hub)[-1]["is_late"]
    assert (
        "takes longer than usual" in hub.browser("alice").get("/hub/spawn-pending/alice").text.partition(">\n    ")[2]
    )


def test_time_that_passes_is_no_news_to_a_page(hub, alice, monkeypatch):
    monkeypatch.setattr(hub.hub, "progress_seconds", 0.3, raising=False)
    monkeypatch.setattr(hub.hub, "progress_poll_seconds", 0.1, raising=False)
    monkeypatch.setattr(progress, "is_polled", lambda _hub, _headers: False)
    alice.post("/users/alice/server")
    assert len([one for one in followed_by_page(hub) if "steps" in one]) == 1


def test_a_sweep_starts_the_servers_of_a_class(tmp_path, monkeypatch):
    lesson = 'begins = "09:00"\nends = "10:00"\ntimezone = "UTC"'  # a Tuesday, as `NOW` is
    schedule = f'[[schedules]]\nname = "physics"\ndays = ["tuesday"]\ngroups = ["physics"]\n{lesson}\n'
    monkeypatch.setattr("hubless.adapters.system_clock.SystemClock.now", lambda _clock: NOW)
    hub = build_hub(tmp_path, SETTINGS + schedule)
    hub.user("alice", groups=["physics"])
    hub.hub.reaping.sweep()
    assert hub.hub.servers.find(hub.user("alice").id, "").state is lifecycle.State.REQUESTED
