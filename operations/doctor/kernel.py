"""Run cells in a kernel over its WebSocket, as a notebook does."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

from hubless.domain.values import value
from operations.aws import INSTALL
from operations.check_results import CheckResult, ok, warning
from operations.doctor.hub_client import HubClient, Response
from operations.doctor.steps import StepFailedError
from operations.errors import OperationsError

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

TIMEOUT_SECONDS = 60
CODE, RESULT = "6 * 7", "42"
CHECK_PROXIES = (
    "Check that each proxy in front of the server forwards WebSockets (Upgrade, Connection, Sec-WebSocket-*)"
)


class NoKernelError(OperationsError):
    """Raised when a server starts no kernel."""

    def __init__(self, answer: Response) -> None:
        super().__init__(f"the server did not start a kernel: {answer.summary}")


class ChannelClosedError(OperationsError):
    """Raised when a kernel's WebSocket does not open, or is closed."""


class Channel:
    """An open WebSocket to a kernel."""

    def __init__(self, socket: "ClientConnection") -> None:
        self._socket = socket

    def execute(self, code: str, timeout_seconds: float = TIMEOUT_SECONDS) -> str:
        """Return the text of the result of *code*, whose last line is an expression; or the text of its error.

        Raises:
            ChannelClosedError: if the connection ends, or no message comes within *timeout_seconds*.
        """
        message = execute_request(code)
        with _closed_as_error():
            self._socket.send(json.dumps(message))
            while (result := _result(self._socket.recv(timeout_seconds), message)) is None:
                pass
        return result


@value
class Kernel:
    """A kernel of the server at *where*, an address that ends in a slash."""

    client: HubClient
    where: str
    id: str

    @property
    def address(self) -> str:
        """Return the address of the kernel in the server's API."""
        return f"{self.where}api/kernels/{quote(self.id)}"

    @contextmanager
    def channel(self, timeout_seconds: float = TIMEOUT_SECONDS) -> Iterator[Channel]:
        """Open the kernel's WebSocket, and close it at the end.

        Raises:
            ChannelClosedError: if it does not open.
        """
        with ExitStack() as stack:
            with _closed_as_error():
                socket = stack.enter_context(
                    self.client.network.websocket(
                        f"{self.address}/channels", self.client.authorization, timeout_seconds
                    )
                )
            yield Channel(socket)


@contextmanager
def open_kernel(client: HubClient, where: str) -> Iterator[Kernel]:
    """Start a kernel of the server at *where*, and remove it at the end.

    Raises:
        NoKernelError: if the server starts none.
    """
    asked = client.request("POST", f"{where}api/kernels", body={}, with_token=True)
    model = asked.json()
    if asked.status != 201 or not isinstance(model, dict):  # noqa: PLR2004 HTTP
        raise NoKernelError(asked)
    kernel = Kernel(client, where, str(model["id"]))
    try:
        yield kernel
    finally:
        client.request("DELETE", kernel.address, with_token=True)


def run_cell(client: HubClient, where: str) -> CheckResult:
    """Run a cell in a new kernel of the server at *where*.

    Raises:
        StepFailedError: if the cell gives no result, or another.
    """
    try:
        with open_kernel(client, where) as kernel, kernel.channel() as channel:
            result = channel.execute(CODE)
    except NoKernelError as error:
        return warning("kernel", str(error), "Choose a profile with a kernel: --profile")
    except ImportError:
        return warning("kernel", "not checked: the package websockets is not installed", f"Install it: {INSTALL}")
    except ChannelClosedError as error:
        raise StepFailedError(f"cannot run a cell over the WebSocket: {error}", CHECK_PROXIES) from None
    if result != RESULT:
        raise StepFailedError(f"{CODE} returned {result}", "Check the kernel of the image")
    return ok("kernel", f"{CODE} returned {result} over a WebSocket")


@contextmanager
def _closed_as_error() -> Iterator[None]:
    """Raise ChannelClosedError for what the package websockets, or the network, raises."""
    from websockets.exceptions import WebSocketException  # noqa: PLC0415 only a kernel needs it

    try:
        yield
    except (WebSocketException, OSError, TimeoutError) as error:
        raise ChannelClosedError(str(error) or type(error).__name__) from None


def execute_request(code: str = CODE) -> dict[str, Any]:
    """Return Jupyter's message that runs a cell (messaging protocol 5.3)."""
    header = {
        "msg_id": uuid4().hex,
        "session": uuid4().hex,
        "username": "doctor",
        "msg_type": "execute_request",
        "version": "5.3",
    }
    content = {
        "code": code,
        "silent": False,
        "store_history": False,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": True,
    }
    return {
        "header": header,
        "parent_header": {},
        "metadata": {},
        "content": content,
        "channel": "shell",
        "buffers": [],
    }


def _result(text: str | bytes, asked: dict[str, Any]) -> str | None:
    """Return the result of the cell. None if *text* is another message."""
    told: dict[str, Any] = {}
    with suppress(ValueError):
        told = json.loads(text)
    if told.get("parent_header", {}).get("msg_id") != asked["header"]["msg_id"]:
        return None
    content = told.get("content", {})
    if told.get("msg_type") == "execute_result":
        return str(content.get("data", {}).get("text/plain", ""))
    if told.get("msg_type") == "error":
        return f"{content.get('ename')}: {content.get('evalue')}"
    return None
