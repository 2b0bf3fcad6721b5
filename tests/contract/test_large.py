"""Operations that are larger than a store's transaction keep the same promises."""

import pytest

from hubless.domain.tokens import OwnerKind
from hubless.domain.users import Group, Service
from tests.support.builders import NOW, a_code, a_server, a_session, a_token, a_user

MANY = 130


@pytest.fixture
def crowd(stores):
    made = [a_user(f"n{number:03}") for number in range(MANY)]
    assert stores.users.create(made) == made
    return made


def names(users):
    return tuple(user.name for user in users)


def issued(stores, **facts):
    """Add many tokens and some codes, and return their hashes."""
    tokens = [a_token(f"t{number}", **facts) for number in range(MANY)]
    for token in tokens:
        stores.tokens.create(token)
    return [token.sha256 for token in tokens]


def left(stores, hashes):
    return [digest for digest in hashes if stores.tokens.find(digest) is not None]


def test_a_class_is_added_and_read_at_once(stores, crowd):
    assert stores.users.count() == MANY
    assert list(stores.users.get_many([user.id for user in crowd]).values()) == crowd
    assert stores.users.page(offset=100, limit=100) == (crowd[100:], MANY)


def test_existing_users_are_left_out(stores, crowd):
    again = [a_user(f"m{n}") if n % 3 else a_user(f"n{n:03}", id=f"u-again-{n}") for n in range(MANY)]
    assert stores.users.create(again) == [user for n, user in enumerate(again) if n % 3]


def test_a_large_group_is_created_changed_and_removed(stores, crowd):
    stores.groups.create(Group("g1", "all", names(crowd[:70])))
    assert stores.groups.find("all").users == names(crowd[:70])
    stores.groups.add_users("g1", names(crowd))
    assert stores.groups.find("all").users == names(crowd)
    stores.groups.remove_users("g1", names(crowd[:65]))
    assert stores.groups.find("all").users == names(crowd[65:])
    assert stores.users.get(crowd[0].id).groups == ()
    assert stores.users.get(crowd[-1].id).groups == ("all",)
    stores.groups.delete("g1")
    assert stores.groups.find("all") is None
    assert [user.groups for user in stores.users.page(offset=0, limit=MANY)[0]] == [()] * MANY


def test_many_groups_with_the_same_members_are_created_together(stores, alice, bob):
    stores.groups.create(*(Group(f"g{n:02}", f"n{n:02}", ("alice", "bob")) for n in range(40)))
    assert len(stores.users.get(alice.id).groups) == 40
    assert stores.groups.page(offset=38, limit=9)[0][-1].users == ("alice", "bob")


def test_a_user_with_many_records_is_removed_completely(stores, alice):
    stores.groups.create(*(Group(f"g{n:03}", f"n{n:03}", ("alice",)) for n in range(40)))
    stores.sessions.create(a_session())
    hashes = issued(stores, session_id="session-cookie", client_id="c1")
    for number in range(40):
        stores.servers.create(a_server(f"n{number}"))
    stores.users.delete(alice.id)
    assert stores.users.get(alice.id) is None
    assert left(stores, hashes) == []
    assert stores.servers.of_owners([alice.id]) == []
    assert stores.sessions.of_user(alice.id) == []
    assert {group.users for group in stores.groups.page(offset=0, limit=99)[0]} == {()}
    assert stores.tokens.of_owner(OwnerKind.USER, alice.id) == []


def test_a_session_with_many_tokens_ends_completely(stores, alice):
    stores.sessions.create(a_session())
    hashes = issued(stores, session_id="session-cookie")
    stores.clients.add_code(a_code())
    stores.sessions.end("session-cookie")
    assert stores.sessions.find_with_user(a_session().sha256) is None
    assert left(stores, hashes) == []
    assert stores.clients.find_code(a_code().sha256) is None
    stores.sessions.create(a_session())
    assert stores.sessions.find_with_user(a_session().sha256) == (a_session(), alice)


def test_a_service_with_many_tokens_is_removed_completely(stores, alice):
    grader = Service("grader", oauth_client_id="service-grader", from_settings=False)
    stores.services.create(grader)
    hashes = issued(stores, client_id="service-grader")
    stores.services.delete(grader)
    assert stores.services.all() == []
    assert left(stores, hashes) == []
    stores.services.create(grader)
    stores.tokens.create(a_token("fresh", client_id="service-grader"))
    assert stores.tokens.find(a_token("fresh").sha256) is not None


def test_one_sweep_removes_many_expired_tokens(stores, alice):
    hashes = issued(stores, expires_at=NOW)
    assert stores.tokens.delete_expired(NOW, 500) == MANY
    assert left(stores, hashes) == []
