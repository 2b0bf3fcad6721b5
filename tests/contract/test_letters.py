"""Letters: stored once, delivered once to each user, read once, and gone with their user, in time or for new ones."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.table import DeliveryItem
from hubless.domain.errors import NotFoundError
from hubless.domain.letters import MAX_SUBJECT, MAX_TEXT, Letter
from tests.support.builders import NOW, a_user
from tests.support.concurrency import MANY, concurrently
from tests.support.dynamodb import Contents, in_new_table

END = NOW + timedelta(days=90)
EXAM = Letter("le-1", "ü" * MAX_SUBJECT, "ü" * MAX_TEXT, "ada", NOW, END, "user#u-ada", by_mail=True)
PARTY = Letter("le-2", "Party", "At ten", "tina", NOW, END)


@pytest.fixture
def sent(stores, alice, bob):
    """Alice and bob have one letter, and alice another."""
    for letter in (EXAM, PARTY):
        assert stores.letters.create(letter)
    assert stores.letters.deliver(EXAM, alice.id)
    assert stores.letters.deliver(EXAM, bob.id)
    assert stores.letters.deliver(PARTY, alice.id)
    return stores


def ids_of(stores, user):
    return [one.letter.id for one in stores.letters.of_user(user.id, NOW)]


def unread(stores, user):
    return stores.users.get(user.id).unread


def counts(stores, letter=EXAM):
    found = stores.letters.get(letter.id, NOW)
    return found.reached, found.read


def test_a_letter_is_stored_once(stores):
    assert stores.letters.get(EXAM.id, NOW) is None
    assert stores.letters.create(EXAM)
    assert not stores.letters.create(replace(EXAM, text="Other"))
    assert stores.letters.get(EXAM.id, NOW) == EXAM


def test_recipients_have_their_letters_newest_first(sent, alice, bob):
    assert ids_of(sent, alice) == ["le-2", "le-1"]
    assert unread(sent, alice) == ("le-1", "le-2")
    assert unread(sent, bob) == ("le-1",)
    assert sent.letters.of_user(bob.id, NOW)[0].letter == replace(EXAM, reached=2)


def test_every_reader_of_users_knows_what_is_unread(sent, alice):
    assert sent.users.find(alice.name).unread == ("le-1", "le-2")
    assert sent.users.get_many([alice.id])[alice.id].unread == ("le-1", "le-2")


def test_a_letter_that_comes_twice_is_there_once(sent, alice):
    sent.letters.mark_read(EXAM.id, alice.id, NOW)
    assert not sent.letters.deliver(EXAM, alice.id)
    assert (ids_of(sent, alice), unread(sent, alice), counts(sent)) == (["le-2", "le-1"], ("le-2",), (2, 1))


def test_of_many_deliveries_at_once_one_counts(stores, alice):
    stores.letters.create(EXAM)
    outcomes = concurrently(lambda _: stores.letters.deliver(EXAM, alice.id))
    assert (outcomes.count(True), len(outcomes)) == (1, MANY)
    assert (ids_of(stores, alice), counts(stores)) == (["le-1"], (1, 0))


def test_nothing_is_delivered_to_who_is_gone_or_of_a_letter_that_is_gone(sent, alice, bob):
    sent.users.delete(bob.id)
    with pytest.raises(NotFoundError, match=r"User|bob"):
        sent.letters.deliver(PARTY, bob.id)
    assert counts(sent, PARTY) == (1, 0)
    with pytest.raises(NotFoundError):
        sent.letters.deliver(replace(PARTY, id="le-3"), alice.id)
    assert ids_of(sent, alice) == ["le-2", "le-1"]


def test_a_letter_is_read_once(sent, alice, bob):
    later = NOW + timedelta(hours=1)
    assert sent.letters.mark_read(EXAM.id, alice.id, NOW)
    assert sent.letters.mark_read(EXAM.id, alice.id, later)
    party, exam = sent.letters.of_user(alice.id, NOW)
    assert (exam.read_at, exam.is_put_away, party.read_at) == (NOW, False, None)
    assert (unread(sent, alice), unread(sent, bob), counts(sent)) == (("le-2",), ("le-1",), (2, 1))
    assert not sent.letters.mark_read("le-3", alice.id, NOW)


def test_of_many_clicks_at_once_one_counts_as_reading(sent, alice):
    assert all(concurrently(lambda _: sent.letters.mark_read(EXAM.id, alice.id, NOW)))
    assert counts(sent) == (2, 1)


@pytest.mark.parametrize("read_before", [True, False])
def test_what_is_put_away_is_read_and_stays_delivered(sent, alice, read_before):
    if read_before:
        sent.letters.mark_read(EXAM.id, alice.id, NOW)
    assert sent.letters.mark_read(EXAM.id, alice.id, NOW, put_away=True)
    assert [one.is_put_away for one in sent.letters.of_user(alice.id, NOW)] == [False, True]
    assert not sent.letters.deliver(EXAM, alice.id)
    assert (unread(sent, alice), counts(sent)) == (("le-2",), (2, 1))


def test_a_letter_that_is_taken_back_is_gone_for_everybody(sent, alice, bob):
    assert concurrently(lambda _: sent.letters.take_back(EXAM)).count(True) == 1
    assert not sent.letters.take_back(replace(PARTY, id="le-3"))
    assert (ids_of(sent, alice), ids_of(sent, bob)) == (["le-2"], [])
    for user in (alice, bob):
        sent.letters.mark_read(EXAM.id, user.id, NOW)
    assert (unread(sent, alice), unread(sent, bob)) == (("le-2",), ())
    assert sent.letters.get(EXAM.id, NOW) is None


def test_nobody_gets_a_letter_that_was_taken_back_again(sent, alice, bob):
    sent.letters.mark_read(PARTY.id, alice.id, NOW)
    sent.letters.take_back(PARTY)

    assert not sent.letters.create(PARTY)
    assert not sent.letters.deliver(PARTY, alice.id)  # who had it
    with pytest.raises(NotFoundError):
        sent.letters.deliver(PARTY, bob.id)
    assert (ids_of(sent, alice), ids_of(sent, bob), unread(sent, bob)) == (["le-1"], ["le-1"], ("le-1",))
    left = sent.letters.known(PARTY.id, NOW)
    assert left == replace(PARTY, subject="", text="", reached=1, read=1, erased=PARTY.digest)
    assert sent.letters.known(PARTY.id, END) is None


def test_letters_that_are_gone_leave_the_list_of_unread_ones(sent, alice, bob):
    sent.letters.take_back(EXAM)
    sent.letters.forget(alice.id, ["le-1"])
    sent.letters.forget("u-nobody", ["le-1"])
    sent.letters.forget(bob.id, [])
    assert unread(sent, alice) == ("le-2",)


def test_the_newest_letters_of_a_user_stay(stores, alice, monkeypatch):
    for adapter in ("sqlite", "dynamodb"):
        monkeypatch.setattr(f"hubless.adapters.{adapter}.letters.MOST_OF_USER", 3)
    written = [replace(PARTY, id=f"le-{number:03}") for number in range(5)]
    for letter in written:
        stores.letters.create(letter)
        stores.letters.deliver(letter, alice.id)
    newest = [letter.id for letter in written[2:]]
    assert ids_of(stores, alice) == newest[::-1]
    assert unread(stores, alice) == tuple(newest)
    assert stores.letters.get("le-000", NOW) is not None  # others may have it


def test_letters_go_with_their_user(sent, alice, bob):
    sent.users.delete(alice.id)
    assert ids_of(sent, alice) == []
    assert ids_of(sent, bob) == ["le-1"]
    assert not sent.letters.mark_read(EXAM.id, alice.id, NOW)


def test_letters_stay_when_their_user_gets_another_name(sent, alice):
    before = sent.users.get(alice.id)
    sent.users.change(before, replace(before, name="alicia", revision=before.revision + 1))
    assert unread(sent, alice) == ("le-1", "le-2")
    assert ids_of(sent, alice) == ["le-2", "le-1"]


def test_letters_expire(sent, alice):
    soon = replace(EXAM, id="le-0", expires_at=NOW + timedelta(hours=1))
    sent.letters.create(soon)
    sent.letters.deliver(soon, alice.id)
    assert ids_of(sent, alice) == ["le-2", "le-1", "le-0"]
    then = NOW + timedelta(hours=1)
    assert sent.letters.get("le-0", then) is None
    assert [one.letter.id for one in sent.letters.of_user(alice.id, then)] == ["le-2", "le-1"]
    assert [one.id for one in sent.letters.page(then, limit=9)] == ["le-2", "le-1"]
    sent.letters.delete_expired(then, 50)
    assert [one.id for one in sent.letters.page(then, limit=9)] == ["le-2", "le-1"]


def test_letters_are_listed_in_pages(stores):
    for number in range(5):
        stores.letters.create(replace(PARTY, id=f"le-{number}"))
    stores.letters.create(gone := replace(PARTY, id="le-3a"))
    stores.letters.take_back(gone)
    first = stores.letters.page(NOW, limit=2)
    second = stores.letters.page(NOW, limit=2, before=first[-1].id)
    third = stores.letters.page(NOW, limit=2, before=second[-1].id)
    assert [[one.id for one in page] for page in (first, second, third)] == [
        ["le-4", "le-3"],
        ["le-2", "le-1"],
        ["le-0"],
    ]


def test_a_mail_is_claimed_once_until_it_is_released(sent, alice):
    claimed = concurrently(lambda _: sent.letters.claim_mail(EXAM.id, alice.id, NOW))
    assert claimed.count(True) == 1
    assert sent.letters.of_user(alice.id, NOW)[1].mailed_at == NOW
    sent.letters.release_mail(EXAM.id, alice.id)
    assert sent.letters.claim_mail(EXAM.id, alice.id, NOW)
    assert not sent.letters.claim_mail("le-3", alice.id, NOW)
    sent.letters.release_mail("le-3", alice.id)
    assert ids_of(sent, alice) == ["le-2", "le-1"]


# --- DynamoDB alone: what comes between two of its requests ---


@pytest.fixture
def table(in_moto):
    stores = in_new_table(in_moto)
    stores.users.create([a_user(), a_user("bob")])
    stores.letters.create(EXAM)
    stores.letters.deliver(EXAM, "u-alice")
    yield stores
    stores.close()


def test_a_click_between_reading_and_writing_counts_once(table, monkeypatch):
    get, others = table.database.get, [lambda: table.letters.mark_read(EXAM.id, "u-alice", NOW)]

    def before_another(model, key):
        found = get(model, key)
        if model is DeliveryItem and others:
            others.pop()()
        return found

    monkeypatch.setattr(table.database, "get", before_another)
    assert table.letters.mark_read(EXAM.id, "u-alice", NOW + timedelta(hours=1), put_away=True)
    (got,) = table.letters.of_user("u-alice", NOW)
    assert (got.read_at, got.is_put_away, got.letter.read, others) == (NOW, True, 1, [])


def test_a_user_whose_removal_has_begun_gets_no_letter(table):
    account = Contents().read()[keys.account("u-bob")]
    Contents().add(account | {"gone": {"BOOL": True}})
    with pytest.raises(NotFoundError):
        table.letters.deliver(EXAM, "u-bob")
    assert table.letters.get(EXAM.id, NOW).reached == 1
