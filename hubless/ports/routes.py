"""The route table and its change log, which edges follow."""

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from hubless.domain.routes import EdgeReport, Route, RouteChange


class RouteStore(Protocol):
    """Holds routes. Every change gets the next sequence number of one log."""

    def put(self, route: Route) -> int:
        """Write *route* over whatever its prefix led to, and return the change's sequence.

        Writing what is there already makes no new change and returns the sequence of the one that put it there; a server
        that an older route does not name yet is a change.
        """
        ...

    def remove(self, prefix: str, launch_id: str) -> int | None:
        """Remove the prefix if it still leads to that launch; return the change's sequence, or None when it did not."""
        ...

    def all(self) -> Iterator[Route]:
        """Yield every route, without holding all of them in memory."""
        ...

    def sequence(self) -> int:
        """Return the number of the newest change; 0 when there never was one."""
        ...

    def changes_since(self, sequence: int, limit: int) -> list[RouteChange] | None:
        """Return up to *limit* changes after *sequence*, oldest first; None when the log no longer reaches back."""
        ...

    def trim(self, keep: int) -> None:
        """Forget all but the newest *keep* changes."""
        ...

    def report(self, report: EdgeReport) -> None:
        """Note what an edge has applied."""
        ...

    def reports(self) -> list[EdgeReport]:
        """Return the newest report of each edge."""
        ...

    def is_applied(self, sequence: int, since: datetime) -> bool:
        """Say whether every edge that reported since *since* has applied the change, and at least one has."""
        ...

    def forget_edge(self, edge_id: str) -> None:
        """Forget an edge that has left, so that nobody waits for it."""
        ...
