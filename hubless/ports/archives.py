"""What an import remembers, and how it reads and writes a whole hub."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol


class ImportMarkStore(Protocol):
    """Remembers what was imported: for each origin, digests by place (`hubless.domain.import_plan.place_of`)."""

    @property
    def is_atomic(self) -> bool:
        """Say whether `together` makes one transaction of all writes."""
        ...

    @property
    def at_once(self) -> int:
        """Return how many threads may read and write for an import: 1 where a transaction belongs to one thread."""
        ...

    @property
    def throttled(self) -> int:
        """Return how many requests of this or the last import the store has put off because too many came."""
        ...

    def all(self, origin: str) -> dict[str, str]:
        """Return the digests of all that was imported from *origin*, by place."""
        ...

    def put(self, origin: str, marks: Mapping[str, str | None]) -> None:
        """Remember these digests by place, and forget those that are None; twice is as good as once."""
        ...

    def together(self) -> AbstractContextManager[None]:
        """Return a context in which writes of this thread to any store happen together, if the store can do that.

        Where it cannot, requests in the context wait patiently as long as the store is busy.
        """
        ...

    def unchanging(self) -> AbstractContextManager[None]:
        """Return a context in which reads of this thread see one state, if the store can do that; others write on.

        Where it cannot, requests in the context wait patiently as long as the store is busy.
        """
        ...
