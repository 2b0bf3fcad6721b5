"""Who reached which server: one line for each request of a person or program, without its query, cookies and headers.

HAProxy sends the lines to the agent's socket, and the agent writes them to its own log: HAProxy outlives agents, so it
has no log of its own that anything collects. A line is dropped while no agent reads. Tabs' own requests have no line:
they follow a page that has one. Browsers send `Sec-Fetch-Mode` with them; a program follows no page.
"""

import contextlib
import logging
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)
LINE_BYTES = 2_048  # HAProxy cuts what is longer
_PREFIX_BYTES, _METHOD_BYTES, _ADDRESS_BYTES = 600, 16, 64
# Expressions of HAProxy's by name. /user/alice/lab/… is a request to /user/alice.
_TEXTS = {
    "address": f"var(txn.client_address),bytes(0,{_ADDRESS_BYTES})",
    "prefix": f"var(txn.path),field(1,/,3),bytes(0,{_PREFIX_BYTES})",
    "owner": "var(txn.route),field(3,:)",
    "server": "var(txn.route),field(4,:)",
    "method": f"method,bytes(0,{_METHOD_BYTES})",
}
_UNREADABLE = b'"prefix":""'  # of a request that HAProxy refused before the rules
_NUMBERS = {"status": "%ST", "bytes": "%B", "milliseconds": "%Tt"}


def socket_of(run_folder: Path) -> Path:
    """Return the address of the agent's socket."""
    return run_folder / "access.sock"


@dataclass(frozen=True, slots=True)
class AccessLogRules:
    """HAProxy's rules; none without an access log."""

    destination: str = ""  # in the section `global`
    format: str = ""  # in the frontend
    choice: str = ""  # in the backend of servers, after the rules that tell what a person does (`activity_rules`)


def access_log_rules(run_folder: Path, address_header: str) -> AccessLogRules:
    """Return the rules. *address_header* has the client's address; "" for that of the connection."""
    texts = [f'"{name}":"%[{expression},json(utf8ps)]"' for name, expression in _TEXTS.items()]
    numbers = [f'"{name}":{expression}' for name, expression in _NUMBERS.items()]
    address = f"req.fhdr({address_header})" if address_header else "src"
    return AccessLogRules(
        destination=f"    log {socket_of(run_folder)} len {LINE_BYTES} format raw local0 info\n",
        format=f"""\
    log global
    log-format '{{{",".join(texts + numbers)}}}'
    http-request set-log-level silent
    http-request set-var-fmt(txn.client_address) %[{address}]
""",
        choice="    http-request set-log-level info if used or socket or !says_mode\n",
    )


class AccessLog:
    """Reads HAProxy's lines in a thread, and logs them."""

    def __init__(self, run_folder: Path) -> None:
        self._path = socket_of(run_folder)
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """Listen, in the place of an earlier agent if there was one."""
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._path))
        self._path.chmod(0o600)
        threading.Thread(target=self._read, args=(self._socket,), name="access-log", daemon=True).start()

    def close(self) -> None:
        """Stop reading."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread
            self._socket.close()
            self._path.unlink(missing_ok=True)

    @staticmethod
    def _read(connection: socket.socket) -> None:
        while True:
            try:
                line = connection.recv(LINE_BYTES)
            except OSError:
                return
            if not line:
                return
            if _UNREADABLE not in line:
                logger.info("access: %s", line.decode(errors="replace").strip())
