"""An edge that stops while idle: its machine, and the store of its desired state."""

from typing import Protocol

from hubless.domain.edges import DesiredEdgeState


class EdgeMachine(Protocol):
    """The machine of the edge. Both calls return before the machine has started or stopped; both are idempotent."""

    @property
    def can_stop(self) -> bool:
        """Say whether the machine may be stopped at all; if not, the services never start or stop it."""
        ...

    def start(self) -> bool:
        """Start the machine and say whether it was off.

        Raises:
            RetryLaterError: while the machine is stopping.
            EdgeCapacityError: when EC2 has no capacity for it now.
            EdgeUnavailableError: when a retry does not help; the message says what to do.
        """
        ...

    def stop(self) -> bool:
        """Stop the machine and say whether it was on.

        Raises:
            RetryLaterError: while the machine is starting.
            EdgeUnavailableError: as `start`.
        """
        ...


class DesiredEdgeStateStore(Protocol):
    """Stores the desired state of the edge."""

    def read(self) -> DesiredEdgeState:
        """Return the desired state; `INITIAL_STATE` before the first write."""
        ...

    def write(self, before: DesiredEdgeState, after: DesiredEdgeState) -> None:
        """Replace *before* by *after*.

        Raises:
            StoreConflictError: when the stored state is not *before*, because another caller was faster.
        """
        ...
