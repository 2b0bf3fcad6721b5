"""Whether a server answers."""

from typing import Protocol


class Readiness(Protocol):
    """Asks a server for `<prefix>api`, as JupyterHub does."""

    def answers(self, address: str, prefix: str) -> bool:
        """Say whether the server at *address* (ip:port) gives any status below 500 under *prefix*; never raises."""
        ...
