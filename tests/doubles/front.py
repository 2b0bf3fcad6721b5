"""CloudFront before a hub, as far as its requests go: one address, two origins, and what its function does.

A read that opens no WebSocket goes to the API if the edge answers 503 or cannot be connected to. An edge that closes a
connection without an answer is a 502, which nobody documents: it was connected, and no time-out passed. The decision
knows only the headers that a function sees. No origin gets the Host that the browser sent.
Unlike CloudFront, it says goodbye after each answer. Without an `Api`, it leaves `x-hubless-path` to `gateway`.

Facts: CF-2, CF-8.
"""

import socket
import socketserver
import threading
from contextlib import contextmanager, suppress

from tests.support.cloudfront import visible

TIMEOUT_SECONDS = 60  # seconds
BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
READS = {"GET", "HEAD", "OPTIONS"}


class Api:
    """API Gateway at a port of this machine, as an origin: its own Host, and *said*, the headers of the origin."""

    def __init__(self, port, host, said):
        self._port, self._host, self._said = port, host, said

    def connect(self):
        return socket.create_connection(("127.0.0.1", self._port), timeout=TIMEOUT_SECONDS)

    def headers(self, target):
        return [("Host", self._host), ("x-hubless-path", target.partition("?")[0]), *self._said.items()]


class _Socket:
    """An API at a unix socket."""

    def __init__(self, path):
        self._path = path

    def connect(self):
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(TIMEOUT_SECONDS)
        line.connect(str(self._path))
        return line

    def headers(self, _target):
        return [("Host", "origin.internal")]


class _Edge:
    """An edge at a port of this machine."""

    def __init__(self, port):
        self._port = port

    def connect(self):
        return socket.create_connection(("127.0.0.1", self._port), timeout=TIMEOUT_SECONDS)

    def headers(self, _target):
        return [("Host", "origin.internal")]


def _head(line):
    """Return the head that comes on *line*, and what came behind it."""
    got = b""
    while b"\r\n\r\n" not in got:
        more = line.recv(65_536)
        if not more:
            return None, b""
        got += more
    head, _, rest = got.partition(b"\r\n\r\n")
    first, *pairs = head.decode("latin-1").split("\r\n")
    return (first, [tuple(pair.split(": ", 1)) if ": " in pair else (pair.rstrip(":"), "") for pair in pairs]), rest


def _bytes(first, pairs):
    return "".join([f"{first}\r\n", *(f"{name}: {value}\r\n" for name, value in pairs), "\r\n"]).encode("latin-1")


def _pass_on(source, target):
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def front(port, edge_port, api):
    """Listen on *port* until the block ends. *api* is the path of a unix socket, or an `Api`."""
    api, edge = api if isinstance(api, Api) else _Socket(api), _Edge(edge_port)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            with suppress(OSError):
                received, body = _head(self.request)
                if received:
                    self._serve(*received, body)

        def _serve(self, first, pairs, body):
            method, target, _ = first.split(" ")
            sent = {name.lower(): value for name, value in pairs}
            opens_websocket = "sec-websocket-key" in visible(sent)
            length = int(sent.get("content-length", 0))
            while len(body) < length:
                body += self.request.recv(65_536)
            kept = [
                (n, v)
                for n, v in pairs
                if n.lower() not in {"host", "connection"} and not n.lower().startswith("x-hubless-")
            ]
            own = [
                ("Connection", "upgrade" if opens_websocket else "close"),
                ("CloudFront-Forwarded-Proto", "http"),
                ("x-hubless-host", sent.get("host", "")),
                ("x-hubless-address", "192.0.2.1"),
            ]
            to_edge = target.startswith(("/user/", "/services/"))
            for origin in ([edge, api] if method in READS and not opens_websocket else [edge]) if to_edge else [api]:
                asked = _bytes(first, origin.headers(target) + kept + own) + body
                if self._ask(origin, asked, is_last=origin is api or method not in READS or opens_websocket):
                    return
            self.request.sendall(BAD_GATEWAY)

        def _ask(self, origin, asked, *, is_last):
            """Hand on what an origin answers, and say whether that was to be."""
            try:
                line = origin.connect()
            except OSError:
                return False
            with line:
                line.sendall(asked)
                received, rest = _head(line)
                if received is None:
                    self.request.sendall(BAD_GATEWAY)
                    return True
                if " 503 " in received[0] and not is_last:
                    return False
                if " 101 " in received[0]:
                    self.request.sendall(_bytes(*received) + rest)
                    line.settimeout(None)
                    threading.Thread(target=_pass_on, args=(self.request, line), daemon=True).start()
                else:
                    first, pairs = received
                    pairs = [(name, value) for name, value in pairs if name.lower() != "connection"]
                    self.request.sendall(_bytes(first, [*pairs, ("Connection", "close")]) + rest)
                _pass_on(line, self.request)
            return True

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        allow_reuse_address = True
        request_queue_size = 128

    server = Server(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
