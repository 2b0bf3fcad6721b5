"""The route table of a hub whose edge is a load balancer: the table itself, and what it says written to the balancer at once.

The table comes first in everything: what it does not know is an orphan, and listed with the rest for whoever drops stale
routes; what the balancer does not hold any more, by whosever hand, is listed without its address, for whoever puts it again.
docs/adr/0013-load-balancer-as-edge.md says why there is no agent.
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
    """Holds routes in a table, and has a load balancer serve them."""

    def __init__(self, table: RouteStore, balancer: Balancer) -> None:
        self._table = table
        self._balancer = balancer
        self._just_seen: tuple[int, bool] | None = None  # the change that was put last, and whether it is served

    @property
    def capacity(self) -> int:
        """Return how many servers can run at once: a spawn beyond it is to be refused."""
        return self._balancer.config.capacity

    def put(self, route: Route) -> int:
        sequence = self._table.put(route)
        if _is_ip(route.address):
            self._just_seen = sequence, self._balancer.serve(route)
        else:
            logger.warning(
                "%s is not routed: a load balancer takes addresses, and %s is a name", route.prefix, route.address
            )
        return sequence

    def remove(self, prefix: str, launch_id: str) -> int | None:
        sequence = self._table.remove(prefix, launch_id)
        self._balancer.remove(prefix, launch_id)  # also when the table knows it no more: a crash may have come between
        return sequence

    def all(self) -> Iterator[Route]:
        """Yield every route; one that the balancer does not serve has no address.

        Two calls to ELB, and one more for each 20 orphans.
        """
        # The balancer first: what is listed there was put by then, and is in the table unless it was removed.
        led, ruled = self._listed()
        for route in self._table.all():
            name = name_of(self._balancer.config.hub, route.prefix, route.launch_id)
            led.pop(name, None)
            is_missing = ruled is not None and name not in ruled and _is_ip(route.address)
            yield route if not is_missing else Route(route.prefix, "", route.launch_id, route.server)
        yield from self._orphans(list(led.values()))

    def is_applied(self, sequence: int, since: datetime) -> bool:  # noqa: ARG002 there is no edge that could be gone
        seen, self._just_seen = self._just_seen, None
        if seen is not None and seen[0] == sequence:  # asking again would tell no more
            return seen[1]
        changes = self._table.changes_since(sequence - 1, 1)
        if not changes:
            return False
        (change,) = changes
        return change.address is not None and self._balancer.is_healthy(change.prefix, change.address)

    def _listed(self) -> tuple[dict[str, str], Collection[str] | None]:
        """Return the groups by name, and the names of those that are served; nothing and None where ELB cannot be asked."""
        try:
            return self._balancer.target_groups(), self._balancer.groups_with_rule()
        except StoreUnavailableError as away:  # who goes round with this list has more to do than orphans
            logger.warning("what was left over at the load balancer is looked for next time: %s", away)
            return {}, None

    def _orphans(self, groups: list[str]) -> list[Route]:
        try:
            return [Route(prefix, "", launch_id) for prefix, launch_id in self._balancer.routes_of(groups)]
        except StoreUnavailableError as away:  # one may be gone by now
            logger.warning("what was left over at the load balancer is looked for next time: %s", away)
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
