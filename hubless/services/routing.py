"""Routes: putting them in the table, and knowing when every edge serves them."""

from collections.abc import Iterable
from datetime import timedelta
from urllib.parse import urlsplit

from hubless.domain.routes import Route, ServerKey
from hubless.domain.users import Service
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.routes import RouteStore

EDGE_IS_LOST_AFTER = timedelta(seconds=10)  # edges report every 2 to 5 s: nobody waits for one that is gone
LOG_LENGTH = 10_000
_DEFAULT_PORTS = {"http": 80, "https": 443}


@value
class Routing:
    """The table that edges follow."""

    routes: RouteStore
    clock: Clock

    def add(self, prefix: str, address: str, launch_id: str, server: ServerKey | None = None) -> int:
        """Lead *prefix* to *address* and return the sequence that edges must reach; doing it twice is doing it once."""
        return self.routes.put(Route(prefix, address, launch_id, server))

    def remove(self, prefix: str, launch_id: str) -> None:
        """Take the route of that launch away; a newer launch's stays."""
        self.routes.remove(prefix, launch_id)

    def is_served(self, sequence: int) -> bool:
        """Say whether every edge that is alive has applied the change, and at least one has."""
        return self.routes.is_applied(sequence, self.clock.now() - EDGE_IS_LOST_AFTER)

    def has_edge(self) -> bool:
        """Say whether any edge is alive."""
        oldest = self.clock.now() - EDGE_IS_LOST_AFTER
        return any(report.seen_at >= oldest for report in self.routes.reports())

    def has_service_routes(self, routes: Iterable[Route]) -> bool:
        """Say whether one of *routes* leads to a service."""
        return any(route.launch_id == _launch_of(route.prefix) for route in routes)

    def sync_services(self, services: Iterable[Service], routes: Iterable[Route] | None = None) -> None:
        """Lead each service's prefix to its URL, and drop the routes of services that are no more.

        Args:
            routes: those that there are, where the caller has just read them.
        """
        known = {route.prefix: route for route in (self.routes.all() if routes is None else routes)}
        wanted = {}
        for service in services:
            if address := _address_of(service):
                wanted[service.prefix] = Route(service.prefix, address, _launch_of(service.prefix))
        for prefix, route in wanted.items():
            if known.get(prefix) != route:
                self.routes.put(route)
        for prefix, route in known.items():
            if route.launch_id == _launch_of(prefix) and prefix not in wanted:
                self.remove(prefix, route.launch_id)

    def stale(self, routes: Iterable[Route], live: frozenset[str]) -> list[Route]:
        """Return those of *routes* whose launch is not *live*. Services' routes never are stale."""
        return [r for r in routes if r.launch_id not in live and r.launch_id != _launch_of(r.prefix)]

    def tidy(self) -> None:
        """Forget edges that left long ago and old entries of the log."""
        oldest = self.clock.now() - 6 * EDGE_IS_LOST_AFTER
        for report in self.routes.reports():
            if report.seen_at < oldest:
                self.routes.forget_edge(report.edge_id)
        self.routes.trim(LOG_LENGTH)


def _launch_of(prefix: str) -> str:
    """Return what stands for the launch in a service's route; no launch id has a colon."""
    return f"service:{prefix}"


def _address_of(service: Service) -> str | None:
    if not service.url:
        return None
    url = urlsplit(service.url)
    port = url.port or _DEFAULT_PORTS.get(url.scheme)
    return f"{url.hostname}:{port}" if url.hostname and port else None
