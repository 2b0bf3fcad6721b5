"""A cell in a kernel of the server, over its WebSocket: what every notebook does."""

import json
from contextlib import suppress
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from operations.check_results import CheckResult, ok, warning
from operations.doctor.hub_client import HubClient
from operations.doctor.steps import StepFailedError

SECONDS = 60
CODE, RESULT = "6 * 7", "42"


def echo(client: HubClient, where: str) -> CheckResult:
    """Run a cell in a new kernel of the server at *where*."""
    asked = client.request("POST", f"{where}api/kernels", body={}, with_token=True)
    model = asked.json()
    if asked.status != 201 or not isinstance(model, dict):  # noqa: PLR2004 HTTP
        return warning("kernel", f"the server starts no kernels: {asked.summary}", "Other profiles may: --profile")
    kernel = f"api/kernels/{quote(str(model['id']))}"
    try:
        return _run(client, f"{where}{kernel}/channels")
    finally:
        client.request("DELETE", f"{where}{kernel}", with_token=True)


def _run(client: HubClient, address: str) -> CheckResult:
    try:
        from websockets.exceptions import WebSocketException  # noqa: PLC0415 not where only the cost is asked for
        from websockets.sync.client import connect  # noqa: PLC0415 as above
    except ImportError:
        return warning(
            "kernel", "WebSockets were not tried: the package websockets is not installed", "uv sync --group operations"
        )
    message = request()
    try:
        with connect(
            f"ws{address.removeprefix('http')}", additional_headers=client.authorization, open_timeout=SECONDS
        ) as socket:
            socket.send(json.dumps(message))
            while (said := _result(socket.recv(SECONDS), message)) is None:
                pass
    except (WebSocketException, OSError, TimeoutError) as error:
        raise StepFailedError(
            f"no cell ran over the WebSocket: {error or type(error).__name__}",
            "Does what stands before the server let WebSockets through (Upgrade, Connection, Sec-WebSocket-*)?",
        ) from None
    if said != RESULT:
        raise StepFailedError(f"{CODE} is {said}", "See what the kernel of the image is")
    return ok("kernel", f"{CODE} is {said}, over a WebSocket")


def request() -> dict[str, Any]:
    """Return the message that has the cell executed."""
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
    """Return what the cell gave, None where *text* is about something else."""
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
