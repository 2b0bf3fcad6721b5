"""One HAProxy process: started, adopted after its agent died, ended."""

import contextlib
import hashlib
import logging
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from edge_proxy.errors import EdgeError
from edge_proxy.haproxy_binary import HAProxyBinary
from edge_proxy.haproxy_config import EdgeConfiguration, referenced_files, render
from edge_proxy.runtime_api import RuntimeApi

logger = logging.getLogger(__name__)
START_SECONDS = 5.0
END_SECONDS = 6.0


class HAProxyProcess:
    """HAProxy in a session of its own: a Ctrl-C reaches only who may end it in order."""

    def __init__(self, configuration: EdgeConfiguration, engine: HAProxyBinary) -> None:
        self._edge = configuration
        self._engine = engine
        self._text = render(configuration)
        self._process: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None
        self.runtime = RuntimeApi(configuration.runtime_socket)

    @property
    def pid(self) -> int | None:
        """Return the process id of the HAProxy in charge."""
        return self._pid

    def start(self) -> bool:
        """Take over the HAProxy that an earlier agent left, or start one; return whether it was taken over.

        Raises:
            EdgeError: saying what is wrong and what to do.
        """
        left = self._left_behind()
        if left is not None:
            self._pid = left
            return True
        self._end_stale()
        self._write_files()
        self._engine.check(self._edge.file)
        self._require_port()
        self._run()
        return False

    def is_alive(self) -> bool:
        """Say whether the process lives."""
        if self._process is not None:
            return self._process.poll() is None
        return self._pid is not None and _lives(self._pid)

    def close(self) -> None:
        """End HAProxy in order."""
        if self._pid is not None:
            self._end(self._pid)
        self._pid_file.unlink(missing_ok=True)
        self._process, self._pid = None, None

    # --- files ---

    @property
    def _pid_file(self) -> Path:
        return self._edge.run_folder / "haproxy.pid"

    @property
    def _mark(self) -> str:
        return hashlib.sha256((self._text + str(self._engine.program)).encode()).hexdigest()

    def _write_files(self) -> None:
        for file, content in referenced_files(self._edge).items():
            file.write_text(content, encoding="utf-8")
        self._edge.file.write_text(self._text, encoding="utf-8")

    # --- starting ---

    def _left_behind(self) -> int | None:
        """Return the process id of a HAProxy that runs with just this configuration and answers, or None."""
        pid, mark = self._noted()
        if pid is None or mark != self._mark or not _lives(pid):
            return None
        told = self.runtime.is_alive() and self.runtime.command("show info")
        return pid if told and f"Pid: {pid}\n" in told + "\n" else None

    def _noted(self) -> tuple[int | None, str]:
        try:
            pid, mark = self._pid_file.read_text().split()
            return int(pid), mark
        except (FileNotFoundError, ValueError):
            return None, ""

    def _end_stale(self) -> None:
        """End a HAProxy of ours with another configuration; only one that answers on our own socket is ours."""
        with contextlib.suppress(EdgeError):
            told = self.runtime.command("show info")
            for line in told.splitlines():
                if line.startswith("Pid: "):
                    self._end(int(line.removeprefix("Pid: ")))

    def _require_port(self) -> None:
        """Raise EdgeError when somebody else listens where we are to."""
        family = socket.AF_INET6 if ":" in self._edge.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self._edge.host, self._edge.port))
            except OSError as error:
                raise EdgeError(
                    f"Port {self._edge.port} on {self._edge.host} cannot be had: {os.strerror(error.errno or 0)}."
                    " Stop what uses it, or choose another with --port."
                ) from error

    def _run(self) -> None:
        log = (self._edge.run_folder / "haproxy.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [str(self._engine.program), "-db", "-f", str(self._edge.file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._pid = self._process.pid
        self._pid_file.write_text(f"{self._pid} {self._mark}")
        give_up_at = time.monotonic() + START_SECONDS
        while not self.runtime.is_alive():
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                words = Path(log.name).read_text(errors="replace").strip().splitlines()[-3:]
                self.close()
                raise EdgeError(f"HAProxy did not start: {' '.join(words) or 'it said nothing'}")
            time.sleep(0.01)

    def _end(self, pid: int) -> None:
        for signal_, seconds in ((signal.SIGTERM, END_SECONDS), (signal.SIGKILL, END_SECONDS)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal_)
            give_up_at = time.monotonic() + seconds
            while time.monotonic() < give_up_at:
                if self._process is not None and self._process.pid == pid:
                    self._process.poll()  # or it stays as a zombie
                if not _lives(pid):
                    return
                time.sleep(0.01)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Say whether the process has ended and only waits to be noticed (Linux; elsewhere its parent is init by then)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False
