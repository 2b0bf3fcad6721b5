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

    def all(self, origin: str) -> dict[str, str]:
        """Return the digests of all that was imported from *origin*, by place."""
        ...

    def put(self, origin: str, marks: Mapping[str, str | None]) -> None:
        """Remember these digests by place, and forget those that are None; twice is as good as once."""
        ...

    def together(self) -> AbstractContextManager[None]:
        """Return a context in which writes of this thread to any store happen together, if the store can do that."""
        ...

    def unchanging(self) -> AbstractContextManager[None]:
        """Return a context in which reads of this thread see one state, if the store can do that; others write on."""
        ...
