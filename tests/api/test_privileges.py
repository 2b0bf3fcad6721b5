"""Nobody who is no admin comes to act with more rights than its own, by any sequence of requests."""

import re
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hubless.domain.roles import Role
from hubless.domain.scopes import IDENTIFY, Bearer, Scopes, expand
from tests.api.hub import An, build_hub

HUB = f"""
[login]
kind = "password"

[servers]
named_limit = 5

[[services]]
name = "admin"
token = "{An.ADMIN_TOKEN}"
admin = true

[[roles]]
name = "helpers"
scopes = ["read:hub"]
users = ["anna"]

[[roles]]
name = "teachers"
scopes = ["read:hub"]
users = ["tina", "tom"]

[[roles]]
name = "staff"
scopes = ["read:hub"]
groups = ["staff"]
"""
DRAWN = (
    "admin:users",
    "admin:users!group=ours",
    "tokens",
    "tokens!group=ours",
    "groups",
    "groups!group=ours",
    "admin:groups",
    "admin:services",
    "admin-ui",
    "list:users",
    "servers",
    "servers!group=ours",
    "access:servers",
    "shares!group=ours",
    "read:users:name",
    "read:groups:name",
)
USERS = ("anna", "inside", "outside", "tina", "mel", "boss", "made")
GROUPS = ("ours", "theirs", "staff")
ALLOWED = ("self", "inherit", "tokens!user", "servers!user", "read:users:name", "admin:users", "access:servers!server")


@pytest.fixture
def world(tmp_path):
    return build_world(tmp_path)


def build_world(folder):
    """Return a hub with users of many rights: by a role, by a group, by a shared server, and an admin."""
    hub = build_hub(folder, HUB)
    for name, group in (("anna", None), ("inside", "ours"), ("outside", "theirs"), ("mel", "staff")):
        hub.user(name, groups=[group] if group else [])
    hub.user("tina")
    hub.user("boss", admin=True)
    admin = hub.as_token(An.ADMIN_TOKEN)
    admin.put("/users/outside/servers/lab", {})
    return hub


def give(hub, role, *scopes):
    hub.hub.roles[role] = replace(hub.hub.roles[role], scopes=scopes)


def browser_of(hub, name):
    """Return a browser in which the user of this name has a session."""
    browser = hub.browser()
    user = hub.user(name)
    _, secret = hub.hub.logins.open_session(user, "a browser")
    browser.cookies.set("jupyterhub-hub-login", secret, domain="hub.test", path="/hub/")
    browser.get("/hub/home")
    return browser


def link_for(browser, name):
    page = browser.submit(f"/hub/admin/users/{name}/password-link")
    shown = browser.get(page.headers["location"]) if page.status_code == 303 else page
    found = re.search(r"/hub/set-password\?key=(\w+)", shown.text)
    return page, found and found[1]


# --- one by one -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tina", "mel", "boss"])
def test_a_helper_takes_over_nobody_who_may_do_more(world, name):
    give(world, "helpers", "admin:users", "tokens", "admin-ui")
    anna, browser = world.as_user("anna"), browser_of(world, "anna")
    page, secret = link_for(browser, name)
    assert (page.status_code, secret) == (403, None)
    assert anna.post(f"/users/{name}/tokens", {}).status_code == 403
    assert anna.post(f"/users/{name}/tokens", {"scopes": ["inherit"]}).status_code == 403
    assert anna.patch(f"/users/{name}", {"name": "renamed"}).status_code == 403
    assert world.hub.users.find("renamed") is None


def test_a_helper_manages_users_who_may_do_no_more_than_any(world):
    give(world, "helpers", "admin:users", "tokens", "admin-ui")
    anna, browser = world.as_user("anna"), browser_of(world, "anna")
    page, secret = link_for(browser, "inside")
    assert page.status_code == 303
    assert world.hub.accounts.use_link(secret, "long enough").name == "inside"
    assert anna.post("/users/inside/tokens", {}).status_code == 201
    assert anna.patch("/users/inside", {"name": "insider"}).status_code == 200
    assert anna.post("/users", {"usernames": ["new"]}).status_code == 201


def test_a_helper_manages_who_has_what_the_helper_has(world):
    give(world, "helpers", "admin:users", "tokens", "admin-ui", "list:users")
    give(world, "teachers", "list:users")
    page, _ = link_for(browser_of(world, "anna"), "tina")
    assert page.status_code == 303
    assert world.as_user("anna").post("/users/tina/tokens", {}).status_code == 201


def test_what_is_shared_with_somebody_is_more_than_a_helper_has(world):
    give(world, "helpers", "admin:users", "tokens", "admin-ui")
    admin = world.as_token(An.ADMIN_TOKEN)
    assert admin.post("/shares/outside/lab", {"user": "inside"}).status_code == 200
    assert link_for(browser_of(world, "anna"), "inside")[1] is None
    anna = world.as_user("anna")
    assert anna.post("/users/inside/tokens", {}).status_code == 403
    assert anna.post("/users/inside/tokens", {"scopes": ["servers!user"]}).status_code == 201


def test_a_group_with_which_a_server_is_shared_is_no_way_to_it(world):
    give(world, "helpers", "groups", "groups!group=ours")
    world.as_token(An.ADMIN_TOKEN).post("/shares/outside/lab", {"group": "ours"})
    anna = world.as_user("anna")
    refused = anna.post("/groups/ours/users", {"users": ["anna"]})
    assert refused.status_code == 403
    assert "access:servers" not in " ".join(set(anna.scopes()) - {"access:servers!user=anna"})


def test_nobody_pulls_a_user_into_the_group_it_administers(world):
    give(world, "helpers", "admin:users!group=ours", "groups!group=ours", "admin-ui")
    anna = world.as_user("anna")
    refused = anna.post("/groups/ours/users", {"users": ["outside"]})
    assert refused.status_code == 403
    assert "admin:users" in refused.json()["message"]
    assert world.user("outside").groups == ("theirs",)
    assert anna.post("/groups/ours/users", {"users": ["inside", "anna"]}).status_code == 200


def test_nobody_takes_a_group_away_to_act_as_its_member(world):
    give(world, "helpers", "admin:users", "admin:groups", "admin-ui")
    anna = world.as_user("anna")
    refused = anna.delete("/groups/staff/users", {"users": ["mel"]})
    assert (refused.status_code, anna.delete("/groups/staff").status_code) == (403, 403)
    assert "only an admin takes mel out" in refused.json()["message"]
    assert world.user("mel").groups == ("staff",)
    assert anna.delete("/groups/ours/users", {"users": ["inside"]}).status_code == 200
    assert anna.delete("/groups/theirs").status_code == 204
    assert world.as_token(An.ADMIN_TOKEN).delete("/groups/staff").status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/groups/ours/shared/outside/lab", None),
        ("DELETE", "/users/inside/shared/outside/lab", None),
        ("PATCH", "/shares/outside/lab", {"group": "ours"}),
        ("PATCH", "/shares/outside/lab", {"user": "inside", "scopes": ["servers"]}),
        ("DELETE", "/shares/outside/lab", None),
    ],
)
def test_nobody_revokes_a_share_to_act_as_who_had_it(world, method, path, body):
    give(world, "helpers", "admin:users", "groups", "shares", "users:shares", "groups:shares", "admin-ui")
    admin = world.as_token(An.ADMIN_TOKEN)
    for to in ({"user": "inside"}, {"group": "ours"}):
        assert admin.post("/shares/outside/lab", to | {"scopes": ["servers"]}).status_code == 200
    anna = world.as_user("anna")
    refused = anna(method, path, json=body)
    assert (refused.status_code, "you may not" in refused.json()["message"]) == (403, True)
    assert len(admin.get("/shares/outside/lab").json()["items"]) == 2
    assert anna.delete("/groups/ours/users", {"users": ["inside"]}).status_code == 403
    assert link_for(browser_of(world, "anna"), "inside")[1] is None
    assert admin(method, path, json=body).status_code in {200, 204}


def test_owners_and_who_has_it_revoke_a_share(world):
    admin = world.as_token(An.ADMIN_TOKEN)
    to = {"user": "inside", "scopes": ["admin:server_state"]}
    assert admin.post("/shares/outside/lab", to).status_code == 200
    assert world.as_user("inside").delete("/users/inside/shared/outside/lab").status_code == 204
    assert admin.post("/shares/outside/lab", to).status_code == 200
    give(world, "helpers", "shares!user=outside")
    assert world.as_user("anna").delete("/shares/outside/lab").status_code == 403
    give(world, "helpers", "shares!user=outside", "admin:servers!user=outside")
    assert world.as_user("anna").delete("/shares/outside/lab").status_code == 204
    assert admin.post("/shares/outside/lab", to).status_code == 200
    give(world, "helpers", "shares!user=outside")
    assert world.as_user("outside", ("shares!user",)).delete("/shares/outside/lab").status_code == 403
    give(world, "user", *world.hub.roles["user"].scopes, "shares!user")
    assert world.as_user("outside", ("shares!user",)).delete("/shares/outside/lab").status_code == 204


def test_who_may_do_what_a_group_gives_takes_it_from_members(world):
    give(world, "helpers", "groups", "list:users")
    give(world, "staff", "list:users")
    assert world.as_user("anna").delete("/groups/staff/users", {"users": ["mel"]}).status_code == 200


def test_a_large_group_is_removed_without_a_look_at_each_member(world, monkeypatch):
    give(world, "helpers", "admin:groups", "list:users")
    give(world, "staff", "list:users")
    for number in range(20):
        world.user(f"member{number}", groups=["staff"])
    anna, store, asked = world.as_user("anna"), type(world.hub.users), []
    find = store.find
    monkeypatch.setattr(store, "find", lambda self, name: asked.append(name) or find(self, name))
    assert anna.delete("/groups/staff").status_code == 204
    assert len(asked) < 5


def test_who_only_reads_of_a_group_may_add_to_it(world):
    give(world, "helpers", "read:users!group=ours", "groups!group=ours")
    assert world.as_user("anna").post("/groups/ours/users", {"users": ["outside"]}).status_code == 200


def test_a_link_ends_when_its_user_gets_more_than_its_maker_could_give(world):
    give(world, "helpers", "admin:users", "admin-ui")
    _, secret = link_for(browser_of(world, "anna"), "inside")
    world.as_token(An.ADMIN_TOKEN).patch("/users/inside", {"admin": True})
    assert world.hub.accounts.user_of_link(secret) is None
    assert world.browser().get(f"/hub/set-password?key={secret}").status_code == 404
    of_admin = world.hub.accounts.password_link("inside").partition("key=")[2]
    assert world.hub.accounts.user_of_link(of_admin).name == "inside"


def test_who_was_somebody_before_becomes_no_admin_with_that_user(world):
    """By its first link the helper opens a session and makes a token; the user sets a password by a second one."""
    give(world, "helpers", "admin:users", "admin-ui")
    helper = browser_of(world, "anna")
    _, secret = link_for(helper, "inside")
    world.hub.accounts.use_link(secret, "long enough")
    as_inside = browser_of(world, "inside")
    as_inside.submit("/hub/token")
    token = re.search(r'value="([0-9a-f]{32})"', as_inside.get("/hub/token").text)[1]
    boss = browser_of(world, "boss")
    assert boss.submit("/hub/admin/users/inside/admin", admin="1").status_code == 303
    assert world.user("inside").admin
    assert as_inside.get("/hub/home").status_code == 302
    assert world.as_token(token).get("/user").status_code == 403
    _, secret = link_for(boss, "inside")
    page = world.browser().get(f"/hub/set-password?key={secret}").text
    assert re.search(r'name="revoke_tokens" value="1" checked', page)
    assert not re.search(r'name="keep_sessions" value="1" checked', page)


def test_a_token_from_somebody_else_does_not_grow(world):
    give(world, "helpers", "tokens")
    made = world.as_user("anna").post("/users/inside/tokens", {}).json()["token"]
    assert "servers!user=inside" in world.as_token(made).scopes()
    world.as_token(An.ADMIN_TOKEN).patch("/users/inside", {"admin": True})
    assert "admin:users" not in world.as_token(made).scopes()


def test_a_narrow_token_of_an_admin_is_no_admin(world):
    narrow = world.as_user("boss", ["admin:users", "tokens"])
    assert narrow.post("/users/new", {"admin": True}).status_code == 403
    assert narrow.patch("/users/inside", {"admin": True}).status_code == 403
    assert narrow.post("/users/boss/tokens", {}).status_code == 403
    assert narrow.post("/users/boss/tokens", {"scopes": ["admin:users"]}).status_code == 201
    assert world.as_user("boss").post("/users/new", {"admin": True}).status_code == 201


@pytest.mark.parametrize("scope", ALLOWED)
def test_a_client_asks_for_what_its_maker_has_of_any_visitor(world, scope):
    give(world, "helpers", "admin:services", "read:users:name")
    body = {"api_token": "a-client-token-0123", "url": "http://x", "oauth_client_allowed_scopes": [scope]}
    answer = world.as_user("anna").post("/services/mine", body)
    if scope == "read:users:name":
        assert answer.status_code == 201
    else:
        assert answer.status_code == 400
        assert scope in answer.json()["message"]
        assert world.as_token(An.ADMIN_TOKEN).post("/services/mine", body).status_code == 201


def test_who_may_do_something_for_all_may_let_a_client_ask_for_it(world):
    give(world, "helpers", "admin:services", "servers")
    body = {"api_token": "a-client-token-0123", "url": "http://x", "oauth_client_allowed_scopes": ["servers!user"]}
    assert world.as_user("anna").post("/services/mine", body).status_code == 201


def test_only_an_admin_lets_a_service_skip_consent_or_be_an_admin(world):
    world.hub.roles["helpers"] = Role("helpers", world.hub.roles["admin"].scopes, users=frozenset({"anna"}))
    anna = world.as_user("anna")
    for body in ({"api_token": "a-client-token-0123", "url": "http://x", "oauth_no_confirm": True}, {"admin": True}):
        assert anna.post("/services/mine", body).status_code == 403
        assert world.as_token(An.ADMIN_TOKEN).post("/services/mine", body).status_code == 201
        assert anna.delete("/services/mine").status_code == 200


def test_a_service_that_is_made_again_has_no_consent_of_the_old_one(world):
    admin, hub = world.as_token(An.ADMIN_TOKEN), world.hub
    body = {"api_token": "a-client-token-0123", "url": "http://x", "oauth_client_allowed_scopes": ["servers!user"]}
    admin.post("/services/mine", body)
    client, inside = hub.services.client("service-mine"), world.user("inside")
    granted = hub.authorizations.granted(inside, client, ["servers!user"])
    hub.tokens.issue_to(inside, note="", expires_in=None, raw_scopes=["servers!user"], client_id=client.id)
    give(world, "helpers", "admin:services", "servers")
    anna = world.as_user("anna")
    assert anna.delete("/services/mine").status_code == 200
    assert anna.post("/services/mine", body | {"oauth_redirect_uri": "http://elsewhere/"}).status_code == 201
    assert hub.authorizations.needs_consent(inside, hub.services.client("service-mine"), granted)


# --- any sequence of requests -----------------------------------------------------------------------------------------


class Asker:
    """Somebody who is no admin, and everybody whom it has come to act as."""

    def __init__(self, hub):
        self.hub, self.turn = hub, count()
        self.api, self.browsers = [hub.as_user("anna")], [browser_of(hub, "anna")]
        self.gained = []  # functions that return scopes
        self.acts_as = {hub.user("anna").id}

    def link(self, who, target, **_):
        _, secret = link_for(self.browsers[who % len(self.browsers)], target)
        if secret:
            user = self.hub.hub.accounts.use_link(secret, "long enough")
            self.acts_as.add(user.id)
            self.browsers.append(browser_of(self.hub, user.name))
            self.api.append(self.hub.as_user(user.name))
            self.gained.append(lambda: self.hub.hub.identities.of_user(self.hub.hub.users.get(user.id)))

    def token(self, who, target, scope, **_):
        made = self.act(who).post(f"/users/{target}/tokens", {} if scope is None else {"scopes": [scope]})
        if made.status_code == 201:
            secret = made.json()["token"]
            self.api.append(self.hub.as_token(secret))
            self.gained.append(lambda: self.hub.hub.identities.of_token(secret).scopes)

    def member(self, who, target, group, **_):
        self.act(who).post(f"/groups/{group}/users", {"users": [target]})

    def group(self, who, target, group, **_):
        self.act(who).delete(f"/groups/{group}")
        self.act(who).post(f"/groups/{group}", {"users": [target]})

    def leave(self, who, target, group, **_):
        self.act(who).delete(f"/groups/{group}/users", {"users": [target]})

    def rename(self, who, target, **_):
        if target != "anna":
            self.act(who).patch(f"/users/{target}", {"name": "tom"})

    def make(self, who, target, **_):
        for name in ("tom", "made"):
            self.act(who).post(f"/users/{name}", {})

    def remake(self, who, target, **_):
        if target != "anna":
            self.act(who).delete(f"/users/{target}")
            self.act(who).post(f"/users/{target}", {})

    def promote(self, who, target, **_):
        self.act(who).patch(f"/users/{target}", {"admin": True})

    def share(self, who, target, **_):
        self.act(who).post(f"/shares/{target}/", {"user": "anna"})

    def service(self, who, target, scope, **_):
        """Add a client; the admin follows its link and consents, as somebody talks the admin into."""
        name = f"client{next(self.turn)}"
        body = {"api_token": f"{name}-token-0123456", "url": "http://x"}
        if scope:
            body["oauth_client_allowed_scopes"] = [scope]
        if self.act(who).post(f"/services/{name}", body).status_code == 201:
            hub = self.hub.hub
            boss, client = self.hub.user("boss"), hub.services.client(f"service-{name}")
            granted = hub.authorizations.granted(boss, client, client.allowed_scopes)
            asked = expand(granted, Bearer(user="boss", service=name))
            own = expand((*IDENTIFY, f"access:services!service={name}"), Bearer(user="boss")).all
            held = asked.intersection(hub.identities.of_user(boss), hub.identities.groups_of(boss))
            self.gained.append(lambda: Scopes(held.all - own))

    def act(self, who):
        return self.api[who % len(self.api)]


STEP = st.fixed_dictionaries(
    {
        "what": st.sampled_from(
            ["link", "token", "member", "group", "leave", "rename", "make", "remake", "promote", "share", "service"]
        ),
        "who": st.integers(0, 3),
        "target": st.sampled_from((*USERS, "tom")),
        "group": st.sampled_from(GROUPS),
        "scope": st.sampled_from([None, *ALLOWED]),
    }
)
SCOPES = st.lists(st.sampled_from(DRAWN), max_size=5, unique=True)


def a_case(own, *steps, others=("servers",), shares=True):
    """Return an example: what the asker holds, what others hold, and the steps as `what target [group or scope]`."""
    usual = {"who": 0, "group": "ours", "scope": None}
    words = [step.split() for step in steps]
    return example(
        roles={"helpers": list(own), "teachers": list(others), "staff": list(others)},
        shares=shares,
        steps=[
            usual | {"what": what, "target": target} | ({"group": more[0], "scope": more[0]} if more else {})
            for what, target, *more in words
        ],
    )


@given(
    roles=st.fixed_dictionaries({"helpers": SCOPES, "teachers": SCOPES, "staff": SCOPES}),
    shares=st.booleans(),
    steps=st.lists(STEP, min_size=1, max_size=8),
)
@a_case(["admin:users"], "link tina", "link mel", "link boss", "link inside")
@a_case(["tokens"], "token tina", "token mel", "token boss", "token inside")
@a_case(["admin:users", "groups"], "link outside", "member outside staff", "leave mel staff", "link mel")
@a_case(["admin:users!group=ours", "groups!group=ours"], "member outside", "link outside")
@a_case(["admin:groups", "servers!group=ours"], "group outside ours", "member tina ours")
@a_case(["admin:users"], "rename tina", "make tom", "link tom", "promote inside")
@a_case(["admin:users"], "remake tina", "remake outside", "remake boss", "link tina", "link outside")
@a_case(["admin:services"], *(f"service boss {scope}" for scope in ALLOWED))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_sequence_of_requests_reaches_more_than_the_asker_has(tmp_path_factory, roles, shares, steps):
    hub = build_world(tmp_path_factory.mktemp("hub"))
    for role, scopes in roles.items():
        give(hub, role, *scopes)
    if shares:
        for to in ({"user": "inside"}, {"group": "ours"}):
            hub.as_token(An.ADMIN_TOKEN).post("/shares/outside/lab", to)
    before = {user.name: user for user in hub.hub.accounts.all()}
    held = hub.hub.identities.of_user(before["anna"])
    asker = Asker(hub)
    for step in steps:
        getattr(asker, step["what"])(**{key: value for key, value in step.items() if key != "what"})

    present = {user.id: user for user in hub.hub.accounts.all()}
    manages = [
        present[user.id].name
        for user in before.values()
        if user.id in present and any(held.covers_user(s, user.name, user.groups) for s in ("admin:users", "tokens"))
    ]
    made = [user.name for user in present.values() if user.id not in {one.id for one in before.values()}]
    managed = expand(
        [f"{s.name}!user={name}" for name in (*manages, *made) for s in expand(["self"], Bearer(user=name)).all],
        Bearer(),
    )
    allowed = held | managed
    groups = {user.name: user.groups for user in before.values()}
    reached = [hub.hub.identities.of_user(present[before["anna"].id]), *(gained() for gained in asker.gained)]
    more = {
        str(scope)
        for found in reached
        for scope in found.all
        if not allowed.covers(scope, lambda name: groups.get(name, ()))
    }
    assert not more
    for found in reached:  # nor does what it has reach users whom it did not
        for was in before.values():
            user = present.get(was.id)
            if user is None or user.id in asker.acts_as:
                continue
            for name in ("admin:users", "tokens", "servers", "access:servers"):
                assert not found.covers_user(name, user.name, user.groups) or allowed.covers_user(
                    name, user.name, was.groups
                )
