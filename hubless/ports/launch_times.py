"""The store of how long the latest launches took."""

from typing import Protocol

from hubless.domain.launch_times import LaunchTime


class LaunchTimeStore(Protocol):
    """Remembers the latest launches of each profile, as many as `RECENT`."""

    def add(self, profile: str, newest: LaunchTime) -> None:
        """Remember a launch, and forget the oldest one beyond `RECENT`.

        Of calls at the same moment some may be lost: an estimate needs no more than samples.
        """
        ...

    def of(self, profile: str) -> tuple[LaunchTime, ...]:
        """Return the latest launches of *profile*, oldest first."""
        ...
