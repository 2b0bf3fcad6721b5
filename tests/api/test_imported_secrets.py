"""Tokens and share codes of a JupyterHub that were imported go on working."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.imported_secrets import ImportedHash
from hubless.domain.shares import ShareCode
from hubless.domain.tokens import OwnerKind, Token, sha256
from hubless.services.identifiers import new_id
from hubless.services.imported_secret_checks import AT_ONCE
from tests.api.hub import An
from tests.support.builders import NOW, an_imported_hash
from tests.support.concurrency import concurrently

SECRET = "7ca4c7f05a0d4b2f9c4a6a1b2c3d4e5f"
CONFIGURED = "service-checker-of-old-times-0123"


@pytest.fixture
def imported(hub):
    """Return a function that stores a token as an import does."""

    def store(secret=SECRET, rounds=1, *, owner="alice", **facts):
        now = hub.hub.clock.now()
        standard = {
            "id": new_id("a", now),
            "sha256": an_imported_hash(secret, rounds),
            "owner_kind": OwnerKind.USER,
            "owner_id": hub.user(owner).id,
            "scopes": ("inherit",),
            "created_at": now,
        }
        token = Token(**standard | facts)
        hub.hub.token_store.create(token)
        return token

    return store


def hash_of(hub, token):
    return hub.hub.token_store.get(token.owner_kind, token.owner_id, token.id).sha256


@pytest.mark.parametrize("rounds", [1, 16_384])
def test_an_imported_token_works_and_gets_our_hash_at_first_use(hub, imported, rounds):
    token = imported(rounds=rounds)
    other = imported("7ca4c7f05a0d4b2f9c4a6a1b2c3d4e50", rounds, owner="bob")
    for _ in range(2):
        assert hub.as_token(SECRET).get("/user").json()["name"] == "alice"
        assert hash_of(hub, token) == sha256(SECRET)
    assert hash_of(hub, other) == other.sha256


@pytest.mark.parametrize("wrong", [SECRET[:-1], SECRET + "0", SECRET[:4], SECRET.upper(), "7ca4" * 8, "7ca4" * 16])
def test_a_wrong_secret_of_the_same_prefix_is_refused(hub, imported, wrong):
    token = imported()
    assert hub.as_token(wrong).get("/user").status_code == 403
    assert hash_of(hub, token) == token.sha256


def test_the_hash_of_another_hub_is_no_secret_itself(hub, imported):
    token = imported()
    digest = token.sha256.split(":")[3]
    for stolen in (token.sha256, token.sha256[:64], digest, digest[:64], f"7ca4{digest[:28]}"):
        assert hub.as_token(stolen).get("/user").status_code == 403


def test_a_secret_longer_than_jupyterhubs_is_not_compared(hub, imported, monkeypatch):
    imported("7ca4" * 17)
    monkeypatch.setattr(ImportedHash, "matches", lambda *_: pytest.fail("compared"))
    assert hub.as_token("7ca4" * 17).get("/user").status_code == 403


def test_an_unused_token_works_after_a_crash_before_it_was_adopted(hub, imported, monkeypatch):
    token, store = imported(), type(hub.hub.token_store)
    with monkeypatch.context() as broken:
        broken.setattr(store, "adopt", lambda *_: (_ for _ in ()).throw(RuntimeError("crash")))
        assert hub.as_token(SECRET).get("/user").status_code == 500
    assert hash_of(hub, token) == token.sha256
    assert hub.as_token(SECRET).get("/user").status_code == 200
    assert hash_of(hub, token) == sha256(SECRET)


def test_of_two_first_uses_at_once_both_are_the_same_token(hub, imported):
    token, identities = imported(), hub.hub.identities
    actors = concurrently(lambda _: identities.of_token(SECRET))
    assert {actor.token.id for actor in actors} == {token.id}
    assert hash_of(hub, token) == sha256(SECRET)


def test_a_use_between_another_ones_reads_finds_the_token_all_the_same(hub, imported, monkeypatch):
    token, store = imported(), hub.hub.token_store
    look_up = type(store).look_up

    def adopted_right_after(self, digest, prefix):
        found = look_up(self, digest, prefix)
        store.adopt(token, sha256(SECRET), NOW)
        return found

    monkeypatch.setattr(type(store), "look_up", adopted_right_after)
    assert hub.as_token(SECRET).get("/user").json()["name"] == "alice"


def test_a_token_that_ends_between_the_reads_opens_nothing(hub, imported, monkeypatch):
    token, store = imported(), hub.hub.token_store
    look_up = type(store).look_up

    def ended_right_after(self, digest, prefix):
        found = look_up(self, digest, prefix)
        store.delete([token.id])
        return found

    monkeypatch.setattr(type(store), "look_up", ended_right_after)
    assert hub.as_token(SECRET).get("/user").status_code == 403
    assert hub.hub.token_store.of_owner(OwnerKind.USER, token.owner_id) == []


def test_an_expired_imported_token_opens_nothing_and_is_left_alone(hub, imported):
    token = imported(expires_at=hub.hub.clock.now() - timedelta(seconds=1))
    assert hub.as_token(SECRET).get("/user").status_code == 403
    assert hash_of(hub, token) == token.sha256


def test_scopes_mean_what_they_meant(hub, imported):
    hub.user("root", admin=True)
    hub.user("alice")
    hub.user("bob")
    imported("aaaa-inherits", owner="root")
    imported("bbbb-names-it-only", owner="root", scopes=())
    imported("cccc-filtered", owner="root", scopes=("read:users:name!user=alice", "tokens!user=bob"))
    assert hub.as_token("aaaa-inherits").get("/users").status_code == 200
    narrow = hub.as_token("bbbb-names-it-only")
    assert (narrow.get("/user").json()["name"], narrow.get("/users").status_code) == ("root", 403)
    filtered = hub.as_token("cccc-filtered")
    assert filtered.get("/users/alice").json()["name"] == "alice"
    assert filtered.get("/users/carol").status_code == 404
    assert filtered.get("/users/bob/tokens").status_code == 200
    assert filtered.get("/users/alice/tokens").status_code == 404


def test_lists_show_an_imported_token_without_its_hash_and_delete_it(hub, imported):
    token = imported(note="of old times", last_activity_at=None)
    alice = hub.as_token(SECRET)
    answer = alice.get("/users/alice/tokens")
    (model,) = answer.json()["api_tokens"]
    assert (model["id"], model["note"], model["user"]) == (token.id, "of old times", "alice")
    assert model["last_activity"] is not None
    assert not {token.sha256, sha256(SECRET)} & set(map(str, model.values()))
    assert token.sha256.split(":")[3] not in answer.text
    assert alice.delete(f"/users/alice/tokens/{token.id}").status_code == 204
    assert alice.get("/user").status_code == 403


def test_an_imported_token_survives_a_rename_and_ends_with_its_user(hub, admin, imported):
    imported()
    assert admin.patch("/users/alice", {"name": "alicia"}).status_code == 200
    assert hub.as_token(SECRET).get("/user").json()["name"] == "alicia"
    assert admin.delete("/users/alicia").status_code == 204
    assert hub.as_token(SECRET).get("/user").status_code == 403


def test_a_service_of_settings_goes_on_with_its_imported_tokens(hub, imported):
    for secret, rounds in ((CONFIGURED, 16_384), (SECRET, 1)):
        imported(secret, rounds, owner_kind=OwnerKind.SERVICE, owner_id="admin")
        service = hub.as_token(secret)
        for _ in range(2):
            assert service.get("/user").json()["name"] == "admin"
            assert service.get("/users").status_code == 200
    assert hub.as_token(An.ADMIN_TOKEN).get("/user").json()["name"] == "admin"


@pytest.fixture
def code(hub, admin):
    """A share code that was imported, of olga's server."""
    hub.user("olga", groups=["sharers"])
    assert admin.put("/users/olga/servers/lab", {}).status_code == 201
    server, now = hub.hub.servers.find(hub.user("olga").id, "lab"), hub.hub.clock.now()
    made = ShareCode(
        new_id("sc_", now), an_imported_hash(SECRET), server.id, ("access:servers",), now, now + timedelta(days=1)
    )
    hub.hub.share_codes.create(made)
    return made


def test_an_imported_share_code_is_accepted_again_and_again(hub, admin, bob, code):
    hub.user("carol")
    for name in ("bob", "carol"):
        assert hub.hub.sharing.accept(SECRET, hub.user(name)).code.id == code.id
    assert hub.hub.share_codes.find(sha256(SECRET)) == replace(
        hub.hub.share_codes.find(sha256(SECRET)), id=code.id, exchange_count=2
    )
    assert bob.get("/users/bob/shared/olga/lab").status_code == 200
    (shown,) = admin.get("/share-codes/olga/lab").json()["items"]
    assert shown["id"] == code.id


def test_an_imported_share_code_is_withdrawn_by_its_secret(hub, admin, code):
    assert admin.delete("/share-codes/olga/lab?code=7ca4wrong").status_code == 404
    assert admin.delete(f"/share-codes/olga/lab?code={SECRET}").status_code == 204
    assert hub.hub.share_codes.find(code.sha256) is None
    assert admin.get("/share-codes/olga/lab").json()["items"] == []


def test_a_code_of_another_server_is_not_withdrawn(hub, admin, code):
    assert admin.put("/users/olga/servers/other", {}).status_code == 201
    assert admin.delete(f"/share-codes/olga/other?code={SECRET}").status_code == 404
    assert hub.hub.sharing.find_code(SECRET, hub.user("bob")).code.id == code.id


def test_a_flood_of_wrong_tokens_is_put_off_and_the_right_one_waits(hub, imported, monkeypatch):
    token, start = imported(CONFIGURED, 16_384), hub.hub.clock.now()
    monkeypatch.setattr(type(hub.hub.clock), "now", lambda _self: start)
    answers = [hub.as_token(f"{CONFIGURED[:4]}{number}").get("/user") for number in range(AT_ONCE + 1)]
    assert [answer.status_code for answer in answers] == [403] * AT_ONCE + [429]
    assert answers[-1].headers["retry-after"] == "1"
    assert "Send it again" in answers[-1].json()["message"]
    assert hub.as_token(CONFIGURED).get("/user").status_code == 429
    assert hub.as_token("none-begins-like-this").get("/user").status_code == 403
    assert hub.as_token(An.ADMIN_TOKEN).get(f"/authorizations/token/{CONFIGURED}").status_code == 429

    monkeypatch.setattr(type(hub.hub.clock), "now", lambda _self: start + timedelta(seconds=1))
    assert hub.as_token(CONFIGURED).get("/user").json()["name"] == "alice"
    assert hash_of(hub, token) == sha256(CONFIGURED)


def test_an_adopted_token_works_during_a_flood(hub, imported):
    imported(CONFIGURED, 16_384)
    imported(f"{CONFIGURED}-2", 16_384)
    assert hub.as_token(CONFIGURED).get("/user").status_code == 200
    for number in range(AT_ONCE + 5):
        hub.as_token(f"{CONFIGURED[:4]}{number}").get("/user")
    assert hub.as_token(CONFIGURED).get("/user").status_code == 200
