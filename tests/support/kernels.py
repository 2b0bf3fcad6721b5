"""Runs code in a kernel of a server, over a WebSocket, as JupyterLab does."""

import json

import httpx
from websockets.sync.client import connect

SECONDS = 120  # that a cell may take on a busy machine


class KernelError(Exception):
    """Raised when the code failed; the message is what the kernel says of it."""


def run(server_url: str, token: str, code: str, *, tls=None) -> str:
    """Run *code* in a new kernel of the server at *server_url*, and return all that it prints and shows.

    *tls* is the context for an address that begins with `https`.

    Raises:
        KernelError: if the code fails.
    """
    headers = {"Authorization": f"token {token}"}
    with httpx.Client(base_url=server_url, headers=headers, timeout=SECONDS, verify=tls or True) as client:
        kernel = client.post("api/kernels", json={}).raise_for_status().json()["id"]
        address = f"{server_url.replace('http', 'ws', 1)}api/kernels/{kernel}/channels?session_id=s"
        with connect(address, additional_headers=headers, open_timeout=SECONDS, ssl=tls) as channels:
            said = _run(channels, code)
        client.delete(f"api/kernels/{kernel}").raise_for_status()
    return said


def _run(channels, code):
    header = {"msg_id": "1", "msg_type": "execute_request", "username": "", "session": "s", "version": "5.3"}
    content = {"code": code, "silent": False, "user_expressions": {}, "allow_stdin": False}
    request = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    channels.send(json.dumps(request))
    said, over = [], set()
    while over != {"reply", "idle"}:  # they come over two sockets of the kernel, in any order
        received = json.loads(channels.recv(timeout=SECONDS))
        if received["parent_header"].get("msg_id") != "1":
            continue
        kind, content = received["msg_type"], received["content"]
        if kind == "error":
            raise KernelError(f"{''.join(said)}{content['ename']}: {content['evalue']}")
        said.append(content.get("text", "") if kind == "stream" else content.get("data", {}).get("text/plain", ""))
        if kind == "execute_reply":
            over.add("reply")
        if kind == "status" and content["execution_state"] == "idle":
            over.add("idle")
    return "".join(said)
