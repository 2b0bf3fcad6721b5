"""The store of leases."""

from datetime import datetime
from typing import Protocol

from hubless.domain.leases import Lease, NoLease


class LeaseStore(Protocol):
    """Gives each key at most so many leases at a time, to all processes of the hub."""

    def claim(
        self,
        key: str,
        *,
        limit: int,
        now: datetime,
        until: datetime,
        latest: datetime | None = None,
        lease_id: str | None = None,
    ) -> Lease | NoLease:
        """Return a lease of *key* until *until*, or `NoLease` if *limit* leases of it have not ended at *now*.

        Concurrent calls never exceed *limit*. A refusal writes nothing, and neither does a claim that comes again.

        Args:
            key: a word for the purpose and an id; callers choose it, never a client.
            limit: at least 1 and at most a few hundred: all leases of a key are read and written together.
            now: the caller's instant.
            until: when the lease ends unless it is given back; later than *now*.
            latest: when the longest lease that anybody claims now would end, if it is longer than this one. What ends
                later still was written by a wrong clock, and counts no more.
            lease_id: the id of the lease, such as a digest; None for a new one. Who claims it again while it lasts gets
                it as it is.
        """
        ...

    def release(self, lease: Lease) -> None:
        """Give *lease* back; nothing happens if it has ended."""
        ...

    def delete_expired(self, now: datetime, limit: int) -> int:
        """Remove up to *limit* leases that have ended at *now*, and return how many; 0 where the store does it."""
        ...
