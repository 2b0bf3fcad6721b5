from datetime import UTC, datetime, timedelta

import pytest

from hubless.adapters.dynamodb.passwords import DynamoAttemptStore
from hubless.domain.errors import NotFoundError
from hubless.domain.passwords import PasswordLink, digest_of_hash
from tests.support.builders import NOW, a_user
from tests.support.concurrency import MANY, concurrently
from tests.support.dynamodb import Contents, in_new_table

LATER = NOW + timedelta(minutes=5)


def test_a_hash_is_stored_and_overwritten(stores, alice, bob):
    assert stores.passwords.get(alice.id) is None
    stores.passwords.set(alice.id, "one")
    stores.passwords.set(alice.id, "two")
    assert stores.passwords.get(alice.id) == "two"
    assert stores.passwords.get(bob.id) is None


def test_first_hashes_are_added_and_no_other_is_replaced(stores, alice, bob):
    stores.passwords.add_link(a_link("link", bob))
    stores.passwords.set(alice.id, "hers")
    refused = stores.passwords.add({alice.id: "new", "u-nobody": "x", bob.id: "his"})
    assert sorted(refused) == sorted([alice.id, "u-nobody"])
    assert [stores.passwords.get(one) for one in (alice.id, "u-nobody", bob.id)] == ["hers", None, "his"]
    assert stores.passwords.find_link("link", NOW) is None


def test_many_first_hashes_are_added_at_once(stores):
    users = [a_user(f"n{number}") for number in range(120)]
    stores.users.create(users)
    assert stores.passwords.add({user.id: user.name for user in users}) == []
    assert {stores.passwords.get(user.id) == user.name for user in users} == {True}


def test_a_hash_that_a_login_made_anew_is_known_as_such(stores, alice):
    stores.passwords.set(alice.id, "old")
    assert stores.passwords.rehashed_from(alice.id) is None
    assert stores.passwords.rehash(alice.id, "old", "stronger")
    assert stores.passwords.rehashed_from(alice.id) == digest_of_hash("old")
    assert stores.passwords.change(alice.id, "stronger", "another password")
    assert stores.passwords.rehashed_from(alice.id) is None
    assert stores.passwords.rehash(alice.id, "another password", "stronger again")
    stores.passwords.set(alice.id, "a third")
    assert stores.passwords.rehashed_from(alice.id) is None
    assert stores.passwords.rehashed_from("u-nobody") is None


def test_a_hash_is_removed_only_as_it_was_read(stores, alice, bob):
    for user in (alice, bob):
        stores.passwords.set(user.id, "old")
    assert not stores.passwords.remove(alice.id, "older")
    assert stores.passwords.get(alice.id) == "old"
    assert stores.passwords.remove(alice.id, "old")
    assert not stores.passwords.remove(alice.id, "old")
    assert (stores.passwords.get(alice.id), stores.passwords.get(bob.id)) == (None, "old")
    assert stores.passwords.change(alice.id, None, "new")
    assert stores.passwords.rehashed_from(alice.id) is None


def test_a_password_of_a_missing_user_is_refused(stores):
    with pytest.raises(NotFoundError):
        stores.passwords.set("u-nobody", "x")
    assert stores.passwords.get("u-nobody") is None


def a_link(secret, user, **more):
    return PasswordLink(secret, user.id, LATER, **more)


def test_a_link_is_found_until_it_is_used(stores, alice):
    link = a_link("link", alice, within=("list:users",))
    stores.passwords.add_link(link)
    assert stores.passwords.find_link("link", NOW) == link
    assert stores.passwords.find_link("link", NOW) == link
    assert stores.passwords.use_link("link", "hash", NOW)
    assert stores.passwords.get(alice.id) == "hash"
    assert stores.passwords.find_link("link", NOW) is None
    assert not stores.passwords.use_link("link", "other", NOW)
    assert stores.passwords.get(alice.id) == "hash"


def test_a_link_alone_is_no_password(stores, alice):
    stores.passwords.add_link(a_link("link", alice))
    assert stores.passwords.get(alice.id) is None


def test_a_link_of_a_missing_user_is_refused(stores):
    with pytest.raises(NotFoundError):
        stores.passwords.add_link(PasswordLink("link", "u-nobody", LATER))
    assert stores.passwords.find_link("link", NOW) is None
    stores.passwords.end_links("u-nobody")
    assert not stores.passwords.rehash("u-nobody", "a", "b")


def test_an_expired_link_is_not_found(stores, alice):
    stores.passwords.add_link(a_link("link", alice))
    assert stores.passwords.find_link("link", LATER - timedelta(microseconds=1))
    assert stores.passwords.find_link("link", LATER) is None
    assert not stores.passwords.use_link("link", "hash", LATER)
    assert stores.passwords.get(alice.id) is None


def test_using_one_users_link_leaves_the_others(stores, alice, bob):
    stores.passwords.add_link(a_link("one", alice))
    stores.passwords.add_link(a_link("two", bob))
    assert stores.passwords.use_link("one", "hash", NOW)
    assert not stores.passwords.use_link("nothing", "hash", NOW)
    assert stores.passwords.find_link("two", NOW) == a_link("two", bob)
    assert stores.passwords.get(bob.id) is None


def test_a_newer_link_ends_the_older_one(stores, alice):
    stores.passwords.set(alice.id, "before")
    stores.passwords.add_link(a_link("one", alice))
    stores.passwords.add_link(a_link("two", alice))
    assert stores.passwords.find_link("one", NOW) is None
    assert not stores.passwords.use_link("one", "hash", NOW)
    assert stores.passwords.get(alice.id) == "before"
    assert stores.passwords.use_link("two", "hash", NOW)
    assert not stores.passwords.use_link("one", "again", NOW)


def test_a_new_password_ends_the_link(stores, alice, bob):
    stores.passwords.add_link(a_link("one", alice))
    stores.passwords.add_link(a_link("two", bob))
    stores.passwords.set(alice.id, "new")
    assert stores.passwords.find_link("one", NOW) is None
    assert not stores.passwords.use_link("one", "hash", NOW)
    assert stores.passwords.get(alice.id) == "new"
    assert stores.passwords.find_link("two", NOW)


def test_links_end_without_a_new_password(stores, alice):
    stores.passwords.set(alice.id, "kept")
    stores.passwords.add_link(a_link("one", alice))
    stores.passwords.end_links(alice.id)
    stores.passwords.end_links(alice.id)
    assert stores.passwords.find_link("one", NOW) is None
    assert not stores.passwords.use_link("one", "hash", NOW)
    assert stores.passwords.get(alice.id) == "kept"


def test_a_rehash_replaces_no_newer_password_and_ends_no_link(stores, alice):
    stores.passwords.set(alice.id, "old")
    stores.passwords.add_link(a_link("one", alice))
    assert stores.passwords.rehash(alice.id, "old", "old, stronger")
    assert stores.passwords.find_link("one", NOW)
    stores.passwords.set(alice.id, "new")
    assert not stores.passwords.rehash(alice.id, "old, stronger", "old, strongest")
    assert stores.passwords.get(alice.id) == "new"


def test_a_change_replaces_the_hash_that_was_read_and_ends_the_link(stores, alice, bob):
    assert not stores.passwords.change(alice.id, "some hash", "new")
    stores.passwords.add_link(a_link("one", alice))
    assert stores.passwords.change(alice.id, None, "first")
    assert stores.passwords.find_link("one", NOW) is None
    assert not stores.passwords.change(alice.id, None, "second")
    stores.passwords.add_link(a_link("two", bob))
    assert stores.passwords.change(alice.id, "first", "second")
    assert stores.passwords.get(alice.id) == "second"
    assert stores.passwords.find_link("two", NOW)
    assert not stores.passwords.change("u-nobody", None, "x")
    assert stores.passwords.get("u-nobody") is None


def test_of_concurrent_changes_of_one_password_one_succeeds(stores, alice):
    stores.passwords.set(alice.id, "before")
    outcomes = concurrently(lambda each: stores.passwords.change(alice.id, "before", f"{each}"))
    assert outcomes.count(True) == 1
    assert stores.passwords.get(alice.id) == str(outcomes.index(True))


def test_of_eight_concurrent_uses_of_a_link_one_succeeds(stores, alice):
    for turn in range(5):
        stores.passwords.add_link(a_link(f"link{turn}", alice))
        outcomes = concurrently(lambda each, turn=turn: stores.passwords.use_link(f"link{turn}", f"{each}", NOW))
        assert (outcomes.count(True), outcomes.count(False)) == (1, MANY - 1)
        assert stores.passwords.get(alice.id) == str(outcomes.index(True))


def test_of_many_links_made_at_once_one_is_valid(stores, alice):
    concurrently(lambda each: stores.passwords.add_link(a_link(f"link{each}", alice)))
    assert sum(stores.passwords.find_link(f"link{each}", NOW) is not None for each in range(MANY)) == 1


def test_a_link_made_while_another_is_used_leaves_one_way_in(stores, alice):
    for turn in range(5):
        old, new = f"old{turn}", f"new{turn}"
        stores.passwords.set(alice.id, "before")
        stores.passwords.add_link(a_link(old, alice))
        used, _ = concurrently(
            lambda each, old=old, new=new: (
                stores.passwords.use_link(old, "by the link", NOW)
                if each == 0
                else stores.passwords.add_link(a_link(new, alice))
            ),
            2,
        )
        assert stores.passwords.get(alice.id) == ("by the link" if used else "before")
        assert stores.passwords.find_link(old, NOW) is None
        # The use came first, or it failed: either way the newer link is the valid one, unless the use ended it.
        assert used or stores.passwords.find_link(new, NOW) == a_link(new, alice)


@pytest.mark.parametrize("meanwhile", ["another link", "another password", "the end of links"])
def test_dynamodb_decides_at_the_write_whether_a_link_is_valid(in_moto, meanwhile, monkeypatch):
    made = in_new_table(in_moto)
    made.users.create([user := a_user()])
    made.passwords.set(user.id, "before")
    made.passwords.add_link(a_link("one", user))
    read = made.passwords.find_link

    def read_and_lose(secret, now):
        found = read(secret, now)
        {
            "another link": lambda: made.passwords.add_link(a_link("two", user)),
            "another password": lambda: made.passwords.set(user.id, "another"),
            "the end of links": lambda: made.passwords.end_links(user.id),
        }[meanwhile]()
        return found

    monkeypatch.setattr(type(made.passwords), "find_link", staticmethod(read_and_lose))
    assert not made.passwords.use_link("one", "by the link", NOW)
    assert made.passwords.get(user.id) == ("another" if meanwhile == "another password" else "before")
    made.close()


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
