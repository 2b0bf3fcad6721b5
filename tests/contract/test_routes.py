from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.adapters.sqlite import routes as sqlite_routes
from hubless.domain.routes import EdgeReport, Route, RouteChange, ServerKey
from tests.contract.conftest import ADAPTERS
from tests.support.alb import alb
from tests.support.builders import NOW
from tests.support.concurrency import MANY, concurrently


@pytest.fixture
def tables(stores):
    """Stores of any size; a load balancer has room for a hundred routes."""
    return stores


def pytest_generate_tests(metafunc):
    """Limit the load balancer's store to tests within its capacity."""
    if "stores" in metafunc.fixturenames:
        names = [*ADAPTERS] if "tables" in metafunc.fixturenames else [*ADAPTERS, "alb-moto"]
        metafunc.parametrize("stores", names, indirect=True)


@pytest.fixture
def stores(request):
    if request.param == "alb-moto":
        request.getfixturevalue("in_moto")
        made = alb(request.getfixturevalue("tmp_path") / "hub.sqlite")
    else:
        made = ADAPTERS[request.param](request)
    yield made
    made.close()


A = Route("/user/alice/", "127.0.0.1:1", "l1")


def test_the_table_is_empty_at_first(stores):
    assert stores.routes.sequence() == 0
    assert list(stores.routes.all()) == []
    assert stores.routes.changes_since(0, 9) == []
    assert stores.routes.reports() == []


def test_a_route_comes_back_and_its_change_is_logged(stores):
    sequence = stores.routes.put(A)
    assert list(stores.routes.all()) == [A]
    assert stores.routes.sequence() == sequence
    assert stores.routes.changes_since(0, 9) == [RouteChange(sequence, A.prefix, A.address)]


def test_a_route_and_its_change_have_the_server(stores):
    route = replace(A, server=ServerKey("s1", "u1"))
    first = stores.routes.put(route)
    assert stores.routes.put(route) == first
    assert list(stores.routes.all()) == [route]
    assert stores.routes.changes_since(0, 9) == [RouteChange(first, A.prefix, A.address, route.server)]
    stores.routes.remove(A.prefix, A.launch_id)
    assert stores.routes.changes_since(first, 9) == [RouteChange(first + 1, A.prefix, None)]


def test_adding_the_server_to_an_old_route_is_a_change(stores):
    first = stores.routes.put(A)
    route = replace(A, server=ServerKey("s1", "u1"))
    assert stores.routes.put(route) == first + 1
    assert list(stores.routes.all()) == [route]


def test_every_change_gets_the_next_number(stores):
    numbers = [stores.routes.put(Route(f"/{n}/", "127.0.0.1:1", "l")) for n in range(3)]
    numbers.append(stores.routes.remove("/1/", "l"))
    assert numbers == list(range(numbers[0], numbers[0] + 4))


def test_putting_the_same_route_makes_no_change(stores):
    first = stores.routes.put(A)
    stores.routes.put(Route("/other/", "127.0.0.1:2", "l2"))
    newest = stores.routes.sequence()
    assert stores.routes.put(A) == first
    assert stores.routes.sequence() == newest
    assert len(stores.routes.changes_since(0, 9)) == 2


def test_a_put_replaces_the_prefixs_route(stores):
    stores.routes.put(A)
    other = Route(A.prefix, "127.0.0.1:2", "l2")
    sequence = stores.routes.put(other)
    assert list(stores.routes.all()) == [other]
    assert stores.routes.changes_since(sequence - 1, 9) == [RouteChange(sequence, A.prefix, other.address)]


def test_the_same_address_for_another_launch_is_a_change(stores):
    first = stores.routes.put(A)
    assert stores.routes.put(Route(A.prefix, A.address, "l2")) > first
    assert stores.routes.remove(A.prefix, "l1") is None


def test_remove_is_for_its_own_launch_only(stores):
    stores.routes.put(A)
    stores.routes.put(Route(A.prefix, "127.0.0.1:2", "l2"))
    newest = stores.routes.sequence()
    assert stores.routes.remove(A.prefix, "l1") is None
    assert stores.routes.remove("/nothing/", "l1") is None
    assert stores.routes.sequence() == newest
    sequence = stores.routes.remove(A.prefix, "l2")
    assert sequence == newest + 1
    assert stores.routes.changes_since(newest, 9) == [RouteChange(sequence, A.prefix, None)]
    assert list(stores.routes.all()) == []
    assert stores.routes.remove(A.prefix, "l2") is None


def test_put_after_remove_is_a_new_change(stores):
    stores.routes.put(A)
    removed = stores.routes.remove(A.prefix, "l1")
    assert stores.routes.put(A) == removed + 1


def test_prefixes_differ_by_case_and_bytes(stores):
    for prefix in ("/user/a/", "/user/A/", "/user/ä/", "/user/a_/"):
        stores.routes.put(Route(prefix, "127.0.0.1:1", "l"))
    assert len(list(stores.routes.all())) == 4


def test_all_yields_each_of_many_once(tables, monkeypatch):
    monkeypatch.setattr(sqlite_routes, "BATCH", 25)
    prefixes = {f"/user/n{n}/" for n in range(60)}
    for prefix in prefixes:
        tables.routes.put(Route(prefix, f"{'a' * 20_000}:1", "l"))  # together more than DynamoDB answers at once
    found = [route.prefix for route in tables.routes.all()]
    assert len(found) == 60
    assert set(found) == prefixes


def test_changes_come_oldest_first_up_to_the_limit(stores):
    for n in range(5):
        stores.routes.put(Route(f"/{n}/", "127.0.0.1:1", "l"))
    assert [c.prefix for c in stores.routes.changes_since(0, 2)] == ["/0/", "/1/"]
    assert [c.prefix for c in stores.routes.changes_since(2, 9)] == ["/2/", "/3/", "/4/"]
    assert stores.routes.changes_since(5, 9) == []


def test_changes_before_a_trimmed_log_are_none(stores):
    for n in range(5):
        stores.routes.put(Route(f"/{n}/", "127.0.0.1:1", "l"))
    stores.routes.trim(2)
    assert stores.routes.changes_since(0, 9) is None
    assert stores.routes.changes_since(2, 9) is None
    assert [c.sequence for c in stores.routes.changes_since(3, 9)] == [4, 5]
    assert stores.routes.changes_since(5, 9) == []
    assert len(list(stores.routes.all())) == 5


def test_an_empty_log_keeps_its_sequence_number(stores):
    stores.routes.put(A)
    stores.routes.trim(0)
    assert stores.routes.sequence() == 1
    assert stores.routes.changes_since(1, 9) == []
    assert stores.routes.changes_since(0, 9) is None
    assert stores.routes.put(Route("/b/", "127.0.0.1:1", "l")) == 2
    assert [c.sequence for c in stores.routes.changes_since(1, 9)] == [2]


def test_a_log_shorter_than_kept_loses_nothing(stores):
    stores.routes.put(A)
    stores.routes.trim(100)
    assert len(stores.routes.changes_since(0, 9)) == 1


def test_a_sequence_ahead_of_the_log_gets_none(stores):
    stores.routes.put(A)
    assert stores.routes.changes_since(7, 9) is None


def test_eight_writers_make_a_log_without_gaps(tables):
    outcomes = concurrently(lambda n: [tables.routes.put(Route(f"/{n}/{m}/", "127.0.0.1:1", "l")) for m in range(10)])
    numbers = sorted(number for some in outcomes for number in some)
    assert numbers == list(range(1, 10 * MANY + 1))
    assert [c.sequence for c in tables.routes.changes_since(0, 999)] == numbers


def test_of_eight_concurrent_equal_puts_one_makes_a_change(stores):
    assert len(set(concurrently(lambda _: stores.routes.put(A)))) == 1
    assert stores.routes.sequence() == 1


def test_of_eight_concurrent_removals_one_makes_a_change(stores):
    stores.routes.put(A)
    assert concurrently(lambda _: stores.routes.remove(A.prefix, "l1")).count(None) == MANY - 1
    assert stores.routes.sequence() == 2


def test_a_reader_of_a_growing_log_never_starts_again(tables):
    per_writer, readers = 20, 4

    def act(n):
        if n >= readers:
            for m in range(per_writer):
                tables.routes.put(Route(f"/{n}/{m}/", "127.0.0.1:1", "l"))
            return True
        seen = 0
        while seen < per_writer * (MANY - readers):
            changes = tables.routes.changes_since(seen, 5)
            if changes is None:
                return False
            seen += len(changes)
        return True

    assert concurrently(act) == [True] * MANY


def test_the_newest_report_of_each_edge_counts(stores):
    for edge, sequence in (("e2", 1), ("e1", 2), ("e2", 3)):
        stores.routes.report(EdgeReport(edge, sequence, NOW + timedelta(seconds=sequence)))
    expected = [EdgeReport("e1", 2, NOW + timedelta(seconds=2)), EdgeReport("e2", 3, NOW + timedelta(seconds=3))]
    assert sorted(stores.routes.reports(), key=lambda report: report.edge_id) == expected


def test_a_change_is_applied_when_every_edge_alive_has_and_one_is(tables):
    before = tables.routes.put(A)
    sequence = tables.routes.put(replace(A, address="127.0.0.1:2"))
    assert not tables.routes.is_applied(sequence, NOW)
    tables.routes.report(EdgeReport("e1", sequence, NOW))
    tables.routes.report(EdgeReport("lost", before, NOW - timedelta(seconds=1)))
    assert tables.routes.is_applied(sequence, NOW)
    tables.routes.report(EdgeReport("e2", before, NOW))
    assert not tables.routes.is_applied(sequence, NOW)
    assert tables.routes.is_applied(before, NOW)


def test_the_report_of_a_removed_edge_is_gone(stores):
    stores.routes.report(EdgeReport("e1", 1, NOW))
    stores.routes.report(EdgeReport("e2", 1, NOW))
    stores.routes.forget_edge("e1")
    stores.routes.forget_edge("e1")
    assert [report.edge_id for report in stores.routes.reports()] == ["e2"]
