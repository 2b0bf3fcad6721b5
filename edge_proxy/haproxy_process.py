"""One HAProxy process: starts it, adopts it after its agent died, ends it."""

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
    """HAProxy in a session of its own, so that Ctrl-C reaches only the process that ends it in order."""

    def __init__(self, configuration: EdgeConfiguration, binary: HAProxyBinary) -> None:
        self._edge = configuration
        self._binary = binary
        self._text = render(configuration)
        self._process: subprocess.Popen[bytes] | None = None  # None also for an adopted one
        self._pid: int | None = None
        self.runtime = RuntimeApi(configuration.runtime_socket)

    @property
    def pid(self) -> int | None:
        """Return the process id of HAProxy while it is expected to run."""
        return self._pid

    def start(self) -> bool:
        """Adopt the HAProxy that an earlier agent left running, or start one; return whether one was adopted.

        Raises:
            EdgeError: when HAProxy cannot start; the message says why and what to do.
        """
        if (left := self._left_running()) is not None:
            if _is_outdated(left) and self._replace(left):
                return False
            if self._answering() == left:
                self._pid = left
                self._pid_file.write_text(f"{left} {self._fingerprint}")
                return True
        self._end_outdated()
        self._write_files()
        self._binary.check(self._edge.file)
        self._require_port()
        self._run()
        return False

    def _replace(self, old: int) -> bool:
        """Let a new HAProxy take the place of *old*, whose program was updated on the disk; say whether it did.

        The new one gets the listening sockets and the routes. The old one keeps its open connections for a while.
        """
        try:
            routes = self.runtime.entries(self._edge.map_file)
            self._write_files()
            self._edge.map_file.write_text("".join(f"{key} {value}\n" for key, value in routes), encoding="utf-8")
            self._binary.check(self._edge.file)
            self._run("-x", str(self._edge.runtime_socket), "-sf", str(old))
        except EdgeError as error:
            logger.error("cannot replace the outdated HAProxy, process %s, so it runs on: %s", old, error)  # noqa: TRY400 no bug
            return False
        logger.info("replaced the outdated HAProxy, process %s; it ends when its connections have ended", old)
        return True

    def is_alive(self) -> bool:
        """Say whether the process is alive."""
        if self._process is not None:
            return self._process.poll() is None
        return self._pid is not None and _is_alive(self._pid)

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
    def _fingerprint(self) -> str:
        return hashlib.sha256((self._text + str(self._binary.program)).encode()).hexdigest()

    def _write_files(self) -> None:
        for file, content in referenced_files(self._edge).items():
            file.write_text(content, encoding="utf-8")
        self._edge.file.write_text(self._text, encoding="utf-8")

    # --- starting ---

    def _left_running(self) -> int | None:
        """Return the process id of a HAProxy that answers and has exactly this configuration, else None."""
        pid, fingerprint = self._read_pid_file()
        if pid is None or fingerprint != self._fingerprint or not _is_alive(pid):
            return None
        return pid if self._answering() == pid else None

    def _answering(self) -> int | None:
        """Return the process id of the HAProxy that answers at this edge's socket."""
        with contextlib.suppress(EdgeError):
            for line in self.runtime.command("show info").splitlines():
                if line.startswith("Pid: "):
                    return int(line.removeprefix("Pid: "))
        return None

    def _read_pid_file(self) -> tuple[int | None, str]:
        try:
            pid, fingerprint = self._pid_file.read_text().split()
            return int(pid), fingerprint
        except (FileNotFoundError, ValueError):
            return None, ""

    def _end_outdated(self) -> None:
        """End this edge's HAProxy if it has another configuration. Only the one that answers on our socket is ours."""
        if (old := self._answering()) is not None:
            self._end(old)

    def _require_port(self) -> None:
        """Raise EdgeError when another program listens on the port."""
        family = socket.AF_INET6 if ":" in self._edge.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self._edge.host, self._edge.port))
            except OSError as error:
                raise EdgeError(
                    f"Cannot listen on port {self._edge.port} of {self._edge.host}: {os.strerror(error.errno or 0)}."
                    " Stop the program that uses it, or choose another with --port."
                ) from error

    def _run(self, *more: str) -> None:
        log = (self._edge.run_folder / "haproxy.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [str(self._binary.program), "-db", "-f", str(self._edge.file), *more],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._pid = self._process.pid
        self._pid_file.write_text(f"{self._pid} {self._fingerprint}")
        give_up_at = time.monotonic() + START_SECONDS
        while self._answering() != self._pid:
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                last_lines = Path(log.name).read_text(errors="replace").strip().splitlines()[-3:]
                self.close()
                raise EdgeError(f"HAProxy did not start: {' '.join(last_lines) or f'{log.name} is empty'}")
            time.sleep(0.01)

    def _end(self, pid: int) -> None:
        child = self._process if self._process is not None and self._process.pid == pid else None
        for signal_, seconds in ((signal.SIGTERM, END_SECONDS), (signal.SIGKILL, END_SECONDS)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal_)
            give_up_at = time.monotonic() + seconds
            while time.monotonic() < give_up_at:
                # A child must be polled until its exit code is read; otherwise it stays a zombie.
                if not _is_alive(pid) if child is None else child.poll() is not None:
                    return
                time.sleep(0.01)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_outdated(pid: int) -> bool:
    """Say whether the program of a process, or a library of it, has been replaced on the disk since it started."""
    try:
        mapped = Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False
    return any(line.split()[1].startswith("r-x") and line.endswith(" (deleted)") for line in mapped.splitlines())


def _is_zombie(pid: int) -> bool:
    """Say whether the process has ended and waits for its parent (Linux; elsewhere its parent is init by then)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False
