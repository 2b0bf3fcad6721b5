import pytest

from hubless.domain.errors import NameTakenError, NotFoundError
from hubless.domain.users import Group, GroupSummary
from tests.support.builders import a_user
from tests.support.concurrency import MANY, concurrently
from tests.support.dynamodb import in_new_table


@pytest.fixture
def staff(stores, alice, bob):
    group = Group("g1", "staff", ("alice", "bob"), {"quota": {"cpus": 2}, "no": None})
    stores.groups.create(group)
    return group


def test_a_group_comes_back_as_it_was_written(stores, staff):
    assert stores.groups.find("staff") == staff
    assert stores.groups.page(offset=0, limit=9) == ([staff], 1)
    assert stores.groups.find("Staff") is None


def test_members_are_sorted(stores, alice, bob):
    stores.groups.create(Group("g1", "staff", ("bob", "alice")))
    assert stores.groups.find("staff").users == ("alice", "bob")


def test_a_member_named_twice_is_one(stores, alice):
    stores.groups.create(Group("g1", "staff", ("alice", "alice")))
    stores.groups.add_users("g1", ["alice", "alice"])
    assert stores.groups.find("staff").users == ("alice",)


def test_a_name_is_unique(stores, staff):
    with pytest.raises(NameTakenError):
        stores.groups.create(Group("g2", "staff"))
    assert stores.groups.find("staff") == staff


def test_of_eight_concurrent_adds_of_one_group_one_succeeds(stores):
    outcomes = concurrently(lambda n: stores.groups.create(Group(f"g{n}", "staff")))
    assert outcomes.count(None) == 1
    assert sum(isinstance(o, NameTakenError) for o in outcomes) == MANY - 1


def test_a_missing_member_is_named_and_nothing_is_written(stores, alice):
    with pytest.raises(NotFoundError) as missing:
        stores.groups.create(Group("g1", "staff", ("alice", "yves", "xaver")))
    assert missing.value.name == "yves"
    assert stores.groups.find("staff") is None
    assert stores.users.get(alice.id).groups == ()
    stores.groups.create(Group("g1", "staff"))


def test_add_users_names_the_first_missing_user_and_writes_nothing(stores, staff):
    stores.users.create([a_user("carol")])
    with pytest.raises(NotFoundError) as missing:
        stores.groups.add_users("g1", ["carol", "yves", "xaver"])
    assert missing.value.name == "yves"
    assert stores.groups.find("staff") == staff
    stores.groups.add_users("g1", ["carol"])
    assert stores.groups.find("staff").users == ("alice", "bob", "carol")


def test_a_group_that_is_gone_takes_no_members(stores, staff):
    stores.groups.delete("g1")
    with pytest.raises(NotFoundError) as missing:
        stores.groups.add_users("g1", ["alice"])
    assert (missing.value.kind, missing.value.name) == ("Group", "g1")
    assert stores.users.find("alice").groups == ()


def test_eight_concurrent_adds_of_members_lose_none(stores, staff):
    stores.users.create([a_user(f"m{n}") for n in range(MANY)])
    assert concurrently(lambda n: stores.groups.add_users("g1", [f"m{n}"])) == [None] * MANY
    assert len(stores.groups.find("staff").users) == 2 + MANY


def test_remove_users_ignores_users_who_are_no_members(stores, staff):
    stores.users.create([a_user("carol")])
    stores.groups.remove_users("g1", ["bob", "carol", "nobody"])
    assert stores.groups.find("staff").users == ("alice",)
    assert stores.users.find("bob").groups == ()


def test_properties_are_replaced_completely(stores, staff):
    stores.groups.set_properties("g1", {"new": [1]})
    found = stores.groups.find("staff")
    assert (found.properties, found.users) == ({"new": [1]}, ("alice", "bob"))


def test_properties_change_only_if_they_are_as_expected(stores, staff):
    before = stores.groups.find("staff").properties
    assert not stores.groups.change_properties("g1", {"other": 1}, {"new": [1]})
    assert not stores.groups.change_properties("none", {}, {"new": [1]})
    assert stores.groups.find("staff").properties == before
    assert stores.groups.change_properties("g1", before, {"new": [1]})
    found = stores.groups.find("staff")
    assert (found.properties, found.users) == ({"new": [1]}, ("alice", "bob"))


def test_deletion_ends_memberships_and_is_idempotent(stores, staff, alice):
    stores.groups.delete("g1")
    stores.groups.delete("g1")
    assert stores.groups.find("staff") is None
    assert stores.users.get(alice.id) == alice
    stores.groups.create(Group("g2", "staff"))
    assert stores.groups.find("staff").users == ()


def test_a_renamed_user_stays_a_member(stores, staff, alice):
    from dataclasses import replace

    stores.users.change(alice, replace(alice, name="zora", revision=1))
    assert stores.groups.find("staff").users == ("bob", "zora")


def test_pages_come_in_order_of_creation_with_the_total(stores):
    for number, name in enumerate("dbac"):
        stores.groups.create(Group(f"g{number}", name))

    def of(**which):
        found, total = stores.groups.page(**which)
        return "".join(group.name for group in found), total

    assert of(offset=0, limit=3) == ("dba", 4)
    assert of(offset=3, limit=3) == ("c", 4)
    assert of(offset=0, limit=9, names=["c", "d", "x"]) == ("dc", 2)
    assert of(offset=1, limit=1, names=["c", "d"]) == ("c", 2)
    assert of(offset=0, limit=9, names=[]) == ("", 0)


def summaries(stores, **which):
    return "".join(group.name for group in stores.groups.summaries(**{"limit": 9} | which))


def test_summaries_come_in_order_of_names_from_any_name_on(stores, alice, bob):
    for number, name in enumerate("dbaéZ"):
        stores.groups.create(Group(f"g{number}", name))

    assert summaries(stores) == "Zabdé"
    assert summaries(stores, limit=2) == "Za"
    assert summaries(stores, limit=2, after="a") == "bd"
    assert summaries(stores, after="c") == "dé"
    assert summaries(stores, after="é") == ""
    assert summaries(stores, names=["d", "a", "x", "n" * 3000]) == "ad"
    assert summaries(stores, names=["d", "a"], after="a") == "d"
    assert summaries(stores, names=[]) == ""
    assert summaries(stores, name_contains="É") == "é"
    assert summaries(stores, name_contains="z", limit=1) == "Z"
    assert summaries(stores, name_contains="%") == ""


def test_a_summary_counts_the_members(stores, staff):
    stores.groups.create(Group("g2", "empty"))

    assert stores.groups.summary("staff") == GroupSummary("g1", "staff", 2, staff.properties)
    assert stores.groups.summaries(limit=9) == [GroupSummary("g2", "empty"), stores.groups.summary("staff")]
    assert stores.groups.summary("Staff") is None
    stores.groups.delete("g1")
    assert stores.groups.summary("staff") is None
    assert summaries(stores) == "empty"


def test_a_summary_stops_counting(stores, staff, monkeypatch):
    stores.users.create([a_user("carol")])
    stores.groups.add_users("g1", ["carol"])
    for module in ("sqlite.users", "dynamodb.groups"):
        monkeypatch.setattr(f"hubless.adapters.{module}.MAX_COUNTED", 1)

    assert stores.groups.summary("staff").members == 2


def test_members_come_in_order_of_ids_from_any_id_on(stores, staff):
    stores.users.create([a_user("Carla"), a_user("carol")])
    stores.groups.add_users("g1", ["Carla", "carol"])

    def of(**which):
        return [member.name for member in stores.groups.members("g1", **{"limit": 9} | which)]

    assert of() == ["Carla", "alice", "bob", "carol"]
    assert of(limit=2) == ["Carla", "alice"]
    assert of(limit=1, after="u-alice") == ["bob"]
    assert of(after="u-c") == ["carol"]
    assert of(after="u-carol") == []
    assert of(name_contains="CAR") == ["Carla", "carol"]
    assert of(name_contains="car", limit=1) == ["Carla"]
    assert of(name_contains="_") == []
    assert stores.groups.members("nobody", limit=9) == []


def test_a_search_finds_members_beyond_the_first_hundred(stores, staff):
    stores.users.create([a_user(f"m{n:03}") for n in range(130)])
    stores.groups.add_users("g1", [f"m{n:03}" for n in range(130)])

    found = stores.groups.members("g1", limit=3, name_contains="12")

    assert [member.name for member in found] == ["m012", "m112", "m120"]
    assert [one.name for one in stores.groups.members("g1", limit=9, name_contains="12", after=found[-1].id)] == [
        f"m12{n}" for n in range(1, 10)
    ]


def set_memberships(stores, user_id, *names):
    stores.groups.set_memberships(user_id, [Group(f"new-{name}", name) for name in names])


def test_memberships_become_exactly_those_asked_for(stores, alice, bob):
    stores.groups.create(Group("g1", "staff", ("alice", "bob")), Group("g2", "pupils", ("alice",)))
    set_memberships(stores, alice.id, "pupils", "teachers")
    assert stores.users.get(alice.id).groups == ("pupils", "teachers")
    assert stores.groups.find("staff").users == ("bob",)
    assert (stores.groups.find("pupils").id, stores.groups.find("teachers").id) == ("g2", "new-teachers")
    set_memberships(stores, alice.id, "pupils", "teachers")
    assert stores.users.get(alice.id).groups == ("pupils", "teachers")
    set_memberships(stores, alice.id)
    assert stores.users.get(alice.id).groups == ()
    assert stores.groups.find("teachers").users == ()


def test_many_memberships_change_at_once(stores, alice):
    before, after = [f"a{n:02}" for n in range(50)], [f"b{n:02}" for n in range(50)]
    set_memberships(stores, alice.id, *before)
    assert stores.users.get(alice.id).groups == tuple(before)
    set_memberships(stores, alice.id, *after, "a00")
    assert stores.users.get(alice.id).groups == ("a00", *after)
    assert stores.groups.find("a01").users == ()


def test_memberships_of_a_missing_user_are_refused(stores):
    with pytest.raises(NotFoundError):
        set_memberships(stores, "u-nobody", "staff")
    assert stores.groups.find("staff") is None


def test_concurrent_logins_leave_the_memberships_of_one(stores, alice):
    concurrently(lambda each: set_memberships(stores, alice.id, "all", f"g{each % 2}", f"h{each % 2}"))
    assert stores.users.get(alice.id).groups in {("all", "g0", "h0"), ("all", "g1", "h1")}
    assert stores.groups.find("all").users == ("alice",)


def test_concurrent_logins_of_many_share_a_new_group(stores):
    users = [a_user(f"n{each}") for each in range(MANY)]
    stores.users.create(users)
    concurrently(lambda each: stores.groups.set_memberships(users[each].id, [Group(f"g-{each}", "class")]))
    assert len(stores.groups.find("class").users) == MANY


def test_a_group_that_was_removed_is_made_again_by_a_login(stores, alice):
    set_memberships(stores, alice.id, "staff")
    stores.groups.delete("new-staff")
    stores.groups.set_memberships(alice.id, [Group("g-again", "staff")])
    assert stores.users.get(alice.id).groups == ("staff",)
    assert stores.groups.find("staff").id == "g-again"


def test_dynamodb_decides_at_the_write_whether_memberships_are_as_read(in_moto, monkeypatch):
    made = in_new_table(in_moto)
    made.users.create([user := a_user()])
    read, turns = made.database.get_many, [1]

    def read_and_be_late(wanted):
        found = read(wanted)
        if turns and turns.pop():
            set_memberships(made, user.id, "other")
        return found

    monkeypatch.setattr(made.database, "get_many", read_and_be_late)
    set_memberships(made, user.id, "mine")
    assert made.users.get(user.id).groups == ("mine",)
    made.close()
