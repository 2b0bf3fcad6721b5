# ruff: noqa: RUF001 letters that look alike
from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.errors import NameTakenError, StoreConflictError
from hubless.domain.lifecycle import ACTIVE, INACTIVE, State
from hubless.domain.names import check_user_name
from hubless.domain.passwords import PasswordLink
from hubless.domain.users import Group
from hubless.services.identifiers import new_id
from tests.support.builders import NOW, a_client, a_code, a_server, a_session, a_token, a_user
from tests.support.concurrency import MANY, concurrently

LATER = NOW + timedelta(minutes=5)


def test_a_user_comes_back_as_it_was_written(stores):
    user = a_user("Ångström 🐈", admin=True, last_activity_at=LATER, user_info={"mail": ["a@b"], "n": None}, revision=3)
    assert stores.users.create([user]) == [user]
    assert stores.users.get(user.id) == user
    assert stores.users.find("Ångström 🐈") == user
    assert stores.users.get_many([user.id]) == {user.id: user}


def test_an_instant_keeps_its_microseconds(stores):
    user = a_user(created_at=NOW + timedelta(microseconds=123457))
    stores.users.create([user])
    assert stores.users.get(user.id).created_at == user.created_at


def test_a_missing_user_is_none(stores):
    assert stores.users.get("u-nobody") is None
    assert stores.users.find("nobody") is None
    assert stores.users.get_many(["u-nobody"]) == {}


def test_names_match_exactly(stores, alice):
    assert stores.users.find("Alice") is None
    assert stores.users.find("alic_") is None
    assert stores.users.find("alice ") is None


def test_names_that_look_alike_are_one(stores, alice):
    for name in ("ALICE", "ａｌｉｃｅ", "al\u200bice"):
        assert stores.users.create([a_user(name)]) == []
        assert stores.users.find(name) is None
        assert stores.users.holders([name, "bob"]) == {name: "alice"}
    assert stores.users.holders(["alice"]) == {"alice": "alice"}


def test_a_name_is_stored_as_it_is_and_keeps_what_looks_like_it(stores):
    for name, other in (("Dave", "dave"), ("сосо", "coco"), ("coco2", "сосо2")):
        assert [user.name for user in stores.users.create([a_user(name)])] == [name]
        assert stores.users.find(name).name == name
        assert stores.users.create([a_user(other)]) == []
        assert stores.users.holders([other, name]) == {other: name, name: name}


def test_of_names_in_one_call_that_look_alike_the_first_counts(stores):
    made = stores.users.create([a_user("Dave"), a_user("dave"), a_user("сосо"), a_user("coco")])
    assert [user.name for user in made] == ["Dave", "сосо"]


def test_of_eight_concurrent_adds_of_names_that_look_alike_one_succeeds(stores):
    spellings = ["dave", "Dave", "DAVE", "ｄａｖｅ", "dаve", "davе", "dаvе", "dAVE"]
    made = concurrently(lambda n: stores.users.create([a_user(spellings[n], id=f"u{n}")]))
    assert sum(len(one) for one in made) == 1


def test_a_rename_to_what_looks_like_anothers_name_is_refused(stores, alice, bob):
    for name in ("BOB", "ｂｏｂ"):
        with pytest.raises(NameTakenError):
            stores.users.change(alice, replace(alice, name=name, revision=1))
    assert stores.users.get(alice.id).name == "alice"


def test_a_rename_takes_the_skeleton_along(stores, alice):
    user = alice
    for name in ("ALICE", "ａｌｉｃｅ", "alice", "сосо", "СОСО", "coco", "Alice"):
        after = replace(user, name=name, revision=user.revision + 1)
        stores.users.change(user, after)
        user = after
        assert stores.users.find(name).id == alice.id
        assert stores.users.create([a_user(name.swapcase(), id="other")]) == []
    assert [user.name for user in stores.users.create([a_user("coco")])] == ["coco"]


@pytest.mark.parametrize("name", ["😀" * 255, "中" * 255, "ᾂ" * 170, "é" * 255, "ﬃ" * 255])
def test_the_longest_names_that_are_allowed_are_stored_and_found(stores, name):
    assert check_user_name(name) == name
    assert [user.name for user in stores.users.create([a_user(name, id="u-long")])] == [name]
    assert stores.users.find(name).id == "u-long"
    assert stores.users.holders([name]) == {name: name}
    stores.users.delete("u-long")


def test_names_that_nobody_can_have_are_nobodys(stores):
    for name in ("ᾂ" * 255, "😀" * 1000, "a" * 3000):
        assert stores.users.find(name) is None
        assert stores.users.holders([name]) == {}


def test_a_removed_user_leaves_the_skeleton(stores):
    for name in ("Dave", "сосо"):
        stores.users.create([a_user(name)])
        stores.users.delete(f"u-{name}")
        assert stores.users.holders([name, name.lower()]) == {}
    assert len(stores.users.create([a_user("dave"), a_user("coco")])) == 2


def test_a_user_comes_with_its_groups_sorted(stores, alice):
    for name in ("zoo", "ants", "middle"):
        stores.groups.create(Group(f"g-{name}", name, ("alice",)))
    expected = ("ants", "middle", "zoo")
    assert stores.users.get(alice.id).groups == expected
    assert stores.users.find("alice").groups == expected
    assert stores.users.get_many([alice.id])[alice.id].groups == expected
    assert stores.users.page(offset=0, limit=9)[0][0].groups == expected


def test_get_many_leaves_out_missing_users(stores, alice, bob):
    assert stores.users.get_many([alice.id, "u-nobody", bob.id, alice.id]) == {alice.id: alice, bob.id: bob}
    assert stores.users.get_many([]) == {}


def test_create_adds_and_returns_users_with_free_names(stores, alice):
    other = a_user(id="u-other")
    carol = a_user("carol")
    assert stores.users.create([other, carol]) == [carol]
    assert stores.users.get("u-other") is None
    assert stores.users.find("alice") == alice


def test_create_adds_a_repeated_name_once(stores):
    first, second = a_user(id="u-1"), a_user(id="u-2")
    assert stores.users.create([first, second]) == [first]


def test_of_eight_concurrent_adds_of_one_name_one_succeeds(stores):
    outcomes = concurrently(lambda n: stores.users.create([a_user(id=f"u-{n}")]))
    assert sorted(len(added) for added in outcomes) == [0] * (MANY - 1) + [1]
    assert stores.users.count() == 1
    (winner,) = next(added for added in outcomes if added)
    assert stores.users.find("alice") == winner


def test_a_change_stores_name_admin_and_info(stores, alice):
    after = replace(alice, name="alicia", admin=True, user_info={"a": 1}, revision=1)
    stores.users.change(alice, after)
    assert stores.users.get(alice.id) == after
    assert stores.users.find("alice") is None
    assert stores.users.page(offset=0, limit=9, name_contains="icia")[1] == 1


def test_a_change_of_an_old_revision_is_a_conflict(stores, alice):
    stores.users.change(alice, replace(alice, admin=True, revision=1))
    with pytest.raises(StoreConflictError):
        stores.users.change(alice, replace(alice, name="x", revision=1))
    assert stores.users.get(alice.id).name == "alice"


def test_a_change_of_a_missing_user_is_a_conflict(stores, alice):
    stores.users.delete(alice.id)
    with pytest.raises(StoreConflictError):
        stores.users.change(alice, replace(alice, admin=True, revision=1))
    assert stores.users.count() == 0


def test_another_users_name_is_taken(stores, alice, bob):
    with pytest.raises(NameTakenError):
        stores.users.change(alice, replace(alice, name="bob", revision=1))
    assert stores.users.get(alice.id) == alice


@pytest.mark.parametrize("state", sorted(set(State) - INACTIVE))
def test_a_user_with_an_active_server_can_change_all_but_the_name(stores, alice, state):
    stores.servers.create(a_server(state=state))
    with pytest.raises(StoreConflictError):
        stores.users.change(alice, replace(alice, name="alicia", revision=1))
    stores.users.change(alice, replace(alice, admin=True, revision=1))
    assert stores.users.get(alice.id) == replace(alice, admin=True, revision=1)


@pytest.mark.parametrize("state", sorted(INACTIVE))
def test_inactive_servers_do_not_block_a_rename(stores, alice, state):
    stores.servers.create(a_server(state=state))
    stores.users.change(alice, replace(alice, name="alicia", revision=1))
    assert stores.users.find("alicia").id == alice.id


def test_a_concurrent_start_never_keeps_a_renamed_users_old_name(stores):
    for turn in range(10):
        user, server = a_user(f"user{turn}", id=f"u{turn}"), a_server(id=f"s{turn}", owner_id=f"u{turn}")
        stores.users.create([user])
        stores.servers.create(server)
        started = replace(server, state=State.REQUESTED, launch_id="l", revision=1)

        def act(n, user=user, server=server, started=started):
            if n == 0:
                stores.servers.write(server, started)
                return stores.users.get(user.id).name  # the launch gets it
            return stores.users.change(user, replace(user, name=f"new{user.name}", revision=1))

        received, _ = concurrently(act, 2)
        assert stores.users.get(user.id).name == received


def test_of_eight_concurrent_changes_one_succeeds(stores, alice):
    def change(number):
        stores.users.change(alice, replace(alice, user_info={"by": number}, revision=1))
        return number

    outcomes = concurrently(change)
    (winner,) = [o for o in outcomes if isinstance(o, int)]
    assert sum(isinstance(o, StoreConflictError) for o in outcomes) == MANY - 1
    assert stores.users.get(alice.id).user_info == {"by": winner}


def test_of_eight_concurrent_renames_to_one_name_one_succeeds(stores):
    users = stores.users.create([a_user(f"u{n}") for n in range(MANY)])
    outcomes = concurrently(lambda n: stores.users.change(users[n], replace(users[n], name="wanted", revision=1)))
    assert outcomes.count(None) == 1
    assert sum(isinstance(o, NameTakenError) for o in outcomes) == MANY - 1


def test_activity_never_conflicts_with_a_change(stores, alice):
    stores.users.touch(alice.id, LATER)
    stores.users.change(alice, replace(alice, admin=True, revision=1))
    assert stores.users.get(alice.id) == replace(alice, admin=True, revision=1, last_activity_at=LATER)


def test_activity_only_goes_forward(stores, alice):
    stores.users.touch(alice.id, LATER)
    stores.users.touch(alice.id, NOW)
    assert stores.users.get(alice.id).last_activity_at == LATER


def test_of_eight_concurrent_reports_the_latest_stays(stores, alice):
    concurrently(lambda n: stores.users.touch(alice.id, NOW + timedelta(seconds=n)))
    assert stores.users.get(alice.id).last_activity_at == NOW + timedelta(seconds=MANY - 1)


def test_activity_of_a_missing_user_is_no_error(stores):
    stores.users.touch("u-nobody", NOW)
    assert stores.users.count() == 0


# --- deletion ---


def full_life(stores, user):
    stores.groups.create(Group("g1", "staff", ("alice",)))
    launching = a_server(state=State.REQUESTED, launch_id="l1")
    stores.servers.create(launching)
    stores.servers.create(a_server("lab", state=State.FAILED))
    stores.tokens.create(a_token())
    stores.sessions.create(a_session())
    stores.clients.put(a_client(), a_token("own", server_id="s-alice-"))
    stores.servers.write(launching, replace(launching, state=State.STOPPED, revision=1))
    stores.clients.add_code(a_code())
    stores.passwords.set(user.id, "hash")
    stores.passwords.add_link(PasswordLink("link", user.id, LATER))


def assert_nothing_left(stores):
    assert stores.servers.get("s-alice-") is None
    assert stores.servers.get("s-alice-lab") is None
    assert stores.servers.of_owners(["u-alice"]) == []
    assert stores.tokens.find(a_token().sha256) is None
    assert stores.tokens.find(a_token("own").sha256) is None
    assert stores.sessions.find_with_user(a_session().sha256) is None
    assert stores.clients.get("c1") is None
    assert stores.clients.find_code(a_code().sha256) is None
    assert stores.passwords.get("u-alice") is None
    assert stores.passwords.find_link("link", NOW) is None
    assert stores.groups.find("staff").users == ()


def test_deletion_removes_everything_of_the_user(stores, alice, bob):
    full_life(stores, alice)
    stores.tokens.create(a_token("bobs", "bob"))
    stores.users.delete(alice.id)
    assert stores.users.get(alice.id) is None
    assert_nothing_left(stores)
    assert stores.users.get(bob.id) == bob
    assert stores.tokens.find(a_token("bobs").sha256) is not None


def test_a_recreated_user_inherits_nothing(stores, alice):
    full_life(stores, alice)
    stores.users.touch(alice.id, LATER)
    stores.users.delete(alice.id)
    again = a_user(id="u-alice-2")
    assert stores.users.create([again]) == [again]
    assert stores.users.find("alice") == again
    assert_nothing_left(stores)
    assert stores.servers.of_owners([again.id]) == []
    assert stores.tokens.of_owner(a_token().owner_kind, again.id) == []
    assert stores.sessions.of_user(again.id) == []
    assert stores.passwords.get(again.id) is None


@pytest.mark.parametrize("state", sorted(ACTIVE))
def test_a_user_with_an_active_server_cannot_be_deleted(stores, alice, state):
    full_life(stores, alice)
    stores.servers.create(a_server("busy", state=state, launch_id="l9"))
    with pytest.raises(StoreConflictError):
        stores.users.delete(alice.id)
    assert stores.users.get(alice.id).groups == ("staff",)
    assert len(stores.servers.of_owners([alice.id])) == 3
    assert stores.tokens.find(a_token().sha256) is not None
    assert stores.passwords.get(alice.id) == "hash"


@pytest.mark.parametrize("state", sorted(INACTIVE))
def test_inactive_servers_do_not_block_deletion(stores, alice, state):
    stores.servers.create(a_server(state=state))
    stores.users.delete(alice.id)
    assert stores.users.count() == 0


def test_a_concurrent_deletion_never_leaves_a_server_without_owner(stores):
    for turn in range(10):
        user, server = a_user(f"user{turn}", id=f"u{turn}"), a_server(id=f"s{turn}", owner_id=f"u{turn}")
        stores.users.create([user])
        stores.servers.create(server)
        started = replace(server, state=State.REQUESTED, launch_id="l", revision=1)

        def act(n, user=user, server=server, started=started):
            return stores.users.delete(user.id) if n else stores.servers.write(server, started)

        outcomes = concurrently(act, 2)
        assert sum(isinstance(o, StoreConflictError) for o in outcomes) == 1
        assert (stores.users.get(user.id) is None) == (stores.servers.get(server.id) is None)


# --- pages ---


def names(found):
    return [user.name for user in found[0]]


@pytest.fixture
def crowd(stores):
    """Made in the order d, b, a, c; a and c were never active."""
    made = [
        a_user("d", id="u1", last_activity_at=NOW),
        a_user("b", id="u2", last_activity_at=LATER),
        a_user("a", id="u3"),
        a_user("c", id="u4"),
    ]
    stores.users.create(made)
    return made


def test_pages_come_in_order_of_creation_with_the_total(stores, crowd):
    page = stores.users.page
    assert (names(page(offset=0, limit=3)), page(offset=0, limit=3)[1]) == (["d", "b", "a"], 4)
    assert (names(page(offset=3, limit=3)), page(offset=3, limit=3)[1]) == (["c"], 4)
    assert page(offset=9, limit=3) == ([], 4)
    assert names(page(offset=0, limit=9, descending=True)) == ["c", "a", "b", "d"]


def test_pages_by_name(stores, crowd):
    assert names(stores.users.page(offset=0, limit=9, sort="name")) == ["a", "b", "c", "d"]
    assert names(stores.users.page(offset=1, limit=2, sort="name", descending=True)) == ["c", "b"]


def test_pages_by_activity_sort_never_active_users_first(stores, crowd):
    up = names(stores.users.page(offset=0, limit=9, sort="last_activity"))
    assert (set(up[:2]), up[2:]) == ({"a", "c"}, ["d", "b"])
    down = names(stores.users.page(offset=0, limit=9, sort="last_activity", descending=True))
    assert (down[:2], set(down[2:])) == (["b", "d"], {"a", "c"})


@pytest.mark.parametrize("sort", ["id", "name", "last_activity"])
@pytest.mark.parametrize("descending", [False, True])
def test_pages_of_one_show_every_user_once(stores, crowd, sort, descending):
    seen = [names(stores.users.page(offset=n, limit=1, sort=sort, descending=descending)) for n in range(4)]
    assert sorted(name for page in seen for name in page) == ["a", "b", "c", "d"]


def test_percent_and_underscore_have_no_special_meaning(stores):
    stores.users.create([a_user(name) for name in ("a%b", "a_b", "axb", r"a\b", "a*b", "a?b", "a'b")])
    for part in ("%", "_", "\\", "*", "?", "'"):
        found = stores.users.page(offset=0, limit=9, name_contains=part)
        assert (names(found), found[1]) == ([f"a{part}b"], 1)


def test_substrings_are_compared_without_case(stores):
    stores.users.create([a_user(name) for name in ("Bob", "jacob", "ÄRGER", "zoe")])
    assert sorted(names(stores.users.page(offset=0, limit=9, name_contains="OB"))) == ["Bob", "jacob"]
    assert names(stores.users.page(offset=0, limit=9, name_contains="ärg")) == ["ÄRGER"]
    assert names(stores.users.page(offset=0, limit=9, name_contains="nobody")) == []


def test_who_are_few_are_found_at_once_where_the_store_has_an_index(stores):
    stores.users.create([a_user(name) for name in ("Anna", "HANNAH", "Bob", "ä'nn%x", 'an"na')])
    for part in ("ann", "ANNA", "nna", "'nn%", 'n"n', "nobody", "an\0n"):
        found = stores.users.few_named(part, 2)
        assert found is None or found == stores.users.page(offset=0, limit=9, name_contains=part)[0]
    if stores.users.few_named("ann", 2) is not None:  # the store has an index
        assert stores.users.few_named("nobody", 2) == []
        assert stores.users.few_named("ann", 1) is None
    assert stores.users.few_named("a", 9) is None


def test_an_empty_substring_is_in_every_name(stores, crowd):
    assert stores.users.page(offset=0, limit=9, name_contains="")[1] == 4


def test_pages_by_the_state_of_servers(stores):
    stores.users.create([a_user(state) for state in State] + [a_user("none"), a_user("mixed")])
    for state in State:
        stores.servers.create(a_server(owner=state.value, state=state))
    stores.servers.create(a_server(owner="mixed", state=State.STOPPED))
    stores.servers.create(a_server("lab", owner="mixed", state=State.READY))

    def of(state):
        found, total = stores.users.page(offset=0, limit=99, state=state)
        assert total == len(found)
        return {user.name for user in found}

    assert of("active") == set(ACTIVE) | {"mixed"}
    assert of("ready") == {"ready", "mixed"}
    assert of("inactive") == {"stopped", "failed", "none"}


def test_pages_of_ids_or_groups(stores, crowd):
    stores.groups.create(Group("g1", "one", ("a", "b")))
    stores.groups.create(Group("g2", "two", ("b", "c")))

    def of(**which):
        found = stores.users.page(offset=0, limit=9, sort="name", **which)
        assert found[1] == len(found[0])
        return names(found)

    assert of(ids=["u1", "u3", "u-nobody"]) == ["a", "d"]
    assert of(groups=["one", "nothing"]) == ["a", "b"]
    assert of(groups=["one", "two"]) == ["a", "b", "c"]
    assert of(ids=["u1"], groups=["one"]) == ["a", "b", "d"]
    assert of(ids=["u1", "u2"], groups=["one"], name_contains="B") == ["b"]


def test_no_ids_and_no_groups_find_nobody(stores, crowd):
    assert stores.users.page(offset=0, limit=9, ids=[]) == ([], 0)
    assert stores.users.page(offset=0, limit=9, groups=[]) == ([], 0)
    assert stores.users.page(offset=0, limit=9, ids=[], groups=[]) == ([], 0)


def test_users_active_since_are_counted(stores, alice, bob):
    stores.users.touch(alice.id, NOW)
    stores.users.touch(bob.id, NOW - timedelta(days=2))
    assert stores.users.count() == 2
    assert stores.users.count(active_since=NOW - timedelta(days=1)) == 1
    assert stores.users.count(active_since=NOW) == 1
    assert stores.users.count(active_since=NOW + timedelta(seconds=1)) == 0


def test_users_seen_since_are_new_or_active_the_last_seen_first(stores):
    day = timedelta(days=1)
    made = {
        name: replace(a_user(name), id=new_id("u", NOW - age), created_at=NOW - age)
        for name, age in {"new": day, "back": 300 * day, "away": 300 * day, "never": 200 * day}.items()
    }
    stores.users.create(list(made.values()))
    stores.users.touch(made["back"].id, NOW)
    stores.users.touch(made["away"].id, NOW - 150 * day)

    assert stores.users.seen_since(NOW - 120 * day) == [made["back"].id, made["new"].id]
    assert stores.users.seen_since(NOW + day) == []
    assert len(stores.users.seen_since(NOW - 1000 * day)) == 4


def test_a_users_server_counts_as_the_user_seen(stores, alice):
    stores.users.create([old := replace(a_user("old"), id=new_id("u", NOW - timedelta(days=400)))])
    stores.servers.create(server := a_server(owner="old", owner_id=old.id))
    stores.servers.touch(server.id, NOW + timedelta(seconds=1))

    assert old.id in stores.users.seen_since(NOW + timedelta(seconds=1))


@pytest.mark.parametrize(
    "part",
    [
        "ann",
        "an",
        "a",
        "nna",
        "AnN",
        '"',
        '""x',
        '"ann"',
        "ann OR bob",
        "ann*",
        "NOT",
        "(",
        "a-b",
        "é",
        "éla",
        "straße",
        "😀😀😀",
        "\x00ab",
    ],
)
def test_a_search_finds_the_same_as_a_scan(stores, part):
    names = ["anna", "joanna", "bob", 'q""x"ann"', "ann or bob", "a-b-c", "Éla", "STRASSE", "x😀😀😀y", "ann*", "(not)"]
    stores.users.create([a_user(name, id=f"u{n:02}") for n, name in enumerate(names)])
    found, total = stores.users.page(offset=0, limit=99, name_contains=part)
    assert [user.name for user in found] == [name for name in names if part.casefold() in name.casefold()]
    assert total == len(found)


def test_a_search_follows_renames_and_removals(stores, alice, bob):
    stores.users.change(alice, replace(alice, name="zarah", revision=1))
    stores.users.delete(bob.id)
    assert [u.name for u in stores.users.page(offset=0, limit=9, name_contains="zar")[0]] == ["zarah"]
    assert stores.users.page(offset=0, limit=9, name_contains="alice") == ([], 0)
    assert stores.users.page(offset=0, limit=9, name_contains="bob") == ([], 0)
