"""Whether a server answers."""

from typing import Protocol

from hubless.domain.lifecycle import Server


class Readiness(Protocol):
    """Knows whether a server that has an address answers there."""

    def answers(self, server: Server, prefix: str) -> bool:
        """Say whether *server* answers under *prefix*; never raises."""
        ...
