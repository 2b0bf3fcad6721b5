from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.visits import KEPT_FOR, Visit
from tests.support import sqlite
from tests.support.builders import NOW, a_user
from tests.support.concurrency import MANY, concurrently

LONG_AGO, DAY = NOW - timedelta(days=365), timedelta(days=1)
ENTRY = Visit("u-alice", "s-alice-lab", "lab", "u-bob", "bob", by_role=False, at=NOW)


def shown(stores, since=LONG_AGO, limit=9):
    return stores.visits.by_share("u-alice", "s-alice-lab", since, limit=limit)


def test_a_later_visit_replaces_the_earlier_one(stores, alice):
    stores.visits.put(ENTRY)
    later = replace(ENTRY, at=NOW + DAY, server_name="Physics", visitor_name="robert")
    stores.visits.put(later)
    assert shown(stores) == [later]


def test_visits_by_role_and_by_share_are_apart(stores, alice):
    by_role = replace(ENTRY, by_role=True)
    elsewhere = replace(by_role, server_id="s-alice-", server_name="", at=NOW + DAY)
    for visit in (ENTRY, by_role, elsewhere):
        stores.visits.put(visit)
    assert shown(stores) == [ENTRY]
    assert stores.visits.by_share("u-alice", "s-alice-", LONG_AGO, limit=9) == []
    assert stores.visits.by_role("u-alice", LONG_AGO, limit=9) == [elsewhere, by_role]
    assert stores.visits.by_role("u-bob", LONG_AGO, limit=9) == []


def test_a_server_whose_id_begins_like_anothers_is_apart(stores, alice):
    stores.visits.put(replace(ENTRY, server_id="s-alice-lab2"))
    assert shown(stores) == []


def test_visits_are_newest_first_and_bounded(stores, alice):
    visits = [replace(ENTRY, visitor_id=f"u-{n}", visitor_name=f"user{n}", at=NOW + n * DAY) for n in range(4)]
    for visit in (visits[2], visits[0], visits[3], visits[1]):
        stores.visits.put(visit)
    assert shown(stores, limit=3) == [visits[3], visits[2], visits[1]]
    assert shown(stores, since=NOW + DAY) == [visits[3], visits[2]]


def test_a_visit_outlives_its_visitor_and_goes_with_the_owner(stores, alice, bob):
    stores.visits.put(ENTRY)
    stores.users.delete("u-bob")
    assert shown(stores) == [ENTRY]
    stores.users.delete("u-alice")
    assert shown(stores) == []


@pytest.mark.parametrize("removed", [True, False])
def test_nothing_is_kept_for_an_owner_who_is_not_there(stores, alice, removed):
    if removed:
        stores.users.delete("u-alice")
    visit = ENTRY if removed else replace(ENTRY, owner_id="u-none")
    stores.visits.put(visit)
    assert stores.visits.by_share(visit.owner_id, visit.server_id, LONG_AGO, limit=9) == []


def test_visits_at_once_end_in_one_record(stores, alice):
    concurrently(lambda n: stores.visits.put(replace(ENTRY, at=NOW + timedelta(seconds=n))))
    found = shown(stores)
    assert len(found) == 1
    assert found[0].at in {NOW + timedelta(seconds=n) for n in range(MANY)}


def test_a_new_visit_at_sqlite_removes_old_ones(tmp_path):
    stores = sqlite.in_new_file(tmp_path / "hub.sqlite")
    stores.users.create([a_user()])
    stores.visits.put(ENTRY)
    stores.visits.put(replace(ENTRY, visitor_id="u-carol", at=NOW + KEPT_FOR))
    assert [visit.visitor_id for visit in shown(stores)] == ["u-carol"]
    stores.close()
