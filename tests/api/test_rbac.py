"""Who may do what: filtered admins stay inside their filter, and nobody comes to hold more than they were given.

The list of requests is the OpenAPI document's, so that no route is forgotten.
"""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.api.app import api_document
from hubless.domain.scopes import DEFINITIONS
from hubless.domain.users import User
from tests.api.hub import An

BODIES = {
    "/users": {"usernames": ["made-by-nobody"]},
    "/users/{name}/tokens": {},
    "/users/{name}/activity": {"last_activity": "2026-01-01T00:00:00Z"},
    "/groups": {"groups": ["made-by-nobody"]},
    "/groups/{name}/users": {"users": ["inside"]},
    "/shares": {"user": "inside"},
    "/services": {"display": False},
}
OPERATIONS = [
    (method.upper(), path, [scope for each in received.get("security", []) for scope in each.get("token", [])])
    for path, methods in api_document()["paths"].items()
    for method, received in methods.items()
]
OF_SOMEBODY = [each for each in OPERATIONS if each[2] and re.match(r"/(users|shares|share-codes|groups)/{", each[1])]
IDS = [f"{method} {path}" for method, path, _ in OF_SOMEBODY]


def body_of(path):
    for key in (path, "/" + path.split("/")[1]):
        if key in BODIES:
            return BODIES[key]
    return {}


def place(path, name):
    filled = path.replace("{owner}", "outside" if "/shared/" in path else name).replace("{server}", "lab")
    return filled.replace("{name}", name).replace("{token_id}", "a0").replace("{session_id}", "s0")


@pytest.fixture
def world(hub):
    admin = hub.as_token(An.ADMIN_TOKEN)
    for name, group in (("inside", "ours"), ("outside", "theirs")):
        hub.user(name, groups=[group])
        admin.put(f"/users/{name}/servers/lab", {})
    admin.post("/shares/outside/lab", {"user": "outside"})
    hub.user("boss", admin=True)
    return hub


def snapshot(hub):
    admin = hub.as_token(An.ADMIN_TOKEN)
    seen = [
        admin.get(path).json()
        for path in (
            "/users?include_stopped_servers",
            "/groups",
            "/services",
            "/users/outside/tokens",
            "/shares/outside",
            "/share-codes/outside",
        )
    ]
    return re.sub(r'"last_activity": ("[^"]*"|null)', "", json.dumps(seen))


@pytest.mark.parametrize(("method", "path", "scopes"), OF_SOMEBODY, ids=IDS)
def test_a_filtered_scope_reaches_nothing_outside(world, method, path, scopes):
    targets = ["theirs"] if path.startswith("/groups") else ["outside", "nobody-at-all"]
    before = snapshot(world)
    for scope in scopes:
        for fence in ("user=inside", "group=ours", "server=inside/lab", "service=checker"):
            held = world.as_user("boss", [f"{scope}!{fence}", *([f"{up}!{fence}" for up in above(scope)])])
            received = [held(method, place(path, target), json=body_of(path)) for target in targets]
            assert {answer.status_code for answer in received} <= {403, 404}, (
                scope,
                fence,
                [answer.text for answer in received],
            )
            # Who may not look learns nothing of what is there.
            assert len({(answer.status_code, answer.text) for answer in received}) == 1
    assert snapshot(world) == before


def above(scope):
    return [name for name, definition in DEFINITIONS.items() if scope in definition.contains]


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/users"), ("POST", "/groups"), ("POST", "/users/made-by-nobody"), ("POST", "/groups/made")],
)
def test_a_filtered_admin_makes_nothing_outside(world, method, path):
    held = world.as_user("boss", ["admin:users!group=ours", "admin:groups!group=ours", "admin:users!user=inside"])
    before = snapshot(world)
    assert held(method, path, json=BODIES.get(path, {})).status_code in {403, 404}
    assert snapshot(world) == before


def test_a_filtered_admin_takes_nobody_in_by_a_rename(world):
    held = world.as_user("boss", ["admin:users!user=inside"])
    assert held.patch("/users/inside", {"name": "outside2"}).status_code == 403


def test_a_list_shows_what_its_filter_covers(world):
    def names(path, *scopes):
        found = world.as_user("boss", scopes).get(path).json()
        return sorted(each["name"] for each in found) if isinstance(found, list) else sorted(found)

    assert names("/users", "list:users!group=ours") == ["inside"]
    assert names("/users", "list:users!user=outside", "list:users!group=ours") == ["inside", "outside"]
    assert names("/users?name_filter=side", "list:users!group=ours") == ["inside"]
    assert names("/groups", "list:groups!group=ours") == ["ours"]
    assert names("/services", "list:services!service=checker") == ["checker"]


def test_a_field_is_shown_only_with_its_scope(world):
    def shown(*scopes):
        return set(world.as_user("boss", scopes).get("/users/inside?include_stopped_servers").json())

    assert shown("read:users:groups!user=inside") == {"kind", "name", "groups"}
    assert shown("read:users:activity!user=inside") == {"kind", "name", "last_activity"}
    assert shown("read:roles:users!user=inside") == {"kind", "name", "roles", "admin"}
    assert shown("read:users:name!user=inside", "read:servers!server=inside/lab") == {
        "kind",
        "name",
        "admin",
        "user_info",
        "servers",
    }
    assert shown("read:users!group=ours") >= {"created", "pending", "server"}
    assert "auth_state" not in shown("read:users!user=inside")


def test_a_servers_inner_state_is_shown_only_with_its_scope(world):
    plain = world.as_user("boss", ["read:servers"]).get("/users/inside/servers/lab").json()
    inner = world.as_user("boss", ["read:servers", "admin:server_state"]).get("/users/inside/servers/lab").json()
    assert set(inner) - set(plain) == {"state"}


@pytest.fixture
def assistant(world):
    """A browser of somebody who administers one group only, by all that the pages ask for."""
    role = type(world.hub.roles["user"])
    fenced = ("admin:users", "admin:servers", "tokens", "list:users", "delete:users", "access:servers")
    world.hub.roles["assistants"] = role(
        "assistants", ("admin-ui", *(f"{s}!group=ours" for s in fenced)), users=frozenset({"anna"})
    )
    world.user("anna")
    return world.browser("anna")


def test_a_filtered_admins_pages_show_and_change_what_is_within(world, assistant):
    page = assistant.get("/hub/admin").text
    assert "inside" in page
    assert "outside" not in page
    assert assistant.submit("/hub/admin/users/inside/log-out").status_code == 303
    assert assistant.submit("/hub/admin/users/inside/password-link").status_code == 303
    assert assistant.submit("/hub/admin/users/inside/delete").status_code == 303


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/hub/admin/people", {"people": "made-by-nobody"}),
        *(
            (f"/hub/admin/users/{name}/{what}", {"admin": "1"})
            for name in ("outside", "boss")
            for what in ("delete", "admin", "log-out", "password-link")
        ),
        ("/hub/admin/users/inside/admin", {"admin": "1"}),
        ("/hub/stop/outside", {}),
        ("/hub/stop/outside/lab", {}),
        ("/hub/delete/outside/lab", {}),
        ("/hub/spawn/outside", {}),
        ("/hub/spawn/outside/lab", {}),
    ],
)
def test_a_filtered_admins_pages_reach_nothing_outside(world, assistant, path, fields):
    before = snapshot(world)
    there = world.browser("outside")
    assert assistant.submit(path, **fields).status_code in {403, 404}
    assert snapshot(world) == before
    assert there.get("/hub/home").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/hub/spawn/outside",
        "/hub/spawn-pending/outside",
        "/hub/user/outside/",
        "/hub/user/outside/lab/",
        "/hub/user/nobody-at-all/",
    ],
)
def test_a_filtered_admins_pages_show_nothing_of_what_is_outside(world, assistant, path):
    answer = assistant.get(path)
    assert answer.status_code == 404
    assert "not within your reach" in answer.text


def test_the_admin_page_shows_of_people_what_the_scopes_show(world):
    role = type(world.hub.roles["user"])
    world.hub.roles["lookers"] = role("lookers", ("admin-ui", "list:users!user=outside"), users=frozenset({"anna"}))
    world.user("anna")
    page = world.browser("anna").get("/hub/admin").text
    assert ">outside</a>" in page
    assert not any(fact in page for fact in ("inside", "theirs", "data-relative", "never", 'class="servers"', ">lab "))


def test_an_admin_is_not_removed_on_the_page_by_who_is_none(world):
    role = type(world.hub.roles["user"])
    world.hub.roles["removers"] = role("removers", ("admin-ui", "admin:users", "tokens"), users=frozenset({"anna"}))
    world.user("anna")
    anna = world.browser("anna")
    for what in ("delete", "admin", "password-link"):
        assert anna.submit(f"/hub/admin/users/boss/{what}", admin="0").status_code == 403
    place = anna.submit("/hub/admin/people", people="teacher").headers["location"]
    assert anna.submit(place, do="add", people="teacher").status_code == 400
    assert world.hub.users.find("teacher") is None
    assert world.user("boss").admin


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/info", "read:hub"),
        ("GET", "/metrics", "read:metrics"),
        ("GET", "/proxy", "proxy"),
        ("POST", "/proxy", "proxy"),
        ("PATCH", "/proxy", "proxy"),
        ("POST", "/shutdown", "shutdown"),
        ("POST", "/users", "admin:users"),
        ("POST", "/groups", "admin:groups"),
    ],
)
def test_a_scope_for_somebody_is_none_for_the_hub_as_a_whole(world, method, path, scope):
    for fence in ("user=boss", "group=ours", "server=inside/lab", "service=checker"):
        assert (
            world.as_user("boss", [f"{scope}!{fence}"])(method, path, json=BODIES.get(path, {})).status_code == 403
        )  # JupyterHub says so
    assert world.as_user("boss", [scope])(method, path, json=BODIES.get(path, {})).status_code < 300


# --- nobody comes to hold more than they were given -------------------------------------------------------------------


@pytest.fixture
def plain_helper(world, monkeypatch):
    """The same as a service without the admin flag."""
    from hubless.domain.roles import Role
    from hubless.domain.tokens import sha256
    from hubless.domain.users import Service

    table = world.hub.roles
    table["helper"] = Role("helper", ("admin:users", "admin:groups", "tokens"), services=frozenset({"helper"}))
    world.hub.services.store.create(
        Service("helper", token_sha256=sha256("helper-token-0123456789"), from_settings=False)
    )
    return world.as_token("helper-token-0123456789")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/users/inside", {"admin": True}),
        ("POST", "/users", {"usernames": ["new"], "admin": True}),
        ("POST", "/users/new", {"admin": True}),
        ("PATCH", "/users/boss", {"admin": False}),
        ("PATCH", "/users/boss", {"name": "mine"}),
        ("DELETE", "/users/boss", {}),
        ("POST", "/users/boss/tokens", {}),
        ("POST", "/users", {"usernames": ["new", "teacher"]}),
        ("POST", "/users/teacher", {}),
        ("PATCH", "/users/inside", {"name": "TEACHER"}),
        ("POST", "/groups/sharers/users", {"users": ["inside"]}),
        ("POST", "/groups/lost", {"users": ["inside"]}),
        ("POST", "/groups", {"groups": ["new", "lost"], "users": ["inside"]}),
    ],
)
def test_a_user_who_is_no_admin_gives_nobody_more_rights_than_its_own(world, plain_helper, method, path, body):
    role = type(world.hub.roles["user"])
    world.hub.roles["lost"] = role(
        "lost", ("read:hub",), groups=frozenset({"lost"})
    )  # of a group that is not there now
    before = snapshot(world)
    assert plain_helper(method, path, json=body).status_code == 403
    assert snapshot(world) == before


def test_who_holds_what_a_groups_role_gives_may_give_it_by_the_group(world, plain_helper):
    role = type(world.hub.roles["user"])
    world.hub.roles["ours"] = role("ours", ("read:users", "self"), groups=frozenset({"ours"}))
    world.hub.roles["helper"] = replace(
        world.hub.roles["helper"], scopes=(*world.hub.roles["helper"].scopes, "servers", "shares")
    )
    assert plain_helper.post("/groups/ours/users", {"users": ["outside"]}).status_code == 200
    assert plain_helper.delete("/groups/ours/users", {"users": ["outside"]}).status_code == 200


@pytest.mark.parametrize(
    "scopes",
    [["admin:users"], ["self", "admin-ui"], ["read:users!group=ours"], ["read:users!user=outside"], ["tokens"]],
)
def test_a_token_is_issued_with_nothing_that_its_owner_lacks(world, scopes):
    inside = world.as_user("inside")
    refused = inside.post("/users/inside/tokens", {"scopes": scopes})
    assert refused.status_code == 400
    assert "does not have them" in refused.json()["message"]


def test_scopes_that_a_service_asks_for_a_user_are_the_users(world):
    made = world.as_token(An.ADMIN_TOKEN).post("/users/inside/tokens", {"scopes": ["read:users!user", "tokens!user"]})
    assert made.status_code == 201
    assert {"read:users!user=inside", "tokens!user=inside"} <= set(world.as_token(made.json()["token"]).scopes())
    for scopes in (["admin:users"], ["list:services"]):
        assert world.as_token(An.ADMIN_TOKEN).post("/users/inside/tokens", {"scopes": scopes}).status_code == 400
    # What stands for a service or a server comes to nothing in a user's token, as with JupyterHub.
    plain = set(world.as_user("inside", ["(no_scope)"]).scopes())
    for scopes in (["read:services!service"], ["access:servers!server"]):
        made = world.as_token(An.ADMIN_TOKEN).post("/users/inside/tokens", {"scopes": scopes})
        assert set(world.as_token(made.json()["token"]).scopes()) <= plain


@given(
    stored=st.lists(
        st.sampled_from(
            [
                f"{name}{fence}"
                for name in DEFINITIONS
                for fence in (
                    "",
                    "!user=inside",
                    "!user",
                    "!group=ours",
                    "!group=theirs",
                    "!server=inside/lab",
                    "!server=outside/lab",
                    "!service=checker",
                )
            ]
        ),
        max_size=6,
    )
)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_stored_token_does_what_its_owner_cannot_at_that_moment(world, stored):
    full = set(world.as_user("inside").scopes())
    received = world.as_user("inside", stored).scopes()
    held = world.hub.identities.of_user(world.user("inside"))
    from hubless.domain.scopes import parse

    assert all(scope in full or held.covers(parse(scope), lambda _: ("ours",)) for scope in received)


def test_what_an_owner_loses_its_tokens_lose_at_once(world):
    boss = world.as_user("boss")
    assert "admin:users" in boss.scopes()
    assert world.as_token(An.ADMIN_TOKEN).patch("/users/boss", {"admin": False}).status_code == 200
    assert "admin:users" not in boss.scopes()
    assert isinstance(world.user("boss"), User)


def test_leaving_a_group_ends_what_its_role_gave(world):
    world.user("inside", groups=["sharers"])
    inside = world.as_user("inside")
    assert "shares!user=inside" in inside.scopes()
    world.as_token(An.ADMIN_TOKEN).delete("/groups/sharers/users", {"users": ["inside"]})
    assert "shares!user=inside" not in inside.scopes()


@pytest.mark.parametrize(
    "body", [{"expires_in": 0}, {"expires_in": -1}, {"expires_in": 1.5}, {"expires_in": "1"}, {"expires_in": True}]
)
def test_an_expiry_that_is_none_is_refused(world, body):
    assert world.as_user("inside").post("/users/inside/tokens", body).status_code == 400


def test_a_token_that_is_too_long_is_never_hashed(world):
    assert world.as_token("x" * 65).get("/user").status_code == 403
    assert world.as_token("x" * 1_000_000).get("/user").status_code in {403, 431}


def test_an_expired_token_is_none_before_it_is_swept(world, monkeypatch):
    from datetime import timedelta

    inside = world.as_user("inside", expires_at=world.hub.clock.now() + timedelta(seconds=5))
    assert inside.get("/user").status_code == 200
    later = world.hub.clock.now() + timedelta(seconds=6)
    monkeypatch.setattr(type(world.hub.clock), "now", lambda _: later)
    assert inside.get("/user").status_code == 403
    assert world.as_token(An.ADMIN_TOKEN).get("/users/inside/tokens").json() == {"api_tokens": []}


def test_servers_and_clients_of_like_names_never_meet(world):
    from hubless.services.credentials import client_id_of

    admin = world.as_token(An.ADMIN_TOKEN)
    for name in ("x-y", "x"):
        world.user(name)
    admin.put("/users/x/servers/y", {})
    admin.put("/users/x-y/servers/z", {})
    servers = world.hub.servers.of_owners([world.user("x").id, world.user("x-y").id])
    ids = {client_id_of(server.id) for server in servers}
    assert len(ids) == len(servers) == 2
