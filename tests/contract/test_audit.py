from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hubless.adapters.dynamodb import audit
from hubless.domain.audit import Act, AuditQuery, AuditRecord, Doer, DoerKind, Place
from tests.support.builders import NOW
from tests.support.concurrency import MANY, concurrently

DAY = timedelta(days=1)
ALICE = Doer(DoerKind.USER, "alice", "10.0.0.7", "t-1")
NOBODY = Doer(address="10.0.0.9")
MONTH_ENDS = datetime(2026, 3, 1, tzinfo=UTC)


def a_record(number=0, at=NOW, act=Act.TOKEN_ISSUED, by=ALICE, on="bob", **more):
    return AuditRecord(f"r{number:04}", at, act, by, on, **more)


def query(**parts):
    return AuditQuery(**{"since": NOW - 300 * DAY, "until": NOW + 300 * DAY} | parts)


def ids(stores, limit=99, **parts):
    return [record.id for record in stores.audit.page(query(**parts), limit=limit).records]


def walked(stores, limit, **parts):
    """All records of a query, page by page."""
    found, page = [], stores.audit.page(query(**parts), limit=limit)
    found += page.records
    while page.after is not None:
        page = stores.audit.page(query(**parts, before=page.after), limit=limit)
        found += page.records
    return found


def test_a_record_is_read_as_it_was_added(stores):
    record = a_record(about={"server": "lab", "note": "größer"})
    bare = a_record(1, by=Doer(), on="")
    stores.audit.add([record, bare])
    stores.audit.add([record])
    assert stores.audit.page(query(), limit=9).records == (bare, record)


def test_records_are_found_by_doer_by_name_by_act_and_by_time(stores):
    stores.audit.add(
        [
            a_record(1),
            a_record(2, by=Doer(DoerKind.SERVICE, "grader")),
            a_record(3, on="carol"),
            a_record(4, act=Act.LOGIN, on=""),
            a_record(5, at=NOW + DAY),
        ]
    )
    assert ids(stores, by="alice") == ["r0005", "r0004", "r0003", "r0001"]
    assert ids(stores, on="bob") == ["r0005", "r0002", "r0001"]
    assert ids(stores, on="bob", by="grader") == ["r0002"]
    assert ids(stores, act=Act.LOGIN) == ["r0004"]
    assert ids(stores, since=NOW + DAY) == ["r0005"]
    assert ids(stores, until=NOW + DAY) == ["r0004", "r0003", "r0002", "r0001"]
    assert ids(stores, by="nobody") == []


@pytest.mark.parametrize("parts", [{}, {"by": "alice"}, {"on": "bob", "act": Act.TOKEN_ISSUED}])
def test_pages_follow_each_other_without_gap_across_months(stores, parts):
    at = [MONTH_ENDS + timedelta(hours=number // 2) for number in range(-5, 6)]
    records = [a_record(number, instant) for number, instant in enumerate(at)]
    stores.audit.add(records)
    for limit in (2, 5, 11, 12):
        assert walked(stores, limit, since=MONTH_ENDS - 100 * DAY, **parts) == records[::-1]


def test_a_page_ends_where_records_do(stores):
    stores.audit.add([a_record(number) for number in range(3)])
    assert stores.audit.page(query(), limit=3).after is None
    assert stores.audit.page(query(), limit=2).after == Place(NOW, "r0001")
    assert stores.audit.page(query(by="nobody"), limit=2).after is None


def test_a_rare_act_among_many_is_found_by_more_than_one_page(stores, monkeypatch):
    monkeypatch.setattr(audit, "MAX_EXAMINED", 20)
    many = [a_record(number, on="") for number in range(1, 45)]
    stores.audit.add([a_record(0, act=Act.LOGIN, on=""), *many])
    assert [record.id for record in walked(stores, 5, act=Act.LOGIN)] == ["r0000"]


def test_equal_records_of_one_instant_are_counted(stores):
    failed = a_record(act=Act.LOGIN_FAILED, by=NOBODY, on="alice")
    for _ in range(3):
        stores.audit.count(failed, ["7", "9"])
    stores.audit.count(replace(failed, on="bob"), ["7", "9"])
    stores.audit.count(replace(failed, by=replace(NOBODY, address="10.0.0.8")), ["7", "9"])
    stores.audit.count(replace(failed, at=NOW + DAY), ["7", "9"])
    found = {record.id + record.on: record for record in walked(stores, 9, until=NOW + DAY)}
    assert found == {
        "7alice": replace(failed, id="7", count=3, others=1),
        "9bob": replace(failed, id="9", on="bob"),
    }
    assert [record.count for record in stores.audit.page(query(on="alice"), limit=9).records] == [1, 3]


def test_counts_at_once_lose_none(stores):
    failed = a_record(act=Act.LOGIN_FAILED, by=NOBODY, on="alice")
    concurrently(lambda _: stores.audit.count(failed, ["7"]))
    (record,) = stores.audit.page(query(), limit=9).records
    assert record.count == MANY


def test_records_outlive_those_whom_they_name(stores, alice):
    stores.audit.add([a_record(on="alice")])
    stores.users.delete("u-alice")
    assert ids(stores, on="alice") == ["r0000"]


def test_old_records_end(stores):
    stores.audit.add([a_record(number, NOW + number * DAY) for number in range(4)])
    removed = stores.audit.delete_before(NOW + 3 * DAY, 2)
    assert ids(stores) == (["r0003", "r0002"] if removed else ["r0003", "r0002", "r0001", "r0000"])
    assert removed in {0, 2}  # DynamoDB removes them itself, by their `ttl`
    assert stores.audit.delete_before(NOW - DAY, 9) == 0
