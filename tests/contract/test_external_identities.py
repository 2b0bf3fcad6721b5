from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.errors import HublessError, IdentityTakenError, NameTakenError, NotFoundError, StoreConflictError
from hubless.domain.external_identities import AwaitedLogin, ExternalId
from hubless.domain.users import Group
from tests.support.builders import NOW, a_user, an_identity
from tests.support.concurrency import MANY, concurrently
from tests.support.dynamodb import Contents, in_new_table


def user_of(stores, identity):
    found = stores.external_identities.find_with_user(identity)
    assert found is None or found[0].id == identity
    return found and found[1]


def outcome_of(act):
    try:
        act()
    except HublessError as error:
        return type(error)
    return None


def test_a_linked_identity_leads_to_its_user_with_groups(stores, alice):
    stores.groups.create(Group("g1", "staff", ("alice",)))
    stores.external_identities.link(an_identity())
    found = user_of(stores, an_identity().id)
    assert (found.id, found.groups) == (alice.id, ("staff",))
    assert stores.external_identities.find_with_user(an_identity().id)[0] == an_identity()
    assert stores.external_identities.of_user(alice.id) == [an_identity()]


@pytest.mark.parametrize(
    "other",
    [
        ExternalId("https://sso.example.org", "1002"),
        ExternalId("https://sso.example.org/", "1001"),
        ExternalId("https://sso.example.or", "g1001"),
        ExternalId("HTTPS://sso.example.org", "1001"),
        ExternalId("1001", "https://sso.example.org"),
        ExternalId("", ""),
    ],
)
def test_another_issuer_or_subject_is_another_person(stores, alice, other):
    stores.external_identities.link(an_identity())
    assert user_of(stores, other) is None


def test_case_and_accents_of_a_subject_count(stores, alice, bob):
    stores.external_identities.link(an_identity("Zoë"))
    stores.external_identities.link(an_identity("zoë", "bob"))
    assert user_of(stores, an_identity("Zoë").id).name == "alice"
    assert user_of(stores, an_identity("zoë").id).name == "bob"


def test_an_identity_of_another_user_is_refused(stores, alice, bob):
    stores.external_identities.link(an_identity())
    with pytest.raises(IdentityTakenError):
        stores.external_identities.link(an_identity(owner="bob"))
    assert user_of(stores, an_identity().id).name == "alice"
    assert stores.external_identities.of_user(bob.id) == []


def test_linking_again_replaces_the_label_and_keeps_one_entry(stores, alice):
    stores.external_identities.link(an_identity())
    again = an_identity(label="new@example.org", provider="other", by_admin=True)
    stores.external_identities.link(again)
    assert stores.external_identities.of_user(alice.id) == [again]
    assert stores.external_identities.find_with_user(again.id)[0] == again


def test_identities_are_listed_in_order_of_linking(stores, alice, bob):
    late = an_identity("1", linked_at=NOW + timedelta(minutes=1))
    for one in (late, an_identity("3"), an_identity("2"), an_identity("4", "bob")):
        stores.external_identities.link(one)
    listed = [one.id.subject for one in stores.external_identities.of_user(alice.id)]
    assert sorted(listed[:2]) == ["2", "3"]
    assert listed[2:] == ["1"]


def test_an_identity_of_a_missing_user_is_refused(stores):
    with pytest.raises(NotFoundError):
        stores.external_identities.link(an_identity())
    assert user_of(stores, an_identity().id) is None


def test_an_ended_link_leads_nowhere_and_can_be_made_again(stores, alice, bob):
    stores.external_identities.link(an_identity())
    assert not stores.external_identities.unlink(bob.id, an_identity().id)
    assert stores.external_identities.unlink(alice.id, an_identity().id)
    assert not stores.external_identities.unlink(alice.id, an_identity().id)
    assert user_of(stores, an_identity().id) is None
    assert stores.external_identities.of_user(alice.id) == []
    stores.external_identities.link(an_identity(owner="bob"))
    assert user_of(stores, an_identity().id).name == "bob"


def test_a_user_is_added_together_with_an_identity(stores):
    stores.external_identities.create_user(a_user(), an_identity())
    assert user_of(stores, an_identity().id).name == "alice"
    assert stores.users.find("alice").id == "u-alice"


@pytest.mark.parametrize("name", ["alice", "ALICE", "\u0430lice"])
def test_no_user_is_added_whose_name_is_taken_or_looks_so(stores, alice, name):
    with pytest.raises(NameTakenError):
        stores.external_identities.create_user(a_user(name, id="u-2"), an_identity("2", user_id="u-2"))
    assert user_of(stores, an_identity("2").id) is None
    assert stores.users.get("u-2") is None


def test_no_user_is_added_whose_identity_is_taken(stores, alice):
    stores.external_identities.link(an_identity())
    with pytest.raises(IdentityTakenError):
        stores.external_identities.create_user(a_user("new"), an_identity(owner="new"))
    assert stores.users.find("new") is None
    assert user_of(stores, an_identity().id).name == "alice"


def test_of_concurrent_first_logins_of_one_identity_one_adds_a_user(stores):
    for turn in range(3):

        def first_login(each, turn=turn):
            user = a_user(f"new{turn}", id=f"u-{turn}-{each}")
            return outcome_of(
                lambda: stores.external_identities.create_user(user, an_identity(f"{turn}", user_id=user.id))
            )

        outcomes = concurrently(first_login)
        assert outcomes.count(None) == 1
        assert set(outcomes) <= {None, NameTakenError, IdentityTakenError}
        winner = f"u-{turn}-{outcomes.index(None)}"
        assert user_of(stores, an_identity(f"{turn}").id).id == winner
        assert stores.users.find(f"new{turn}").id == winner


def test_of_first_logins_under_names_that_differ_one_gets_the_identity(stores):
    def first_login(each):
        return outcome_of(
            lambda: stores.external_identities.create_user(a_user(f"n{each}"), an_identity("1", f"n{each}"))
        )

    outcomes = concurrently(first_login)
    assert (outcomes.count(None), outcomes.count(IdentityTakenError)) == (1, MANY - 1)
    assert stores.users.count() == 1


def test_of_two_identities_that_want_one_name_one_gets_it(stores):
    def first_login(each):
        user = a_user("alice" if each % 2 else "Alice", id=f"u{each}")
        return outcome_of(lambda: stores.external_identities.create_user(user, an_identity(f"{each}", user_id=user.id)))

    outcomes = concurrently(first_login)
    assert (outcomes.count(None), outcomes.count(NameTakenError)) == (1, MANY - 1)
    found = [user_of(stores, an_identity(f"{each}").id) for each in range(MANY)]
    assert [user.id for user in found if user] == [f"u{outcomes.index(None)}"]


def test_of_concurrent_links_of_one_identity_one_user_gets_it(stores):
    users = [a_user(f"n{each}") for each in range(MANY)]
    stores.users.create(users)
    outcomes = concurrently(
        lambda each: outcome_of(lambda: stores.external_identities.link(an_identity("1", f"n{each}")))
    )
    assert (outcomes.count(None), outcomes.count(IdentityTakenError)) == (1, MANY - 1)
    assert user_of(stores, an_identity("1").id).name == f"n{outcomes.index(None)}"
    listed = [stores.external_identities.of_user(user.id) for user in users]
    assert sum(map(len, listed)) == 1


def test_a_removed_user_leaves_its_identity_to_others(stores, alice, bob):
    stores.external_identities.link(an_identity())
    stores.external_identities.link(an_identity("2"))
    stores.users.delete(alice.id)
    assert user_of(stores, an_identity().id) is None
    assert stores.external_identities.of_user(alice.id) == []
    stores.external_identities.link(an_identity(owner="bob"))
    assert user_of(stores, an_identity().id).name == "bob"
    stores.external_identities.create_user(a_user(id="u-again"), an_identity("2", user_id="u-again"))
    assert user_of(stores, an_identity("2").id).id == "u-again"


def test_dynamodb_keeps_an_identity_taken_over_during_a_removal(in_moto, monkeypatch):
    made = in_new_table(in_moto)
    made.users.create([a_user(), a_user("bob")])
    made.external_identities.link(an_identity())
    made.external_identities.link(an_identity("2"))
    from hubless.adapters.dynamodb import removals

    with monkeypatch.context() as patch:
        patch.setattr(removals, "_sweep_user", lambda *_: None)  # a crash after the first write
        made.users.delete("u-alice")
    assert user_of(made, an_identity().id) is None
    made.external_identities.link(an_identity(owner="bob"))
    made.external_identities.create_user(a_user(id="u-again"), an_identity("2", user_id="u-again"))

    removals.finish(made.database)

    assert user_of(made, an_identity().id).name == "bob"
    assert user_of(made, an_identity("2").id).id == "u-again"
    assert not [sk for pk, sk in Contents().read() if pk == "USER#u-alice"]
    made.close()


def test_sqlite_and_dynamodb_find_a_renamed_user(stores, alice):
    stores.external_identities.link(an_identity())
    stores.users.change(alice, replace(alice, name="al", revision=1))
    assert user_of(stores, an_identity().id).name == "al"


def test_the_only_way_in_is_linked_to_a_user_without_another(stores, alice):
    stores.external_identities.link(an_identity(by_admin=True), only_way_in=True)
    assert stores.external_identities.of_user(alice.id) == [an_identity(by_admin=True)]


@pytest.mark.parametrize("other", ["a password", "an identity", "an identity that was unlinked", "a first login"])
def test_an_only_way_in_beside_another_is_refused(stores, alice, other):
    if other == "a password":
        stores.passwords.set(alice.id, "hash")
    elif other == "a first login":
        stores.users.delete(alice.id)
        stores.external_identities.create_user(alice, an_identity("2"))
    else:
        stores.external_identities.link(an_identity("2"))
    if other == "an identity that was unlinked":
        stores.external_identities.unlink(alice.id, an_identity("2").id)
    with pytest.raises(StoreConflictError):
        stores.external_identities.link(an_identity(), only_way_in=True)
    assert user_of(stores, an_identity().id) is None
    stores.external_identities.link(an_identity())
    assert user_of(stores, an_identity().id).name == "alice"


def test_of_concurrent_only_ways_in_one_is_linked(stores, alice):
    outcomes = concurrently(
        lambda each: outcome_of(lambda: stores.external_identities.link(an_identity(f"{each}"), only_way_in=True))
    )
    assert (outcomes.count(None), outcomes.count(StoreConflictError)) == (1, MANY - 1)
    assert len(stores.external_identities.of_user(alice.id)) == 1


AWAITED = AwaitedLogin("campus", "https://sso.example.org", "alice", NOW + timedelta(days=9))
OTHERS = [
    replace(AWAITED, provider="other"),
    replace(AWAITED, issuer="other"),
    replace(AWAITED, name="other"),
    replace(AWAITED, until=NOW),
]


def awaited_by(stores, user):
    return stores.users.get(user.id).awaited


def test_an_awaited_login_is_with_its_user_until_it_comes(stores, alice):
    assert awaited_by(stores, alice) is None
    assert stores.external_identities.await_login(alice.id, replace(AWAITED, provider="first"))
    assert stores.external_identities.await_login(alice.id, AWAITED)
    assert awaited_by(stores, alice) == stores.users.find("alice").awaited == AWAITED
    stores.external_identities.link(an_identity(), only_way_in=True, awaited=AWAITED)
    assert awaited_by(stores, alice) is None
    assert user_of(stores, an_identity().id).awaited is None


@pytest.mark.parametrize("other", OTHERS)
def test_another_login_than_the_awaited_one_links_nothing(stores, alice, other):
    for known in (None, other):
        if known is not None:
            assert stores.external_identities.await_login(alice.id, known)
        with pytest.raises(StoreConflictError):
            stores.external_identities.link(an_identity(), only_way_in=True, awaited=AWAITED)
    assert user_of(stores, an_identity().id) is None
    assert awaited_by(stores, alice) == other


@pytest.mark.parametrize("since", ["a password", "an identity", "an admin"])
def test_a_way_in_ends_what_is_awaited_and_nothing_is_after_it(stores, alice, since):
    assert stores.external_identities.await_login(alice.id, AWAITED)
    if since == "a password":
        stores.passwords.set(alice.id, "hash")
    elif since == "an identity":
        stores.external_identities.link(an_identity("2"))
        assert awaited_by(stores, alice) is None
    else:
        stores.users.change(alice, replace(alice, admin=True, revision=alice.revision + 1))
    with pytest.raises(StoreConflictError):
        stores.external_identities.link(an_identity(), only_way_in=True, awaited=AWAITED)
    assert not stores.external_identities.await_login(alice.id, AWAITED)
    assert user_of(stores, an_identity().id) is None


def test_a_user_who_is_gone_awaits_nothing(stores, alice):
    assert stores.external_identities.await_login(alice.id, AWAITED)
    stores.users.delete(alice.id)
    assert not stores.external_identities.await_login(alice.id, AWAITED)
    stores.users.create([a_user("alice", id="u-new")])
    assert stores.users.find("alice").awaited is None


def test_of_concurrent_awaited_logins_one_is_linked(stores, alice):
    assert stores.external_identities.await_login(alice.id, AWAITED)
    link = stores.external_identities.link
    outcomes = concurrently(
        lambda each: outcome_of(lambda: link(an_identity(f"{each}"), only_way_in=True, awaited=AWAITED))
    )
    assert (outcomes.count(None), outcomes.count(StoreConflictError)) == (1, MANY - 1)
    assert len(stores.external_identities.of_user(alice.id)) == 1
