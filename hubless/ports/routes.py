"""The route table, and the change log that edges read."""

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from hubless.domain.routes import EdgeReport, Route, RouteChange


class RouteStore(Protocol):
    """Stores routes. Each change gets the next sequence number of one log."""

    def put(self, route: Route) -> int:
        """Store *route* in place of any route of its prefix, and return the change's sequence number.

        Idempotent: storing the same route again makes no change and returns the first change's sequence number. Adding
        the server to a route that older code wrote is a change.
        """
        ...

    def remove(self, prefix: str, launch_id: str) -> int | None:
        """Remove the prefix if it still leads to that launch; return the change's sequence number, otherwise None."""
        ...

    def all(self) -> Iterator[Route]:
        """Yield every route without loading all of them into memory."""
        ...

    def sequence(self) -> int:
        """Return the newest change's sequence number; 0 before the first change."""
        ...

    def changes_since(self, sequence: int, limit: int) -> list[RouteChange] | None:
        """Return up to *limit* changes after *sequence*, oldest first; None if the log no longer has all of them."""
        ...

    def trim(self, keep: int) -> None:
        """Remove all but the newest *keep* changes from the log."""
        ...

    def report(self, report: EdgeReport) -> None:
        """Store an edge's report in place of its last one."""
        ...

    def reports(self) -> list[EdgeReport]:
        """Return the newest report of each edge."""
        ...

    def is_applied(self, sequence: int, since: datetime) -> bool:
        """Say whether at least one edge reported since *since*, and every edge that did has applied the change."""
        ...

    def forget_edge(self, edge_id: str) -> None:
        """Remove the report of an edge that is gone, so that no launch waits for it."""
        ...
