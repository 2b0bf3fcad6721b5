"""Tokens and share codes whose secrets another hub hashed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.adapters.dynamodb import imported_secrets as of_dynamodb
from hubless.adapters.sqlite import imported_secrets as of_sqlite
from hubless.domain import imported_secrets
from hubless.domain.errors import StoreConflictError
from hubless.domain.shares import Share, ShareCode
from hubless.domain.tokens import OwnerKind, sha256
from tests.support.builders import NOW, a_server, a_token, a_user, an_imported_hash
from tests.support.concurrency import MANY, concurrently

pytestmark = pytest.mark.usefixtures("alice", "bob")
LATER = NOW + timedelta(minutes=5)
SECRET = "7ca4c7f0a1b2"


def imported(secret=SECRET, rounds=1, **facts):
    return a_token(secret, **{"sha256": an_imported_hash(secret, rounds)} | facts)


def an_imported_code(secret=SECRET, **facts):
    standard = {
        "id": f"sc-{secret}",
        "sha256": an_imported_hash(secret),
        "server_id": "s-alice-",
        "scopes": ("access:servers",),
        "created_at": NOW,
        "expires_at": LATER,
    }
    return ShareCode(**standard | facts)


@pytest.fixture
def server(stores, alice):
    made = a_server()
    stores.servers.create(made)
    return made


def test_an_imported_token_comes_back_as_it_was_written(stores):
    token = imported(scopes=("read:users:name!user=bob",), note="nöte", expires_at=LATER, last_activity_at=NOW)
    stores.tokens.create(token)
    assert stores.tokens.find(token.sha256) == token
    assert stores.tokens.find_with_user(token.sha256)[1].name == "alice"
    assert stores.tokens.of_owner(OwnerKind.USER, "u-alice") == [token]
    assert stores.tokens.get(OwnerKind.USER, "u-alice", token.id) == token


def test_candidates_are_the_imported_hashes_of_one_prefix(stores):
    same, other = imported("7ca4another"), imported("7ca5another")
    own = a_token("7ca4own")
    for token in (imported(), same, other, imported("7ca4of-many", 16_384), own):
        stores.tokens.create(token)
    found, candidates = stores.tokens.look_up(sha256(SECRET), "7ca4")
    assert found is None
    assert set(candidates) == {imported().sha256, same.sha256, imported("7ca4of-many", 16_384).sha256}
    assert imported_secrets.matching(candidates, SECRET) == imported().sha256
    assert not stores.tokens.look_up(sha256("none"), "none")[1]


def test_a_token_of_ours_comes_with_its_user_and_no_candidates(stores):
    stores.tokens.create(imported("7ca4another"))
    stores.tokens.create(a_token(SECRET))
    found, candidates = stores.tokens.look_up(sha256(SECRET), "7ca4")
    assert (found[0], found[1].name, len(candidates)) == (a_token(SECRET), "alice", 0)


@pytest.mark.parametrize("prefix", ["", "é", "%_a:", "#'\"\0"])
def test_a_prefix_may_have_any_characters(stores, prefix):
    token = imported(f"{prefix}{'x' * 20}"[:16])
    stores.tokens.create(token)
    start = imported_secrets.prefix_in(token.sha256)
    assert list(stores.tokens.look_up("0", start)[1]) == [token.sha256]


def test_no_more_candidates_come_than_may_be_compared(stores):
    for number in range(imported_secrets.MOST + 5):
        stores.tokens.create(imported(f"same{number}"))
    assert len(stores.tokens.look_up("0", "same")[1]) == imported_secrets.MOST


def test_a_token_gets_our_hash_once_and_keeps_the_rest(stores):
    token = imported(scopes=("read:users:name!user=bob",), note="n", expires_at=LATER, last_activity_at=NOW)
    stores.tokens.create(token)
    adopted = replace(token, sha256=sha256(SECRET))
    assert stores.tokens.adopt(token, sha256(SECRET), NOW)
    assert not stores.tokens.adopt(token, sha256(SECRET), NOW)
    assert not stores.tokens.adopt(token, sha256("other"), NOW)
    assert stores.tokens.find(token.sha256) in {None, adopted}
    found, user = stores.tokens.find_with_user(sha256(SECRET))
    assert (found, user.name) == (adopted, "alice")
    assert stores.tokens.of_owner(OwnerKind.USER, "u-alice") == [adopted]
    stores.users.change(a_user("bob"), replace(a_user("bob"), name="bobby", revision=1))
    assert stores.tokens.find(sha256(SECRET)).scopes == ("read:users:name!user=bobby",)


def test_of_many_uses_at_once_one_adopts_the_token(stores):
    stores.tokens.create(imported())
    done = concurrently(lambda _: stores.tokens.adopt(imported(), sha256(SECRET), NOW), MANY)
    assert sorted(done) == [False] * (len(done) - 1) + [True]
    assert stores.tokens.find(sha256(SECRET)) == replace(imported(), sha256=sha256(SECRET))


def test_a_token_that_is_gone_is_not_adopted(stores):
    stores.tokens.create(imported())
    stores.tokens.delete([imported().id])
    assert not stores.tokens.adopt(imported(), sha256(SECRET), NOW)
    assert stores.tokens.find(sha256(SECRET)) is None
    assert stores.tokens.find(imported().sha256) is None


def test_a_token_does_not_take_the_hash_of_another_one(stores):
    stores.tokens.create(a_token(SECRET, "bob"))
    token = imported(id="a-second")
    stores.tokens.create(token)
    assert not stores.tokens.adopt(token, sha256(SECRET), NOW)
    assert stores.tokens.find(sha256(SECRET)).owner_id == "u-bob"
    assert stores.tokens.find(token.sha256) == token


def test_two_imported_tokens_never_have_one_hash(stores):
    stores.tokens.create(imported())
    with pytest.raises(StoreConflictError):
        stores.tokens.create(imported(id="a-second"))


@pytest.mark.parametrize("is_adopted", [False, True])
@pytest.mark.parametrize("end", ["by id", "with its user", "by expiry"])
def test_an_imported_token_ends_like_others(stores, end, is_adopted):
    token = imported(expires_at=LATER)
    stores.tokens.create(token)
    if is_adopted:
        stores.tokens.adopt(token, sha256(SECRET), NOW)
    stores.tokens.touch(token.id, LATER)
    assert stores.tokens.of_owner(OwnerKind.USER, "u-alice")[0].last_activity_at == LATER
    match end:
        case "by id":
            stores.tokens.delete([token.id])
        case "with its user":
            stores.users.delete("u-alice")
        case _:
            assert stores.tokens.delete_expired(LATER, 10) == 1
    assert stores.tokens.find(token.sha256) is None
    assert stores.tokens.find(sha256(SECRET)) is None
    stores.tokens.create(imported(owner="bob"))  # nothing is in its place


def test_an_imported_code_comes_back_and_is_found_by_prefix(stores, server):
    code = an_imported_code(exchange_count=3, last_exchanged_at=NOW)
    stores.codes.create(code)
    stores.tokens.create(imported("7ca4of-a-token"))
    assert stores.codes.find(code.sha256) == code
    assert stores.codes.page(offset=0, limit=9, server_id=server.id) == ([code], 1)
    found, candidates = stores.codes.look_up(sha256(SECRET), "7ca4")
    assert (found, list(candidates)) == (None, [code.sha256])


@pytest.mark.usefixtures("server")
def test_a_code_gets_our_hash_once_and_goes_on_working(stores):
    code = an_imported_code(exchange_count=3)
    stores.codes.create(code)
    assert stores.codes.adopt(code, sha256(SECRET), NOW)
    assert not stores.codes.adopt(code, sha256(SECRET), NOW)
    adopted = replace(code, sha256=sha256(SECRET))
    assert stores.codes.look_up(sha256(SECRET), "7ca4") == (adopted, ())
    assert stores.codes.find(code.sha256) in {None, adopted}
    stores.codes.exchange(code, Share("h1", code.server_id, code.scopes, NOW, user_id="u-bob"), NOW)
    assert stores.codes.find(sha256(SECRET)).exchange_count == 4


@pytest.mark.parametrize("is_adopted", [False, True])
@pytest.mark.parametrize("end", ["by id", "with its server", "by expiry"])
def test_an_imported_code_ends_like_others(stores, server, end, is_adopted):
    code = an_imported_code()
    stores.codes.create(code)
    if is_adopted:
        stores.codes.adopt(code, sha256(SECRET), NOW)
    match end:
        case "by id":
            assert stores.codes.delete(server.id, code_id=code.id) == 1
        case "with its server":
            stores.servers.delete(server)
        case _:
            assert stores.codes.delete_expired(LATER, 10) == 1
    assert not stores.codes.adopt(code, sha256("other"), NOW)
    assert stores.codes.find(sha256(SECRET)) is None
    assert stores.codes.find(code.sha256) is None
    if end != "with its server":
        stores.codes.create(code)  # nothing is in its place


@pytest.mark.parametrize("adapter", [of_dynamodb, of_sqlite], ids=["dynamodb", "sqlite"])
@pytest.mark.usefixtures("server")
def test_a_look_up_finds_what_is_adopted_while_it_looks(stores, monkeypatch, adapter):
    token, code, candidates = imported(), an_imported_code(), adapter.candidates
    stores.tokens.create(token)
    stores.codes.create(code)

    def late(*which):
        """Look for candidates after our hash was looked for in vain, and another request has then adopted both."""
        stores.tokens.adopt(token, sha256(SECRET), NOW)
        stores.codes.adopt(code, sha256(SECRET), NOW)
        return candidates(*which)

    monkeypatch.setattr(adapter, "candidates", late)
    found, texts = stores.tokens.look_up(sha256(SECRET), "7ca4")
    found = found or stores.tokens.find_with_user(imported_secrets.matching(texts, SECRET))
    assert found[0].id == token.id
    found, texts = stores.codes.look_up(sha256(SECRET), "7ca4")
    found = found or stores.codes.find(imported_secrets.matching(texts, SECRET))
    assert found.id == code.id
