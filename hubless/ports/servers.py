"""Servers, stored."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from hubless.domain.lifecycle import Server, State


class ServerStore(Protocol):
    """Holds servers. Each owner has at most one of each name."""

    def get(self, server_id: str) -> Server | None:
        """Return the server or None."""
        ...

    def find(self, owner_id: str, name: str) -> Server | None:
        """Return the owner's server of that name or None."""
        ...

    def get_many(self, server_ids: Iterable[str]) -> dict[str, Server]:
        """Return those of the servers that exist, by id; no round trip for each."""
        ...

    def of_owners(self, owner_ids: Iterable[str]) -> list[Server]:
        """Return all servers of these owners, oldest first; no round trip for each."""
        ...

    def create(self, server: Server, *, named_limit: int = 0) -> None:
        """Add *server*.

        Args:
            named_limit: how many named servers the owner may have, this one included; 0 means no limit.

        Raises:
            NameTakenError: when the owner has a server of that name.
            QuotaExceededError: when the limit is reached. Two at once never pass it.
            NotFoundError: when the owner does not exist.
        """
        ...

    def write(self, before: Server, after: Server) -> None:
        """Write all of *after* but its last activity over *before*: the lock of every transition.

        *after*'s last activity is written only where it is later than what is stored.

        Raises:
            StoreConflictError: when the server is gone or its state, launch id or revision is not *before*'s.
            NameTakenError: when *after* has a new name that another server of the owner has.
        """
        ...

    def delete(self, server: Server) -> None:
        """Remove *server*.

        Raises:
            StoreConflictError: when it is gone or its state, launch id or revision is not *server*'s.
        """
        ...

    def touch(self, server_id: str, at: datetime, *, owner_id: str | None = None) -> None:
        """Set the last activity of the server and of its owner to *at* where that is later; one round trip writes both.

        *owner_id*, where the caller knows it, saves looking it up; of a server that is gone nothing is written.
        """
        ...

    def in_states(self, states: Iterable[State]) -> list[Server]:
        """Return every server in one of *states*, longest there first; costs what it returns."""
        ...

    def count(self, states: Iterable[State]) -> int:
        """Return how many servers are in one of *states*."""
        ...

    def queue_position(self, server: Server, now: datetime) -> int:
        """Return how many requested servers entered their state before *server*: its place in the queue.

        It costs little however many ask and wait. Up to a hundred are counted. Beyond that the answer may be as old as five
        seconds, thirty where the store is hard pressed, and wrong by a hundredth of the queue's length; and in the moment in
        which a queue has just become so long, it may be that there are more than a hundred.
        """
        ...
