"""The route table of a hub whose edge is a load balancer: writes each change to the table, then to the balancer.

The table is the source of truth. `all` also lists orphans: routes of the balancer that the table does not have. It
lists routes that the balancer has lost without their address. The reaper corrects both. ADR 13 says why there is no
agent.
"""

import logging
from collections.abc import Collection, Iterator
from datetime import datetime
from ipaddress import ip_address

from hubless.adapters.alb.balancer import Balancer
from hubless.adapters.alb.naming import name_of
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.routes import EdgeReport, Route, RouteChange
from hubless.ports.routes import RouteStore

logger = logging.getLogger(__name__)


class AlbRouteStore:
    """Stores routes in a table, and serves them by a load balancer."""

    def __init__(self, table: RouteStore, balancer: Balancer) -> None:
        self._table = table
        self._balancer = balancer
        self._just_seen: tuple[int, bool] | None = None  # the last change written, and whether ELB serves it

    @property
    def capacity(self) -> int:
        """Return how many servers can have a route at once; the hub refuses further spawns."""
        return self._balancer.config.capacity

    def put(self, route: Route) -> int:
        sequence = self._table.put(route)
        if _is_ip(route.address):
            self._just_seen = sequence, self._balancer.serve(route)
        else:
            logger.warning(
                "cannot route %s to %s: a load balancer needs an IP address, not a name", route.prefix, route.address
            )
        return sequence

    def remove(self, prefix: str, launch_id: str) -> int | None:
        sequence = self._table.remove(prefix, launch_id)
        self._balancer.remove(prefix, launch_id)  # also after a crash between both
        return sequence

    def all(self) -> Iterator[Route]:
        """Yield every route; a route that the balancer does not serve has no address.

        Needs two calls to ELB, and one more for each 20 orphans.
        """
        # The balancer first: its routes are in the table by now, unless they were removed.
        led, ruled = self._listed()
        for route in self._table.all():
            name = name_of(self._balancer.config.hub, route.prefix, route.launch_id)
            led.pop(name, None)
            is_missing = ruled is not None and name not in ruled and _is_ip(route.address)
            yield route if not is_missing else Route(route.prefix, "", route.launch_id, route.server)
        yield from self._orphans(list(led.values()))

    def is_applied(self, sequence: int, since: datetime) -> bool:  # noqa: ARG002 no agent reports here
        seen, self._just_seen = self._just_seen, None
        if seen is not None and seen[0] == sequence:  # a second request would return the same
            return seen[1]
        changes = self._table.changes_since(sequence - 1, 1)
        if not changes:
            return False
        (change,) = changes
        return change.address is not None and self._balancer.is_healthy(change.prefix, change.address)

    def _listed(self) -> tuple[dict[str, str], Collection[str] | None]:
        """Return ARNs of the groups by name, and the names with a rule; {} and None if ELB does not answer."""
        try:
            return self._balancer.target_groups(), self._balancer.groups_with_rule()
        except StoreUnavailableError as error:  # the sweep has other work than orphans
            logger.warning("cannot list the load balancer's routes; the next sweep looks for orphans: %s", error)
            return {}, None

    def _orphans(self, groups: list[str]) -> list[Route]:
        try:
            return [Route(prefix, "", launch_id) for prefix, launch_id in self._balancer.routes_of(groups)]
        except StoreUnavailableError as error:  # one may be gone by now
            logger.warning("cannot read the load balancer's tags; the next sweep looks for orphans: %s", error)
            return []

    def sequence(self) -> int:
        return self._table.sequence()

    def changes_since(self, sequence: int, limit: int) -> list[RouteChange] | None:
        return self._table.changes_since(sequence, limit)

    def trim(self, keep: int) -> None:
        self._table.trim(keep)

    def report(self, report: EdgeReport) -> None:
        self._table.report(report)

    def reports(self) -> list[EdgeReport]:
        return self._table.reports()

    def forget_edge(self, edge_id: str) -> None:
        self._table.forget_edge(edge_id)


def _is_ip(address: str) -> bool:
    try:
        ip_address(address.rpartition(":")[0])
    except ValueError:
        return False
    return True
