"""The stream of an open home page: what becomes of its servers, for whom, and for how many."""

import asyncio
import json
import re
from dataclasses import replace

import pytest

from functions.api.pages import home_changes
from functions.api.watchers import Watchers
from hubless.domain.errors import StoreUnavailableError
from tests.api.hub import build_hub
from tests.support.builders import a_server

SCRIPT = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def hub(tmp_path):
    made = build_hub(tmp_path / "hub")
    made.hub.home_poll_seconds, made.hub.home_seconds = 0.0, 0.0
    return made


@pytest.fixture
def alice(hub):
    hub.hub.servers.create(a_server("lab", owner_id=hub.user("alice").id))
    return hub.browser("alice")


def watchers_of(hub):
    return hub.transport.app.state.watchers


def address_on(page):
    (found,) = re.findall(r'data-changes="([^"]*)"', page)
    return found


def told_by(answer):
    return [json.loads(data) for data in re.findall("^data: (.*)$", answer.text, re.MULTILINE)]


def test_the_stream_tells_the_versions_that_the_page_shows(alice):
    page = alice.get("/hub/home").text
    answer = alice.get(address_on(page), headers=SCRIPT)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert answer.headers["cache-control"] == "no-store"
    (versions,) = told_by(answer)
    assert versions.keys() == {"lab"}
    assert re.search(rf'data-server="alice/lab"[^>]* data-version="{versions["lab"]}"', page)


def test_a_change_is_told_once_and_activity_is_none(hub, alice, monkeypatch):
    hub.hub.home_seconds, hub.hub.home_poll_seconds = 4.0, 1.0
    looks, read = [], hub.hub.servers.of_owners
    now = hub.hub.clock.now()

    def look(ids):
        (server,) = found = read(ids)
        looks.append(server)
        if len(looks) == 1:
            hub.hub.servers.touch(server.id, now)
        if len(looks) == 3:
            hub.hub.servers.write(server, replace(server, display_name="New", revision=server.revision + 1))
        return found

    async def at_once(_seconds, end):
        return end.is_set()

    monkeypatch.setattr(hub.hub.servers, "of_owners", look)
    monkeypatch.setattr(home_changes, "is_over_within", at_once)
    before, after = told_by(alice.get("/hub/home/changes"))
    assert (len(looks), before == after) == (5, False)


def test_long_silence_is_broken_by_a_comment(hub, alice, monkeypatch):
    async def at_once(_seconds, end):
        return end.is_set()

    monkeypatch.setattr(home_changes, "is_over_within", at_once)
    hub.hub.home_seconds, hub.hub.home_poll_seconds = 20.0, 1.0
    assert alice.get("/hub/home/changes").text.count(":\n\n") == 2


def test_others_servers_are_not_told(hub, alice):
    assert told_by(hub.browser("bob").get("/hub/home/changes")) == [{}]


def test_a_stranger_and_a_foreign_page_get_no_stream(hub, alice):
    assert hub.browser().get("/hub/home/changes").status_code == 302
    foreign = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "cross-site"}
    assert alice.get("/hub/home/changes", headers=foreign).status_code == 403
    assert alice.get("/hub/home/changes", headers=SCRIPT).status_code == 403  # without the session's token


@pytest.mark.parametrize(("name", "value"), [("streams", False), ("progress_seconds", 20.0)])
def test_a_hub_that_cannot_stream_for_long_lets_pages_poll(hub, alice, name, value):
    setattr(hub.hub, name, value)
    assert "data-changes" not in alice.get("/hub/home").text
    assert alice.get("/hub/home/changes").status_code == 204


def test_who_finds_no_place_polls_and_others_watch(hub, alice):
    user = hub.user("alice")
    with watchers_of(hub).place(user.id), watchers_of(hub).place(user.id):
        assert alice.get("/hub/home/changes").status_code == 204
        assert hub.browser("bob").get("/hub/home/changes").status_code == 200
    assert alice.get("/hub/home/changes").status_code == 200


def test_a_head_request_opens_no_stream(hub, alice):
    hub.hub.home_seconds = 3600.0
    assert alice.head("/hub/home/changes").status_code == 200


def test_a_store_that_does_not_answer_ends_the_stream(hub, alice, monkeypatch):
    def fail(_ids):
        raise StoreUnavailableError("the store is away")

    monkeypatch.setattr(hub.hub.servers, "of_owners", fail)
    answer = alice.get("/hub/home/changes")
    assert (answer.status_code, told_by(answer)) == (200, [])
    assert watchers_of(hub).has_place(hub.user("alice").id)


@pytest.mark.parametrize("how", ["hangs up", "process ends"])
def test_a_watcher_that_ends_gives_its_place_back(hub, how):
    hub.hub.home_seconds = hub.hub.home_poll_seconds = 3600.0
    watchers, user = Watchers(most=1), hub.user("alice")

    async def watch():
        has_begun, forever = asyncio.Event(), asyncio.Event()

        async def send(message):
            if b"data:" in message.get("body", b""):
                assert not watchers.has_place("another")
                has_begun.set()
                if how == "process ends":
                    watchers.end()

        async def receive():
            await (has_begun if how == "hangs up" else forever).wait()
            return {"type": "http.disconnect"}

        answer = home_changes._Watched(hub.hub, watchers, user.id)
        await asyncio.wait_for(answer({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send), 5)

    asyncio.run(watch())
    assert watchers._of == {}
    assert watchers.has_place("another") is (how == "hangs up")
