"""What sweeps remember: where the next one goes on if a run had no time for everything, and when the hub was up."""

from typing import Protocol

from hubless.domain.downtime import Uptimes


class SweepStore(Protocol):
    """Stores the resume point of the sweep, and when the hub was up."""

    def resume_point(self) -> str:
        """Return the name of the last step that was done; empty for the beginning."""
        ...

    def set_resume_point(self, before: str, after: str) -> None:
        """Replace the resume point *before* by *after*.

        Raises:
            StoreConflictError: when it is not *before*, because another run stored its own meanwhile.
        """
        ...

    def uptimes(self) -> Uptimes:
        """Return when the hub and its edges were up; empty records before the first note."""
        ...

    def set_uptimes(self, before: Uptimes, after: Uptimes) -> None:
        """Replace the records *before* by *after*.

        Raises:
            StoreConflictError: when they are not *before*, because another run noted its own meanwhile.
        """
        ...
