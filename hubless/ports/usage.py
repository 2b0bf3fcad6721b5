"""The log of usage."""

from typing import Protocol

from hubless.domain.usage import Usage


class UsageLog(Protocol):
    """Stores how long each launch ran."""

    def add(self, usage: Usage) -> None:
        """Store *usage*. Idempotent: a second call for the same launch changes nothing."""
        ...

    def of_owner(self, owner_id: str) -> list[Usage]:
        """Return the owner's usage, oldest first."""
        ...
