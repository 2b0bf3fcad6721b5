"""One HAProxy process: starts it, adopts it after its agent died, ends it."""

import contextlib
import hashlib
import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from io import BufferedWriter
from pathlib import Path

from edge_proxy.activity_rules import SOCKETS
from edge_proxy.errors import EdgeError, SilentError, UnreachableError
from edge_proxy.haproxy_binary import HAProxyBinary
from edge_proxy.haproxy_config import EdgeConfiguration, referenced_files, render
from edge_proxy.runtime_api import RuntimeApi

logger = logging.getLogger(__name__)
START_SECONDS = 5.0
END_SECONDS = 6.0
LOG_BYTES = 2**20  # of what HAProxy says when it starts
_START = 19  # place of `starttime` after a process's name in /proc/PID/stat
_STATE, _INODE, _LISTENING = 3, 9, "0A"  # columns and a state of /proc/net/tcp


class HAProxyProcess:
    """HAProxy in a session of its own, so that Ctrl-C reaches only the process that ends it in order."""

    def __init__(self, configuration: EdgeConfiguration, binary: HAProxyBinary) -> None:
        self._edge = configuration
        self._binary = binary
        self._text = render(configuration)
        self._process: subprocess.Popen[bytes] | None = None  # None also for an adopted one
        self._replaced = list["subprocess.Popen[bytes]"]()  # children that drain
        self._pid: int | None = None
        self._ends: list[int] = []  # a descriptor of the process `_followed`, if there is one
        self._followed: int | None = None
        self.runtime = RuntimeApi(configuration.runtime_socket)

    @property
    def pid(self) -> int | None:
        """Return the process id of HAProxy while it is expected to run."""
        return self._pid

    def start(self) -> bool:
        """Adopt the HAProxy that an earlier agent left running, or start one; return whether one was adopted.

        One with other settings, or whose program was updated, is replaced and drains. So is one whose socket is gone:
        only its routes are lost, which the agent loads. One that does not answer is killed.

        Raises:
            EdgeError: when HAProxy cannot start; the message says why and what to do.
        """
        draining = None
        try:
            if (adopted := self._take_over(self.runtime.pid())) is not None:
                return adopted
        except SilentError:
            self._kill_silent()
        except UnreachableError:
            draining = self._youngest()
        self._write_files()
        self._binary.check(self._edge.file)
        if draining is None:
            self._require_port()
            self._run()
        else:
            self._run("-sf", str(draining))
            self._let_drain(draining)
        return False

    def _take_over(self, left: int) -> bool | None:
        """Adopt *left*, which answers (True), or replace it (False). None: neither was possible, and it has ended."""
        is_same = self._read_pid_file() == (left, self._fingerprint)
        if not is_same or _is_outdated(left):
            if self._replace(left):
                return False
            if not is_same or self._answering() != left:
                self._end(left)
                return None
        self._held_file(left).unlink(missing_ok=True)  # of an agent that died before it replaced this one
        self._pid = left
        self._pid_file.write_text(f"{left} {self._fingerprint}")
        return True

    def _replace(self, old: int) -> bool:
        """Let a new HAProxy take the place of *old*, whose settings or program have changed; say whether it did.

        The new one gets the listening sockets and the routes. The old one keeps its open connections until they end.
        What it holds is noted before: an agent that dies in the midst leaves nobody who could ask the old one.
        """
        try:
            routes = self.runtime.entries(self._edge.map_file)
            self._note_held(old, self.runtime.connected(SOCKETS))
            self._write_files()
            self._edge.map_file.write_text("".join(f"{key} {value}\n" for key, value in routes), encoding="utf-8")
            self._binary.check(self._edge.file)
            self._run("-x", str(self._edge.runtime_socket), "-sf", str(old))
        except EdgeError as error:
            logger.error("cannot replace HAProxy, process %s: %s", old, error)  # noqa: TRY400 no bug
            self._held_file(old).unlink(missing_ok=True)
            return False
        logger.info("replaced HAProxy, process %s; it ends when its connections have ended", old)
        return True

    def held_servers(self) -> list[str]:
        """Return the keys of servers for which a replaced HAProxy still holds open WebSockets, as the last answer said.

        A replaced one can no longer be asked, so its servers count until it ends.
        """
        keys, files = list[str](), [*self._edge.run_folder.glob("draining.*")]
        alive = self._ours() if files else []  # another program may have the id of one that has ended
        for file in files:
            if int(file.suffix[1:]) in alive:
                keys += file.read_text(encoding="utf-8").split()
            else:
                file.unlink(missing_ok=True)
        return keys

    def is_alive(self) -> bool:
        """Say whether the process is alive."""
        self._replaced = [child for child in self._replaced if child.poll() is None]
        if self._process is not None:
            return self._process.poll() is None
        return self._pid is not None and _is_alive(self._pid)

    @property
    def ends(self) -> list[int]:
        """Return what becomes readable once HAProxy has ended; nothing where the kernel cannot tell."""
        if self._followed != self._pid:
            for descriptor in self._ends:
                os.close(descriptor)
            self._ends, self._followed = [], self._pid
            if self._pid is not None:
                # It has ended, or Linux is older than 5.3, or this Python was built for an older one.
                with contextlib.suppress(OSError, AttributeError):
                    self._ends = [os.pidfd_open(self._pid)]
        return self._ends

    def close(self) -> None:
        """End HAProxy in order, and those that it has replaced."""
        self._leave()
        for pid in self._ours():
            self._end(pid)
        for child in self._replaced:
            child.wait(END_SECONDS)

    def _leave(self) -> None:
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

    def _held_file(self, pid: int) -> Path:
        return self._edge.run_folder / f"draining.{pid}"

    def _note_held(self, pid: int, keys: Iterable[str]) -> None:
        draft = self._edge.run_folder / "held.new"
        draft.write_text("\n".join(keys), encoding="utf-8")
        draft.replace(self._held_file(pid))

    def _write_files(self) -> None:
        for file, content in referenced_files(self._edge).items():
            file.write_text(content, encoding="utf-8")
        self._edge.file.write_text(self._text, encoding="utf-8")

    # --- starting ---

    def _answering(self) -> int | None:
        """Return the process id of the HAProxy that answers at this edge's socket."""
        with contextlib.suppress(EdgeError):
            return self.runtime.pid()
        return None

    def _ours(self) -> list[int]:
        """Return the process ids of all HAProxies with this edge's configuration file, the youngest last."""
        return haproxies_of(self._edge)

    def _youngest(self) -> int | None:
        """Return the process that serves new connections, if it is alive: older ones drain."""
        return next(reversed(self._ours()), None)

    def _kill_silent(self) -> None:
        """Kill the HAProxy that does not answer: it serves nobody, and takes connections from the next one."""
        if (hung := self._youngest()) is not None:
            logger.error("HAProxy, process %s, does not answer: the edge kills it, and its connections end", hung)
            self._end(hung, signals=(signal.SIGKILL,))

    def _let_drain(self, old: int) -> None:
        """Wait until *old* takes no more connections; kill it if it does not give them up."""
        give_up_at = time.monotonic() + END_SECONDS
        while _listens(old):
            if time.monotonic() > give_up_at:
                self._end(old, signals=(signal.SIGKILL,))
            time.sleep(0.02)
        logger.info("replaced HAProxy, process %s, whose socket was gone; it ends with its connections", old)

    def _read_pid_file(self) -> tuple[int | None, str]:
        try:
            pid, fingerprint = self._pid_file.read_text().split()
            return int(pid), fingerprint
        except (FileNotFoundError, ValueError):
            return None, ""

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
        log = self._open_log()
        if self._process is not None:
            self._replaced.append(self._process)
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
                self._leave()
                raise EdgeError(f"HAProxy did not start: {' '.join(last_lines) or f'{log.name} is empty'}")
            time.sleep(0.01)

    def _open_log(self) -> BufferedWriter:
        """Open the log of all starts; a long one begins anew."""
        log = (self._edge.run_folder / "haproxy.log").open("ab")
        if log.tell() > LOG_BYTES:
            log.truncate(0)
        return log

    def _end(self, pid: int, *, signals: tuple[int, ...] = (signal.SIGTERM, signal.SIGKILL)) -> None:
        child = self._process if self._process is not None and self._process.pid == pid else None
        for number in signals:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            give_up_at = time.monotonic() + END_SECONDS
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


def haproxies_of(edge: EdgeConfiguration) -> list[int]:
    """Return the process ids of the HAProxies that run with *edge*'s configuration file, the youngest last.

    They are known by their arguments (proc_pid_cmdline(5)), also when their socket and their pid file are gone; so
    only on Linux. Any user can give a program the same arguments, so those of other accounts do not count.
    """
    arguments, found = ["-f", str(edge.file)], list[tuple[int, int]]()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            words = (folder / "cmdline").read_text(errors="replace").split("\0")
            if "-db" in words and words[words.index("-f") :][:2] == arguments and _is_of_this_account(folder):
                found.append((int(_facts(int(folder.name))[_START]), int(folder.name)))
    return [pid for _, pid in sorted(found)]


def _is_of_this_account(process: Path) -> bool:
    """Say whether this account started the process with that folder in /proc (proc_pid_status(5)).

    Raises:
        OSError: when it has ended.
    """
    lines = (process / "status").read_text(errors="replace").splitlines()
    return any(line.split()[:2] == ["Uid:", str(os.getuid())] for line in lines)


def _facts(pid: int) -> list[str]:
    """Return the facts of a process from its state on (proc_pid_stat(5)); its name may have blanks.

    Raises:
        OSError: when there is no such process.
    """
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _listens(pid: int) -> bool:
    """Say whether the process listens on a TCP port (Linux)."""
    try:
        links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
        tables = [Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    except OSError:
        return False
    rows = [line.split() for table in tables for line in table]
    return any(f"socket:[{row[_INODE]}]" in links for row in rows if row[_STATE] == _LISTENING)


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
        return _facts(pid)[0] == "Z"
    except (OSError, IndexError):
        return False
