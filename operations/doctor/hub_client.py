"""The doctor's HTTP client: it follows no redirects and keeps no cookies."""

import http.client
import json
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import field
from typing import Any
from urllib.parse import urljoin, urlsplit

from hubless.domain.values import value
from operations.errors import OperationsError
from operations.network import Network


class NoResponseError(OperationsError):
    """Raised when a request got no response."""


@value
class Response:
    """An HTTP response. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    body: bytes = b""

    def json(self) -> Any:
        """Return the body as JSON. None if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    @property
    def summary(self) -> str:
        """Return the status and the hub's message."""
        body = self.json()
        message = body.get("message", "") if isinstance(body, dict) else ""
        return f"{self.status} {message}".strip()


class HubClient:
    """A client of the hub at *url*, with a token if there is one."""

    def __init__(self, url: str, token: str = "", network: Network | None = None) -> None:
        self.url, self.token, self.network = url.rstrip("/"), token, network or Network()

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"token {self.token}"}

    def request(self, method: str, address: str, *, body: Any = None, with_token: bool = False) -> Response:
        """Return the response to one request. *address* is a path of the hub or a whole URL.

        Raises:
            NoResponseError: if there is none.
        """
        with closing(self.network.connection(urljoin(f"{self.url}/", address))) as connection:
            return self._read(connection, self._send(connection, method, address, body, with_token=with_token))

    def follow(self, address: str) -> Generator[dict[str, Any]]:
        """Yield the server-sent events of *address* until the stream ends. Whoever leaves early closes it.

        Raises:
            NoResponseError: if there is none.
        """
        with closing(self.stream(address)) as lines:
            for line in lines:
                if line.startswith(b"data:"):
                    try:
                        yield json.loads(line.removeprefix(b"data:"))
                    except ValueError:
                        return  # a line that was cut; the caller opens a broken stream again

    def stream(self, address: str) -> Generator[bytes]:
        """Yield the lines of the event stream at *address*, blank ones too, until it ends or breaks.

        Raises:
            NoResponseError: if there is none.
        """
        with closing(self.network.connection(urljoin(f"{self.url}/", address))) as connection:
            response = self._send(connection, "GET", address, None, with_token=True, accept="text/event-stream")
            if response.status != http.client.OK:
                raise NoResponseError(f"the progress stream answered {self._read(connection, response).summary}")
            try:
                yield from response
            except (OSError, http.client.HTTPException):
                return

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        address: str,
        body: Any,
        *,
        with_token: bool,
        accept: str = "*/*",
    ) -> http.client.HTTPResponse:
        parts = urlsplit(urljoin(f"{self.url}/", address))
        headers = {"Accept": accept, "User-Agent": "hubless-doctor"} | (self.authorization if with_token else {})
        text = None if body is None else json.dumps(body).encode()
        if text is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), text, headers)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise NoResponseError(f"no response from {parts.hostname}: {_reason(error)}") from None

    def _read(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> Response:
        try:
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise NoResponseError(f"{connection.host} closed the connection: {_reason(error)}") from None
        return Response(response.status, {name.lower(): text for name, text in response.getheaders()}, body)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
