from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.errors import NotFoundError, QuotaExceededError
from hubless.domain.shares import Share, ShareCode
from hubless.domain.tokens import sha256
from hubless.domain.users import Group
from tests.support.builders import NOW, a_server, a_user
from tests.support.concurrency import MANY, concurrently

ACCESS = ("access:servers",)


def a_share(share_id="h1", server="s-alice-lab", **facts):
    to = {} if "group_id" in facts else {"user_id": "u-bob"}
    return Share(**{"id": share_id, "server_id": server, "scopes": ACCESS, "created_at": NOW} | to | facts)


def a_code(secret="one", server="s-alice-lab", **facts):
    standard = {
        "id": f"sc_{secret}",
        "sha256": sha256(secret),
        "server_id": server,
        "scopes": ACCESS,
        "created_at": NOW,
        "expires_at": NOW + timedelta(days=1),
    }
    return ShareCode(**standard | facts)


@pytest.fixture
def lab(stores, alice, bob):
    server = a_server("lab")
    stores.servers.create(server)
    stores.groups.create(Group("g1", "staff", ("bob",)))
    return server


def shared_with(stores, name):
    return stores.users.find(name).shared


def test_a_share_comes_back_as_it_was_granted(stores, lab):
    assert stores.shares.grant(a_share()) == a_share()
    assert stores.shares.find(lab.id, user_id="u-bob") == a_share()
    assert stores.shares.find(lab.id, user_id="u-alice") is None
    assert stores.shares.find(lab.id, group_id="g1") is None


def test_a_second_grant_adds_its_scopes_to_the_first(stores, lab):
    stores.shares.grant(a_share())
    both = replace(a_share(), scopes=("access:servers", "read:servers"))
    assert stores.shares.grant(a_share("h2", scopes=("read:servers",))) == both
    assert stores.shares.page(offset=0, limit=9, server_id=lab.id) == ([both], 1)


def test_eight_concurrent_grants_lose_no_scope(stores, lab):
    concurrently(lambda n: stores.shares.grant(a_share(f"h{n}", scopes=(f"read:servers-{n}",))))
    found, total = stores.shares.page(offset=0, limit=9, server_id=lab.id)
    assert total == 1
    assert len(found[0].scopes) == MANY


def test_revoking_some_scopes_leaves_the_others(stores, lab):
    stores.shares.grant(a_share(scopes=("access:servers", "read:servers")))
    assert stores.shares.revoke("h1", ["read:servers", "start:servers"]) == a_share()
    assert stores.shares.revoke("h1", ACCESS) is None
    assert stores.shares.find(lab.id, user_id="u-bob") is None
    assert stores.shares.revoke("h1", ACCESS) is None


def test_revoking_without_scopes_removes_the_share(stores, lab):
    stores.shares.grant(a_share(scopes=("access:servers", "read:servers")))
    assert stores.shares.revoke("h1") is None
    assert shared_with(stores, "bob") == ()


def test_shared_scopes_are_read_with_present_names(stores, lab, alice):
    stores.shares.grant(a_share())
    assert shared_with(stores, "bob") == ("access:servers!server=alice/lab",)
    stores.users.change(alice, replace(alice, name="alicia", revision=1))
    assert shared_with(stores, "bob") == ("access:servers!server=alicia/lab",)
    stores.servers.write(lab, replace(lab, name="bench", revision=1))
    assert shared_with(stores, "bob") == ("access:servers!server=alicia/bench",)
    assert stores.users.get("u-bob").shared == shared_with(stores, "bob")
    assert stores.users.page(offset=0, limit=9)[0][1].shared == shared_with(stores, "bob")


def test_only_present_members_have_a_groups_share(stores, lab):
    stores.shares.grant(a_share(group_id="g1"))
    assert shared_with(stores, "bob") == ("access:servers!server=alice/lab",)
    assert stores.shares.page(offset=0, limit=9, user_id="u-bob")[1] == 1
    stores.groups.remove_users("g1", ["bob"])
    assert shared_with(stores, "bob") == ()
    assert stores.shares.page(offset=0, limit=9, user_id="u-bob")[1] == 0
    assert stores.shares.page(offset=0, limit=9, group_id="g1")[1] == 1


def test_a_new_user_of_an_old_name_inherits_no_share(stores, lab):
    stores.shares.grant(a_share())
    stores.users.delete("u-bob")
    stores.users.create([a_user("bob", id="u-other-bob")])
    assert shared_with(stores, "bob") == ()
    assert stores.shares.page(offset=0, limit=9, server_id=lab.id) == ([], 0)


@pytest.mark.parametrize("gone", ["server", "owner", "group"])
def test_a_share_is_removed_with_server_user_or_group(stores, lab, gone):
    stores.shares.grant(a_share(group_id="g1"))
    stores.codes.create(a_code())
    if gone == "server":
        stores.servers.delete(lab)
    elif gone == "owner":
        stores.users.delete("u-alice")
    else:
        stores.groups.delete("g1")
    assert shared_with(stores, "bob") == ()
    assert stores.shares.page(offset=0, limit=9, group_id="g1") == ([], 0)
    assert (stores.codes.find(sha256("one")) is None) == (gone != "group")


@pytest.mark.parametrize("share", [a_share(server="s-none"), a_share(user_id="u-none"), a_share(group_id="g-none")])
def test_a_share_needs_an_existing_server_and_holder(stores, lab, share):
    with pytest.raises(NotFoundError):
        stores.shares.grant(share)
    assert stores.shares.page(offset=0, limit=9, owner_id="u-alice") == ([], 0)


def test_a_page_of_an_owners_shares_is_oldest_first(stores, lab):
    stores.servers.create(a_server("two"))
    stores.servers.create(a_server("", owner="bob"))
    shares = [a_share("h1"), a_share("h2", server="s-alice-two"), a_share("h3", group_id="g1")]
    for share in reversed(shares):
        stores.shares.grant(share)
    stores.shares.grant(a_share("h4", server="s-bob-", user_id="u-alice"))
    assert stores.shares.page(offset=0, limit=2, owner_id="u-alice") == (shares[:2], 3)
    assert stores.shares.page(offset=2, limit=2, owner_id="u-alice") == (shares[2:], 3)


def test_ending_all_shares_of_a_server_leaves_those_of_others(stores, lab):
    stores.servers.create(a_server("two"))
    for share in (a_share("h1"), a_share("h2", group_id="g1"), a_share("h3", server="s-alice-two")):
        stores.shares.grant(share)
    stores.shares.delete_of_server(lab.id)
    assert [s.id for s in stores.shares.page(offset=0, limit=9, owner_id="u-alice")[0]] == ["h3"]


def test_a_code_comes_back_as_it_was_written(stores, lab):
    stores.codes.create(a_code())
    assert stores.codes.find(sha256("one")) == a_code()
    assert stores.codes.find(sha256("two")) is None
    with pytest.raises(NotFoundError):
        stores.codes.create(a_code("two", server="s-none"))


def test_an_exchange_grants_and_counts(stores, lab):
    stores.codes.create(a_code())
    later = NOW + timedelta(hours=1)
    assert stores.codes.exchange(a_code(), a_share(), later) == a_share()
    assert stores.codes.exchange(a_code(), a_share("h2"), later) == a_share()
    assert stores.codes.find(sha256("one")) == a_code(exchange_count=2, last_exchanged_at=later)
    assert shared_with(stores, "bob") == ("access:servers!server=alice/lab",)


def test_a_revoked_code_grants_nothing(stores, lab):
    stores.codes.create(a_code())
    assert stores.codes.delete(lab.id, code_id="sc_one") == 1
    assert stores.codes.exchange(a_code(), a_share(), NOW) is None
    assert shared_with(stores, "bob") == ()


def test_an_exchange_by_a_removed_user_is_not_counted(stores, lab):
    stores.codes.create(a_code())
    with pytest.raises(NotFoundError):
        stores.codes.exchange(a_code(), a_share(user_id="u-none"), NOW)
    assert stores.codes.find(sha256("one")) == a_code()


def test_codes_are_removed_by_id_by_secret_or_all_but_only_of_their_server(stores, lab):
    stores.servers.create(a_server("two"))
    for code in (a_code("one"), a_code("two"), a_code("three"), a_code("other", server="s-alice-two")):
        stores.codes.create(code)
    assert stores.codes.delete(lab.id, code_id="sc_other") == 0
    assert stores.codes.delete(lab.id, sha256=sha256("other")) == 0
    assert stores.codes.delete(lab.id, code_id="sc_one") == 1
    assert stores.codes.delete(lab.id, sha256=sha256("two")) == 1
    assert stores.codes.delete(lab.id) == 1
    assert stores.codes.page(offset=0, limit=9, owner_id="u-alice") == ([a_code("other", server="s-alice-two")], 1)
    assert stores.codes.page(offset=0, limit=9, server_id=lab.id) == ([], 0)


def test_expired_codes_are_removed_in_bounded_steps(stores, lab):
    for n in range(3):
        stores.codes.create(a_code(f"old{n}", expires_at=NOW))
    stores.codes.create(a_code("young"))
    assert stores.codes.delete_expired(NOW, 2) == 2
    assert stores.codes.delete_expired(NOW, 2) == 1
    assert stores.codes.page(offset=0, limit=9, server_id=lab.id)[1] == 1


# --- limits ---


@pytest.fixture
def crowd(stores, lab):
    """Eight users, and a server of each."""
    stores.users.create([a_user(f"user{n}") for n in range(MANY)])
    for number in range(MANY):
        stores.servers.create(a_server("lab", f"user{number}", id=f"s{number}"))


def test_a_server_has_so_many_shares(stores, crowd):
    outcomes = concurrently(
        lambda n: stores.shares.grant(a_share(f"h{n}", user_id=f"u-user{n}"), limit=3),
    )
    assert sum(isinstance(o, Share) for o in outcomes) == 3
    assert sum(isinstance(o, QuotaExceededError) for o in outcomes) == MANY - 3
    assert stores.shares.page(offset=0, limit=9, server_id="s-alice-lab")[1] == 3


@pytest.mark.parametrize("holder", [{"user_id": "u-bob"}, {"group_id": "g1"}])
def test_a_user_or_group_has_so_many_shares(stores, crowd, holder):
    outcomes = concurrently(lambda n: stores.shares.grant(a_share(f"h{n}", f"s{n}", **holder), limit=3))
    assert sum(isinstance(o, Share) for o in outcomes) == 3
    assert sum(isinstance(o, QuotaExceededError) for o in outcomes) == MANY - 3
    assert stores.shares.page(offset=0, limit=9, **holder)[1] == 3


def test_at_the_limit_a_share_still_gets_scopes_and_leaves_its_place(stores, crowd):
    first = stores.shares.grant(a_share("h0"), limit=1)
    assert stores.shares.grant(a_share("h1", scopes=("servers",)), limit=1).scopes == ("access:servers", "servers")
    with pytest.raises(QuotaExceededError):
        stores.shares.grant(a_share("h2", user_id="u-user0"), limit=1)
    stores.shares.revoke(first.id)
    stores.shares.grant(a_share("h2", user_id="u-user0"), limit=1)


def test_under_a_limit_what_is_missing_is_still_refused(stores, lab):
    for missing in (a_share(server="s-none"), a_share(user_id="u-none"), a_share(group_id="g-none")):
        with pytest.raises(NotFoundError):
            stores.shares.grant(missing, limit=3)
    with pytest.raises(NotFoundError):
        stores.codes.create(a_code(server="s-none"), limit=3)


def test_a_code_beyond_the_limit_of_shares_gives_none(stores, crowd):
    stores.shares.grant(a_share("h0"))
    code = a_code()
    stores.codes.create(code)
    with pytest.raises(QuotaExceededError):
        stores.codes.exchange(code, a_share("h1", user_id="u-user0"), NOW, limit=1)
    assert stores.codes.find(code.sha256).exchange_count == 0
    assert stores.codes.exchange(code, a_share("h1", user_id="u-user0"), NOW, limit=2)


def test_a_server_has_so_many_codes_that_are_valid(stores, lab):
    stores.codes.create(a_code("expired", expires_at=NOW))
    outcomes = concurrently(lambda n: stores.codes.create(a_code(f"c{n}"), limit=3))
    assert outcomes.count(None) == 3
    assert sum(isinstance(o, QuotaExceededError) for o in outcomes) == MANY - 3
    stores.codes.delete("s-alice-lab", sha256=a_code(f"c{outcomes.index(None)}").sha256)
    stores.codes.create(a_code("later"), limit=3)


# --- links that some may use -----------------------------------------------------------------------------------------


def test_a_code_of_two_uses_gives_no_third(stores, lab):
    stores.users.create([a_user("carol"), a_user("dan")])
    stores.codes.create(a_code(max_uses=2))
    given = [
        stores.codes.exchange(a_code(max_uses=2), a_share(f"h{who}", user_id=f"u-{who}"), NOW)
        for who in ("bob", "carol", "dan")
    ]
    assert [share and share.user_id for share in given] == ["u-bob", "u-carol", None]
    assert stores.codes.find(sha256("one")) == a_code(max_uses=2, exchange_count=2, last_exchanged_at=NOW)
    assert stores.codes.find(sha256("one")).is_used_up
    assert stores.shares.find(lab.id, user_id="u-dan") is None


def test_of_many_who_take_the_last_use_at_once_one_gets_it(stores, lab):
    stores.users.create([a_user(f"user{n}") for n in range(MANY)])
    code = a_code(max_uses=1)
    stores.codes.create(code)
    given = concurrently(lambda n: stores.codes.exchange(code, a_share(f"h{n}", user_id=f"u-user{n}"), NOW))
    assert sum(share is not None for share in given) == 1
    assert stores.codes.find(code.sha256).exchange_count == 1
    assert stores.shares.page(offset=0, limit=9, server_id=lab.id)[1] == 1
