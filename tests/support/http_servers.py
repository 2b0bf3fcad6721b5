"""What stands around an edge in tests: servers that say what reached them, and requests that are sent as they are."""

import http.client
import http.server
import json
import socket
import socketserver
import ssl
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with its server's name and what exactly arrived."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        said = {
            "who": self.server.name,  # type: ignore[attr-defined]
            "method": self.command,
            "path": self.requestline.split(" ")[1],  # self.path would be tidied up
            "headers": {name.lower(): self.headers.get_all(name) for name in self.headers},
            "body": body.decode(),
        }
        received = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(received)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(received)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer

    def log_message(self, format: str, *args: Any) -> None:
        pass


class TcpServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    name = ""

    def handle_error(self, *_: Any) -> None:
        """Say nothing of those who hang up."""


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    name = "API"


def running(server: Any) -> Any:
    """Serve beside the test. Python's own interval makes a `shutdown` wait for up to half a second."""
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


def certificate(folder: Path, name: str) -> Path:
    """Write a certificate that is its own authority, for *name*, with its key into one file, and return that."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made.public_bytes(Encoding.PEM)
    )
    return file


def over_tls(pem: Path, names: list[str]) -> TcpServer:
    """Return a server that speaks TLS with this certificate and notes in *names* what name it is asked by."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.sni_callback = lambda _socket, name, _context: names.append(name or "")
    server = TcpServer(("127.0.0.1", 0), Echo)
    server.name = "API"
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server


@dataclass
class Told:
    """An answer."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def said(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.text)
        return said

    @property
    def who(self) -> str:
        return str(self.said["who"])


def ask_on(
    line: socket.socket,
    path: str,
    method: str = "GET",
    headers: tuple[str, ...] = (),
    body: str = "",
    *,
    host: str = "hub.example.org",
) -> Told:
    head = "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, f"Content-Length: {len(body)}"])
    line.sendall(f"{head}\r\n\r\n{body}".encode("latin-1"))
    answer = http.client.HTTPResponse(line, method=method)
    answer.begin()
    received = Told(answer.status, answer.headers, answer.read().decode())
    answer.close()
    return received
