from datetime import UTC, datetime, timedelta

import pytest

from hubless.adapters.dynamodb.passwords import DynamoAttemptStore
from hubless.domain.errors import NotFoundError
from tests.support.builders import NOW
from tests.support.concurrency import MANY, concurrently
from tests.support.dynamodb import Contents, in_new_table

LATER = NOW + timedelta(minutes=5)


def test_a_hash_is_stored_and_overwritten(stores, alice, bob):
    assert stores.passwords.get(alice.id) is None
    stores.passwords.set(alice.id, "one")
    stores.passwords.set(alice.id, "two")
    assert stores.passwords.get(alice.id) == "two"
    assert stores.passwords.get(bob.id) is None


def test_a_password_of_a_missing_user_is_refused(stores):
    with pytest.raises(NotFoundError):
        stores.passwords.set("u-nobody", "x")
    assert stores.passwords.get("u-nobody") is None


def test_a_link_is_found_until_it_is_taken(stores, alice):
    stores.passwords.add_link("link", alice.id, LATER)
    assert stores.passwords.find_link("link", NOW) == alice.id
    assert stores.passwords.find_link("link", NOW) == alice.id
    assert stores.passwords.take_link("link", NOW) == alice.id
    assert stores.passwords.find_link("link", NOW) is None
    assert stores.passwords.take_link("link", NOW) is None


def test_an_expired_link_is_not_found(stores, alice):
    stores.passwords.add_link("link", alice.id, LATER)
    assert stores.passwords.find_link("link", LATER - timedelta(microseconds=1)) == alice.id
    assert stores.passwords.find_link("link", LATER) is None
    assert stores.passwords.take_link("link", LATER) is None


def test_taking_one_link_leaves_the_others(stores, alice, bob):
    stores.passwords.add_link("one", alice.id, LATER)
    stores.passwords.add_link("two", bob.id, LATER)
    assert stores.passwords.take_link("one", NOW) == alice.id
    assert stores.passwords.take_link("nothing", NOW) is None
    assert stores.passwords.find_link("two", NOW) == bob.id


def test_of_eight_concurrent_uses_of_a_link_one_succeeds(stores, alice):
    for turn in range(5):
        stores.passwords.add_link(f"link{turn}", alice.id, LATER)
        outcomes = concurrently(lambda _, turn=turn: stores.passwords.take_link(f"link{turn}", NOW))
        assert (outcomes.count(alice.id), outcomes.count(None)) == (1, MANY - 1)


def test_failures_count_within_the_window_and_for_their_key(stores):
    for minutes in (0, 1, 2):
        stores.attempts.add("alice", NOW + timedelta(minutes=minutes))
    stores.attempts.add("127.0.0.1", NOW)
    assert stores.attempts.failures("alice", NOW - timedelta(seconds=1)) == 3
    assert stores.attempts.failures("alice", NOW + timedelta(seconds=30)) == 2
    assert stores.attempts.failures("alice", NOW + timedelta(minutes=3)) == 0
    assert stores.attempts.failures("nobody", NOW - timedelta(days=1)) == 0


def test_failures_at_one_instant_all_count(stores):
    concurrently(lambda _: stores.attempts.add("alice", NOW))
    assert stores.attempts.failures("alice", NOW - timedelta(seconds=1)) == MANY


SINCE, UNTIL = NOW - timedelta(minutes=10), NOW + timedelta(minutes=10)


def test_a_failure_is_added_up_to_the_limit_of_its_window(stores):
    def try_add(at=NOW):
        return stores.attempts.try_add("alice", at, since=SINCE, until=UNTIL, limit=2)

    stores.attempts.add("alice", SINCE)  # no longer counts
    stores.attempts.add("alice", UNTIL + timedelta(microseconds=1))  # of a clock that is ahead
    stores.attempts.add("bob", NOW)
    assert [try_add(), try_add(), try_add(), try_add()] == [True, True, False, False]
    assert stores.attempts.failures("alice", SINCE, UNTIL) == 2
    assert stores.attempts.failures("alice", SINCE) == 3


def test_concurrent_failures_never_exceed_the_limit(stores):
    def try_add(_):
        return stores.attempts.try_add("alice", NOW, since=SINCE, until=UNTIL, limit=3)

    outcomes = concurrently(try_add)
    assert outcomes.count(True) <= 3
    assert stores.attempts.failures("alice", SINCE, UNTIL) == outcomes.count(True)
    assert [try_add(0) for _ in range(4)].count(True) == 3 - outcomes.count(True)


def test_what_a_clock_that_was_ahead_forgot_counts_again(stores):
    stores.attempts.delete_before(NOW + timedelta(days=365))
    stores.attempts.add("alice", NOW)
    assert stores.attempts.failures("alice", SINCE, UNTIL) == 1


def test_clearing_forgets_the_failures_of_one_key(stores):
    stores.attempts.add("alice", NOW)
    stores.attempts.add("bob", NOW)
    stores.attempts.clear("alice")
    stores.attempts.clear("nobody")
    assert stores.attempts.failures("alice", NOW - timedelta(days=1)) == 0
    assert stores.attempts.failures("bob", NOW - timedelta(days=1)) == 1


def test_dynamodb_keeps_failures_as_long_as_the_lock_lasts(in_moto):
    made = in_new_table(in_moto)
    lock_for = timedelta(days=30)
    DynamoAttemptStore(made.database, lock_for=lock_for).add("alice", NOW)
    (item,) = [item for item in Contents().read().values() if "ttl" in item]
    assert datetime.fromtimestamp(int(item["ttl"]["N"]), UTC) >= NOW + lock_for
    made.close()


def test_failures_before_an_instant_are_forgotten(stores):
    for minutes in (0, 1, 2):
        stores.attempts.add("alice", NOW + timedelta(minutes=minutes))
    stores.attempts.delete_before(NOW + timedelta(minutes=1))
    assert stores.attempts.failures("alice", NOW - timedelta(days=1)) == 2
