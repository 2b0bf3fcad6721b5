"""Turns of launches, for a launcher that has only so much room: one machine."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from hubless.domain.lifecycle import Server
from hubless.domain.translatable import Message


class LaunchTurns(Protocol):
    """Says whose turn it is. A turn lasts from before a server's launch until the server is ready, or has failed.

    What starts is read from the servers' records. So nothing is lost with this process but how long starts took.
    """

    def take(self, server: Server) -> None:
        """Take the turn of a waiting *server*; do nothing if it has it already.

        Raises:
            CapacityUnavailableError: when it is not its turn yet.
        """
        ...

    def see(self, pending: Sequence[Server]) -> None:
        """Give turns to those who wait among *pending*: all servers that wait or start, as just read."""
        ...

    def ended(self, server: Server, took: timedelta) -> None:
        """Note that a start has ended, well or badly, and how long it *took* from the server's own launch."""
        ...

    def position(self, server: Server) -> int:
        """Return how many servers have their turn before this one; it may be a second old."""
        ...

    def obstacle(self) -> Message | None:
        """Return why nobody has a turn although others could wait less: a sentence without a full stop, or None."""
        ...
