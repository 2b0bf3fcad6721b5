from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.errors import NotFoundError, QuotaExceededError, StoreConflictError
from hubless.domain.tokens import OwnerKind
from hubless.domain.users import Group
from tests.support.builders import NOW, a_server, a_session, a_token, a_user, an_imported_hash
from tests.support.concurrency import MANY, concurrently

pytestmark = pytest.mark.usefixtures("alice", "bob")
LATER = NOW + timedelta(minutes=5)


def of_service(secret, name="culler", **facts):
    return a_token(secret, owner_kind=OwnerKind.SERVICE, owner_id=name, **facts)


def test_a_token_comes_back_as_it_was_written(stores):
    stores.sessions.create(a_session("x"))
    token = a_token(
        scopes=("a", "b!user=alice"),
        note="nöte",
        expires_at=LATER,
        last_activity_at=NOW,
        session_id="session-x",
        client_id="c",
        server_id="s",
    )
    stores.tokens.create(token)
    assert stores.tokens.find(token.sha256) == token
    assert stores.tokens.get(OwnerKind.USER, "u-alice", token.id) == token
    assert stores.tokens.of_owner(OwnerKind.USER, "u-alice") == [token]


def test_many_tokens_are_added_as_one_is(stores):
    """Of several owners, with filters and imported hashes, and more than a transaction of DynamoDB holds."""
    made = [a_token(f"secret{number}", ("alice", "bob")[number % 2]) for number in range(120)]
    made += [a_token("filtered", scopes=("read:users!user=bob",)), of_service("culling", expires_at=LATER)]
    made.append(a_token("foreign", sha256=an_imported_hash("foreign")))
    stores.tokens.create_many(made)
    assert [stores.tokens.find(one.sha256) for one in made] == made
    assert len(stores.tokens.of_owner(OwnerKind.USER, "u-alice")) == 62
    assert stores.tokens.look_up("unknown", "fore")[1] == [an_imported_hash("foreign")]


def test_many_tokens_with_a_taken_hash_or_nobody_are_refused(stores):
    stores.tokens.create(a_token())
    with pytest.raises(StoreConflictError):
        stores.tokens.create_many([a_token("new"), replace(a_token(), id="a-2")])
    with pytest.raises(NotFoundError):
        stores.tokens.create_many([a_token("nobodys", "nobody")])
    assert stores.tokens.find(a_token().sha256).id == a_token().id


def test_tokens_with_large_scopes_are_added_in_several_requests(stores):
    """A transaction of DynamoDB has at most 4 MB."""
    wide = tuple(f"read:users!user={number:0900}" for number in range(200))
    made = [a_token(f"large{number}", scopes=wide) for number in range(24)]
    stores.tokens.create_many(made)
    assert len(stores.tokens.of_owner(OwnerKind.USER, "u-alice")) == 24


def test_a_token_comes_with_its_user_and_groups(stores, alice):
    stores.groups.create(Group("g1", "staff", ("alice",)))
    stores.tokens.create(a_token())
    token, user = stores.tokens.find_with_user(a_token().sha256)
    assert token == a_token()
    assert user == stores.users.get(alice.id)
    assert user.groups == ("staff",)


def test_a_services_token_comes_with_no_user(stores):
    stores.tokens.create(of_service("s"))
    assert stores.tokens.find_with_user(of_service("s").sha256) == (of_service("s"), None)


def test_a_service_named_as_a_users_id_is_not_that_user(stores):
    token = of_service("s", "u-alice")
    stores.tokens.create(token)
    assert stores.tokens.find_with_user(token.sha256) == (token, None)
    assert stores.tokens.get(OwnerKind.USER, "u-alice", token.id) is None
    assert stores.tokens.of_owner(OwnerKind.USER, "u-alice") == []
    stores.users.delete("u-alice")
    assert stores.tokens.find(token.sha256) == token


def test_a_missing_record_is_none(stores):
    assert stores.tokens.find("00") is None
    assert stores.tokens.find_with_user("00") is None
    assert stores.tokens.get(OwnerKind.USER, "u-alice", "a-none") is None


def test_a_token_is_found_by_its_owner_only(stores):
    stores.tokens.create(a_token())
    assert stores.tokens.get(OwnerKind.USER, "u-bob", a_token().id) is None
    assert stores.tokens.get(OwnerKind.SERVICE, "u-alice", a_token().id) is None


def test_a_services_token_comes_without_a_user(stores):
    token = of_service("x", expires_at=LATER)
    stores.tokens.create(token)
    stores.tokens.touch(token.id, NOW)
    assert stores.tokens.find_with_user(token.sha256) == (replace(token, last_activity_at=NOW), None)


def test_expired_tokens_are_returned(stores):
    token = a_token(expires_at=NOW - timedelta(days=1))
    stores.tokens.create(token)
    assert stores.tokens.find(token.sha256) == token
    assert stores.tokens.find_with_user(token.sha256)[0] == token
    assert stores.tokens.get(OwnerKind.USER, "u-alice", token.id) == token
    assert stores.tokens.of_owner(OwnerKind.USER, "u-alice") == [token]


def test_tokens_of_an_owner_come_oldest_first(stores):
    for number, secret in enumerate("cab"):
        stores.tokens.create(a_token(secret, id=f"a{number}", created_at=NOW + timedelta(seconds=number)))
    stores.tokens.create(a_token("bobs", "bob"))
    assert [t.id for t in stores.tokens.of_owner(OwnerKind.USER, "u-alice")] == ["a0", "a1", "a2"]


def test_an_existing_id_or_hash_is_a_conflict(stores):
    stores.tokens.create(a_token())
    with pytest.raises(StoreConflictError):
        stores.tokens.create(a_token(id="a-other"))
    with pytest.raises(StoreConflictError):
        stores.tokens.create(a_token("other", id=a_token().id))
    assert stores.tokens.of_owner(OwnerKind.USER, "u-alice") == [a_token()]


def test_of_eight_concurrent_adds_of_one_token_one_succeeds(stores):
    outcomes = concurrently(lambda n: stores.tokens.create(a_token(note=str(n))))
    assert outcomes.count(None) == 1
    assert sum(isinstance(o, StoreConflictError) for o in outcomes) == MANY - 1


def test_a_token_of_a_missing_user_is_refused(stores):
    with pytest.raises(NotFoundError):
        stores.tokens.create(a_token(owner="nobody"))
    assert stores.tokens.find(a_token().sha256) is None


HELD = ("x!user=bob", "x!group=staff", "x!server=bob/lab", "x!server=bob/", "x!service=s", "x!user", "x")


@pytest.fixture
def held(stores):
    """Return a function that reads a token of alice's whose filters name bob, his group, a server and a future one."""
    stores.groups.create(Group("g1", "staff", ("bob",)))
    stores.servers.create(a_server("lab", "bob"), named_limit=5)
    stores.tokens.create(a_token(scopes=HELD))

    def read():
        ways = [
            stores.tokens.find(a_token().sha256),
            stores.tokens.find_with_user(a_token().sha256)[0],
            stores.tokens.get(OwnerKind.USER, "u-alice", a_token().id),
            *stores.tokens.of_owner(OwnerKind.USER, "u-alice"),
        ]
        assert len({way.scopes for way in ways}) == 1
        return ways[0].scopes

    return read


def test_filters_follow_renames_and_not_reused_names(stores, held, bob):
    assert held() == HELD
    stores.users.change(bob, replace(bob, name="rob", revision=1))
    stores.users.create([a_user("bob", id="u-other")])
    stores.servers.create(a_server("lab", "bob", id="s-other", owner_id="u-other"), named_limit=5)
    assert held() == ("x!user=rob", "x!group=staff", "x!server=rob/lab", "x!server=rob/", "x!service=s", "x!user", "x")


def test_filters_on_removed_things_are_left_out(stores, held):
    stores.users.delete("u-bob")
    stores.groups.delete("g1")
    stores.users.create([a_user("bob", id="u-other")])
    stores.groups.create(Group("g2", "staff", ("bob",)))
    stores.servers.create(a_server("lab", "bob", id="s-other", owner_id="u-other"), named_limit=5)
    assert held() == ("x!service=s", "x!user", "x")


def test_a_filter_on_a_server_follows_it_and_not_its_name(stores, held):
    lab = stores.servers.get("s-bob-lab")
    stores.servers.write(lab, replace(lab, name="den", revision=lab.revision + 1))
    stores.servers.create(a_server("lab", "bob", id="s-other"), named_limit=5)
    assert held()[2] == "x!server=bob/den"
    stores.servers.delete(stores.servers.get("s-bob-lab"))
    assert [scope for scope in held() if "server" in scope] == ["x!server=bob/"]


def test_a_filter_on_a_future_server_needs_the_same_owner(stores, held):
    stores.servers.create(a_server("", "bob"), named_limit=0)
    assert held()[3] == "x!server=bob/"


def test_a_filter_by_an_unused_name_never_has_an_effect(stores):
    stores.tokens.create(
        a_token(scopes=("x!user=later", "x!group=later", "x!server=later/", "x!user=u-bob", "x!group=a!user=bob", "y"))
    )
    stores.users.create([a_user("later")])
    stores.groups.create(Group("g1", "later"))
    stores.groups.create(Group("g2", "a!user=bob"))
    assert stores.tokens.find(a_token().sha256).scopes == ("y",)


@pytest.mark.parametrize("name", ["a=b", "a!user=bob", "%", "*?[x]", "group=g", 'a"b\\', "ä ö", "bob'--"])
def test_any_name_is_allowed_in_a_filter(stores, name):
    stores.users.create([a_user(name)])
    stores.groups.create(Group("g1", name, (name,)))
    scopes = (f"x!user={name}", f"x!group={name}", f"x!server={name}/lab")
    stores.tokens.create(a_token(scopes=scopes))
    assert stores.tokens.find(a_token().sha256).scopes == scopes


def test_deletion_is_by_id_and_idempotent(stores):
    for secret in "abc":
        stores.tokens.create(a_token(secret))
    stores.tokens.delete(["a-a", "a-b", "a-none"])
    stores.tokens.delete(["a-a"])
    stores.tokens.delete([])
    assert [t.id for t in stores.tokens.of_owner(OwnerKind.USER, "u-alice")] == ["a-c"]


def test_issued_tokens_are_removed_by_user_and_client(stores):
    stores.tokens.create(a_token("gone", client_id="c1"))
    stores.tokens.create(a_token("gone too", client_id="c1"))
    kept = [a_token("other client", client_id="c2"), a_token("no client"), a_token("other user", "bob", client_id="c1")]
    for token in kept:
        stores.tokens.create(token)
    stores.tokens.delete_issued("u-alice", "c1")
    assert stores.tokens.find(a_token("gone").sha256) is None
    assert stores.tokens.find(a_token("gone too").sha256) is None
    assert [stores.tokens.find(token.sha256) for token in kept] == kept


def test_issued_tokens_are_read_by_user_and_client_newest_first(stores, session):
    issued = [a_token(f"t{number}", client_id="c1", session_id=session.id) for number in range(4)]
    others = [
        a_token("other client", client_id="c2"),
        a_token("no client"),
        a_token("other user", "bob", client_id="c1"),
    ]
    for token in [*others, *issued]:
        stores.tokens.create(token)
    assert stores.tokens.issued("u-alice", "c1", 10) == issued[::-1]
    assert stores.tokens.issued("u-alice", "c1", 3) == issued[:0:-1]
    assert stores.tokens.issued("u-bob", "c2", 3) == []


def test_tokens_of_a_session_are_removed_with_it(stores):
    for secret in "xy":
        stores.sessions.create(a_session(secret))
    stores.tokens.create(a_token("gone", session_id="session-x"))
    stores.tokens.create(a_token("kept", session_id="session-y"))
    stores.tokens.create(a_token("own"))
    stores.tokens.delete_session("session-x")
    assert [t.note or t.id for t in stores.tokens.of_owner(OwnerKind.USER, "u-alice")] == ["a-kept", "a-own"]


def test_activity_only_goes_forward(stores):
    stores.tokens.create(a_token())
    stores.tokens.touch(a_token().id, LATER, address="192.0.2.7", agent="curl/8 ä")
    stores.tokens.touch(a_token().id, NOW, address="192.0.2.8", agent="wget")
    used = a_token(last_activity_at=LATER, last_address="192.0.2.7", last_agent="curl/8 ä")
    assert stores.tokens.find(a_token().sha256) == used
    assert stores.tokens.find_with_user(a_token().sha256)[0] == used
    assert stores.tokens.of_owner(OwnerKind.USER, "u-alice") == [used]
    stores.tokens.touch(a_token().id, LATER + timedelta(seconds=30))
    assert stores.tokens.find(a_token().sha256).last_address == ""  # the use before is no longer the last
    stores.tokens.touch("a-none", NOW)


def test_expired_tokens_are_removed_up_to_a_limit(stores):
    for number in range(5):
        stores.tokens.create(a_token(f"old{number}", expires_at=NOW - timedelta(seconds=number)))
    stores.tokens.create(a_token("new", expires_at=NOW + timedelta(microseconds=1)))
    stores.tokens.create(a_token("forever"))
    assert [stores.tokens.delete_expired(NOW, 2) for _ in range(4)] == [2, 2, 1, 0]
    assert [t.id for t in stores.tokens.of_owner(OwnerKind.USER, "u-alice")] == ["a-forever", "a-new"]


def test_eight_cleaners_count_each_expired_token_once(stores):
    for number in range(30):
        stores.tokens.create(a_token(f"old{number}", expires_at=NOW))
    assert sum(concurrently(lambda _: stores.tokens.delete_expired(NOW, 10))) == 30


# --- limits ---


def test_the_limit_counts_the_owners_own_tokens_that_are_valid(stores, session):
    stores.tokens.create(a_token("bobs", "bob"))
    stores.tokens.create(a_token("expired", expires_at=NOW))
    stores.tokens.create(a_token("issued", client_id="c1", session_id=session.id))
    stores.tokens.create(a_token("of a server", server_id="s-alice-"))
    stores.tokens.create(a_token("one", expires_at=LATER), limit=2)
    stores.tokens.create(a_token("two"), limit=2)
    with pytest.raises(QuotaExceededError) as reached:
        stores.tokens.create(a_token("three"), limit=2)
    assert (reached.value.limit, stores.tokens.find(a_token("three").sha256)) == (2, None)
    stores.tokens.create(a_token("bobs second", "bob"), limit=2)
    stores.tokens.create(a_token("three", created_at=LATER), limit=2)
    stores.tokens.create(a_token("four"))


def test_a_revoked_token_leaves_its_place(stores):
    for secret in ("one", "two", "three"):
        stores.tokens.create(a_token(secret), limit=1)
        stores.tokens.delete([a_token(secret).id])


def test_eight_concurrent_tokens_never_exceed_the_limit(stores):
    outcomes = concurrently(lambda n: stores.tokens.create(a_token(f"t{n}"), limit=3))
    assert outcomes.count(None) == 3
    assert sum(isinstance(o, QuotaExceededError) for o in outcomes) == MANY - 3
    assert len(stores.tokens.of_owner(OwnerKind.USER, "u-alice")) == 3


def test_with_a_limit_a_missing_owner_is_still_refused(stores):
    with pytest.raises(NotFoundError):
        stores.tokens.create(a_token("x", "nobody"), limit=3)


def test_a_session_keeps_the_newest_tokens_of_a_client(stores, session):
    other = a_session("other")
    stores.sessions.create(other)
    for number in range(5):
        stores.tokens.create(a_token(f"t{number}", client_id="c1", session_id=session.id))
    kept = [a_token("c2", client_id="c2", session_id=session.id), a_token("o", client_id="c1", session_id=other.id)]
    for token in [*kept, a_token("own")]:
        stores.tokens.create(token)
    stores.tokens.keep_newest(session.id, "c1", 2)
    stores.tokens.keep_newest(session.id, "c1", 2)
    left = {token.id for token in stores.tokens.of_owner(OwnerKind.USER, "u-alice")}
    assert left == {"a-t3", "a-t4", "a-c2", "a-o", "a-own"}
    assert stores.tokens.find(a_token("t0").sha256) is None
