"""The store of servers."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from hubless.domain.budgets import Claim
from hubless.domain.lifecycle import Server, State
from hubless.domain.maintenance import StartCheck
from hubless.domain.usage import Totals

NONE = Totals()


class ServerStore(Protocol):
    """Stores servers. An owner has at most one of each name."""

    def get(self, server_id: str) -> Server | None:
        """Return the server or None."""
        ...

    def find(self, owner_id: str, name: str) -> Server | None:
        """Return the owner's server of that name or None."""
        ...

    def get_many(self, server_ids: Iterable[str]) -> dict[str, Server]:
        """Return the servers that exist, by id, without one round trip per server."""
        ...

    def of_owners(self, owner_ids: Iterable[str]) -> list[Server]:
        """Return all servers of these owners, oldest first, without one round trip per owner."""
        ...

    def create(self, server: Server, *, named_limit: int = 0) -> None:
        """Add *server*.

        Args:
            named_limit: the number of named servers that the owner may have, this one included; 0 means no limit.

        Raises:
            NameTakenError: when the owner has a server of that name.
            QuotaExceededError: when the limit is reached; concurrent calls never exceed it.
            NotFoundError: when the owner does not exist.
        """
        ...

    def create_many(self, servers: Sequence[Server]) -> None:
        """Add servers, as `create` does each, in few requests.

        Raises:
            NameTakenError: when an owner has a server of that name. Some of the others may have been added then.
            NotFoundError: when an owner does not exist; likewise.
        """
        ...

    def write(
        self,
        before: Server,
        after: Server,
        *,
        active_limit: int = 0,
        places_kept: int = 0,
        claims: Sequence[Claim] = (),
        used: Totals = NONE,
        start: StartCheck | None = None,
    ) -> None:
        """Replace *before* by *after*: the conditional write that is the lock of every transition.

        It stores *after*'s last activity only if it is later. The server joins the ledgers that *after* has more than
        *before*, and leaves those that it has no longer.

        Args:
            before: the server as it was read.
            after: the server as it shall be.
            active_limit: the number of active servers that the hub may have, this one included, if *after* is active
                and *before* is not; 0 means no limit.
            places_kept: how many places under that limit are left to others, who asked earlier.
            claims: the conditions for joining ledgers; without one for a ledger the server joins it in any case.
            used: what the launch has used, if the server leaves ledgers.
            start: what the maintenance refuses or not; None for a write that is no start.

        Raises:
            StoreConflictError: when the server does not exist, or its state, launch id or revision is not *before*'s.
            NameTakenError: when another server of the owner has *after*'s new name.
            QuotaExceededError: when the limit is reached; concurrent calls never exceed it.
            LedgerFullError: when a claim does not hold, or a ledger to join does not exist.
            MaintenanceError: when maintenance refuses the start; concurrent calls never get past it.
        """
        ...

    def recount_active(self, active_limit: int, now: datetime) -> None:
        """Correct the number of active servers where the store keeps one; call it from time to time.

        A store that counts its records has nothing to do.
        """
        ...

    def delete(self, server: Server) -> None:
        """Remove *server*.

        Raises:
            StoreConflictError: when it does not exist, or its state, launch id or revision is not *server*'s.
        """
        ...

    def touch(self, server_id: str, at: datetime, *, owner_id: str | None = None) -> None:
        """Set the last activity of the server and of its owner to *at* where that is later, in one round trip.

        *owner_id* saves a read. Nothing is written for a server that does not exist.
        """
        ...

    def in_states(self, states: Iterable[State]) -> list[Server]:
        """Return every server in one of *states*, longest in its state first; the cost grows with the result."""
        ...

    def count(self, states: Iterable[State]) -> int:
        """Return the number of servers in one of *states*."""
        ...

    def queue_position(self, server: Server, now: datetime) -> int:
        """Return how many servers in the state of *server* came into it earlier: its position in that state's queue.

        There are two queues: `requested` and `preparing`. Elsewhere the answer is 0.

        The cost stays low however many servers wait. Up to 100 the answer is exact. Beyond that it may be 5 seconds
        old, 30 under heavy load, and wrong by 1 % of the queue's length. At the moment at which a queue grows beyond
        100, the answer may be 101 for any longer one.
        """
        ...
