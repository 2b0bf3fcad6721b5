"""An edge that may sleep: the machine that it is on, and what is wanted of that."""

from typing import Protocol

from hubless.domain.edges import DesiredEdgeState


class EdgeMachine(Protocol):
    """The machine of the edge. Both calls return before it is up or down, and may be repeated."""

    @property
    def can_stop(self) -> bool:
        """Say whether there is one that may be stopped at all; where not, nobody calls it."""
        ...

    def start(self) -> bool:
        """Have it start; say whether it was off.

        Raises:
            RetryLaterError: when it is on its way down.
            EdgeCapacityError: when there is no room for it now.
            EdgeUnavailableError: when trying again does not help; the message says how to mend it.
        """
        ...

    def stop(self) -> bool:
        """Have it stop; say whether it was on.

        Raises:
            RetryLaterError: when it is on its way up.
            EdgeUnavailableError: as `start`.
        """
        ...


class DesiredEdgeStateStore(Protocol):
    """Holds what is wanted of the edge."""

    def read(self) -> DesiredEdgeState:
        """Return what is wanted; `INITIAL_STATE` where nobody has wished anything yet."""
        ...

    def write(self, before: DesiredEdgeState, after: DesiredEdgeState) -> None:
        """Replace *before* by *after*.

        Raises:
            StoreConflictError: when it is no longer *before*: somebody else was faster.
        """
        ...
