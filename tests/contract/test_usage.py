from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.adapters.dynamodb.database import Database
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.metering import Metering
from hubless.domain.usage import Totals, TotalsOf, TotalsRow, Usage
from tests.support.builders import NOW
from tests.support.concurrency import MANY, concurrently
from tests.support.dynamodb import in_new_table

ONE = Usage("l1", "s1", "u-alice", "big", NOW, NOW + timedelta(seconds=90, microseconds=5), "stopped")


def test_usage_comes_back_as_it_was_written(stores):
    stores.usage.add(ONE)
    assert stores.usage.of_owner("u-alice") == [ONE]
    assert stores.usage.of_owner("u-bob") == []


def test_the_same_launch_again_changes_nothing(stores):
    stores.usage.add(ONE)
    stores.usage.add(ONE)
    stores.usage.add(replace(ONE, ended_at=NOW + timedelta(days=1), outcome="lost"))
    assert stores.usage.of_owner("u-alice") == [ONE]


def test_of_eight_concurrent_writes_of_one_launch_one_counts(stores):
    concurrently(lambda n: stores.usage.add(replace(ONE, outcome=str(n))))
    assert len(stores.usage.of_owner("u-alice")) == 1


def test_usage_comes_oldest_first(stores):
    for number, seconds in enumerate((5, 1, 3)):
        stores.usage.add(replace(ONE, launch_id=f"l{number}", started_at=NOW + timedelta(seconds=seconds)))
    assert [usage.launch_id for usage in stores.usage.of_owner("u-alice")] == ["l1", "l2", "l0"]


def test_usage_outlives_its_user(stores, alice):
    stores.usage.add(ONE)
    stores.users.delete(alice.id)
    assert stores.usage.of_owner(alice.id) == [ONE]
    assert len(concurrently(lambda _: stores.usage.of_owner(alice.id))) == MANY


SIZE = Metering(500, 1024, 0, 120_000, "$", ("physics", "zoë's"))


def totals(stores, of, month="2026-11"):
    return {row.subject: row.totals for row in stores.usage.of_month(of, month)}


def test_the_totals_of_some_users_come_by_id(stores):
    for number, owner in enumerate(("u-alice", "u-bob", "u-bob", "u-zoe")):
        stores.usage.add(replace(ONE, launch_id=f"l{number}", owner_id=owner, metering=SIZE))
    everybody = totals(stores, TotalsOf.USER)
    found = stores.usage.of_users(["u-bob", "u-bob", "u-alice", "u-nobody"], "2026-11")
    assert found == {name: everybody[name] for name in ("u-alice", "u-bob")}
    assert found["u-bob"].launches == 2
    assert stores.usage.of_users(["u-bob"], "2026-10") == {}
    assert stores.usage.of_users([], "2026-11") == {}


def test_a_launch_is_added_to_the_totals_once(stores):
    usage = replace(ONE, metering=SIZE)
    for _ in range(3):
        stores.usage.add(usage)
    expected = Totals(1, 91, 500 * 91, 1024 * 91, 0, 3033)
    assert totals(stores, TotalsOf.HUB) == {"": expected}
    assert totals(stores, TotalsOf.PROFILE) == {"big": expected}
    assert totals(stores, TotalsOf.USER) == {"u-alice": expected}
    assert totals(stores, TotalsOf.GROUP) == {"physics": expected, "zoë's": expected}
    assert stores.usage.of_owner("u-alice") == [usage]
    assert stores.usage.of_days(TotalsOf.GROUP, "zoë's", "2026-11") == [
        TotalsRow(TotalsOf.GROUP, "zoë's", "2026-11-24", expected)
    ]


def test_many_launches_at_once_are_all_counted(stores):
    concurrently(lambda n: stores.usage.add(replace(ONE, launch_id=f"l{n}", owner_id=f"u{n}", metering=SIZE)))
    assert totals(stores, TotalsOf.HUB)[""] == Totals(MANY, 91 * MANY, 45_500 * MANY, 93_184 * MANY, 0, 3033 * MANY)
    assert len(totals(stores, TotalsOf.USER)) == MANY


def test_the_same_end_at_once_is_counted_once(stores):
    concurrently(lambda _: stores.usage.add(replace(ONE, metering=SIZE)))
    assert totals(stores, TotalsOf.GROUP)["physics"].launches == 1


def test_days_come_oldest_first_and_only_those_of_the_month(stores):
    for number, day in enumerate((9, 1, 5, 30)):
        began = NOW.replace(day=1) + timedelta(days=day)
        stores.usage.add(replace(ONE, launch_id=f"l{number}", started_at=began, ended_at=began + timedelta(hours=1)))
    periods = [row.period for row in stores.usage.of_days(TotalsOf.USER, "u-alice", "2026-11")]
    assert periods == ["2026-11-02", "2026-11-06", "2026-11-10"]
    assert stores.usage.of_days(TotalsOf.USER, "u-bob", "2026-11") == []
    assert totals(stores, TotalsOf.USER, "2026-12")["u-alice"].seconds == 3600


def test_a_launch_over_many_days_is_counted_completely(stores):
    long = replace(
        ONE, metering=replace(SIZE, groups=tuple(f"g{n}" for n in range(10))), ended_at=NOW + timedelta(days=9)
    )
    stores.usage.add(long)
    stores.usage.add(replace(long, ended_at=NOW + timedelta(days=20)))  # the first end counts
    assert [totals(stores, TotalsOf.GROUP, month)["g9"].seconds for month in ("2026-11", "2026-12")] == [
        6 * 86_400 + 15 * 3600,
        2 * 86_400 + 9 * 3600,
    ]
    assert len(stores.usage.of_days(TotalsOf.HUB, "", "2026-11")) == 7


def test_a_record_goes_when_it_expires_and_its_totals_stay(stores):
    stores.usage.add(ONE, expires_at=NOW + timedelta(days=1))
    stores.usage.add(replace(ONE, launch_id="l2"), expires_at=NOW + timedelta(days=3))
    stores.usage.add(replace(ONE, launch_id="l3"))
    stores.usage.delete_expired(NOW + timedelta(days=2), 50)
    left = {usage.launch_id for usage in stores.usage.of_owner("u-alice")}
    assert left - {"l1"} == {"l2", "l3"}  # DynamoDB removes it by itself
    assert totals(stores, TotalsOf.USER)["u-alice"].launches == 3


def test_a_long_launch_is_counted_to_its_end_after_a_crash(in_moto, monkeypatch):
    stores = in_new_table(in_moto)
    long = replace(ONE, ended_at=NOW + timedelta(days=45))
    transact, done = Database.transact, []

    def crash(database, steps):
        if len(done) == 1:
            raise StoreUnavailableError("the machine is gone")
        transact(database, steps)
        done.append(steps)

    monkeypatch.setattr(Database, "transact", crash)
    with pytest.raises(StoreUnavailableError):
        stores.usage.add(long)
    monkeypatch.undo()
    stores.usage.add(replace(long, ended_at=NOW + timedelta(days=46)))
    days = [totals(stores, TotalsOf.HUB, month)[""].seconds for month in ("2026-11", "2026-12", "2027-01")]
    assert sum(days) == 45 * 86_400
    assert sum(totals(stores, TotalsOf.USER, month)["u-alice"].launches for month in ("2026-11", "2026-12")) == 1
    stores.close()


def test_a_crash_leaves_neither_a_record_nor_totals(in_moto, monkeypatch):
    stores = in_new_table(in_moto)

    def crash(_database, _steps):
        raise StoreUnavailableError("the machine is gone")

    monkeypatch.setattr(Database, "transact", crash)
    with pytest.raises(StoreUnavailableError):
        stores.usage.add(ONE)
    monkeypatch.undo()
    assert stores.usage.of_owner("u-alice") == []
    stores.usage.add(ONE)
    assert totals(stores, TotalsOf.HUB)[""].launches == 1
    stores.close()
