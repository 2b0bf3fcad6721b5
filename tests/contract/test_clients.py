from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.errors import StoreConflictError
from hubless.domain.lifecycle import State
from tests.support.builders import NOW, a_client, a_code, a_server, a_token
from tests.support.concurrency import MANY, concurrently

pytestmark = pytest.mark.usefixtures("alice", "bob", "session")
OWN, ISSUED = a_token("own", server_id="s-alice-"), a_token("issued", "bob", client_id="c1")


def at_launch(stores, server_id="s-alice-", launch_id="l1", **facts):
    """Have the server be on its way up in that launch."""
    before = stores.servers.get(server_id)
    facts = {"state": State.REQUESTED, "launch_id": launch_id} | facts
    if before is None:
        stores.servers.create(a_server(server_id, id=server_id, **facts))
    else:
        stores.servers.write(before, replace(before, revision=before.revision + 1, **facts))


@pytest.fixture(autouse=True)
def servers(stores, alice, bob):
    at_launch(stores)
    at_launch(stores, "s2")


@pytest.fixture
def launched(stores):
    """A client with its own token, one issued to a visitor, and a code; and another client beside it."""
    stores.clients.put(a_client(), OWN)
    stores.tokens.create(ISSUED)
    stores.clients.add_code(a_code())
    stores.clients.put(a_client("c2", server_id="s2"), a_token("own2", server_id="s2"))
    stores.tokens.create(a_token("issued2", client_id="c2"))
    stores.clients.add_code(a_code("code2", client_id="c2"))


def there(stores, *secrets):
    return [stores.tokens.find(a_token(secret).sha256) is not None for secret in secrets]


def assert_other_untouched(stores):
    assert stores.clients.get("c2") is not None
    assert there(stores, "own2", "issued2") == [True, True]
    assert stores.clients.find_code(a_code("code2").sha256) is not None


def test_a_client_comes_back_as_it_was_written(stores):
    client = a_client(allowed_scopes=("a", "b"), no_confirm=True, description="Ä")
    stores.clients.put(client, OWN)
    assert stores.clients.get("c1") == client
    assert stores.tokens.find(OWN.sha256) == OWN
    assert stores.clients.get("c9") is None


def test_put_twice_for_the_same_launch_keeps_what_was_issued(stores, launched):
    stores.clients.put(a_client(), OWN)
    assert there(stores, "own", "issued") == [True, True]
    assert stores.clients.find_code(a_code().sha256) == a_code()
    assert stores.clients.get("c1") == a_client()


def test_put_for_a_new_launch_clears_what_the_old_one_left(stores, launched):
    at_launch(stores, launch_id="l2")
    fresh = a_token("own of l2", server_id="s-alice-")
    stores.clients.put(a_client(launch_id="l2"), fresh)
    assert there(stores, "own", "issued", "own of l2") == [False, False, True]
    assert stores.clients.find_code(a_code().sha256) is None
    assert stores.clients.get("c1").launch_id == "l2"
    assert_other_untouched(stores)


def test_eight_concurrent_puts_of_one_launch_store_it_once(stores):
    assert concurrently(lambda _: stores.clients.put(a_client(), OWN)) == [None] * MANY
    assert stores.clients.get("c1") == a_client()
    assert stores.tokens.find(OWN.sha256) == OWN


def test_a_failed_put_leaves_the_old_launch_unchanged(stores, launched):
    stores.tokens.create(a_token("clash"))
    at_launch(stores, launch_id="l2")
    with pytest.raises(Exception):  # noqa: B017 what, the port does not say
        stores.clients.put(a_client(launch_id="l2"), a_token("clash", id="a-x", server_id="s-alice-"))
    assert stores.clients.get("c1") == a_client()
    assert there(stores, "own", "issued") == [True, True]


def test_delete_removes_the_client_its_tokens_and_codes(stores, launched):
    stores.clients.delete("c1", "l1")
    assert stores.clients.get("c1") is None
    assert there(stores, "own", "issued") == [False, False]
    assert stores.clients.find_code(a_code().sha256) is None
    assert_other_untouched(stores)
    stores.clients.delete("c1", "l1")


def test_delete_of_another_launchs_client_does_nothing(stores, launched):
    stores.clients.delete("c1", "l0")
    assert stores.clients.get("c1") == a_client()
    assert there(stores, "own", "issued") == [True, True]
    assert stores.clients.find_code(a_code().sha256) == a_code()


def test_delete_leaves_tokens_that_belong_to_no_client(stores, launched):
    stores.tokens.create(a_token("plain"))
    stores.clients.delete("c1", "l1")
    assert there(stores, "plain") == [True]


def test_a_concurrent_delete_of_the_old_launch_keeps_the_new_one(stores):
    for turn in range(10):
        server = f"server{turn}"
        old, new = a_client(f"k{turn}", server_id=server), a_client(f"k{turn}", server_id=server, launch_id="l2")
        at_launch(stores, server)
        stores.clients.put(old, a_token(f"old{turn}", server_id=server))
        at_launch(stores, server, "l2")
        token = a_token(f"new{turn}", server_id=server)

        def act(n, old=old, new=new, token=token):
            return stores.clients.delete(old.id, "l1") if n else stores.clients.put(new, token)

        assert concurrently(act, 2) == [None, None]
        assert stores.clients.get(old.id) == new
        assert there(stores, f"old{turn}", f"new{turn}") == [False, True]


def test_a_code_comes_back_as_it_was_written_expired_or_not(stores):
    code = a_code(challenge="x", challenge_method="S256", scopes=("a", "b"), expires_at=NOW - timedelta(days=1))
    stores.clients.add_code(code)
    assert stores.clients.find_code(code.sha256) == code
    assert stores.clients.take_code(code.sha256) == code
    assert stores.clients.find_code(code.sha256) is None
    assert stores.clients.take_code(code.sha256) is None


def test_of_eight_concurrent_uses_of_a_code_one_succeeds(stores):
    for turn in range(5):
        code = a_code(f"code{turn}")
        stores.clients.add_code(code)
        outcomes = concurrently(lambda _, code=code: stores.clients.take_code(code.sha256))
        assert (outcomes.count(code), outcomes.count(None)) == (1, MANY - 1)


def test_expired_codes_are_removed_up_to_a_limit(stores):
    for number in range(3):
        stores.clients.add_code(a_code(f"old{number}", expires_at=NOW))
    stores.clients.add_code(a_code("new", expires_at=NOW + timedelta(microseconds=1)))
    assert [stores.clients.delete_expired_codes(NOW, 2) for _ in range(3)] == [2, 1, 0]
    assert stores.clients.find_code(a_code("new").sha256) is not None


def test_a_client_is_removed_also_after_its_server(stores, launched):
    stores.servers.delete(stores.servers.get("s-alice-"))
    stores.clients.delete("c1", "l1")
    assert there(stores, "own") == [False]


@pytest.mark.parametrize("state", [State.STOPPING, State.STOPPED, State.FAILED])
def test_a_finished_or_stopping_launch_gets_no_client(stores, state):
    at_launch(stores, state=state)
    with pytest.raises(StoreConflictError):
        stores.clients.put(a_client(), OWN)
    assert stores.clients.get("c1") is None
    assert there(stores, "own") == [False]


def test_a_replaced_launch_gets_no_client(stores, launched):
    at_launch(stores, launch_id="l2")
    stores.clients.put(a_client(launch_id="l2"), a_token("own of l2", server_id="s-alice-"))
    with pytest.raises(StoreConflictError):
        stores.clients.put(a_client(), OWN)
    assert stores.clients.get("c1").launch_id == "l2"


def test_a_missing_server_gets_no_client(stores):
    with pytest.raises(StoreConflictError):
        stores.clients.put(a_client(server_id="s9"), a_token("own", server_id="s9"))


def many(stores):
    tokens = [a_token(f"many{number}", "bob", client_id="c1") for number in range(60)]
    for token in tokens:
        stores.tokens.create(token)
    return [f"many{number}" for number in range(60)]


def test_a_client_with_many_tokens_is_removed_completely(stores, launched):
    issued = many(stores)
    stores.clients.delete("c1", "l1")
    assert stores.clients.get("c1") is None
    assert not any(there(stores, "own", "issued", *issued))
    assert_other_untouched(stores)


def test_a_new_launch_removes_everything_of_the_old_one(stores, launched):
    issued = many(stores)
    at_launch(stores, launch_id="l2")
    stores.clients.put(a_client(launch_id="l2"), a_token("own of l2", server_id="s-alice-"))
    assert stores.clients.get("c1").launch_id == "l2"
    assert there(stores, "own of l2") == [True]
    assert not any(there(stores, "own", "issued", *issued))
    assert_other_untouched(stores)


def test_a_failed_new_launch_leaves_a_large_old_one_unchanged(stores, launched):
    issued = many(stores)
    stores.tokens.create(a_token("clash"))
    at_launch(stores, launch_id="l2")
    with pytest.raises(StoreConflictError):
        stores.clients.put(a_client(launch_id="l2"), a_token("clash", id="a-x", server_id="s-alice-"))
    with pytest.raises(StoreConflictError):
        stores.clients.put(a_client(launch_id="l0"), a_token("own of l0", server_id="s-alice-"))
    assert stores.clients.get("c1") == a_client()
    assert all(there(stores, "own", "issued", *issued))
