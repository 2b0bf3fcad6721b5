"""HTTP requests to the providers that the settings name: bounded in time and size, without redirects."""

import json
import time
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from hubless.domain.values import value

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

SECONDS: Final = 5.0  # for one answer; a provider that is silent may take as long again
MAX_BYTES: Final = 1_000_000  # of one answer
CONNECTIONS: Final = 40  # kept to one host: one for each thread that waits for providers (functions/api/provider_pool)
_PIECE = 65_536
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_OK = 200


class FetchError(Exception):
    """Raised when a provider is not reached, is too slow, or answers something else than expected.

    The message says which host and why. It has neither the query of the address nor any of the answer, because both may
    hold secrets.
    """


@value
class Answer:
    """An answer of any status. The names of *headers* are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            FetchError: when it is none.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise FetchError("The answer is no JSON.") from None


class Fetcher:
    """Sends requests over kept connections; threads may share one.

    Args:
        ca_file: PEM file of certificate authorities to trust instead of the system's.
        seconds: of patience for one answer.
        agent: what the hub calls itself; GitHub wants a name.
    """

    def __init__(self, *, ca_file: str | None = None, seconds: float = SECONDS, agent: str = "hubless") -> None:
        self._ca_file, self._seconds, self._agent = ca_file, seconds, agent

    def get_json(self, url: str, headers: Mapping[str, str] | None = None) -> Any:
        """Return the JSON that a GET of *url* answers with status 200.

        Raises:
            FetchError: when there is none.
        """
        answer = self.request("GET", url, {"Accept": "application/json", **(headers or {})})
        if answer.status != _OK:
            raise FetchError(f"{host_of(url)} answered {answer.status} to GET {_path_of(url)}.")
        try:
            return answer.json()
        except FetchError:
            raise FetchError(f"{host_of(url)} answered no JSON to GET {_path_of(url)}.") from None

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | str | None = None
    ) -> Answer:
        """Return the answer to one request. It is sent once, and redirects are not followed.

        Raises:
            FetchError: when the address is not HTTPS (or HTTP on this machine), or no complete answer came in time.
        """
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 few requests ask a provider

        check_url(url)
        give_up_at = time.monotonic() + self._seconds
        try:
            response = self._pool.request(
                method,
                url,
                body=body,
                headers={"User-Agent": self._agent, **(headers or {})},
                redirect=False,
                retries=False,
                preload_content=False,
            )
            try:
                received = _read(response, give_up_at)
            except BaseException:
                response.close()  # what is left of the answer belongs to nobody's next request
                raise
            response.release_conn()
        except (HTTPError, OSError, ValueError) as error:
            raise FetchError(f"{host_of(url)} gave no answer to {method} {_path_of(url)}: {_why(error)}.") from error
        return Answer(response.status, {name.lower(): text for name, text in response.headers.items()}, received)

    @cached_property
    def _pool(self) -> "PoolManager":
        from urllib3 import PoolManager, Timeout  # noqa: PLC0415 few requests ask a provider

        timeout = Timeout(connect=self._seconds, read=self._seconds)
        return PoolManager(num_pools=20, maxsize=CONNECTIONS, timeout=timeout, ca_certs=self._ca_file)


def check_url(url: str) -> str:
    """Return *url* if it is an HTTPS address, or an HTTP address of this machine.

    Raises:
        FetchError: when it is not.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise FetchError("The address of a provider is malformed.") from None
    if not host or parts.username is not None or any(one.isspace() for one in url):
        raise FetchError("The address of a provider needs a host, and may have no user and no blanks.")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise FetchError(f"The address of the provider {host} must begin with https://.")
    return url


def host_of(url: str) -> str:
    """Return the host in *url*, with its port if it has one."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _path_of(url: str) -> str:
    return urlsplit(url).path or "/"


def _read(response: "BaseHTTPResponse", give_up_at: float) -> bytes:
    """Return the body.

    Raises:
        ValueError: when it is too long.
        TimeoutError: when it is too slow.
    """
    received = bytearray()
    while piece := response.read1(_PIECE, decode_content=True):
        received += piece
        if len(received) > MAX_BYTES:
            raise ValueError(f"it is longer than {MAX_BYTES} bytes")
        if time.monotonic() > give_up_at:
            raise TimeoutError("it is too slow")
    return bytes(received)


def _why(error: Exception) -> str:
    """Say in one line what went wrong, without the address."""
    if isinstance(error, ValueError | TimeoutError) and str(error).startswith("it is "):
        return str(error)
    return type(error).__name__
