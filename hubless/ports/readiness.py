"""The readiness check of servers."""

from typing import Protocol

from hubless.domain.lifecycle import Server


class Readiness(Protocol):
    """Knows whether a server answers at its address."""

    def answers(self, server: Server, prefix: str) -> bool:
        """Say whether *server* answers under *prefix*; never raises."""
        ...
