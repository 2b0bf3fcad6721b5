"""The store of schedules that admins make while the hub runs."""

from typing import Protocol

from hubless.domain.schedules import Schedule


class ScheduleStore(Protocol):
    """Stores schedules, few of them. Each write names what it expects to find."""

    def all(self) -> list[Schedule]:
        """Return all schedules, sorted by name."""
        ...

    def add(self, schedule: Schedule) -> bool:
        """Store a new *schedule*, and return whether none of its name was there."""
        ...

    def replace(self, before: Schedule, after: Schedule) -> bool:
        """Store *after*, of the same name, and return whether the revision still was that of *before*."""
        ...

    def remove(self, name: str, *, revision: int | None = None) -> bool:
        """Remove the schedule of that name, with a *revision* only this one, and return whether there was one."""
        ...
