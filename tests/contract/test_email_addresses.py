"""Users' e-mail addresses: one a user, found by the address, and changed only as they were read."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.email_addresses import EmailAddress
from hubless.domain.errors import NotFoundError, StoreConflictError
from hubless.ports.email_addresses import MOST_USERS
from tests.support.builders import NOW, a_user
from tests.support.concurrency import MANY, concurrently

ADA = "Ada@example.org"


def test_an_address_is_stored_changed_and_removed(stores, alice):
    assert stores.email_addresses.get(alice.id) is None
    first = EmailAddress(alice.id, pending=ADA, pending_sha256="s", pending_until=NOW)
    stores.email_addresses.save(None, first)
    assert stores.email_addresses.get(alice.id) == first
    assert stores.email_addresses.users_of(ADA) == []  # it is not verified
    verified = EmailAddress(alice.id, ADA)
    stores.email_addresses.save(first, verified)
    assert stores.email_addresses.users_of("ada@EXAMPLE.org") == [alice.id]
    other = replace(verified, address="alice@example.org")
    stores.email_addresses.save(verified, other)
    assert stores.email_addresses.users_of(ADA) == []
    assert stores.email_addresses.users_of("alice@example.org") == [alice.id]
    stores.email_addresses.save(other, EmailAddress(alice.id))
    assert stores.email_addresses.get(alice.id) == EmailAddress(alice.id)
    assert stores.email_addresses.users_of("alice@example.org") == stores.email_addresses.users_of("") == []


def test_another_case_of_an_address_stays_findable(stores, alice):
    stores.email_addresses.save(None, EmailAddress(alice.id, ADA))
    stores.email_addresses.save(EmailAddress(alice.id, ADA), EmailAddress(alice.id, ADA.upper()))
    assert stores.email_addresses.users_of(ADA) == [alice.id]


def test_several_users_may_have_an_address_up_to_a_bound(stores):
    users = [a_user(f"user{number:02}") for number in range(MOST_USERS + 2)]
    stores.users.create(users)
    for user in users:
        stores.email_addresses.save(None, EmailAddress(user.id, ADA))
    assert stores.email_addresses.users_of(ADA) == [user.id for user in users[:MOST_USERS]]


@pytest.mark.parametrize(
    "before",
    [
        None,
        EmailAddress("u-alice"),
        EmailAddress("u-alice", "other@example.org", "p", "s", NOW),
        EmailAddress("u-alice", ADA, "q", "s", NOW),
        EmailAddress("u-alice", ADA, "p", "t", NOW),
    ],
)
def test_an_address_that_changed_meanwhile_is_not_overwritten(stores, alice, before):
    stored = EmailAddress(alice.id, ADA, "p", "s", NOW)
    stores.email_addresses.save(None, stored)
    with pytest.raises(StoreConflictError):
        stores.email_addresses.save(before, EmailAddress(alice.id, "new@example.org"))
    assert stores.email_addresses.get(alice.id) == stored
    assert stores.email_addresses.users_of("new@example.org") == []


def test_of_concurrent_confirmations_one_is_stored(stores, alice):
    asked = EmailAddress(alice.id, "", "p@example.org", "s", NOW + timedelta(days=1))
    stores.email_addresses.save(None, asked)

    def confirm(each):
        try:
            stores.email_addresses.save(asked, EmailAddress(alice.id, f"p{each}@example.org"))
        except StoreConflictError:
            return False
        return True

    outcomes = concurrently(confirm)
    assert (outcomes.count(True), len(outcomes)) == (1, MANY)
    winner = f"p{outcomes.index(True)}@example.org"
    assert stores.email_addresses.get(alice.id).address == winner
    assert [n for n in range(MANY) if stores.email_addresses.users_of(f"p{n}@example.org")] == [outcomes.index(True)]


def test_an_address_goes_with_its_user(stores, alice, bob):
    for user in (alice, bob):
        stores.email_addresses.save(None, EmailAddress(user.id, ADA))
    stores.users.delete(alice.id)
    assert stores.email_addresses.get(alice.id) is None
    assert stores.email_addresses.users_of(ADA) == [bob.id]
    with pytest.raises(NotFoundError):
        stores.email_addresses.save(None, EmailAddress("u-nobody", ADA))
    assert stores.email_addresses.users_of(ADA) == [bob.id]
