"""Compares the store's route table with the map that HAProxy holds in memory."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from edge_proxy.haproxy_config import EdgeConfiguration, map_key, map_value, prefix_of_key
from edge_proxy.host_resolver import is_ip
from edge_proxy.runtime_api import RuntimeApi
from hubless.domain.routes import Route
from hubless.ports.routes import RouteStore

SETTLE_SECONDS = 1.0  # an agent polls the table many times in it


class RouteState(StrEnum):
    """How one prefix stands in both tables; the values are what people and scripts read."""

    SAME = "same"
    ONLY_STORE = "only in the store"
    ONLY_HAPROXY = "only in HAProxy"
    OTHER_ADDRESS = "other address"
    CHANGING = "changing"  # a change that HAProxy's agent may not have seen yet: no difference
    OTHER_SERVER = "other server"  # the address is the same, but its activity counts for another server


@dataclass(frozen=True, slots=True)
class RouteRow:
    """One prefix in both tables; an address is None if the prefix is not in that table."""

    prefix: str  # after its host, if each user has one
    state: RouteState
    store_address: str | None
    haproxy_address: str | None
    launch_id: str | None  # HAProxy does not know launches

    @property
    def differs(self) -> bool:
        """Say whether the tables differ, for longer than a change takes."""
        return self.state not in {RouteState.SAME, RouteState.CHANGING}


def compare(routes: Iterable[Route], entries: Iterable[tuple[str, str]], domain: str = "") -> list[RouteRow]:
    """Return a row for each prefix of either table, sorted by prefix.

    Args:
        routes: the store's route table.
        entries: HAProxy's map as (key, value).
        domain: the hub's host, if each user and service has a host below it.
    """
    values = dict(entries)
    rows = []
    for route in routes:
        key = map_key(route.prefix, domain)
        rows.append(_row(prefix_of_key(key), route, values.pop(key, None)))
    rows += [
        RouteRow(prefix_of_key(key), RouteState.ONLY_HAPROXY, None, _address(value), None)
        for key, value in values.items()
    ]
    return sorted(rows, key=lambda row: row.prefix)


def compare_running(
    store: RouteStore, edge: EdgeConfiguration, *, pause: Callable[[float], object] = time.sleep
) -> list[RouteRow]:
    """Return the rows of the store and of the HAProxy that runs with *edge*.

    A change that HAProxy's agent has not applied yet is no difference. So if the tables differ, this reads them again
    after *pause*: what differs then, but did not differ in the same way before, is changing.

    Raises:
        EdgeError: when HAProxy does not answer.
        StoreUnavailableError: when the store does not answer.
    """
    runtime = RuntimeApi(edge.runtime_socket)

    def read() -> list[RouteRow]:
        return compare(store.all(), runtime.entries(edge.map_file), edge.domain)

    rows = read()
    differing = {row for row in rows if row.differs}
    if not differing:
        return rows
    pause(SETTLE_SECONDS)
    return [replace(row, state=RouteState.CHANGING) if row.differs and row not in differing else row for row in read()]


def _row(prefix: str, route: Route, value: str | None) -> RouteRow:
    if value is None:
        return RouteRow(prefix, RouteState.ONLY_STORE, route.address, None, route.launch_id)
    return RouteRow(prefix, _state(route, value), route.address, _address(value), route.launch_id)


def _state(route: Route, value: str) -> RouteState:
    found, (host, _, port) = _address(value), route.address.rpartition(":")
    # HAProxy has the IP address of a service's host, which may change: only the port can be compared.
    if found != (route.address if is_ip(host) else f"{found.rpartition(':')[0]}:{port}"):
        return RouteState.OTHER_ADDRESS
    return RouteState.SAME if value == map_value(found, route.server) else RouteState.OTHER_SERVER


def _address(value: str) -> str:
    return ":".join(value.split(":")[:2])
