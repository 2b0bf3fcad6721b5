"""The store of the sweep's resume point: where the next run goes on if a run had no time for everything."""

from typing import Protocol


class SweepStore(Protocol):
    """Stores the resume point of the sweep."""

    def resume_point(self) -> str:
        """Return the name of the last step that was done; empty for the beginning."""
        ...

    def set_resume_point(self, before: str, after: str) -> None:
        """Replace the resume point *before* by *after*.

        Raises:
            StoreConflictError: when it is not *before*, because another run stored its own meanwhile.
        """
        ...
