"""What the hub says of a server that is frozen: to its owner, to others, to programs, to admins and to operators."""

import pytest

from embedded import console_messages
from functions.api.serializers import instant
from hubless.domain import lifecycle
from hubless.domain.lifecycle import State
from hubless.ports.launcher import TaskRunning
from tests.api.hub import An
from tests.support.builders import NOW, a_server
from tests.support.fakes import ScriptedLauncher

ADDRESS = "127.0.0.1:1"


@pytest.fixture
def frozen(hub):
    """alice's server "lab" is frozen."""
    facts = {"state": State.READY, "launch_id": "l1", "task": "t1", "address": ADDRESS, "started_at": NOW}
    server = a_server("lab", owner_id=hub.user("alice").id, **facts)
    hub.hub.servers.create(server, named_limit=0)
    hub.hub.launcher = ScriptedLauncher()
    hub.hub.launcher.status["t1"] = TaskRunning(ADDRESS, (), is_frozen=True)
    hub.hub.servers.write(server, lifecycle.frozen(server, NOW))
    return hub


def test_a_request_gets_a_page_with_since_when_and_a_button_to_stop_it(frozen):
    alice = frozen.browser("alice")
    page = alice.get("/hub/user/alice/lab/tree?x=1")
    assert (page.status_code, page.headers["retry-after"]) == (503, "5")
    assert "Your server “lab” does not answer" in page.text
    assert f'<time datetime="{instant(NOW)}"' in page.text
    assert 'action="/hub/stop/alice/lab"' in page.text
    assert alice.submit("/hub/stop/alice/lab").status_code == 303
    (server,) = frozen.hub.servers.of_owners([frozen.user("alice").id])
    assert (server.state, server.frozen_at) == (State.STOPPING, None)


def test_who_may_not_stop_it_is_offered_no_button(frozen):
    bob = frozen.as_user("bob", ["access:servers!user=alice"])
    frozen.as_token(An.ADMIN_TOKEN).post("/shares/alice/lab", {"user": "bob"})
    page = bob.client.get("/hub/user/alice/lab/tree", headers=bob.headers | {"Accept": "text/html"})
    assert page.status_code == 503
    assert "/hub/stop/" not in page.text


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_program_gets_503_with_when_to_come_again(frozen, method):
    alice = frozen.as_user("alice")
    json = alice.headers | {"Accept": "application/json"}
    answer = alice.client.request(method, "/hub/user/alice/lab/api/kernels", headers=json)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["message"] == "The server runs but does not answer. Try again in a moment."


def test_a_server_that_runs_on_is_led_to_at_once(frozen):
    frozen.hub.launcher.status["t1"] = TaskRunning(ADDRESS)
    answer = frozen.browser("alice").get("/hub/user/alice/lab/tree")
    assert (answer.status_code, answer.headers["location"]) == (302, "/user/alice/lab/tree?redirects=1")
    assert [route.prefix for route in frozen.hub.routes.all()] == ["/user/alice/lab/"]


def test_home_says_that_it_does_not_answer_and_when_it_is_stopped(frozen):
    page = frozen.browser("alice").get("/hub/home").text
    assert '<span class="state frozen">Not answering</span>' in page
    assert "lab does not answer" in page
    assert "A server that does not answer for 30 minutes is stopped." in page


def test_with_whom_it_is_shared_sees_it_too(frozen):
    frozen.user("bob")
    shared = frozen.as_token(An.ADMIN_TOKEN).post("/shares/alice/lab", {"user": "bob"}).json()
    assert (shared["server"]["ready"], shared["server"]["frozen"]) == (True, instant(NOW))
    assert '<span class="state frozen">Not answering</span>' in frozen.browser("bob").get("/hub/home").text


def test_the_api_says_since_when_it_is_frozen(frozen):
    servers = frozen.as_user("alice").get("/users/alice").json()["servers"]
    assert (servers["lab"]["ready"], servers["lab"]["frozen"]) == (True, instant(NOW))

    (server,) = frozen.hub.servers.of_owners([frozen.user("alice").id])
    frozen.hub.servers.write(server, lifecycle.thawed(server))
    assert frozen.as_user("alice").get("/users/alice/servers/lab").json()["frozen"] is None


def test_admins_find_it_in_the_table(frozen):
    frozen.user("bob")
    root = frozen.browser("root")
    page = root.get("/hub/admin?state=frozen").text
    assert '<span class="state frozen">Not answering</span>' in page
    assert "/hub/admin/users/bob" not in page
    assert '<span class="state frozen">' in root.get("/hub/admin/users/alice").text


def test_operators_see_it_in_the_status(frozen):
    lines = console_messages.status(frozen.hub, {}).splitlines()
    assert f"frozen    alice/lab has not answered since {NOW:%Y-%m-%d %H:%M:%S} UTC" in lines
