"""A full hub in a browser: a page that waits and goes on by itself, where programs get JupyterHub's 429."""

from dataclasses import replace

import pytest

from hubless.domain import histograms
from hubless.domain.lifecycle import State
from tests.api.hub import SETTINGS, build_hub

FULL = SETTINGS.replace("named_limit = 5", "named_limit = 5\nactive_limit = 1")
PROFILES = """
[[profiles]]
name = "small"
[[profiles]]
name = "large"
"""


@pytest.fixture
def full(tmp_path):
    """Return a hub with two profiles, in which bob's server has the only place."""
    return occupied(build_hub(tmp_path, FULL + PROFILES))


def occupied(hub):
    hub.user("bob")
    assert hub.as_user("bob").post("/users/bob/server", {}).status_code == 202
    hub.user("alice")
    return hub


def free(hub):
    """Stop bob's server, whose launch no worker has begun."""
    hub.hub.stopping.stop(hub.hub.stopping.request(hub.hub.servers.find(hub.user("bob").id, "")))


def state(hub, name=""):
    found = hub.hub.servers.find(hub.user("alice").id, name)
    return found.state if found else None


def test_a_start_in_a_full_hub_waits_and_keeps_what_was_chosen(full):
    browser = full.browser("alice")
    sent = browser.submit("/hub/spawn/alice?next=/user/alice/lab/tree/a.ipynb", profile="large")
    assert sent.status_code == 303
    again = sent.headers["location"]
    assert again == "/hub/spawn/alice?opt-profile=large&next=%2Fuser%2Falice%2Flab%2Ftree%2Fa.ipynb"

    waits = browser.get(again)
    assert (waits.status_code, waits.headers["retry-after"]) == (429, "5")
    assert "waits for a place" in waits.text
    assert f'content="5; url={again.replace("&", "&amp;")}"' in waits.text
    assert state(full) is None

    free(full)
    goes_on = browser.get(again)
    assert goes_on.status_code == 302
    assert goes_on.headers["location"].startswith("/hub/spawn-pending/alice?next=")
    assert full.hub.servers.find(full.user("alice").id, "").profile == "large"


def test_a_hub_with_one_profile_waits_too(tmp_path):
    hub = occupied(build_hub(tmp_path, FULL))
    browser = hub.browser("alice")
    waits = browser.get("/hub/spawn")
    assert waits.status_code == 429
    assert 'data-url="/hub/spawn/alice"' in waits.text
    free(hub)
    assert browser.get("/hub/spawn/alice").status_code == 302
    assert state(hub) is State.REQUESTED


def test_a_new_named_server_keeps_its_display_name(full):
    sent = full.browser("alice").submit("/hub/spawn/alice/dask?display_name=My+dask", profile="small")
    assert sent.headers["location"] == "/hub/spawn/alice/dask?opt-profile=small&display_name=My+dask"


def test_what_no_address_can_hold_waits_in_the_record(full):
    browser, long = full.browser("alice"), "x" * 2_000
    sent = browser.submit("/hub/spawn/alice?next=/user/alice/lab", profile="large", text=long)
    again = sent.headers["location"]
    assert again == "/hub/spawn/alice?same_options=1&next=%2Fuser%2Falice%2Flab"
    assert browser.get(again).status_code == 429
    free(full)
    assert browser.get(again).headers["location"].startswith("/hub/spawn-pending/alice?next=")
    assert full.hub.servers.find(full.user("alice").id, "").user_options == {"profile": "large", "text": long}


def test_a_new_server_with_a_long_choice_keeps_its_display_name(full):
    browser = full.browser("alice")
    sent = browser.submit("/hub/spawn/alice/dask?display_name=My+dask", profile="small", text="x" * 2_000)
    again = sent.headers["location"]
    free(full)
    assert browser.get(again).status_code == 302
    assert full.hub.servers.find(full.user("alice").id, "dask").display_name == "My dask"


def test_a_next_that_no_address_can_hold_is_refused_at_once(full):
    refused = full.browser("alice").submit(f"/hub/spawn/alice?next=/{'x' * 2_000}", profile="small")
    assert refused.status_code == 429
    assert "The hub is full right now." in refused.text


def test_who_waits_first_gets_the_place_first(full):
    first, second = full.browser("alice"), full.browser("carol")
    said = first.get("/hub/spawn/alice?opt-profile=small")
    assert "You are next." in said.text
    said = second.get("/hub/spawn/carol?opt-profile=small")
    assert "1 person waits before you." in said.text
    assert (said.headers["retry-after"], said.status_code) == ("10", 429)
    free(full)
    assert second.get("/hub/spawn/carol?opt-profile=small").status_code == 429
    assert full.as_user("dora").post("/users/dora/server", {"profile": "small"}).status_code == 429
    assert first.get("/hub/spawn/alice?opt-profile=small").status_code == 302
    assert "You are next." in second.get("/hub/spawn/carol?opt-profile=small").text


def test_who_stops_waiting_lets_others_go_first(full):
    first, second = full.browser("alice"), full.browser("carol")
    first.get("/hub/spawn/alice?opt-profile=small")
    second.get("/hub/spawn/carol?opt-profile=small")
    free(full)
    assert first.post("/hub/stop-waiting/alice", data={}).status_code == 403
    assert second.get("/hub/spawn/carol?opt-profile=small").status_code == 429
    left = first.submit("/hub/stop-waiting/alice")
    assert (left.status_code, left.headers["location"]) == (303, "/hub/home")
    assert second.get("/hub/spawn/carol?opt-profile=small").status_code == 302


def test_nobody_ends_anothers_wait(full):
    full.browser("alice").get("/hub/spawn/alice?opt-profile=small")
    assert full.browser("carol").submit("/hub/stop-waiting/alice").status_code == 404
    assert full.hub.waiting.find(full.user("alice").id, full.hub.clock.now()) is not None


def test_a_page_that_asks_again_is_one_refusal(full):
    browser = full.browser("alice")

    def refusals():
        full.hub.metrics.flush()
        return sum(one.count for one in full.hub.histograms.all() if histograms.TOO_MANY_USERS in one.labels)

    before = refusals()
    for _ in range(4):
        assert browser.get("/hub/spawn/alice?opt-profile=small").status_code == 429
    assert refusals() == before + 1


def test_an_owner_who_started_too_often_waits_as_long_as_it_takes(hub):
    hub.user("alice")
    hub.hub.__dict__["spawning"] = replace(hub.hub.spawning, start_limit=1)
    browser = hub.browser("alice")
    assert browser.get("/hub/spawn").status_code == 302
    waits = browser.get("/hub/spawn/alice/dask")
    assert waits.status_code == 429
    assert 3_500 < int(waits.headers["retry-after"]) <= 3_600
    assert "which is the limit" in waits.text


def test_programs_get_the_status_of_jupyterhub(full):
    refused = full.as_user("alice").post("/users/alice/server", {"profile": "small"})
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
    assert refused.json() == {"status": 429, "message": "The hub is full right now. Try again in a few minutes."}
