"""Connections of this machine to a hub. Tests replace them where a hub's name does not resolve."""

import http.client
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from websockets.sync.client import ClientConnection

TIMEOUT_SECONDS = 45  # API Gateway answers within thirty


class Network:
    """Opens connections to the host of an address."""

    def connection(self, url: str, timeout_seconds: float = TIMEOUT_SECONDS) -> http.client.HTTPConnection:
        """Return a connection for one request; `request` opens it."""
        parts = urlsplit(url)
        if parts.scheme == "https":
            return http.client.HTTPSConnection(
                parts.hostname or "", parts.port, timeout=timeout_seconds, context=ssl.create_default_context()
            )
        return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_seconds)

    def websocket(
        self, url: str, headers: "Mapping[str, str]", timeout_seconds: float
    ) -> "AbstractContextManager[ClientConnection]":
        """Return a context that opens a WebSocket to *url*, whose scheme is http or https, and closes it.

        Opening it raises OSError if nobody answers in time, and WebSocketException if the answer is no WebSocket.
        """
        from websockets.sync.client import connect  # noqa: PLC0415 only a kernel needs it

        return connect(f"ws{url.removeprefix('http')}", additional_headers=headers, open_timeout=timeout_seconds)
