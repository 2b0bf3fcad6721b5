"""Run a cell in a kernel over its WebSocket, as a notebook does."""

import json
from contextlib import suppress
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from operations.aws import INSTALL
from operations.check_results import CheckResult, ok, warning
from operations.doctor.hub_client import HubClient
from operations.doctor.steps import StepFailedError

TIMEOUT_SECONDS = 60
CODE, RESULT = "6 * 7", "42"


def run_cell(client: HubClient, where: str) -> CheckResult:
    """Run a cell in a new kernel of the server at *where*."""
    asked = client.request("POST", f"{where}api/kernels", body={}, with_token=True)
    model = asked.json()
    if asked.status != 201 or not isinstance(model, dict):  # noqa: PLR2004 HTTP
        return warning(
            "kernel", f"the server did not start a kernel: {asked.summary}", "Choose a profile with a kernel: --profile"
        )
    kernel = f"api/kernels/{quote(str(model['id']))}"
    try:
        return _run(client, f"{where}{kernel}/channels")
    finally:
        client.request("DELETE", f"{where}{kernel}", with_token=True)


def _run(client: HubClient, address: str) -> CheckResult:
    try:
        from websockets.exceptions import WebSocketException  # noqa: PLC0415 only the smoke test needs it
        from websockets.sync.client import connect  # noqa: PLC0415 as above
    except ImportError:
        return warning("kernel", "not checked: the package websockets is not installed", f"Install it: {INSTALL}")
    message = execute_request()
    try:
        with connect(
            f"ws{address.removeprefix('http')}", additional_headers=client.authorization, open_timeout=TIMEOUT_SECONDS
        ) as socket:
            socket.send(json.dumps(message))
            while (result := _result(socket.recv(TIMEOUT_SECONDS), message)) is None:
                pass
    except (WebSocketException, OSError, TimeoutError) as error:
        raise StepFailedError(
            f"cannot run a cell over the WebSocket: {error or type(error).__name__}",
            "Check that each proxy in front of the server forwards WebSockets (Upgrade, Connection, Sec-WebSocket-*)",
        ) from None
    if result != RESULT:
        raise StepFailedError(f"{CODE} returned {result}", "Check the kernel of the image")
    return ok("kernel", f"{CODE} returned {result} over a WebSocket")


def execute_request() -> dict[str, Any]:
    """Return Jupyter's message that runs the cell (messaging protocol 5.3)."""
    header = {
        "msg_id": uuid4().hex,
        "session": uuid4().hex,
        "username": "doctor",
        "msg_type": "execute_request",
        "version": "5.3",
    }
    content = {
        "code": CODE,
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
