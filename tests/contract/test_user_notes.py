"""Notes on users: one a user, changed only as it was read, and gone with the user."""

from dataclasses import replace

import pytest

from hubless.domain.errors import NotFoundError, StoreConflictError
from hubless.domain.user_notes import MAX_TEXT, UserNote
from tests.support.builders import NOW
from tests.support.concurrency import MANY, concurrently


def test_a_note_is_stored_changed_and_emptied(stores, alice, bob):
    assert stores.user_notes.get(alice.id) is None
    first = UserNote(alice.id, "ü" * MAX_TEXT, 1, "ada", NOW)
    stores.user_notes.save(None, first)
    assert stores.user_notes.get(alice.id) == first
    emptied = UserNote(alice.id, "", 2, "bob")
    stores.user_notes.save(first, emptied)
    assert stores.user_notes.get(alice.id) == emptied
    assert stores.user_notes.get(bob.id) is None


@pytest.mark.parametrize("revision", [None, 1, 3])
def test_a_note_that_changed_meanwhile_is_not_overwritten(stores, alice, revision):
    stored = UserNote(alice.id, "Ask Tina", 1, "ada", NOW)
    stores.user_notes.save(None, stored)
    stored, before = replace(stored, revision=2), stored
    stores.user_notes.save(before, stored)
    read = None if revision is None else replace(stored, revision=revision)
    with pytest.raises(StoreConflictError):
        stores.user_notes.save(read, replace(stored, text="Other", revision=(revision or 0) + 1))
    assert stores.user_notes.get(alice.id) == stored


def test_a_note_that_nobody_stored_is_not_replaced(stores, alice):
    with pytest.raises(StoreConflictError):
        stores.user_notes.save(UserNote(alice.id, "Ask Tina", 1), UserNote(alice.id, "Ask Tom", 2))
    assert stores.user_notes.get(alice.id) is None


def test_of_admins_who_write_at_once_one_is_stored(stores, alice):
    def write(each):
        try:
            stores.user_notes.save(None, UserNote(alice.id, f"note {each}", 1, "ada", NOW))
        except StoreConflictError:
            return False
        return True

    outcomes = concurrently(write)
    assert (outcomes.count(True), len(outcomes)) == (1, MANY)
    assert stores.user_notes.get(alice.id).text == f"note {outcomes.index(True)}"


def test_a_note_goes_with_its_user(stores, alice, bob):
    for user in (alice, bob):
        stores.user_notes.save(None, UserNote(user.id, "Ask Tina", 1, "ada", NOW))
    stores.users.delete(alice.id)
    assert stores.user_notes.get(alice.id) is None
    assert stores.user_notes.get(bob.id) is not None
    with pytest.raises(NotFoundError):
        stores.user_notes.save(None, UserNote(alice.id, "Ask Tina", 1, "ada", NOW))
