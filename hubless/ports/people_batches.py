"""The store of batches of people."""

from datetime import datetime
from typing import Protocol

from hubless.domain.people_batches import Batch


class PeopleBatchStore(Protocol):
    """Stores batches. Each ends at its instant; a change names the revision that it expects."""

    def add(self, batch: Batch) -> None:
        """Store a new batch.

        Raises:
            StoreConflictError: when another one has its id.
        """
        ...

    def get(self, batch_id: str, now: datetime) -> Batch | None:
        """Return the batch if it has not expired at *now*."""
        ...

    def change(self, before: Batch, after: Batch) -> None:
        """Store *after*, whose revision is one higher, if *before* is what is stored.

        Raises:
            StoreConflictError: when somebody else changed or removed it meanwhile.
        """
        ...

    def remove(self, batch_id: str) -> None:
        """Remove the batch; do nothing if there is none."""
        ...

    def delete_expired(self, now: datetime, limit: int) -> int:
        """Remove up to *limit* that have expired, and return how many; 0 where the store does it."""
        ...
