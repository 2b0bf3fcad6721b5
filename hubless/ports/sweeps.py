"""How far the sweep came, where a run of it had no time for all."""

from typing import Protocol


class SweepStore(Protocol):
    """Remembers the place at which the next run goes on."""

    def resume_point(self) -> str:
        """Return the place; empty for the beginning."""
        ...

    def set_resume_point(self, before: str, after: str) -> None:
        """Set the place to *after*.

        Raises:
            StoreConflictError: when it is no longer *before*: another run was cut meanwhile.
        """
        ...
