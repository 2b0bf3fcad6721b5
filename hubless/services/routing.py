"""Routing: adds and removes routes, and says whether every edge serves them."""

from collections.abc import Iterable
from datetime import timedelta
from urllib.parse import urlsplit

from hubless.domain.routes import Route, ServerKey
from hubless.domain.users import Service
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.routes import RouteStore

EDGE_IS_LOST_AFTER = timedelta(seconds=10)  # edges report every 2 to 5 s; then the hub stops waiting for one
LOG_LENGTH = 10_000
_DEFAULT_PORTS = {"http": 80, "https": 443}


@value
class Routing:
    """The route table that edges read."""

    routes: RouteStore
    clock: Clock

    def add(self, prefix: str, address: str, launch_id: str, server: ServerKey | None = None) -> int:
        """Route *prefix* to *address* and return the sequence number that edges must reach. Idempotent."""
        return self.routes.put(Route(prefix, address, launch_id, server))

    def remove(self, prefix: str, launch_id: str) -> None:
        """Remove the launch's route of that prefix; a newer launch's route stays."""
        self.routes.remove(prefix, launch_id)

    def is_served(self, sequence: int) -> bool:
        """Say whether at least one edge is alive, and every one that is has applied the change."""
        return self.routes.is_applied(sequence, self.clock.now() - EDGE_IS_LOST_AFTER)

    def has_edge(self) -> bool:
        """Say whether any edge is alive."""
        oldest = self.clock.now() - EDGE_IS_LOST_AFTER
        return any(report.seen_at >= oldest for report in self.routes.reports())

    def has_service_routes(self, routes: Iterable[Route]) -> bool:
        """Say whether one of *routes* leads to a service."""
        return any(route.launch_id == _launch_of(route.prefix) for route in routes)

    def sync_services(self, services: Iterable[Service], routes: Iterable[Route] | None = None) -> None:
        """Route each service's prefix to its URL, and remove the routes of services that no longer exist.

        Args:
            services: all services of the hub.
            routes: all routes, if the caller has just read them.
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
        """Return the *routes* whose launch is not *live*. Routes of services are never stale."""
        return [r for r in routes if r.launch_id not in live and r.launch_id != _launch_of(r.prefix)]

    def tidy(self) -> None:
        """Remove the reports of edges that are gone for a minute, and old entries of the log."""
        oldest = self.clock.now() - 6 * EDGE_IS_LOST_AFTER
        for report in self.routes.reports():
            if report.seen_at < oldest:
                self.routes.forget_edge(report.edge_id)
        self.routes.trim(LOG_LENGTH)


def _launch_of(prefix: str) -> str:
    """Return what a service's route has in place of a launch id; no launch id has a colon."""
    return f"service:{prefix}"


def _address_of(service: Service) -> str | None:
    if not service.url:
        return None
    url = urlsplit(service.url)
    port = url.port or _DEFAULT_PORTS.get(url.scheme)
    return f"{url.hostname}:{port}" if url.hostname and port else None
