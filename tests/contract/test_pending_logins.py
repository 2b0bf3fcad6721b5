from datetime import timedelta

import pytest

from hubless.domain.errors import NotFoundError, StoreConflictError
from hubless.domain.tokens import sha256
from tests.support.builders import NOW, a_pending_login
from tests.support.concurrency import MANY, concurrently

LATER = NOW + timedelta(minutes=10)
STATE = sha256("state")
MOMENT = timedelta(microseconds=1)


def test_a_pending_login_is_taken_once_with_all_its_facts(stores):
    began = a_pending_login(
        nonce="n", verifier="v", next="/hub/home?a=ü", link_to_user_id="u-alice", facts={"target": "/x", "": "ü"}
    )
    stores.pending_logins.add(began)
    assert stores.pending_logins.take(STATE, NOW) == began
    assert stores.pending_logins.take(STATE, NOW) is None


def test_ten_logins_of_one_browser_all_come_home(stores):
    for number in range(10):
        stores.pending_logins.add(a_pending_login(f"{number}", nonce=f"n{number}"))
    taken = [stores.pending_logins.take(sha256(f"{number}"), NOW) for number in reversed(range(10))]
    assert [one.nonce for one in taken] == [f"n{number}" for number in reversed(range(10))]


def test_an_unknown_state_has_no_login(stores):
    stores.pending_logins.add(a_pending_login())
    assert stores.pending_logins.take(sha256("other"), NOW) is None
    assert stores.pending_logins.take(STATE, NOW)


def test_an_expired_login_is_not_taken(stores):
    stores.pending_logins.add(a_pending_login())
    assert stores.pending_logins.take(STATE, LATER) is None
    stores.pending_logins.add(a_pending_login("other"))
    assert stores.pending_logins.take(sha256("other"), LATER - MOMENT)


def test_a_state_is_used_for_one_login(stores):
    stores.pending_logins.add(a_pending_login(nonce="first"))
    with pytest.raises(StoreConflictError):
        stores.pending_logins.add(a_pending_login(nonce="second"))
    assert stores.pending_logins.take(STATE, NOW).nonce == "first"


def test_of_concurrent_takers_one_gets_the_login(stores):
    for turn in range(3):
        stores.pending_logins.add(a_pending_login(f"{turn}"))
        found = concurrently(lambda _, turn=turn: stores.pending_logins.take(sha256(f"{turn}"), NOW))
        assert sum(one is not None for one in found) == 1


def test_expired_logins_can_be_removed(stores):
    stores.pending_logins.add(a_pending_login())
    stores.pending_logins.add(a_pending_login("later", expires_at=LATER + MOMENT))
    removed = stores.pending_logins.delete_expired(LATER, 100)
    assert removed in {0, 1}  # DynamoDB removes them by itself
    assert stores.pending_logins.delete_expired(LATER, 100) == 0
    assert stores.pending_logins.take(sha256("later"), LATER)


def test_a_key_is_used_once(stores):
    assert stores.single_use.use("jti#1", LATER)
    assert not stores.single_use.use("jti#1", LATER + timedelta(days=1))
    assert stores.single_use.use("jti#2", LATER)
    assert stores.single_use.use("JTI#1", LATER)


@pytest.mark.parametrize("key", ["", "ü" * 3000, "\0\ud800#"])
def test_any_text_can_be_a_key(stores, key):
    assert stores.single_use.use(key, LATER)
    assert not stores.single_use.use(key, LATER)


def test_of_concurrent_uses_one_is_the_first(stores):
    for turn in range(3):
        outcomes = concurrently(lambda _, turn=turn: stores.single_use.use(f"{turn}", LATER))
        assert (outcomes.count(True), outcomes.count(False)) == (1, MANY - 1)


def test_used_keys_are_forgotten_after_their_time_only(stores):
    stores.single_use.use("old", LATER)
    stores.single_use.use("new", LATER + MOMENT)
    removed = stores.single_use.delete_expired(LATER, 100)
    assert removed in {0, 1}  # DynamoDB removes them by itself
    assert stores.single_use.delete_expired(LATER, 100) == 0
    assert not stores.single_use.use("new", LATER)


def test_auth_state_is_stored_replaced_and_removed(stores, alice, bob):
    assert stores.auth_states.get(alice.id) is None
    stores.auth_states.set(alice.id, "one ü")
    stores.auth_states.set(bob.id, "bobs")
    assert stores.auth_states.get(alice.id) == "one ü"
    stores.auth_states.set(alice.id, "two")
    assert stores.auth_states.get(alice.id) == "two"
    stores.auth_states.set(alice.id, None)
    assert stores.auth_states.get(alice.id) is None
    assert stores.auth_states.get(bob.id) == "bobs"


def test_auth_state_of_a_missing_user_is_refused(stores):
    with pytest.raises(NotFoundError):
        stores.auth_states.set("u-nobody", "x")
    stores.auth_states.set("u-nobody", None)
    assert stores.auth_states.get("u-nobody") is None


def test_auth_state_goes_with_its_user(stores, alice):
    stores.auth_states.set(alice.id, "x")
    stores.users.delete(alice.id)
    assert stores.auth_states.get(alice.id) is None
