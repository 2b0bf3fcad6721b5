"""What the reader says of a real hub's database is what that hub's own API said, for each version."""

from datetime import datetime

import pytest

from hubless.adapters.jupyterhub_database.reading import read
from hubless.domain.imported_secrets import of_text
from hubless.domain.tokens import OwnerKind
from tests.support.jupyterhub_databases import VERSIONS, Made


@pytest.fixture(params=VERSIONS, scope="module")
def made(request):
    return Made(request.param)


@pytest.fixture(scope="module")
def archive(made):
    return read(str(made.path), now=made.at, crypt_keys=made.known["crypt_key"])


def at(text):
    return datetime.fromisoformat(text) if text else None


def test_users_are_those_of_the_api(made, archive):
    found = [(user.name, user.admin, user.created_at, user.last_activity_at) for user in archive.users]
    said = [(u["name"], u["admin"], at(u["created"]), at(u["last_activity"])) for u in made.known["users"]]
    assert sorted(found) == sorted(said)


def test_auth_state_of_all_who_logged_in_is_opened(archive):
    states = {user.name: user.auth_state for user in archive.users if user.auth_state is not None}
    assert states == {n: {"access_token": f"upstream-{n}", "n": 1, "é": "ü"} for n in ("ada", "bob", "carol")}


def test_groups_are_those_of_the_api(made, archive):
    found = {group.name: (list(group.users), group.properties) for group in archive.groups}
    said = {g["name"]: (sorted(g["users"]), g.get("properties", {})) for g in made.known["groups"]}
    assert found == said
    assert len(found) == 3


def test_roles_are_held_by_those_whom_the_api_names(made, archive):
    held = {u["name"]: set(u.get("roles", ())) for u in made.known["users"]}
    found = {name: {role.name for role in archive.roles if name in role.users} for name in held}
    assert found == held
    groups = {g["name"]: set(g.get("roles", ())) for g in made.known["groups"]}
    assert groups == {name: {role.name for role in archive.roles if name in role.groups} for name in groups}
    services = {name: set(s.get("roles", ())) for name, s in made.known["service models"].items()}
    assert services == {name: {role.name for role in archive.roles if name in role.services} for name in services}


def test_roles_that_a_login_gave_are_told_from_others(made, archive):
    grader = next((role for role in archive.roles if role.name == "grader"), None)
    if made.major == 1:
        assert not archive.roles
    else:
        assert grader.users == ("bob",)
        assert grader.users_by_auth == (("bob",) if made.major == 6 else ())
        assert "read:servers!user=carol" in grader.scopes


def test_services_are_those_of_the_api(made, archive):
    found = {s.name: (s.admin, s.url or "", dict(s.info), s.display) for s in archive.services}
    said = {
        name: (s["admin"], s["url"], s.get("info", {}), s.get("display", True))
        for name, s in made.known["service models"].items()
    }
    assert found == said
    assert {s.name for s in archive.services if not s.from_settings} == ({"late"} if made.major >= 5 else set())


def test_the_secret_of_a_services_client_is_its_token(made, archive):
    clients = {s.name: s for s in archive.services if s.oauth_client_id}
    assert set(clients) == ({"dash", "late"} if made.major >= 5 else {"dash"})
    for name, service in clients.items():
        assert service.oauth_client_id == f"service-{name}"
        assert of_text(service.client_secret_hash).matches(made.known["services"][name])
        assert not of_text(service.client_secret_hash).matches("another")
    assert clients["dash"].oauth_redirect_uri == "/services/dash/oauth_callback"
    assert clients["dash"].oauth_client_allowed_scopes == ()


def test_servers_are_those_that_were_started(made, archive):
    found = {(s.owner, s.name): (s.user_options, s.last_activity_at) for s in archive.servers}
    said = {}
    for user in made.known["users"]:
        for name, server in user["servers"].items():
            if server["last_activity"]:
                said[user["name"], name] = (server["user_options"] or {}, at(server["last_activity"]))
    assert {place: of for place, of in found.items() if place in said} == said
    stopped = set() if made.major < 4 else {("ada", ""), ("bob", "old")}
    assert stopped <= set(said)  # older hubs' APIs leave out those that are stopped
    assert set(found) == {("ada", ""), ("bob", "old"), ("bob", "work"), ("carol", "")}


def test_display_names_come_from_the_version_that_has_them(made, archive):
    names = {(s.owner, s.name): s.display_name for s in archive.servers}
    assert names["bob", "work"] == ("Wörk, really" if made.major >= 6 else "")
    assert {s.profile for s in archive.servers if s.owner == "carol"} == {"large"}


def test_each_secret_that_worked_is_one_tokens(made, archive):
    alive = [one for one in made.known["tokens"] if one["asked"]["note"] != "gone"]
    assert all(one["status"] == 200 for one in alive)
    for one in alive:
        (token,) = [token for token in archive.tokens if of_text(token.hashed).matches(one["token"])]
        assert (token.owner_kind, token.owner) == (OwnerKind.USER, one["user"])
        assert token.note == one["asked"]["note"]
        assert of_text(token.hashed).prefix == one["token"][:4]
        assert (token.expires_at is not None) == ("expires_in" in one["asked"])
    for name, secret in made.known["services"].items():
        (token,) = [t for t in archive.tokens if t.owner == name and of_text(t.hashed).matches(secret)]
        assert token.owner_kind is OwnerKind.SERVICE
    assert len(archive.tokens) == len(alive) + len(made.known["services"])


def test_a_token_may_what_was_asked_for(made, archive):
    grader = next((list(role.scopes) for role in archive.roles if role.name == "grader"), None)
    of_roles = {"grader": grader, "token": ["inherit"]}  # JupyterHub 2's roles of tokens
    for token in archive.tokens:
        asked = next((t["asked"] for t in made.known["tokens"] if t["asked"]["note"] == token.note), {})
        roles = [scope for role in asked.get("roles", ["token"]) for scope in of_roles[role]]
        assert sorted(token.scopes) == sorted(asked.get("scopes", roles)), asked
    assert (() in {token.scopes for token in archive.tokens}) == (made.major >= 3)


def test_what_stays_behind_is_counted_and_not_listed(made, archive):
    counted = {r.what.rsplit(": ", 1)[0]: int(r.what.rsplit(": ", 1)[1]) for r in archive.remarks if r.kind == "token"}
    assert counted.pop("Tokens that belong to servers") == 2
    assert counted.pop("Tokens that were issued to OAuth clients, which are services and servers") == 1
    assert counted in ({}, {"Tokens that expired": 1})  # JupyterHub 4 and later delete it when it is asked for


def test_shares_and_codes_are_those_of_the_api(made, archive):
    found = {(s.owner, s.server, s.user, s.group, s.scopes, s.created_at) for s in archive.shares}
    said = {
        (
            "bob",
            "work",
            (s["user"] or {}).get("name"),
            (s["group"] or {}).get("name"),
            ("access:servers",),
            at(s["created_at"]),
        )
        for s in made.known.get("shares", ())
    }
    assert found == said
    assert len(found) == (2 if made.major >= 5 else 0)
    assert [of_text(code.hashed).matches(made.known["share code"]) for code in archive.share_codes] == (
        [True] if made.major >= 5 else []
    )


def test_a_report_has_no_secret(made, archive):
    everything = repr(archive)
    for secret in ("sha512:", "upstream-", made.known["crypt_key"], made.known["tokens"][0]["token"]):
        assert secret not in everything
