"""Routes: which prefix leads to which address, and the change log that edges read."""

from collections.abc import Iterable
from datetime import datetime

from hubless.domain.values import value


@value
class ServerKey:
    """A server's id and its owner's id: enough to record activity. Ids contain no colon and no space."""

    server_id: str
    owner_id: str


@value
class Route:
    """A prefix (decoded, slashes at both ends) that leads to *address* (ip:port) for one launch.

    *server* is the server that its requests keep active; None for a service, and in routes that older code wrote.
    """

    prefix: str
    address: str
    launch_id: str
    server: ServerKey | None = None


@value
class RouteChange:
    """One entry of the log: a prefix has a new address, or none (None)."""

    sequence: int
    prefix: str
    address: str | None
    server: ServerKey | None = None


@value
class EdgeReport:
    """The newest change that one edge has applied, and when it reported that."""

    edge_id: str
    sequence: int
    seen_at: datetime


def is_applied(reports: Iterable[EdgeReport], sequence: int, since: datetime) -> bool:
    """Say whether every edge that reported since *since* has applied the change, and at least one has."""
    alive = [report for report in reports if report.seen_at >= since]
    return bool(alive) and all(report.sequence >= sequence for report in alive)
