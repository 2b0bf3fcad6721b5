"""Asks Jupyter servers by HTTP for their kernels and terminals.

The requests say `no_track_activity`: Jupyter Server does not count them as its own activity (2.21, base/handlers.py).
"""

import http.client
import io
import json
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from hubless.domain.idleness import NoAnswer, ServerWork
from hubless.domain.lifecycle import Server
from hubless.ports.clock import Clock

SECONDS = 5.0  # for one answer, however slowly it comes
MAX_BYTES = 1_000_000  # of one answer: some thousand kernels
_SERVER_ERROR = 500
_NO_TERMINALS = frozenset({403, 404})  # they are switched off
_TLS_PORT, _PLAIN_PORT = 443, 80


class HttpInspector:
    """Asks servers at an origin such as `http://127.0.0.1:4711`, which *origin_of* returns for a server and prefix."""

    def __init__(self, origin_of: Callable[[Server, str], str], clock: Clock) -> None:
        self.origin_of = origin_of
        self._clock = clock

    def inspect(self, server: Server, prefix: str, token: str) -> ServerWork | NoAnswer:
        try:
            origin = self.origin_of(server, prefix)
            kernels = self._ask(origin, f"{prefix}api/kernels?no_track_activity=1", token)
            if (found := _models(kernels)) is None:
                return NoAnswer.SILENT if kernels.status >= _SERVER_ERROR else NoAnswer.NOT_JUPYTER
            terminals = self._ask(origin, f"{prefix}api/terminals?no_track_activity=1", token)
        except (OSError, ValueError, OverflowError, http.client.HTTPException):
            return NoAnswer.SILENT
        shown = [] if terminals.status in _NO_TERMINALS else _models(terminals)
        if shown is None:
            return NoAnswer.SILENT
        return ServerWork(
            said_at=kernels.date or self._clock.now(),
            busy_kernels=sum(kernel.get("execution_state") == "busy" for kernel in found),
            moved_at=tuple(at for one in (*found, *shown) if (at := _instant(one.get("last_activity"))) is not None),
        )

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    def _ask(self, origin: str, path: str, token: str) -> "_Answer":
        """Return the answer to one GET.

        Raises:
            OSError: when the server is not reached, or is too slow.
            ValueError: when the answer or the address is malformed, or the answer is too long.
            http.client.HTTPException: when the answer is no HTTP.
        """
        parts, give_up_at = urlsplit(origin), time.monotonic() + SECONDS
        is_tls = parts.scheme == "https"
        address = (parts.hostname or "", parts.port or (_TLS_PORT if is_tls else _PLAIN_PORT))
        request = _request(parts.netloc, path, token)
        with closing(socket.create_connection(address, SECONDS)) as plain:
            line = self._tls.wrap_socket(plain, server_hostname=parts.hostname) if is_tls else plain
            with closing(line):
                line.sendall(request)
                return _answer(_read(line, give_up_at))


class _Answer:
    """A complete answer."""

    def __init__(self, status: int, date: datetime | None, body: bytes) -> None:
        self.status, self.date, self.body = status, date, body


class _Received:
    """Bytes that were received, for `http.client` to parse."""

    def __init__(self, received: bytes) -> None:
        self._received = received

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._received)


def _request(host: str, path: str, token: str) -> bytes:
    """Return the request.

    Raises:
        ValueError: when a part of it would break a line, or is not ASCII.
    """
    if any(character.isspace() for character in f"{host}{path}{token}"):
        raise ValueError("A blank in an address or a token")
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        f"Authorization: token {token}",
        "Accept: application/json",
        "Connection: close",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _read(line: socket.socket, give_up_at: float) -> bytes:
    received = bytearray()
    while True:
        left = give_up_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("The answer is too slow")
        line.settimeout(left)
        if not (piece := line.recv(65_536)):
            return bytes(received)
        received += piece
        if len(received) > MAX_BYTES:
            raise ValueError("The answer is too long")


def _answer(received: bytes) -> _Answer:
    response = http.client.HTTPResponse(_Received(received), method="GET")  # type: ignore[arg-type]  # only makefile
    with closing(response):
        response.begin()
        return _Answer(response.status, _date(response.headers.get("Date")), response.read())


def _date(header: str | None) -> datetime | None:
    try:
        at = parsedate_to_datetime(header or "")
    except (ValueError, OverflowError):  # a year of twenty digits
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _models(answer: _Answer) -> list[dict[str, Any]] | None:
    """Return the list of models in an answer of Jupyter Server; None if it is another answer."""
    if answer.status != http.client.OK:
        return None
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) and all(isinstance(one, dict) for one in found) else None


def _instant(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None
