"""`hubless up`: starts the children, starts them again when they die, and ends them in order.

Small on purpose: it holds the lock, the API's listening socket and the children's ends, and nothing of the product.
"""

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any, TextIO

from embedded import data_folder, ipc, preflight, virtual_environment
from embedded.ipc import Channel, ChildConfig
from hubless.domain.errors import HublessError
from hubless.settings import Settings

MAX_CRASHES = 5  # deaths of one child …
CRASH_WINDOW_SECONDS = 60.0  # … in so many seconds end the hub
RESTART_DELAYS = (0.0, 0.2, 0.5, 1.0, 2.0)  # before the first, second … start again
START_SECONDS = 30.0
END_SECONDS = 10.0
LOG_TAIL_LINES = 15
PROGRAMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {name: ("-P", "-m", f"embedded.{name}") for name in ("worker", "api", "edge")}
)
BACKLOG = 512


class ChildError(HublessError):
    """Raised when a child cannot be kept alive; the message has what it said last."""

    code = "child"


@dataclass(slots=True)
class Child:
    """One child and what is known of it."""

    name: str
    program: tuple[str, ...]  # what Python is to run
    process: subprocess.Popen[bytes] | None = None
    line: Channel | None = None
    was_ready: bool = False
    why: str = ""  # it failed, as it said itself
    said: deque[str] = field(default_factory=lambda: deque(maxlen=LOG_TAIL_LINES))
    unfinished: bytes = b""  # of a line whose end has not come yet
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_CRASHES))
    start_at: float | None = None  # when it is to be started again

    @property
    def pid(self) -> int | None:
        """Return its process id while it runs."""
        return self.process.pid if self.process else None


class Supervisor:
    """The process tree of one hub."""

    def __init__(
        self,
        order: ChildConfig,
        settings: Settings,
        lock: data_folder.Lock,
        *,
        out: TextIO = sys.stderr,
        programs: Mapping[str, tuple[str, ...]] = PROGRAMS,
    ) -> None:
        self._settings = settings
        self._lock = lock
        self._out = out
        self._selector = selectors.DefaultSelector()
        self._listener = _listening(order)
        self._order = replace(order, listener=self._listener.fileno())
        self._workers = [Child("worker", programs["worker"])]
        self._edges = [Child("edge", programs["edge"])]
        count = settings.hub.workers
        self._apis = [Child(f"api {n + 1}" if count > 1 else "api", programs["api"]) for n in range(count)]
        self._signals = 0
        self._ending = False
        self._facts: dict[str, Any] = {}  # what the children said when they were ready

    @property
    def _children(self) -> list[Child]:
        return [*self._workers, *self._apis, *self._edges]

    def run(self, ready: Callable[[dict[str, Any]], None]) -> None:
        """Keep the hub up until a signal ends it; call *ready* with the children's facts once it is.

        Raises:
            ChildError: when a child cannot start or dies again and again; all others have ended then.
        """
        with self._watching_signals():
            try:
                self._start_all()
                if not self._signals:
                    ready(self._facts)
                while not self._signals:
                    self._turn(self._pause())
            finally:
                self._end_all()
                self._listener.close()
                self._order.api_socket.unlink(missing_ok=True)

    def _start_all(self) -> None:
        for child in self._children:
            self._start(child)
        self._order = replace(self._order, first=False)
        give_up_at = time.monotonic() + START_SECONDS
        while not self._signals and not all(child.was_ready for child in self._children):
            if time.monotonic() > give_up_at:
                late = next(child for child in self._children if not child.was_ready)
                raise ChildError(_last_words(late, f"did not start within {START_SECONDS:.0f} seconds"))
            self._turn(min(self._pause() or 1.0, 1.0))

    def _start(self, child: Child) -> None:
        ours, theirs = socket.socketpair()
        listener = [self._listener.fileno()] if child in self._apis else []
        child.process = subprocess.Popen(
            [sys.executable, *child.program, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), self._lock.tree, *listener),
            process_group=0,  # Ctrl-C is for the supervisor alone, which ends the others in order
        )
        theirs.close()
        child.line, child.start_at, child.why = Channel(ours), None, ""
        self._selector.register(child.line, selectors.EVENT_READ, (self._hear, child))
        if child.process.stderr is not None:
            os.set_blocking(child.process.stderr.fileno(), False)
            self._selector.register(child.process.stderr, selectors.EVENT_READ, (self._read, child))
        child.line.send(asdict(self._order))

    def _turn(self, timeout: float | None) -> None:
        """Wait for whatever comes first and deal with it."""
        for key, _ in self._selector.select(timeout):
            react, child = key.data
            react(key.fileobj, child)
        for child in self._children:
            self._look_at(child)

    def _pause(self) -> float | None:
        """Return how long nothing is to be done by the clock; None for as long as nothing happens."""
        due = [child.start_at for child in self._children if child.start_at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _look_at(self, child: Child) -> None:
        if child.process is not None and child.process.poll() is not None:
            self._bury(child)
        if child.start_at is not None and not self._ending and time.monotonic() >= child.start_at:
            self._start(child)

    def _bury(self, child: Child) -> None:
        """Note a death and when to start the child again."""
        process, line = child.process, child.line
        if process is None or line is None:
            return
        self._hear(line, child)
        line.close()
        if process.stderr is not None and not process.stderr.closed:
            self._read(process.stderr, child)
        self._flush(child)
        child.process, child.line = None, None
        if self._ending or self._signals:
            return
        how = (
            f"was ended by signal {-process.returncode}" if process.returncode < 0 else f"ended ({process.returncode})"
        )
        if not child.was_ready:
            raise ChildError(child.why or _last_words(child, f"{how} before it was ready"))
        self._schedule(child, f"failed ({child.why})" if child.why else how)

    def _schedule(self, child: Child, how: str) -> None:
        now = time.monotonic()
        child.deaths.append(now)
        recent = [at for at in child.deaths if now - at < CRASH_WINDOW_SECONDS]
        if len(recent) >= MAX_CRASHES:
            raise ChildError(_last_words(child, f"{how}, for the {MAX_CRASHES}th time within a minute"))
        pause = RESTART_DELAYS[len(recent) - 1]
        child.start_at = now + pause
        self._say(f"The {child.name} {how}; it is started again{f' in {pause} s' if pause else ''}.")

    def _hear(self, line: Channel, child: Child) -> None:
        """Take what a child says; its end of the socket closes when it dies, which `_look_at` sees."""
        if line.is_cut:
            return
        for message in line.receive_now():
            if message["event"] == ipc.READY:
                child.was_ready = True
                self._facts |= message.get("facts", {})
            elif message["event"] == ipc.FAILED:
                child.why = message["why"]
        if line.is_cut:
            self._selector.unregister(line)

    def _read(self, pipe: Any, child: Child) -> None:
        """Pass on the whole lines that a child wrote; the rest waits until it is whole, or nothing more can come."""
        has_ended = False
        with contextlib.suppress(BlockingIOError):
            while more := os.read(pipe.fileno(), 65536):
                child.unfinished += more
            has_ended = True
            self._selector.unregister(pipe)
            pipe.close()
        whole, newline, rest = child.unfinished.rpartition(b"\n")
        child.unfinished = rest
        self._pass_on(whole + newline, child)
        if has_ended:
            self._flush(child)

    def _flush(self, child: Child) -> None:
        """Pass on a last line that has no end."""
        if child.unfinished:
            last, child.unfinished = child.unfinished + b"\n", b""
            self._pass_on(last, child)

    def _pass_on(self, lines: bytes, child: Child) -> None:
        text = lines.decode(errors="replace")
        child.said.extend(text.splitlines())
        self._write(text)

    def _end_all(self) -> None:
        """End in order: who takes requests, who carries them out, and last the edge, which kept connections open."""
        self._ending = True
        self._end(self._apis, END_SECONDS)
        if self._settings.servers.stop_on_exit and self._signals < 2:  # noqa: PLR2004 the second is impatient
            limit = self._settings.servers.stop_timeout.total_seconds() + END_SECONDS
            self._end(self._workers, limit, say=ipc.STOP_SERVERS)
        self._end(self._workers, END_SECONDS)
        self._end(self._edges, END_SECONDS, at_least=1.0)

    def _end(self, ending: Iterable[Child], seconds: float, *, say: str = "", at_least: float = 0.0) -> None:
        """Ask *ending* to end and wait; kill what does not, at once after a second signal."""
        alive = [child for child in ending if child.process is not None]
        for child in alive:
            if say and child.line is not None:
                child.line.send_event(say)
            elif child.process is not None:
                child.process.terminate()
        began = time.monotonic()
        while any(child.process for child in alive):
            waited = time.monotonic() - began
            if waited > (at_least if self._signals > 1 else seconds):
                break
            self._turn(0.1)
        for child in alive:
            self._kill(child)

    def _kill(self, child: Child) -> None:
        if child.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait()
        self._bury(child)

    @contextlib.contextmanager
    def _watching_signals(self) -> Iterator[None]:
        """Turn signals into something to select on, and put everything back afterwards."""
        reading, writing = socket.socketpair()
        reading.setblocking(False)
        writing.setblocking(False)
        self._selector.register(reading, selectors.EVENT_READ, (self._signalled, None))
        before_wakeup = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
        before = {number: signal.signal(number, lambda *_: None) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(before_wakeup)
            self._selector.close()
            reading.close()
            writing.close()

    def _signalled(self, reading: socket.socket, _: None) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in reading.recv(4096):
                if number != signal.SIGCHLD:
                    self._signals += 1
                    self._say("Ending …" if self._signals == 1 else "Ending at once.")

    def _say(self, text: str) -> None:
        self._write(text + "\n")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # a closed terminal must not end the hub
            self._out.write(text)
            self._out.flush()


def _listening(order: ChildConfig) -> socket.socket:
    """Return the API's listening socket; it outlives the API's processes, so that nothing is refused between two."""
    order.api_socket.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(order.api_socket))
    order.api_socket.chmod(0o600)
    listener.listen(BACKLOG)
    return listener


def _last_words(child: Child, how: str) -> str:
    said = "\n".join(f"    {line}" for line in child.said)
    return f"The {child.name} {how}." + (f" It said last:\n{said}" if said else "")


def up(
    order: ChildConfig,
    settings: Settings,
    ready: Callable[[dict[str, Any]], None],
    starting: Callable[[], None],
    tell: Callable[[str], None],
) -> None:
    """Be the hub in the foreground; *tell* takes lines about what a first start installs.

    Raises:
        HublessError: when it cannot start or go on; the message says why and what to do.
    """
    data_folder.prepare(settings)
    lock = data_folder.lock(settings.data)
    try:
        folder = data_folder.make_run_folder(settings.data)
        preflight.check(settings, folder)
        starting()
        settings = virtual_environment.prepare(settings, tell)
        lock.write_facts({"pid": os.getpid(), "url": settings.url, "since": time.time()})
        Supervisor(replace(order, run_folder=str(folder)), settings, lock).run(ready)
        if not preflight.haproxy_is_running(settings, folder):
            data_folder.remove_run_folder(folder, settings.data)
    finally:
        lock.release()
