"""Messages between the supervisor and its child processes, on a socket that each child inherits.

The child receives its configuration and sends `ready` once. It sees the end of the socket when the supervisor ends,
however it ended. Each message is one line of JSON.
"""

import contextlib
import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hubless.domain.errors import HublessError
from hubless.settings import Settings, SettingsError, parse

API_SOCKET = "api.sock"  # its name in the run folder
READY, FAILED, STOP_SERVERS = "ready", "failed", "stop-servers"  # events
FATAL = "fatal"  # an event: the hub must not go on
FORKED, ENDED = "forked", "ended"  # events of the preloader about a child: it runs, it has ended


@dataclass(frozen=True, slots=True)
class ChildConfig:
    """What a child needs to start. Settings travel as text: edits of the file do not reach a hub that runs."""

    data: str
    settings_text: str
    settings_source: str
    host: str
    port: int
    workers: int
    stop_on_exit: bool
    isolation: str = ""  # the kind that works here
    epoch: str = ""  # of this run, as the database names it
    run_folder: str = ""
    listener: int = -1  # descriptor of the API's listening socket, which the child inherits
    first: bool = False  # whether this is the child's first start since the hub started

    def settings(self) -> Settings:
        """Return the settings; options of the command line override the file."""
        read = parse(self.settings_text, Path(self.data), source=self.settings_source)
        return with_overrides(
            read,
            host=self.host,
            port=self.port,
            workers=self.workers,
            stop_on_exit=self.stop_on_exit,
            isolation=self.isolation,
            run_folder=self.run_folder,
        )

    @property
    def api_socket(self) -> Path:
        """Return the path of the socket on which the API listens."""
        return Path(self.run_folder) / API_SOCKET


def with_overrides(
    settings: Settings,
    *,
    host: str | None = None,
    port: int | None = None,
    workers: int | None = None,
    stop_on_exit: bool | None = None,
    isolation: str = "",
    run_folder: str = "",
) -> Settings:
    """Return *settings* with the options of the command line in their place; None leaves a setting as it is.

    *isolation* is the kind that was found to work here, *run_folder* has the sockets.
    """
    given: dict[str, Any] = {"host": host, "port": port, "workers": workers}
    hub = replace(settings.hub, **{key: value for key, value in given.items() if value is not None})
    servers = settings.servers if stop_on_exit is None else replace(settings.servers, stop_on_exit=stop_on_exit)
    sockets = Path(run_folder) if run_folder else None
    return replace(settings, hub=hub, servers=servers, chosen_isolation=isolation, run_folder=sockets)


class Channel:
    """One end of the socket."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._received = b""
        self.is_closed = False  # by either side

    @classmethod
    def inherited(cls, descriptor: int) -> "Channel":
        """Return the child's end, which the child's own children do not inherit."""
        os.set_inheritable(descriptor, False)
        return cls(socket.socket(fileno=descriptor))

    def fileno(self) -> int:
        """Return the descriptor, for selectors."""
        return self._end.fileno()

    def send_event(self, event: str, **facts: Any) -> None:
        """Send *event*; do nothing if the other side has ended."""
        self.send({"event": event} | facts)

    def send(self, message: dict[str, Any]) -> None:
        """Send *message*; do nothing if the other side has ended."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._end.sendall(json.dumps(message).encode() + b"\n")

    def send_with(self, message: dict[str, Any], descriptors: Sequence[int]) -> None:
        """Send *message* together with *descriptors*; do nothing if the other side has ended."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self._end, [json.dumps(message).encode() + b"\n"], descriptors)

    def receive(self) -> dict[str, Any] | None:
        """Wait for the next message and return it; None when the other side has ended."""
        while b"\n" not in self._received and not self.is_closed:
            self._read()
        line, ended, self._received = self._received.partition(b"\n")
        return dict(json.loads(line)) if ended else None

    def receive_now(self) -> list[dict[str, Any]]:
        """Return the messages that have arrived, without waiting."""
        with contextlib.suppress(BlockingIOError):
            while not self.is_closed:
                self._read(socket.MSG_DONTWAIT)
        *lines, self._received = self._received.split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """Close this end, from which nobody can wait for a message any more."""
        self._end.close()
        self.is_closed = True

    def _read(self, flags: int = 0) -> None:
        try:
            more = self._end.recv(65536, flags)
        except ConnectionResetError:
            more = b""
        self._received += more
        self.is_closed = not more


Run = Callable[[Channel, ChildConfig, Settings], None]


def main(run: Run) -> None:
    """Run a child process whose only argument is the descriptor of its channel, as `run_child` does."""
    run_child(Channel.inherited(int(sys.argv[1])), run)


def run_child(channel: Channel, run: Run, *, listener: int | None = None) -> None:
    """Receive a child's configuration, then call *run*. Anticipated errors go to the supervisor.

    *listener* is the API's listening socket, where the child has it under another number than the configuration says.
    """
    received = channel.receive()
    if received is None:
        return
    try:
        config = ChildConfig(**received)
        if listener is not None:
            config = replace(config, listener=listener)
        settings = config.settings()
        log_to_stderr(settings.hub.log_level)
        run(channel, config, settings)
    except (HublessError, SettingsError) as error:
        channel.send_event(FAILED, why=str(error))
        raise SystemExit(1) from None


def log_to_stderr(level: str) -> None:
    """Log one line for each event to standard error."""
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # it logs each start, as the supervisor does
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")


def listen(channel: Channel, on_event: Callable[[str | None], None]) -> None:
    """Call *on_event* with each event in a thread, and with None when the supervisor has ended."""

    def run() -> None:
        while (message := channel.receive()) is not None:
            on_event(str(message.get("event")))
        on_event(None)

    threading.Thread(target=run, name="supervisor", daemon=True).start()
