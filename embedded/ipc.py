"""What the supervisor and its children say to each other, on a socket that each child inherits.

The child gets its order, answers once that it is ready, and sees the end of the socket when the supervisor is gone,
however that died. One line of JSON a message.
"""

import contextlib
import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hubless.domain.errors import HublessError
from hubless.settings import Settings, SettingsError, parse

API_SOCKET = "api.sock"  # its name in the run folder
READY, FAILED, STOP_SERVERS = "ready", "failed", "stop-servers"


@dataclass(frozen=True, slots=True)
class ChildConfig:
    """What a child is told at its start. The settings travel as text: a file edited meanwhile changes nothing."""

    data: str
    settings_text: str
    settings_source: str
    host: str
    port: int
    workers: int
    stop_on_exit: bool
    run_folder: str = ""
    listener: int = -1  # the API's listening socket, inherited
    first: bool = False  # whether this is the first start since the hub started

    def settings(self) -> Settings:
        """Return the settings, with what the command line put before the file."""
        read = parse(self.settings_text, Path(self.data), source=self.settings_source)
        return with_overrides(
            read,
            host=self.host,
            port=self.port,
            workers=self.workers,
            stop_on_exit=self.stop_on_exit,
        )

    @property
    def api_socket(self) -> Path:
        """Return the path under which the API listens."""
        return Path(self.run_folder) / API_SOCKET


def with_overrides(
    settings: Settings,
    *,
    host: str | None = None,
    port: int | None = None,
    workers: int | None = None,
    stop_on_exit: bool | None = None,
) -> Settings:
    """Return *settings* with what the command line gave in their place."""
    given: dict[str, Any] = {"host": host, "port": port, "workers": workers}
    hub = replace(settings.hub, **{key: value for key, value in given.items() if value is not None})
    servers = settings.servers if stop_on_exit is None else replace(settings.servers, stop_on_exit=stop_on_exit)
    return replace(settings, hub=hub, servers=servers)


class Channel:
    """One end of the socket."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._received = b""
        self.is_cut = False  # the other side is gone

    @classmethod
    def inherited(cls, descriptor: int) -> "Channel":
        """Return the child's end; what the child starts does not inherit it in turn."""
        os.set_inheritable(descriptor, False)
        return cls(socket.socket(fileno=descriptor))

    def fileno(self) -> int:
        """Return the descriptor, for selectors."""
        return self._end.fileno()

    def send_event(self, word: str, **facts: Any) -> None:
        """Say *word*; nothing when the other side is gone."""
        self.send({"event": word} | facts)

    def send(self, message: dict[str, Any]) -> None:
        """Send *message*; nothing when the other side is gone."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._end.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> dict[str, Any] | None:
        """Wait for the next message; None when the other side is gone."""
        while b"\n" not in self._received and not self.is_cut:
            self._read()
        line, ended, self._received = self._received.partition(b"\n")
        return dict(json.loads(line)) if ended else None

    def receive_now(self) -> list[dict[str, Any]]:
        """Return what has come, without waiting."""
        with contextlib.suppress(BlockingIOError):
            while not self.is_cut:
                self._read(socket.MSG_DONTWAIT)
        *lines, self._received = self._received.split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """Hang up."""
        self._end.close()

    def _read(self, flags: int = 0) -> None:
        try:
            more = self._end.recv(65536, flags)
        except ConnectionResetError:
            more = b""
        self._received += more
        self.is_cut = not more


def main(run: Callable[[Channel, ChildConfig, Settings], None]) -> None:
    """Be a child: take the order from the inherited socket and *run*; what fails in words is said in words."""
    line = Channel.inherited(int(sys.argv[1]))
    told = line.receive()
    if told is None:
        return
    try:
        order = ChildConfig(**told)
        settings = order.settings()
        log_to_stderr(settings.hub.log_level)
        run(line, order, settings)
    except (HublessError, SettingsError) as error:
        line.send_event(FAILED, why=str(error))
        raise SystemExit(1) from None


def log_to_stderr(level: str) -> None:
    """Log in one line an event."""
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # it tells of each start, as the supervisor does
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")


def listen(line: Channel, heard: Callable[[str | None], None]) -> None:
    """Call *heard* with each word that comes, and with None when the supervisor is gone; from a thread of its own."""

    def run() -> None:
        while (message := line.receive()) is not None:
            heard(str(message.get("event")))
        heard(None)

    threading.Thread(target=run, name="supervisor", daemon=True).start()
