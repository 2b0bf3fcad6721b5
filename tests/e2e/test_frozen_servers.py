"""A server whose process is stopped, in a whole hub: its requests do not hang, and it goes on when the process does."""

import base64
import contextlib
import os
import signal
import socket

import httpx
import pytest

from tests.support.bad_days import Hub

# Answers each request in a thread of its own. A WebSocket sends back what it gets, byte by byte.
PROGRAM = """
import base64, hashlib, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit
class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if "Upgrade" in self.headers:
            key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
            self.end_headers()
            while data := self.connection.recv(100):
                self.connection.sendall(data)
            return
        body = os.environ["JUPYTERHUB_USER"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
ThreadingHTTPServer(("127.0.0.1", urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"]).port), Answer).serve_forever()
"""


@pytest.fixture
def hub():
    one = Hub(program=PROGRAM)
    yield one
    one.close()


def received(opened, is_whole):
    """Return what comes, once it is whole."""
    text = b""
    while not is_whole(text):
        more = opened.recv(1)
        assert more, f"the connection was cut after {text}"
        text += more
    return text


@contextlib.contextmanager
def websocket(hub, path):
    """Open a WebSocket, and yield what sends bytes and returns what comes back."""
    with socket.create_connection(("127.0.0.1", hub.port), timeout=60) as opened:
        key = base64.b64encode(bytes(16)).decode()
        lines = (f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{hub.port}", "Connection: Upgrade", "Upgrade: websocket")
        opened.sendall("\r\n".join((*lines, f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", "")).encode())
        assert received(opened, lambda text: text.endswith(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")

        def echoed(data):
            opened.sendall(data)
            return received(opened, lambda text: len(text) == len(data))

        yield echoed


def answered(hub, status):
    """Say whether a request to the server gets *status*, and no long wait."""
    with contextlib.suppress(httpx.TimeoutException):
        return hub.http.get("/user/a/api", timeout=1, follow_redirects=True).status_code == status


def test_requests_to_a_frozen_server_do_not_hang_and_its_websockets_go_on(hub):
    hub.up()
    hub.start("a")
    (server,) = hub.servers_running()
    with websocket(hub, "/user/a/echo") as echoed:
        assert echoed(b"before") == b"before"
        os.kill(server, signal.SIGSTOP)
        hub.until(answered, hub, 503)
        assert hub.is_ready("a")

        os.kill(server, signal.SIGCONT)
        hub.until(answered, hub, 200)
        assert echoed(b"after") == b"after"
    assert hub.servers_running() == {server}
