"""Routes: which prefix leads to which address, and the log of changes that edges follow."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Route:
    """A prefix (decoded, slashes at both ends) that leads to *address* (ip:port) for one launch."""

    prefix: str
    address: str
    launch_id: str


@dataclass(frozen=True, slots=True)
class RouteChange:
    """One entry of the log: a prefix got an address, or lost it (None)."""

    sequence: int
    prefix: str
    address: str | None


@dataclass(frozen=True, slots=True)
class EdgeReport:
    """What one edge proxy has applied, and when it said so."""

    edge_id: str
    sequence: int
    seen_at: datetime
