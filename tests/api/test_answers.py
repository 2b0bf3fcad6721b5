"""Answers to the letter, where JupyterHub 6.1.1's own were asked for and differed."""

import pytest

from hubless.domain.lifecycle import State
from tests.api.hub import An
from tests.support.builders import NOW, a_server

PAGINATED = "application/jupyterhub-pagination+json"


@pytest.fixture
def admin(hub):
    hub.user("alice", groups=["staff"])
    hub.as_token(An.ADMIN_TOKEN).put("/users/alice/servers/lab", {})
    return hub.as_token(An.ADMIN_TOKEN)


@pytest.fixture
def boss(hub, admin):
    hub.user("boss", admin=True)

    def holding(*scopes):
        return hub.as_user("boss", scopes)

    return holding


# --- scopes and filters ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("filtered", ["!user=alice", "!group=staff", "!server=alice/lab"])
@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/info", "read:hub"),
        ("GET", "/proxy", "proxy"),
        ("POST", "/proxy", "proxy"),
        ("PATCH", "/proxy", "proxy"),
        ("POST", "/shutdown", "shutdown"),
        ("POST", "/users", "admin:users"),
        ("POST", "/groups", "admin:groups"),
    ],
)
def test_what_no_filter_can_single_out_needs_the_scope_without_one(boss, method, path, scope, filtered):
    answer = boss(scope + filtered)(method, path, json={})

    assert answer.status_code == 403
    assert answer.json()["message"] == f"Action is not authorized with current scopes; requires any of [{scope}]"


@pytest.mark.parametrize(
    ("path", "scope", "status"),
    [
        ("/users", "list:users!user=alice", 200),
        ("/users", "list:users!group=staff", 200),
        ("/users", "list:users!server=alice/lab", 403),
        ("/users", "list:users!service=checker", 403),
        ("/groups", "list:groups!group=staff", 200),
        ("/groups", "list:groups!user=alice", 403),
        ("/services", "list:services!service=checker", 200),
        ("/services", "list:services!user=alice", 200),
    ],
)
def test_users_and_groups_are_not_listed_by_a_filter_of_another_kind(boss, path, scope, status):
    assert boss(scope).get(path).status_code == status


@pytest.mark.parametrize("scope", ["admin:auth_state", "admin:auth_state!user=alice", "read:servers!server=alice/lab"])
def test_a_user_is_not_read_with_scopes_for_something_else_of_theirs(boss, scope):
    answer = boss(scope).get("/users/alice?include_stopped_servers")

    assert (answer.status_code, answer.json()["message"]) == (404, "No access to resources or resources not found")


def test_auth_state_has_its_place_in_lists_for_who_may_see_it(admin, boss):
    assert [user["auth_state"] for user in admin.get("/users").json()] == [None] * 3
    assert all("auth_state" not in user for user in boss("list:users").get("/users").json())


def test_roles_of_groups_and_services_are_shown_with_their_own_scope(boss):
    assert set(boss("read:groups").get("/groups/staff").json()) == {"kind", "name", "users", "properties"}
    assert set(boss("read:roles:groups").get("/groups/staff").json()) == {"kind", "name", "roles"}
    assert set(boss("read:services:name").get("/services/checker").json()) == {"kind", "name", "admin"}
    assert set(boss("read:roles:services").get("/services/checker").json()) == {"kind", "name", "admin", "roles"}
    assert "roles" not in boss("read:services").get("/services/checker").json()


def test_a_member_of_a_group_within_reach_is_known_to_exist_already(boss):
    assert boss("admin:users!group=staff").post("/users/alice", {}).status_code == 409
    assert boss("admin:users!group=staff").post("/users/new", {}).status_code == 404


# --- who am I --------------------------------------------------------------------------------------------------------


def test_a_service_learns_of_itself_what_its_scopes_show(hub, admin):
    received = admin.get("/user").json()
    assert set(received) == {
        "kind",
        "name",
        "admin",
        "roles",
        "url",
        "prefix",
        "command",
        "pid",
        "info",
        "display",
        "token_id",
        "session_id",
        "scopes",
    }
    assert received["token_id"].startswith("a")

    received = hub.as_token("checker-service-token-0123456789").get("/user").json()
    assert received | {"token_id": ""} == {
        "kind": "service",
        "name": "checker",
        "admin": False,
        "token_id": "",
        "session_id": None,
        "scopes": [],
    }


def test_ones_own_server_is_shown_with_a_scope_for_it_alone(hub, admin):
    admin.post("/users/alice/servers/lab", {})
    received = hub.as_user("alice", ["read:servers!server=alice/lab"]).get("/user").json()

    assert set(received["servers"]) == {"lab"}
    assert received["scopes"] == [
        "read:servers!server=alice/lab",
        "read:users:groups!user=alice",
        "read:users:name!user=alice",
    ]


def test_a_token_holds_no_filtered_scope_beside_the_same_without(hub, admin):
    hub.user("friend", groups=["sharers"])
    scopes = admin.post("/users/friend/tokens", {}).json()["scopes"]

    assert "read:users:name" in scopes
    assert "read:users:name!user=friend" not in scopes


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ({"scopes": ["access:servers!server", "read:users:activity!user"]}, {"read:users:activity!user=alice"}),
        ({"roles": ["server"]}, {"users:activity!user=alice", "read:users:activity!user=alice"}),
    ],
)
def test_a_scope_that_waits_for_a_server_comes_to_nothing_in_a_users_token(admin, body, left):
    made = admin.post("/users/alice/tokens", body)

    assert made.status_code == 201
    assert set(made.json()["scopes"]) == left | {"read:users:name!user=alice", "read:users:groups!user=alice"}


@pytest.mark.parametrize("scope", ["self!user=alice", "inherit!user=alice"])
def test_a_token_is_not_made_of_a_filter_on_everything(admin, scope):
    assert admin.post("/users/alice/tokens", {"scopes": [scope]}).status_code == 400


# --- lists -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "is_wrapped"),
    [
        (PAGINATED, True),
        (f"text/html, {PAGINATED}", True),
        (PAGINATED.upper(), True),
        (f"{PAGINATED};q=0.5", False),
        (f"{PAGINATED}x", False),
        ("*/*", False),
    ],
)
def test_a_page_is_wrapped_for_who_accepts_the_very_type(admin, accept, is_wrapped):
    assert isinstance(admin.get("/users", headers={"Accept": accept}).json(), dict) is is_wrapped


@pytest.mark.parametrize("query", ["state=", "name_filter=", "name_filter=%20"])
def test_an_empty_filter_filters_nothing(admin, query):
    assert admin.get(f"/users?{query}").json() == admin.get("/users").json()


def test_a_name_filter_has_no_spaces_at_its_ends(admin):
    assert [user["name"] for user in admin.get("/users?name_filter=%20ali%20").json()] == ["alice"]


# --- groups, activity, codes -----------------------------------------------------------------------------------------


def test_who_is_no_user_cannot_leave_a_group_and_who_is_no_member_may(hub, admin):
    hub.user("bob")
    answer = admin.delete("/groups/staff/users", {"users": ["alice", "nobody"]})
    assert (answer.status_code, answer.json()["message"]) == (400, "No such user: nobody")
    assert admin.get("/groups/staff").json()["users"] == ["alice"]

    assert admin.delete("/groups/staff/users", {"users": ["alice", "bob"]}).json()["users"] == []


def test_a_group_that_is_not_there_is_named(admin):
    assert admin.get("/groups/none").json()["message"] == "No such group: none"


def test_the_default_server_may_report_activity_before_anybody_started_it(admin):
    answer = admin.post("/users/alice/activity", {"servers": {"": {"last_activity": "2026-01-01T00:00:00Z"}}})

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("query", ["?code=", "?id=", ""])
def test_withdrawing_no_code_in_particular_withdraws_all(admin, query):
    admin.post("/share-codes/alice/lab", {"expires_in": "60"})

    assert admin.delete(f"/share-codes/alice/lab{query}").status_code == 204
    assert admin.get("/share-codes/alice/lab").json()["items"] == []


# --- servers ---------------------------------------------------------------------------------------------------------


def test_a_named_server_is_shown_by_its_name_until_it_has_another(admin):
    assert admin.get("/users/alice/servers/lab").json()["display_name"] == "lab"
    assert admin.put("/users/alice/servers/two", {"display_name": "Two"}).json()["display_name"] == "Two"
    assert admin.get("/users/alice/server").json()["display_name"] == ""


def test_a_server_made_with_the_old_form_has_all_of_it_for_options(admin):
    assert admin.put("/users/alice/servers/old", {"size": "big"}).json()["user_options"] == {"size": "big"}
    assert admin.put("/users/alice/servers/new", {"user_options": {"a": 1}, "b": 2}).json()["user_options"] == {"a": 1}


def test_an_empty_display_name_changes_nothing(admin):
    assert admin.patch("/users/alice/servers/lab", {"display_name": ""}).json()["display_name"] == "lab"


def test_a_server_that_is_stopped_has_not_started(hub, admin):
    was_up = a_server("was-up", owner_id=hub.user("alice").id, state=State.FAILED, launch_id="l1", started_at=NOW)
    hub.hub.servers.create(was_up, named_limit=0)

    assert admin.get("/users/alice/servers/was-up").json()["started"] is None


def test_types_of_empty_answers_and_of_events_stand_as_they_are(admin):
    assert admin.post("/users/alice/server", {}).headers["content-type"] == "text/plain"
    assert "content-type" not in admin.delete("/users/alice/servers/lab").headers


# --- the hub ---------------------------------------------------------------------------------------------------------


def test_a_route_says_whose_it_is(hub, admin):
    hub.hub.routing.sync_services(hub.hub.services.all())
    assert admin.get("/proxy").json()["/services/checker/"]["data"] == {"service": "checker"}

    admin.post("/users/alice/servers/lab", {})
    hub.hub.routing.add("/user/alice/lab/", "127.0.0.1:1", "l1")
    assert admin.get("/proxy").json()["/user/alice/lab/"] == {
        "routespec": "/user/alice/lab/",
        "target": "http://127.0.0.1:1",
        "data": {"user": "alice", "server_name": "lab", "last_activity": None},
    }


@pytest.mark.parametrize("path", ["", "/"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST"])
def test_the_version_is_open_to_pages_of_any_origin(hub, path, method):
    assert hub.anybody(method, path).headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in hub.anybody(method, "/user").headers


def test_a_head_request_has_the_etag_too(hub):
    assert hub.anybody("HEAD", "/health").headers["etag"] == hub.anybody("GET", "/health").headers["etag"]
