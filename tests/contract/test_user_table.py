from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.adapters.dynamodb import keys, user_table
from hubless.adapters.sqlite.database import Database
from hubless.adapters.sqlite.user_table import ORDERS
from hubless.domain.errors import InvalidRequestError
from hubless.domain.lifecycle import State
from hubless.domain.usage import Usage
from hubless.domain.user_table import Reach, Servers, Sort, TableFilter
from hubless.domain.users import Group
from hubless.services.accounts import Accounts
from tests.support import sqlite
from tests.support.builders import NOW, a_server, a_user
from tests.support.dynamodb import in_new_table
from tests.support.fakes import StoppedClock

HOUR = timedelta(hours=1)
FILTERS = {
    "all": TableFilter(),
    "name": TableFilter(name_contains="A"),
    "long name": TableFilter(name_contains="aro"),
    "nobody": TableFilter(name_contains="%"),
    "active": TableFilter(servers=Servers.ACTIVE),
    "ready": TableFilter(servers=Servers.READY),
    "pending": TableFilter(servers=Servers.PENDING),
    "frozen": TableFilter(servers=Servers.FROZEN),
    "failed": TableFilter(servers=Servers.FAILED),
    "inactive": TableFilter(servers=Servers.INACTIVE),
    "group": TableFilter(group="one"),
    "no such group": TableFilter(group="three"),
    "admins": TableFilter(admin=True),
    "profile": TableFilter(profile="gpu"),
    "profile of a failed one": TableFilter(profile="gpu", servers=Servers.FAILED),
    "idle": TableFilter(idle_since=NOW),
    "idle and failed": TableFilter(idle_since=NOW, servers=Servers.FAILED),
    "in reach": TableFilter(reach=Reach(frozenset({"u1", "u6"}), frozenset({"two"}))),
    "nobody in reach": TableFilter(reach=Reach()),
    "much": TableFilter(name_contains="a", servers=Servers.ACTIVE, group="one", reach=Reach(groups=frozenset({"one"}))),
}


@pytest.fixture
def crowd(stores):
    """Eight users with servers in many states, two groups, two admins, and somebody with several servers."""
    named = ["dora", "bob", "anna", "carol", "Änne", "maria", "zoe", "ada"]
    users = [a_user(name, id=f"u{number}", admin=name in {"bob", "zoe"}) for number, name in enumerate(named, 1)]
    stores.users.create(users)
    stores.groups.create(Group("g1", "one", ("anna", "bob", "maria", "zoe")))
    stores.groups.create(Group("g2", "two", ("bob", "carol")))
    late = NOW + HOUR
    for owner, name, facts in (
        ("u1", "", {"state": State.READY, "started_at": late, "last_activity_at": NOW, "profile": "gpu"}),
        ("u2", "", {"state": State.STOPPED}),
        ("u3", "", {"state": State.READY, "started_at": NOW, "last_activity_at": late, "frozen_at": late}),
        ("u3", "lab", {"state": State.FAILED, "failure": "why", "profile": "gpu"}),
        ("u3", "old", {"state": State.READY, "started_at": NOW - HOUR, "last_activity_at": NOW - HOUR}),
        ("u4", "", {"state": State.STARTING, "profile": "gpu"}),
        ("u6", "", {"state": State.READY, "started_at": NOW + 2 * HOUR, "entered_at": late}),
        ("u7", "", {"state": State.STOPPING}),
    ):
        made = a_server(name, owner, **{"id": f"s-{owner}-{name}", "owner_id": owner, "entered_at": NOW} | facts)
        stores.servers.create(made)
    stores.users.touch("u2", late)
    return users


def everybody(stores, wanted, sort, *, limit, descending=False, backwards=False):
    """Return all pages, one after the other in the direction."""
    cursor, pages = None, []
    while True:
        page = stores.users.table(wanted, sort, limit=limit, descending=descending, cursor=cursor, backwards=backwards)
        assert len(page.rows) <= limit
        pages.append(page)
        cursor = page.before if backwards else page.after
        if cursor is None:
            return pages


def names(pages):
    return [row.user.name for page in pages for row in page.rows]


def all_rows(stores, users):
    servers = stores.servers.of_owners([user.id for user in users])
    read = stores.users.get_many([user.id for user in users])
    return [(read[user.id], [one for one in servers if one.owner_id == user.id]) for user in users]


@pytest.mark.parametrize("descending", [False, True])
def test_pages_show_each_user_of_a_filter_once_in_both_directions(stores, crowd, descending):
    rows = all_rows(stores, crowd)
    for which, wanted in FILTERS.items():
        expected = {user.name for user, servers in rows if wanted.matches(user, servers)}
        for sort in stores.users.sorts(wanted):
            whole = names(everybody(stores, wanted, sort, limit=99, descending=descending))
            assert (len(whole), set(whole)) == (len(expected), expected), which
            forward = everybody(stores, wanted, sort, limit=2, descending=descending)
            assert names(forward) == whole, which
            back = everybody(stores, wanted, sort, limit=3, descending=descending, backwards=True)
            assert names(reversed(back)) == whole, which


def test_the_filters_are_told_apart(stores, crowd):
    def of(which):
        return set(names(everybody(stores, FILTERS[which], Sort.NAME, limit=9)))

    assert of("idle") == {"dora", "anna"}
    assert of("frozen") == {"anna"}
    assert of("profile") == {"dora", "carol"}
    assert of("profile of a failed one") == {"anna"}
    assert of("inactive") == {"bob", "Änne", "ada"}
    assert of("in reach") == {"dora", "maria", "bob", "carol"}
    assert of("much") == {"anna", "maria"}
    assert of("admins") == {"bob", "zoe"}


def test_a_row_has_the_user_and_all_their_servers(stores, crowd):
    page = stores.users.table(TableFilter(name_contains="anna"), Sort.NAME, limit=9)
    assert page.rows[0].user == stores.users.get("u3")
    assert list(page.rows[0].servers) == stores.servers.of_owners(["u3"])
    assert stores.users.table(TableFilter(name_contains="ada"), Sort.NAME, limit=9).rows[0].servers == ()


def test_rows_come_in_the_order_that_was_asked_for(stores, crowd):
    def by(sort, wanted=FILTERS["all"], **how):
        page = stores.users.table(wanted, sort, limit=99, **how)
        assert page.sort is (sort if sort in stores.users.sorts(wanted) else stores.users.sorts(wanted)[0])
        return names([page])

    assert by(Sort.NAME) == ["ada", "anna", "bob", "carol", "dora", "maria", "zoe", "Änne"]
    assert by(Sort.CREATED, descending=True)[:3] == ["ada", "zoe", "maria"]
    assert by(Sort.STARTED, TableFilter(servers=Servers.READY))[-1] == "maria"
    assert by(Sort.STATE, TableFilter(servers=Servers.PENDING)) == ["carol", "zoe"]
    if Sort.LAST_ACTIVITY in stores.users.sorts(TableFilter()):
        assert by(Sort.LAST_ACTIVITY) == ["ada", "anna", "carol", "dora", "maria", "zoe", "Änne", "bob"]
        assert by(Sort.STATE) == ["anna", "carol", "zoe", "dora", "maria", "bob", "ada", "Änne"]
        assert by(Sort.STARTED, descending=True)[:3] == ["maria", "dora", "anna"]


def test_an_order_that_the_store_lacks_gives_way_to_one_that_it_has(stores, crowd):
    wanted = TableFilter(group="one")
    page = stores.users.table(wanted, Sort.STARTED, limit=2)
    assert page.sort in stores.users.sorts(wanted)
    assert len(page.rows) == 2


def test_who_comes_or_goes_between_two_pages_hides_nobody(stores, crowd):
    first = stores.users.table(TableFilter(), Sort.NAME, limit=3)
    assert names([first]) == ["ada", "anna", "bob"]
    stores.users.create([a_user("aaa"), a_user("bobby")])
    stores.users.delete("u2")  # bob, at whom the first page ended
    stores.users.delete("u8")
    second = stores.users.table(TableFilter(), Sort.NAME, limit=2, cursor=first.after)
    assert names([second]) == ["bobby", "carol"]
    back = stores.users.table(TableFilter(), Sort.NAME, limit=3, cursor=second.before, backwards=True)
    assert names([back]) == ["aaa", "anna"]
    assert (back.before, back.after is not None) == (None, True)


def test_sqlite_seeks_the_cursor_of_each_order(tmp_path):
    database = Database(tmp_path / "hub.sqlite")
    for first, second in ORDERS.values():
        for sign, way in ((">", "ASC"), ("<", "DESC")):
            plan = database.read(
                f"EXPLAIN QUERY PLAN SELECT u.id FROM users u WHERE ({first}, {second}) {sign} (1, 'a')"
                f" ORDER BY {first} {way}, {second} {way} LIMIT 9"
            )
            assert [row[3].split()[0] for row in plan] == ["SEARCH"], plan
    database.close()


def test_a_renamed_user_moves(stores, crowd):
    user = stores.users.get("u5")
    stores.users.change(user, replace(user, name="beate", revision=1))
    assert "beate" in names([stores.users.table(TableFilter(), Sort.NAME, limit=4)])


def test_a_users_standing_follows_their_servers(stores, alice):
    server = a_server(state=State.READY, started_at=NOW, launch_id="l1")
    stores.servers.create(server)
    ready = TableFilter(servers=Servers.READY)
    assert names([stores.users.table(ready, Sort.STARTED, limit=9)]) == ["alice"]
    ended = replace(server, state=State.STOPPING, revision=1)
    stores.servers.write(server, ended)
    failed = replace(ended, state=State.FAILED, revision=2, entered_at=NOW + HOUR)
    stores.servers.write(ended, failed)
    stores.users.create([a_user("bob"), a_user("aaron")])
    page = stores.users.table(TableFilter(servers=Servers.FAILED), Sort.STATE, limit=9)
    assert (names([page]), page.rows[0].rank) == (["alice"], 0)
    if Sort.STATE in stores.users.sorts(TableFilter()):
        assert names([stores.users.table(TableFilter(), Sort.STATE, limit=9)]) == ["alice", "aaron", "bob"]
    stores.servers.delete(failed)
    assert names([stores.users.table(TableFilter(servers=Servers.FAILED), Sort.STATE, limit=9)]) == []
    if Sort.STATE in stores.users.sorts(TableFilter()):
        assert names([stores.users.table(TableFilter(), Sort.STATE, limit=9)]) == ["aaron", "alice", "bob"]


def test_what_is_no_cursor_is_refused(stores, crowd):
    for wanted, sort in ((TableFilter(), Sort.NAME), (TableFilter(servers=Servers.READY), Sort.STARTED)):
        for cursor in ("", "1", "[1]", '["a"]', "[[]]", "null", '["\\ud800", "a"]', "[" * 3000, "x y"):
            with pytest.raises(InvalidRequestError):
                stores.users.table(wanted, sort, limit=2, cursor=cursor)


def test_a_removed_user_and_a_former_admin_are_no_admins(stores, crowd):
    assert [user.name for user in stores.users.admins()] == ["bob", "zoe"]
    bob, dora = stores.users.get("u2"), stores.users.get("u1")
    stores.users.change(bob, replace(bob, admin=False, revision=1))
    stores.users.change(dora, replace(dora, admin=True, revision=1))
    assert [user.name for user in stores.users.admins()] == ["dora", "zoe"]
    stores.servers.write(a_state(stores, "u1"), replace(a_state(stores, "u1"), state=State.STOPPED, revision=1))
    stores.users.delete("u1")
    assert [user.name for user in stores.users.admins()] == ["zoe"]


def a_state(stores, owner_id):
    return stores.servers.of_owners([owner_id])[0]


@pytest.fixture
def table(in_moto):
    """The stores of a table in DynamoDB."""
    made = in_new_table(in_moto)
    yield made
    made.close()


def test_admins_from_before_there_was_a_list_are_found(table):
    table.users.create([a_user("old", admin=True), a_user("bob")])
    table.database.delete_many([keys.admin("u-old"), keys.ALL_ADMINS])
    page = table.users.table(TableFilter(admin=True), Sort.CREATED, limit=9)
    assert names([page]) == ["old"]
    assert [user.name for user in table.users.admins()] == ["old"]


def test_no_page_in_dynamodb_looks_further_than_so_many(table, monkeypatch):
    monkeypatch.setattr(user_table, "MOST_RECORDS", 5)
    monkeypatch.setattr(user_table, "MOST_NAMES", 7)
    table.users.create([a_user(f"a{number:02}") for number in range(20)] + [a_user("zoe")])
    table.servers.create(a_server(owner="a19", state=State.READY))
    for wanted, pages_of in (
        (TableFilter(name_contains="zo"), 7),
        (TableFilter(servers=Servers.INACTIVE, name_contains="z"), 5),
    ):
        pages = everybody(table, wanted, Sort.NAME, limit=2)
        assert names(pages) == ["zoe"]
        assert len(pages) == -(-21 // pages_of)
        assert [page.is_cut for page in pages] == [True] * (len(pages) - 1) + [False]
        assert names(everybody(table, wanted, Sort.NAME, limit=2, backwards=True)) == ["zoe"]


class Read:
    """Counts the items that DynamoDB reads."""

    def __init__(self, database):
        self._events = database.client.meta.events
        self.items = 0

    def __enter__(self):
        self._events.register("after-call.dynamodb", self._count)
        return self

    def __exit__(self, *_):
        self._events.unregister("after-call.dynamodb", self._count)

    def _count(self, parsed, **_):
        self.items += parsed.get("ScannedCount", 0) + ("Item" in parsed)
        self.items += sum(len(found) for found in parsed.get("Responses", {}).values())


LISTINGS = {
    "a first page": lambda s: s.users.table(TableFilter(), Sort.NAME, limit=5),
    "a later page": lambda s: s.users.table(TableFilter(), Sort.NAME, limit=5, cursor="=user-010"),
    "a page before": lambda s: s.users.table(TableFilter(), Sort.NAME, limit=5, cursor="=user-020", backwards=True),
    "the newest": lambda s: s.users.table(TableFilter(), Sort.CREATED, limit=5, descending=True),
    "a group": lambda s: s.users.table(TableFilter(group="class"), Sort.CREATED, limit=5),
    "running servers": lambda s: s.users.table(TableFilter(servers=Servers.READY), Sort.STARTED, limit=5),
    "idle servers": lambda s: s.users.table(TableFilter(idle_since=NOW), Sort.STATE, limit=5),
    "admins": lambda s: s.users.table(TableFilter(admin=True), Sort.CREATED, limit=5),
    "all admins": lambda s: s.users.admins(),
    "the API's list of running servers": lambda s: s.users.page(offset=0, limit=5, state="ready"),
    "what a page's users used": lambda s: s.usage.of_users([f"u-user-{n:03}" for n in range(5)], "2026-11"),
    "whether an admin has a password": lambda s: accounts_of(s).has_admin(),
    "the API's list of one group": lambda s: s.users.page(offset=0, limit=5, groups=["few"], sort="name"),
}


IN_BOTH = ("all admins", "what a page's users used", "whether an admin has a password")


@pytest.fixture(scope="module")
def reads(in_moto):
    """What each listing reads of 40 and of 120 users, of whom as many are admins, in the groups, and have a server."""
    made = {}
    for number in (40, 120):
        stores = in_new_table(in_moto)
        users = fill(stores, number)
        stores.groups.create(Group("g1", "class", tuple(user.name for user in users[:20])))
        stores.groups.create(Group("g2", "few", tuple(user.name for user in users[:4])))
        stores.servers.create_many([a_server(owner=user.name, state=State.READY) for user in users[:7]])
        stores.users.admins()  # the first call in the life of a table looks at everybody
        made[number] = {name: items_read(stores, listing) for name, listing in LISTINGS.items()}
        stores.close()
    return made


def fill(stores, number):
    """Add so many users, two of them admins, each of whom has used something, and return them."""
    users = [a_user(f"user-{n:03}", admin=n in {3, 30}) for n in range(number)]
    stores.users.create(users)
    for user in users:
        stores.usage.add(Usage(f"l-{user.id}", "s", user.id, "big", NOW, NOW + timedelta(hours=1), "stopped"))
    return users


def accounts_of(stores):
    parts = ("users", "servers", "passwords", "sessions", "tokens")
    return Accounts(*(getattr(stores, part) for part in parts), NoHashes(), StoppedClock(NOW))


class NoHashes:
    """Hashes nothing: nobody gets a password here."""


def items_read(stores, listing):
    with Read(stores.database) as read:
        listing(stores)
    return read.items


@pytest.mark.parametrize("listing", LISTINGS)
def test_what_dynamodb_reads_grows_with_the_page_and_not_with_the_hub(reads, listing):
    assert 0 < reads[40][listing] == reads[120][listing] < 50


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """How many steps of SQLite's virtual machine each of some listings takes, of 40 and of 400 users."""
    made = {}
    for number in (40, 400):
        stores = sqlite.in_new_file(tmp_path_factory.mktemp("steps") / "hub.sqlite")
        fill(stores, number)
        made[number] = {name: steps_of(stores, LISTINGS[name]) for name in IN_BOTH}
        stores.close()
    return made


def steps_of(stores, listing):
    taken = []
    connection = stores.database._connection()
    connection.set_progress_handler(lambda: taken.append(1), 1)
    listing(stores)
    connection.set_progress_handler(None, 0)
    return len(taken)


@pytest.mark.parametrize("listing", IN_BOTH)
def test_what_sqlite_does_for_a_page_does_not_grow_with_the_hub(steps, listing):
    assert 0 < steps[40][listing] == steps[400][listing]
