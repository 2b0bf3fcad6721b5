"""Sign-ups that wait, which hold their names, and join codes, whose uses are counted."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.errors import NameTakenError, StoreConflictError
from hubless.domain.sign_ups import SignUp
from tests.support.builders import NOW
from tests.support.concurrency import MANY, concurrently

LATER = NOW + timedelta(days=7)


def a_sign_up(name="alice", **facts):
    standard = {"user_id": f"u-{name}", "password_hash": "hash", "created_at": NOW, "expires_at": LATER}
    return SignUp(**{"name": name} | standard | facts)


def test_a_sign_up_waits_as_it_was_stored_and_is_removed(stores):
    one = a_sign_up(address="ada@example.org", confirm_sha256="s", needs_approval=True, group="class")
    two = a_sign_up("bob", created_at=NOW - timedelta(seconds=1))
    assert stores.sign_ups.add(one, NOW, most=9)
    assert stores.sign_ups.add(two, NOW, most=9)
    assert stores.sign_ups.find("alice", NOW) == one
    assert stores.sign_ups.all(NOW) == [two, one]
    assert stores.sign_ups.find("ALICE", NOW) is None
    assert stores.sign_ups.remove(one)
    assert not stores.sign_ups.remove(one)
    assert stores.sign_ups.all(NOW) == [two]


@pytest.mark.parametrize("name", ["alice", "\u0430lice"])
def test_a_name_is_held_against_all_that_look_like_it_until_it_expires(stores, name):
    stores.sign_ups.add(a_sign_up(), NOW, most=9)
    with pytest.raises(NameTakenError):
        stores.sign_ups.add(a_sign_up(name, user_id="u-other"), NOW, most=9)
    assert stores.sign_ups.find("alice", LATER) is None
    assert stores.sign_ups.all(LATER) == []
    after = a_sign_up(name, user_id="u-other", expires_at=LATER + timedelta(days=7))
    assert stores.sign_ups.add(after, LATER, most=9)
    assert stores.sign_ups.all(LATER) == [after]


def test_no_more_wait_than_may(stores):
    outcomes = [stores.sign_ups.add(a_sign_up(f"user{number}"), NOW, most=2) for number in range(3)]
    assert outcomes == [True, True, False]
    assert stores.sign_ups.add(a_sign_up("late", expires_at=LATER + timedelta(days=9)), LATER, most=2)


def test_a_change_names_what_it_expects(stores):
    one = a_sign_up(confirm_sha256="s")
    stores.sign_ups.add(one, NOW, most=9)
    confirmed = replace(one, is_confirmed=True, expires_at=LATER + timedelta(days=1), revision=1)
    stores.sign_ups.change(one, confirmed)
    assert stores.sign_ups.find("alice", LATER) == confirmed
    with pytest.raises(StoreConflictError):
        stores.sign_ups.change(one, replace(one, approved_by="root", revision=1))
    assert not stores.sign_ups.remove(one)
    assert stores.sign_ups.remove(confirmed)
    with pytest.raises(StoreConflictError):
        stores.sign_ups.change(confirmed, replace(confirmed, revision=2))
    assert stores.sign_ups.all(NOW) == []


def test_a_later_sign_up_of_the_name_is_not_taken_for_the_first(stores):
    first, second = a_sign_up(), a_sign_up(user_id="u-other")
    stores.sign_ups.add(first, NOW, most=9)
    stores.sign_ups.remove(first)
    stores.sign_ups.add(second, NOW, most=9)
    with pytest.raises(StoreConflictError):
        stores.sign_ups.change(first, replace(first, approved_by="root", revision=1))
    assert not stores.sign_ups.remove(first)
    assert stores.sign_ups.all(NOW) == [second]


def test_of_an_approval_and_a_refusal_at_once_one_counts(stores):
    for turn in range(5):
        one = a_sign_up(f"user{turn}", needs_approval=True)
        stores.sign_ups.add(one, NOW, most=99)

        def act(each, one=one):
            if each:
                return stores.sign_ups.remove(one)
            try:
                stores.sign_ups.change(one, replace(one, approved_by="root", revision=1))
            except StoreConflictError:
                return False
            return True

        approved, removed = concurrently(act, 2)
        assert approved != removed
        assert bool(stores.sign_ups.find(one.name, NOW)) == approved


def test_expired_sign_ups_are_removed(stores):
    stores.sign_ups.add(a_sign_up(), NOW, most=9)
    stores.sign_ups.delete_expired(NOW, 9)
    assert stores.sign_ups.all(NOW)
    assert stores.sign_ups.delete_expired(LATER, 9) in {0, 1}  # DynamoDB does it
    assert stores.sign_ups.all(LATER) == []


def test_a_join_code_is_used_up_to_its_limit(stores):
    assert [stores.join_codes.use("one", 2) for _ in range(3)] == [True, True, False]
    assert stores.join_codes.uses("one") == 2
    stores.join_codes.give_back("one")
    assert stores.join_codes.use("one", 2)
    assert [stores.join_codes.use("two", 0) for _ in range(5)] == [True] * 5
    assert stores.join_codes.uses("two") == 5


def test_no_use_is_given_back_that_was_not_counted(stores):
    stores.join_codes.give_back("one")
    assert stores.join_codes.uses("one") == 0
    stores.join_codes.use("one", 1)
    for _ in range(3):
        stores.join_codes.give_back("one")
    assert stores.join_codes.uses("one") == 0


def test_concurrent_uses_of_a_join_code_never_exceed_its_limit(stores):
    outcomes = concurrently(lambda _: stores.join_codes.use("one", 3))
    assert (outcomes.count(True), len(outcomes)) == (3, MANY)
    assert stores.join_codes.uses("one") == 3
