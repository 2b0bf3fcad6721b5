"""The number of users is right whoever comes, goes or crashes, and a page of users costs what it shows, not the hub."""

from datetime import timedelta
from itertools import chain

import pytest

from hubless.adapters.dynamodb import keys, user_count
from hubless.domain.errors import NameTakenError
from tests.contract.test_dynamodb_calls import Counted
from tests.support.builders import NOW, a_user, an_identity
from tests.support.concurrency import MANY, concurrently
from tests.support.dynamodb import Contents, in_new_table

SORTS = [(sort, descending) for sort in ("id", "name") for descending in (False, True)]


@pytest.fixture
def table(in_moto):
    made = in_new_table(in_moto)
    made.users.recount(NOW)
    yield made
    made.close()


def crowd(number):
    """Return users whose order by name is not that by creation."""
    return [a_user(f"n{n * 7919 % 10_007:05}", id=f"u{n:05}") for n in range(number)]


def counted(table):
    """Return what the counters say: nobody has walked the names, of which there are as many."""
    found = [item for (pk, sk), item in Contents().read().items() if pk == keys.USERS and sk.startswith("SHARD#")]
    total = sum(int(item["n"]["N"]) for item in found)
    assert table.database.count(keys.USER_NAMES) == total == table.users.count()
    return total


def paged(stores, limit=3, **how):
    """Return the names on each page, and the totals that the pages tell."""
    pages, totals, offset = [], set(), 0
    while not totals or offset < max(totals):
        users, total = stores.users.page(offset=offset, limit=limit, **how)
        pages.append([user.name for user in users])
        totals.add(total)
        offset += limit
    return pages, totals


@pytest.mark.parametrize("recounted", [False, True])
def test_pages_follow_one_another_in_each_order_and_tell_the_total(stores, recounted):
    users = crowd(10)
    stores.users.create(users[:6])
    if recounted:
        stores.users.recount(NOW)
    stores.users.create(users[6:])
    by = {"id": [user.name for user in users], "name": sorted(user.name for user in users)}
    for sort, descending in SORTS:
        expected = by[sort][::-1] if descending else by[sort]
        pages, totals = paged(stores, sort=sort, descending=descending)
        assert pages == [expected[start : start + 3] for start in range(0, 10, 3)]
        assert totals == {10} == {stores.users.count()}


def test_concurrent_additions_and_removals_count_each_user_once(stores):
    stores.users.recount(NOW)
    outcomes = concurrently(lambda n: stores.users.create([a_user("shared"), a_user(f"own{n}"), a_user(f"more{n}")]))
    assert sum(len(added) for added in outcomes) == 2 * MANY + 1
    assert stores.users.count() == 2 * MANY + 1
    concurrently(lambda n: [stores.users.delete(f"u-own{number}") for number in (n, (n + 1) % MANY)])
    assert stores.users.count() == MANY + 1


def test_each_way_to_add_a_user_counts(table):
    table.users.create(crowd(60))  # three transactions
    table.users.create([*crowd(61), a_user("N00000", id="another")])  # one is new, one looks like another
    assert counted(table) == 61
    table.external_identities.create_user(a_user("first"), an_identity("3", "first"))
    with pytest.raises(NameTakenError):
        table.external_identities.create_user(a_user("first", id="u-2"), an_identity("4", "2"))
    assert counted(table) == 62
    table.users.delete("u-first")
    table.users.delete("u-first")
    assert counted(table) == 61


def test_a_transaction_that_comes_twice_counts_once(table):
    client, asked = table.database.client, []

    def keep(params, **_):
        asked.append(dict(params))

    client.meta.events.register_last("before-parameter-build.dynamodb.TransactWriteItems", keep)
    table.users.create(crowd(3))
    client.meta.events.unregister("before-parameter-build.dynamodb.TransactWriteItems", keep)
    with pytest.raises(client.exceptions.TransactionCanceledException):  # even if the token has expired by now
        client.transact_write_items(**{**asked[0], "ClientRequestToken": "another"})
    assert counted(table) == 3


def old(table):
    """Make the table one of an older version: it counts nobody."""
    numbers = [key for key in (keys.user_counter(n) for n in range(99)) if (key.pk, key.sk) in Contents().read()]
    table.database.delete_many([*numbers, keys.USERS_RECOUNTED])


def test_an_older_table_counts_its_names_until_a_sweep_has_done_so(table):
    table.users.create(crowd(9))
    old(table)
    table.users.delete("u00003")
    assert table.users.count() == 8
    assert paged(table)[1] == {8}
    table.users.recount(NOW)
    assert counted(table) == 8


def test_what_an_older_version_left_out_is_corrected_and_hides_nobody(table):
    users = crowd(9)
    table.users.create(users)
    table.database.delete_many([keys.name("user", users[0].name)])  # by a function that counts nobody
    table.users.recount(NOW + timedelta(minutes=59))
    assert table.users.count() == 9
    assert list(chain(*paged(table, sort="name")[0])) == sorted(user.name for user in users[1:])
    table.users.recount(NOW + timedelta(minutes=61))
    assert counted(table) == 8
    table.database.delete_many([keys.name("user", users[1].name)])
    table.users.recount(NOW - timedelta(hours=9))  # the clock was set back
    assert counted(table) == 7


def test_a_number_that_is_too_low_hides_nobody(table):
    table.users.create(crowd(9))
    put(a_user("z", id="u9"))  # by a function that counts nobody
    assert table.users.count() == 9
    for sort, descending in SORTS:
        pages, totals = paged(table, sort=sort, descending=descending)
        assert len(set(chain(*pages))) == max(totals) == 10


@pytest.mark.parametrize(("when", "counter"), [("before", 0), ("before", 5), ("after", 5)])
def test_users_who_come_while_a_sweep_counts_are_counted_once(table, when, counter, monkeypatch):
    monkeypatch.setattr(user_count.secrets, "randbelow", lambda counters: counter)  # the sweep itself changes number 0
    table.users.create(crowd(3))
    old(table)
    count = table.database.count

    def counting(*asked):
        if when == "before":
            table.users.create([a_user("late")])
        found = count(*asked)
        if when == "after":
            table.users.create([a_user("late")])
        return found

    table.database.count = counting
    table.users.recount(NOW)
    del table.database.count
    assert table.users.count() == 4
    table.users.recount(NOW)
    assert counted(table) == 4


def reads_of_a_page(table, **how):
    with Counted(table.database) as found:
        users, total = table.users.page(offset=20, limit=20, **how)
    assert len(users) == 20
    return found.cost, total


def test_a_page_and_the_total_of_ten_times_the_users_cost_the_same(table):
    costs, evaluated, query = {}, [], table.database._query

    def counting(*asked, **how):
        evaluated.append(query(*asked, **how))
        return evaluated[-1]

    table.database._query = counting
    everybody = crowd(2_000)
    for number, part in [(200, everybody[:200]), (2_000, everybody[200:])]:
        for user in part:
            put(user)
        table.database.delete_many([keys.USERS_RECOUNTED])
        table.users.recount(NOW)
        evaluated.clear()
        pages = [reads_of_a_page(table, sort=sort, descending=descending) for sort, descending in SORTS]
        assert {total for _, total in pages} == {number} == {table.users.count()}
        costs[number] = [cost for cost, _ in pages], sum(answer["ScannedCount"] for answer in evaluated)
    assert costs[200] == costs[2_000]
    assert set(costs[200][0]) == {(3, 0)}


def put(user):
    """Put what a page reads of a user, without the cost of a transaction."""
    name, account, seen = keys.name("user", user.name), keys.account(user.id), keys.seen(user.id)
    version, created = {"v": {"N": "1"}}, {"N": str(keys.to_number(user.created_at))}
    items = {
        name: {"to": {"S": user.id}},
        seen: {"user_id": {"S": user.id}, "activity": {"S": "user"}},
        account: {"id": {"S": user.id}, "name": {"S": user.name}, "created_at": created, "admin": {"BOOL": False}},
    }
    for key, item in items.items():
        Contents().add({"pk": {"S": key.pk}, "sk": {"S": key.sk}, **item, **version})
