"""Names that are used again: a new user with an old name inherits nothing."""

import pytest

from tests.api.hub import An


@pytest.fixture
def boss(hub):
    hub.user("boss", admin=True)
    hub.user("bob", groups=["staff"])
    return hub.as_user("boss")


def issued(hub, boss, *scopes):
    made = boss.post("/users/boss/tokens", {"scopes": list(scopes)})
    assert made.status_code == 201, made.text
    return hub.as_token(made.json()["token"])


def test_a_token_for_a_user_follows_the_user_through_a_rename(hub, boss):
    token = issued(hub, boss, "read:users!user=bob", "tokens!user=bob")
    assert token.get("/users/bob").status_code == 200
    assert boss.patch("/users/bob", {"name": "rob"}).status_code == 200
    boss.post("/users/bob", {})
    assert token.get("/users/rob").status_code == 200
    assert token.get("/users/bob").status_code == 404
    assert token.post("/users/bob/tokens", {}).status_code == 403
    assert "read:users!user=rob" in token.scopes()


def test_a_removed_users_token_grants_nothing_to_the_next_of_that_name(hub, boss):
    token = issued(hub, boss, "read:users!user=bob", "servers!server=bob/", "servers!user=bob")
    assert boss.delete("/users/bob").status_code == 204
    boss.post("/users/bob", {})
    assert token.get("/users/bob").status_code == 404
    assert token.post("/users/bob/server", {}).status_code in {403, 404}
    assert token.scopes() == ["read:users:groups!user=boss", "read:users:name!user=boss"]


def test_a_token_for_a_group_is_none_for_the_next_of_that_name(hub, boss):
    token = issued(hub, boss, "groups!group=staff", "list:users!group=staff")
    assert [user["name"] for user in token.get("/users").json()] == ["bob"]
    assert boss.delete("/groups/staff").status_code == 204
    boss.post("/groups/staff", {"users": ["boss"]})
    assert token.get("/groups/staff").status_code == 403
    assert token.get("/users").status_code == 403


def test_a_token_for_a_named_server_follows_it_and_not_its_name(hub, boss):
    boss.put("/users/bob/servers/lab", {})
    token = issued(hub, boss, "read:servers!server=bob/lab")
    assert boss.patch("/users/bob/servers/lab", {"name": "den"}).status_code == 200
    boss.put("/users/bob/servers/lab", {})
    assert token.get("/users/bob/servers/den").status_code == 200
    assert token.get("/users/bob/servers/lab").status_code == 404
    assert boss.delete("/users/bob/servers/den", {"remove": True}).status_code == 204
    boss.put("/users/bob/servers/den", {})
    assert token.get("/users/bob/servers/den").status_code == 403


def test_a_token_may_make_the_server_that_it_is_for(hub, boss):
    token = issued(hub, boss, "servers!server=bob/new")
    assert token.put("/users/bob/servers/new", {}).status_code == 201
    assert token.put("/users/bob/servers/other", {}).status_code == 404
    assert token.post("/users/bob/servers/new", {}).status_code == 202


def test_ones_own_token_by_ones_own_name_follows_a_rename(hub, boss):
    bob = hub.as_user("bob")
    token = hub.as_token(bob.post("/users/bob/tokens", {"scopes": ["read:users!user=bob"]}).json()["token"])
    boss.patch("/users/bob", {"name": "rob"})
    assert token.get("/users/rob").status_code == 200


@pytest.mark.parametrize("scope", ["read:users!user=later", "servers!server=later/lab", "groups!group=later"])
def test_a_filter_by_the_name_of_nobody_is_refused(boss, scope):
    refused = boss.post("/users/boss/tokens", {"scopes": [scope]})
    assert refused.status_code == 400
    assert "No such" in refused.json()["message"]


def test_who_may_not_know_of_others_learns_nothing_of_them_by_a_filter(hub, boss):
    bob = hub.as_user("bob")
    received = {
        bob.post("/users/bob/tokens", {"scopes": [f"read:users!user={name}"]}).text.replace(name, "")
        for name in ("boss", "none")
    }
    assert len(received) == 1


def test_what_a_rename_frees_is_taken_by_somebody_who_has_nothing(hub, boss):
    bob = hub.as_user("bob")
    boss.post("/shares/bob/", {"user": "boss"})
    browser = hub.browser("bob")
    boss.patch("/users/bob", {"name": "rob"})
    next_one = hub.as_user("bob")
    assert next_one.get("/users/bob/tokens").json()["api_tokens"][0]["id"] == next_one.get("/user").json()["token_id"]
    assert len(next_one.get("/users/bob/tokens").json()["api_tokens"]) == 1
    assert next_one.get("/users/bob").json()["groups"] == []
    assert boss.get("/shares/bob").json()["items"] == []
    assert bob.get("/user").json()["name"] == "rob"
    assert "rob" in browser.get("/hub/home").text


def test_a_rename_that_meets_a_start_is_refused(hub, boss):
    boss.post("/users/bob/server", {})
    refused = hub.as_token(An.ADMIN_TOKEN).patch("/users/bob", {"name": "rob"})
    assert refused.status_code == 400
    assert "Stop the servers" in refused.json()["message"]
