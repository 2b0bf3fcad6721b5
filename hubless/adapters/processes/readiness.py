"""Checks by HTTP whether a server answers, as JupyterHub does."""

import http.client
import io
import logging
import socket
import time
from contextlib import closing

from hubless.domain import jupyterhub_versions
from hubless.domain.lifecycle import Server
from hubless.ports.readiness import Answer

logger = logging.getLogger(__name__)

TIMEOUT = 1.0  # seconds for a whole answer, however slowly it comes; a slower server is checked again later
MAX_HEAD = 65_536  # bytes of an answer's head
SERVER_ERROR = 500


class HttpReadiness:
    """Requests `<prefix>api`, which Jupyter servers answer without authentication; any status below 500 counts.

    The header `X-JupyterHub-Version` of the answer names the version that the server holds.
    """

    def answers(self, server: Server, prefix: str) -> Answer | None:
        host, _, port = (server.address or "").rpartition(":")
        try:
            with closing(http.client.HTTPConnection(host, int(port), timeout=TIMEOUT)) as connection:
                give_up_at = time.monotonic() + TIMEOUT
                connection.request("GET", f"{prefix}api")
                response = _response(connection.sock, give_up_at)
        except (OSError, ValueError, OverflowError, http.client.HTTPException):
            return None  # not yet, or no address: the hub checks again until the start time-out
        if response.status >= SERVER_ERROR:
            return None
        return Answer(jupyterhub_versions.version_in(response.headers.get("X-JupyterHub-Version")))


class _Received:
    """Bytes that were received, for `http.client` to parse."""

    def __init__(self, received: bytes) -> None:
        self._received = received

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._received)


def _response(line: socket.socket, give_up_at: float) -> http.client.HTTPResponse:
    """Return the head of the answer on *line*; *give_up_at* is of the monotonic clock.

    Raises:
        OSError: when it is too slow, or the connection breaks.
        http.client.HTTPException: when it is no HTTP.
    """
    received = bytearray()
    while not any(end in received for end in (b"\r\n\r\n", b"\n\n")) and len(received) <= MAX_HEAD:
        left = give_up_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("The answer is too slow")
        line.settimeout(left)
        if not (piece := line.recv(MAX_HEAD)):
            break
        received += piece
    response = http.client.HTTPResponse(_Received(bytes(received)), method="GET")  # type: ignore[arg-type]  # only makefile
    response.begin()
    return response
