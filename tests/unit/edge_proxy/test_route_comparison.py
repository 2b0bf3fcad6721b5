"""The store's route table and HAProxy's map are compared prefix by prefix."""

import pytest

from edge_proxy.haproxy_config import map_key, map_value, prefix_of_key
from edge_proxy.route_comparison import RouteRow, RouteState, compare
from hubless.domain.routes import Route, ServerKey

ALICE = Route("/user/alice/", "10.0.0.1:8888", "launch-a", ServerKey("s1", "u1"))
GRADER = Route("/services/grader/", "grader.example.org:8000", "service-grader")


def entry(route: Route, address: str = "", domain: str = "") -> tuple[str, str]:
    return map_key(route.prefix, domain), map_value(address or route.address, route.server)


def test_tables_that_agree_have_no_difference() -> None:
    assert compare([ALICE], [entry(ALICE)]) == [
        RouteRow("/user/alice/", RouteState.SAME, "10.0.0.1:8888", "10.0.0.1:8888", "launch-a")
    ]


def test_a_route_that_haproxy_lacks_is_only_in_the_store() -> None:
    (row,) = compare([ALICE], [])

    assert (row.state, row.store_address, row.haproxy_address) == (RouteState.ONLY_STORE, "10.0.0.1:8888", None)
    assert row.differs


def test_a_route_that_the_store_lacks_is_only_in_haproxy() -> None:
    (row,) = compare([], [entry(ALICE)])

    assert row == RouteRow("/user/alice/", RouteState.ONLY_HAPROXY, None, "10.0.0.1:8888", None)


def test_another_address_in_haproxy_is_a_difference() -> None:
    (row,) = compare([ALICE], [entry(ALICE, "10.0.0.2:8888")])

    assert (row.state, row.haproxy_address) == (RouteState.OTHER_ADDRESS, "10.0.0.2:8888")


@pytest.mark.parametrize("server", [None, ServerKey("s2", "u1")])
def test_activity_of_another_server_is_a_difference(server: ServerKey | None) -> None:
    (row,) = compare([ALICE], [(map_key(ALICE.prefix), map_value(ALICE.address, server))])

    assert row.state is RouteState.OTHER_SERVER


@pytest.mark.parametrize(
    ("address", "state"), [("10.9.9.9:8000", RouteState.SAME), ("10.9.9.9:8001", RouteState.OTHER_ADDRESS)]
)
def test_of_a_host_name_only_the_port_is_compared(address: str, state: RouteState) -> None:
    (row,) = compare([GRADER], [entry(GRADER, address)])

    assert (row.state, row.store_address, row.haproxy_address) == (state, "grader.example.org:8000", address)


def test_each_users_host_stands_before_the_prefix() -> None:
    domain = "hub.example.org"

    (row,) = compare([ALICE], [entry(ALICE, domain=domain)], domain)
    assert not row.differs
    assert row.prefix == "alice.hub.example.org/user/alice/"
    assert {row.state for row in compare([ALICE], [entry(ALICE)], domain)} == {
        RouteState.ONLY_STORE,
        RouteState.ONLY_HAPROXY,
    }


def test_rows_are_sorted_by_prefix() -> None:
    bob = Route("/user/bob/", "10.0.0.3:1", "launch-b")

    assert [row.prefix for row in compare([bob, GRADER], [entry(ALICE)])] == [
        "/services/grader/",
        "/user/alice/",
        "/user/bob/",
    ]


@pytest.mark.parametrize("key", ["/user/alice/", "ABC", "zz"])
def test_a_key_that_is_no_hex_is_shown_as_it_is(key: str) -> None:
    assert prefix_of_key(key) == key


@pytest.mark.parametrize("prefix", ["/user/alice/", "/user/jürgen/lab 1/"])
def test_a_key_is_decoded_to_its_prefix(prefix: str) -> None:
    assert prefix_of_key(map_key(prefix)) == prefix
