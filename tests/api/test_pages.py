"""Pages as scripts use them: where they lead, what they take, and what a prefix without a server says."""

import html
import json
import re
from dataclasses import replace

import pytest

from hubless.domain.lifecycle import State
from hubless.ports.launcher import TaskRunning
from tests.api.hub import ADDRESS, SETTINGS, An, build_hub
from tests.support.builders import NOW, a_server
from tests.support.fakes import ScriptedLauncher, SleepyMachine


def options(hub, name="alice", server=""):
    return hub.hub.servers.find(hub.user(name).id, server).user_options


def ready(hub, name="alice", server=""):
    facts = {"state": State.READY, "launch_id": "l1", "task": "t1", "address": "127.0.0.1:1", "started_at": NOW}
    hub.hub.servers.create(a_server(server, owner_id=hub.user(name).id, **facts), named_limit=0)


@pytest.fixture
def alice(hub):
    return hub.browser("alice")


# --- logging in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shown", ["form", "query", "X-XSRFToken", "X-CSRFToken"])
def test_a_login_shows_its_token_in_any_of_jupyterhubs_places(hub, shown):
    browser = hub.browser()
    browser.get("/hub/login")
    form, query, headers = {"username": "alice", "password": An.PASSWORD}, {}, {}
    {"form": form, "query": query}.get(shown, headers)["_xsrf" if shown in {"form", "query"} else shown] = browser.xsrf

    assert browser.post("/hub/login", data=form, params=query, headers=headers).status_code == 302
    assert browser.get("/hub/home").status_code == 200


@pytest.mark.parametrize("shown", [{"params": {"_xsrf": "x"}}, {"headers": {"X-XSRFToken": "x"}}, {}])
def test_a_login_with_another_token_or_none_is_refused(hub, shown):
    browser = hub.browser()
    browser.get("/hub/login")

    assert browser.post("/hub/login", data={"username": "alice", "password": An.PASSWORD}, **shown).status_code == 403


def test_a_login_without_next_redirects_to_the_start_of_the_server(hub):
    browser = hub.browser()

    assert browser.log_in("alice").headers["location"] == "/hub/spawn"
    assert browser.get("/hub/").headers["location"] == "/hub/spawn"
    assert browser.get("/hub/login").headers["location"] == "/hub/spawn"


def test_a_login_without_next_redirects_to_a_running_server(hub):
    ready(hub)
    browser = hub.browser()

    assert browser.log_in("alice").headers["location"] == "/user/alice/"
    assert browser.get("/hub/").headers["location"] == "/user/alice/"
    assert browser.get("/hub/spawn").headers["location"] == "/user/alice/"
    assert browser.get("/hub/spawn?next=/user/alice/tree").headers["location"] == "/user/alice/tree"


def test_a_script_with_a_cookie_need_not_name_a_type_but_show_the_token(alice):
    path, body = "/hub/api/users/alice/tokens", b"{}"

    assert alice.post(path, content=body, headers={"X-XSRFToken": alice.xsrf}).status_code == 201
    assert alice.post(path, content=body).status_code == 403
    as_form = {"X-XSRFToken": alice.xsrf, "Content-Type": "text/plain"}
    assert alice.post(path, content=body, headers=as_form).status_code == 403


# --- starting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "chosen"),
    [
        ("opt-a=1&opt-b=x&opt-b=y&c=2", {"a": "1", "b": ["x", "y"]}),
        ("a=1&b=x&b=y&next=/hub/home&display_name=Q", {"a": "1", "b": ["x", "y"]}),
        ("next=/hub/home&opt-=1", {}),
    ],
)
def test_options_of_a_link_are_those_with_the_prefix_or_all(hub, alice, query, chosen):
    assert alice.get(f"/hub/spawn?{query}").status_code == 302
    assert options(hub) == chosen


def test_a_form_loses_no_value(hub, alice):
    assert alice.submit("/hub/spawn", a="1", b=["x", "y"]).status_code == 303
    assert options(hub) == {"a": "1", "b": ["x", "y"]}


def test_a_link_to_a_new_server_may_say_how_it_is_shown(hub, alice):
    alice.get("/hub/spawn/alice/lab?display_name=My+Lab")

    assert hub.hub.servers.find(hub.user("alice").id, "lab").display_name == "My Lab"


def test_a_new_servers_name_outlives_the_choice_of_a_profile(tmp_path):
    hub = build_hub(tmp_path / "hub", SETTINGS + '[[profiles]]\nname = "small"\n[[profiles]]\nname = "large"\n')
    alice = hub.browser("alice")
    page = alice.get("/hub/spawn/alice/lab?display_name=My+Lab&next=/hub/home").text
    assert "My Lab" in page
    action = html.unescape(re.search(r'<form method="post" action="(/hub/spawn[^"]*)"', page)[1])
    again = alice.submit(action, profile="none")
    assert (again.status_code, "My Lab" in again.text) == (400, True)
    action = html.unescape(re.search(r'<form method="post" action="(/hub/spawn[^"]*)"', again.text)[1])
    assert alice.submit(action, profile="large").headers["Location"].endswith("next=%2Fhub%2Fhome")
    assert hub.hub.servers.find(hub.user("alice").id, "lab").display_name == "My Lab"


def test_a_server_that_is_not_there_is_not_waited_for(alice):
    assert alice.get("/hub/spawn-pending/alice/none").status_code == 404
    assert alice.get("/hub/spawn-pending/alice").status_code == 200


# --- a prefix without a server ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", ["*/*", "text/html", "application/json"])
def test_a_program_gets_which_server_does_not_run_and_where_to_start_it(alice, accept):
    answer = alice.get("/hub/user/alice/api/kernels?x=1", headers={"Accept": accept})

    assert answer.status_code == 424
    assert json.loads(answer.text) == {
        "message": "JupyterHub server no longer running at /user/alice/api/kernels."
        f" Restart the server at {ADDRESS}/hub/spawn/alice"
    }


def test_a_person_is_shown_a_page(alice):
    for accept in ("text/html", "text/html, application/json", "*/*"):
        answer = alice.get("/hub/user/alice/lab", headers={"Accept": accept})
        assert (answer.status_code, answer.headers["content-type"][:9]) == (424, "text/html")


# --- a server that runs and is not reached: the edge is away, or the server does not answer ---


JSON = {"Accept": "application/json"}


@pytest.fixture
def reached(hub):
    """alice's server runs as far as its launcher can tell."""
    ready(hub)
    hub.hub.launcher = ScriptedLauncher()
    hub.hub.launcher.status["t1"] = TaskRunning("127.0.0.1:1")
    return hub


@pytest.fixture
def sleepy(reached):
    """The edge's machine, which sleeps."""
    machine = SleepyMachine(reached.hub.routes, reached.hub.clock)
    machine.state = "stopped"
    reached.hub.edge_autosuspend = replace(reached.hub.edge_autosuspend, machine=machine)
    return machine


def test_a_visit_while_the_edge_is_suspended_wakes_it_and_shows_a_page(sleepy, alice):
    answer = alice.get("/hub/user/alice/lab/tree/a%2Fb?x=1&redirects=1")

    assert (answer.status_code, answer.headers["retry-after"], sleepy.calls) == (503, "5", ["start"])
    assert 'content="5; url=/hub/user/alice/lab/tree/a%2Fb?x=1"' in answer.text
    assert "proxy is starting" in answer.text
    sleepy.edge.look()
    assert alice.get("/hub/user/alice/lab").headers["location"] == "/user/alice/lab?redirects=1"


@pytest.mark.parametrize("path", ["/hub/home", "/hub/spawn/alice/other", "/hub/spawn-pending/bob", "/hub/user/bob/lab"])
def test_a_page_before_a_server_starts_the_edge_ahead(sleepy, reached, path):
    (profile,) = reached.hub.profiles.values()
    reached.hub.spawning = replace(reached.hub.spawning, profiles={"a": profile, "b": profile})
    visitor = reached.browser("bob" if "bob" in path else "alice")

    for _ in range(3):
        assert visitor.get(path).status_code == (424 if "/user/" in path else 200)
    assert sleepy.calls == ["start"]


@pytest.mark.parametrize(
    "path", ["/hub/home", "/hub/spawn", "/hub/login", "/hub/user/alice/lab", "/hub/user/alice/api"]
)
def test_nobody_who_is_not_logged_in_starts_the_edge(sleepy, reached, path):
    reached.browser().get(path)
    assert sleepy.calls == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/hub/user/alice/api/status"), ("POST", "/hub/user/alice/x"), ("GET", "/hub/user/alice/x")],
)
def test_a_program_gets_json_while_the_edge_starts(sleepy, alice, method, path):
    answer = alice.request(method, path, headers=JSON)

    assert (answer.status_code, sleepy.calls) == (503, ["start"])
    assert answer.json() == {
        "status": 503,
        "message": "The hub's proxy is starting. Try again in a moment.",
    }


def test_an_edge_that_never_sleeps_is_not_looked_for(reached, alice):
    reached.hub.routes.reports = None
    assert alice.get("/hub/user/alice/lab").status_code == 302


def test_a_server_that_never_answers_ends_in_words_and_not_in_a_loop(reached, alice):
    asked, seen = "/hub/user/alice/lab?x=a%20b", []
    while (answer := alice.get(asked)).status_code == 302:
        seen.append(answer.headers["location"])
        asked = "/hub" + answer.headers["location"]  # where the edge, or CloudFront for it, leads
    assert seen == ["/user/alice/lab?x=a+b&redirects=1", "/user/alice/lab?x=a+b&redirects=2"]
    assert (answer.status_code, answer.headers["cache-control"]) == (503, "no-store")
    assert 'url=/hub/user/alice/lab?x=a+b"' in answer.text
    received = alice.get("/hub/user/alice/api/status?redirects=2", headers=JSON)
    assert (received.status_code, received.json()["status"]) == (503, 503)


# --- shares ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["form", "query"])
def test_a_share_is_accepted_with_the_code_in_the_form_or_the_address(hub, alice, place):
    hub.user("bob")
    code = hub.as_token(An.ADMIN_TOKEN).post("/share-codes/bob/", {}).json()["code"]
    answer = (
        alice.submit("/hub/accept-share", code=code)
        if place == "form"
        else alice.submit(f"/hub/accept-share?code={code}")
    )

    assert (answer.status_code, answer.headers["location"]) == (302, "/user/bob/")


@pytest.mark.parametrize("path", ["/favicon.ico", "/hub/favicon.ico"])
def test_browsers_find_an_icon_where_they_look_for_one(hub, path):
    answer = hub.browser().get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert "max-age" in answer.headers["cache-control"]
    assert answer.text.startswith("<svg")
