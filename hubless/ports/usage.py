"""The meter of usage."""

from typing import Protocol

from hubless.domain.usage import Usage


class UsageLog(Protocol):
    """Keeps what each launch used."""

    def add(self, usage: Usage) -> None:
        """Keep *usage*; the same launch again changes nothing."""
        ...

    def of_owner(self, owner_id: str) -> list[Usage]:
        """Return the owner's usage, oldest first."""
        ...
