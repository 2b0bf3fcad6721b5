"""Asks running servers for their work."""

from typing import Protocol

from hubless.domain.idleness import NoAnswer, ServerWork
from hubless.domain.lifecycle import Server


class ServerInspector(Protocol):
    """Asks a server for its kernels and terminals. A call is bounded in time and size, whatever the server sends."""

    def inspect(self, server: Server, prefix: str, token: str) -> ServerWork | NoAnswer:
        """Return what *server* says of its work, or why nothing is known; never raises.

        Args:
            server: a server whose task runs.
            prefix: the encoded path below which it answers, with slashes around it.
            token: the token of its present launch.
        """
        ...
