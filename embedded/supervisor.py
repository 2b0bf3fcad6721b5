"""`hubless up`: starts the child processes, restarts those that crash, and ends them in order.

Small on purpose: it holds the lock, the API's listening socket and the channels to the children, and none of the hub.
"""

import contextlib
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Self, TextIO, cast

from edge_proxy.connection_limits import connection_limit_in_words
from embedded import data_folder, forking, ipc, isolation, line_writer, preflight, virtual_environment
from embedded.forking import UNKNOWN, Forks, PreloaderError, Process
from embedded.ipc import Channel, ChildConfig
from embedded.line_writer import LineWriter
from hubless.bootstrap import machine
from hubless.domain.errors import HublessError
from hubless.settings import Settings
from hubless.settings.installed import installed_version

MAX_CRASHES = 5  # of one child within CRASH_WINDOW_SECONDS; the last one ends the hub, or the use of the preloader
CRASH_WINDOW_SECONDS = 60.0
RESTART_DELAYS = (0.0, 0.2, 0.5, 1.0, 2.0)  # seconds before the first, second … restart
START_SECONDS = 30.0
PRELOAD_SECONDS = 20.0  # for which a start waits for the preloader, which takes one where nothing is slow
END_SECONDS = 10.0
LOG_TAIL_LINES = 15
LOG = "logs/hub.log"  # below the data folder
OUTPUT_PIECE = 65_536  # bytes of a child's output that are read at once
REST_SECONDS = 1.0  # for reading what a child leaves when it ends
TELL_SECONDS = 1.0  # until what nobody takes is left to the thread that writes it, or lost at the end
LOOK_SECONDS = 2.0  # between two looks at the files on which the hub stands
_ROLES = ("worker", "api", "edge")
PROGRAMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {role: ("-P", "-m", f"embedded.{role}") for role in _ROLES}
    | {"preloader": ("-P", "-m", "embedded.preloader", *_ROLES)}
)
BACKLOG = 512
_AFTER_REPLACEMENT = (
    "The hub has stopped, so that it acknowledges nothing that is lost; users' servers run on. Put the file back or"
    " restore a backup with `hubless restore`, and start the hub again."
)


class ChildError(HublessError):
    """Raised when a child cannot start or keeps crashing; the message has its last lines of output."""

    code = "child"


@dataclass(slots=True)
class Child:
    """One child process and its state."""

    name: str
    program: tuple[str, ...]  # arguments of Python
    process: Process | None = None
    channel: Channel | None = None
    was_ready: bool = False
    why: str = ""  # the reason that it sent itself
    output: deque[str] = field(default_factory=lambda: deque(maxlen=LOG_TAIL_LINES))
    unfinished: bytes = b""  # the begin of an output line
    crashes: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_CRASHES))
    start_at: float | None = None  # when to restart it
    is_restarting: bool = False  # because the supervisor ended it for that

    @property
    def pid(self) -> int | None:
        """Return the process id while it runs."""
        return self.process.pid if self.process else None


class Supervisor:
    """Runs the process tree of one hub."""

    def __init__(
        self,
        config: ChildConfig,
        settings: Settings,
        lock: data_folder.Lock,
        *,
        out: TextIO = sys.stderr,
        programs: Mapping[str, tuple[str, ...]] = PROGRAMS,
    ) -> None:
        self._settings = settings
        self._lock = lock
        self._out = out
        self._writers: list[LineWriter] = []  # of the log
        self._selector = selectors.DefaultSelector()
        self._listener = _listen(config)
        self._config = replace(config, listener=self._listener.fileno())
        self._preloader = Child("preloader", programs["preloader"])
        self._forks: Forks | None = None  # of a preloader that is ready
        self._workers = [Child("worker", programs["worker"])]
        self._edges = [Child("edge", programs["edge"])]
        count = settings.hub.workers
        self._apis = [Child(f"api {n + 1}" if count > 1 else "api", programs["api"]) for n in range(count)]
        self._bound = _identity(config.api_socket)
        self._database: tuple[int, int] | None = None
        self._fatal = ""  # why the hub must not go on
        self._signals = 0
        self._ending = False
        self._facts: dict[str, Any] = {}  # that the children sent with their ready event

    @property
    def _children(self) -> list[Child]:
        return [self._preloader, *self._apis, *self._workers, *self._edges]

    def __enter__(self) -> Self:
        """Return this supervisor, which holds the API's socket from its creation on."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the preloader, and leave no socket."""
        self._ending = True
        self._kill(self._preloader)
        for key in list(self._selector.get_map().values()):  # output that a server of a dead child holds open
            cast("BinaryIO", key.fileobj).close()
        self._selector.close()
        self._listener.close()
        self._config.api_socket.unlink(missing_ok=True)

    def preload(self) -> None:
        """Have the hub's code loaded in a process beside this one, while this one does what comes before `run`."""
        if forking.is_possible():
            self._start(self._preloader)

    def run(self, isolation_name: str, epoch: str, ready: Callable[[dict[str, Any]], None]) -> None:
        """Run the hub until a signal ends it; call *ready* with the children's facts once all are ready.

        Args:
            isolation_name: the kind that works here.
            epoch: of this run, as the database names it, which must be there.
            ready: is called with the children's facts.

        Raises:
            ChildError: when a child cannot start or keeps crashing; all other children have ended then.
        """
        self._config = replace(self._config, isolation=isolation_name, epoch=epoch)
        self._database = _identity(self._settings.database)
        with self._watching_signals(), self._logging():
            try:
                self._start_all()
                if not self._signals:
                    ready(self._facts)
                while not self._signals:
                    self._handle_next(min(self._seconds_to_restart() or LOOK_SECONDS, LOOK_SECONDS))
                    self._check_files()
            finally:
                self._end_all()

    def _start_all(self) -> None:
        if self._late([self._preloader], PRELOAD_SECONDS):
            self._print(
                f"The preloader has not loaded the hub's code within {PRELOAD_SECONDS:g} seconds, so children load it"
                " themselves. Look whether the disk with the hub's packages is slow."
            )
        others = [child for child in self._children if child is not self._preloader]
        for child in others:
            if not self._signals:
                self._start(child)
        self._config = replace(self._config, first=False)
        if late := self._late(others, START_SECONDS):
            raise ChildError(_with_output(late, f"did not start within {START_SECONDS:.0f} seconds"))

    def _late(self, children: list[Child], seconds: float) -> Child | None:
        """Wait until all *children* were ready, or a signal comes; return one that is not ready within *seconds*."""
        give_up_at = time.monotonic() + seconds
        while not self._signals and (late := next(filter(self._must_wait_for, children), None)):
            if time.monotonic() > give_up_at:
                return late
            self._handle_next(min(self._seconds_to_restart() or 1.0, 1.0))
        return None

    def _must_wait_for(self, child: Child) -> bool:
        """Say whether *child* is not ready yet. Nobody waits for a preloader that does not run."""
        return not child.was_ready and (child.process is not None or child is not self._preloader)

    def _start(self, child: Child) -> None:
        ours, child.process = self._forked(child) or self._executed(child)
        child.channel, child.start_at, child.why = Channel(ours), None, ""
        self._selector.register(child.channel, selectors.EVENT_READ, (self._receive_events, child))
        if child.process.stderr is not None:
            os.set_blocking(child.process.stderr.fileno(), False)
            self._selector.register(child.process.stderr, selectors.EVENT_READ, (self._read_output, child))
        if child is not self._preloader:  # whose memory all get a copy of
            child.channel.send(asdict(self._config))

    def _executed(self, child: Child) -> tuple[socket.socket, Process]:
        """Start a child that loads the hub's code itself, and return its channel and it."""
        ours, theirs = socket.socketpair()
        with theirs:
            return ours, subprocess.Popen(
                [sys.executable, *child.program, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), self._lock.tree, *self._listeners(child)),
                process_group=0,  # Ctrl-C reaches the supervisor alone, which ends the children in order
            )

    def _forked(self, child: Child) -> tuple[socket.socket, Process] | None:
        """Have the preloader fork a child, and return its channel and it; None if there is no preloader that does."""
        if self._forks is None or child is self._preloader:
            return None
        (ours, theirs), (reading, writing) = socket.socketpair(), os.pipe()
        output = os.fdopen(reading, "rb")
        try:
            given = [theirs.fileno(), writing, *self._listeners(child)]
            return ours, self._forks.fork(child.program[-1], given, output)
        except PreloaderError as error:
            self._print(f"The preloader does not fork the {child.name}, which loads its code itself: {error}.")
            self._forks = None
            self._kill_group(self._preloader)
            output.close()
            ours.close()
            return None
        finally:
            theirs.close()
            os.close(writing)

    def _listeners(self, child: Child) -> list[int]:
        return [self._listener.fileno()] if child in self._apis else []

    def _handle_next(self, timeout: float | None) -> None:
        """Wait for the next event and handle it."""
        for key, _ in self._selector.select(timeout):
            handle, child = key.data
            handle(key.fileobj, child)
        for child in self._children:
            self._check(child)

    def _check_files(self) -> None:
        """Bind the API's socket again if somebody removed it: nobody reaches the API otherwise.

        Raises:
            ChildError: when somebody removed or replaced the database, because what the hub writes would be lost, or
                when the socket cannot be bound.
            DataFolderError: when its folder is another user's by now.
        """
        if _identity(self._settings.database) != self._database:
            self._fatal = f"Somebody removed or replaced the database {self._settings.database} while the hub ran."
        if self._fatal:
            raise ChildError(f"{self._fatal} {_AFTER_REPLACEMENT}")
        if _identity(self._config.api_socket) == self._bound:
            return
        self._print(f"Somebody removed {self._config.api_socket}; the hub makes it anew, and restarts the API.")
        self._listener.close()
        try:
            data_folder.make_run_folder(self._settings.data)  # it may be gone as a whole
            self._listener = _listen(self._config)
        except OSError as error:
            raise ChildError(f"Cannot make {self._config.api_socket} anew: {error.strerror}.") from None
        self._bound = _identity(self._config.api_socket)
        self._config = replace(self._config, listener=self._listener.fileno())
        for child in self._apis:
            if child.process is not None:
                child.is_restarting = True
                child.process.terminate()

    def _seconds_to_restart(self) -> float | None:
        """Return the seconds until the next restart; None if none is planned."""
        due = [child.start_at for child in self._children if child.start_at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _check(self, child: Child) -> None:
        if child.process is not None and child.process.poll() is not None:
            self._clean_up(child)
        if child.start_at is not None and not self._ending and time.monotonic() >= child.start_at:
            self._start(child)

    def _clean_up(self, child: Child) -> None:
        """Clean up after a child that ended, and plan its restart."""
        process, channel = child.process, child.channel
        if process is None or channel is None:
            return
        self._receive_events(channel, child)
        self._unregister(channel)
        channel.close()
        if child is self._preloader:
            self._forks = None
        if process.stderr is not None:
            self._read_rest(process.stderr, child)
        self._flush(child)
        child.process, child.channel = None, None
        if self._ending or self._signals:
            return
        how = _how_it_ended(process.wait())
        if not child.was_ready and child is not self._preloader:
            raise ChildError(child.why or _with_output(child, f"{how} before it was ready"))
        if child.is_restarting:
            child.is_restarting, child.start_at = False, time.monotonic()
            return
        self._plan_restart(child, f"failed ({child.why})" if child.why else how)

    def _plan_restart(self, child: Child, how: str) -> None:
        now = time.monotonic()
        child.crashes.append(now)
        recent = [at for at in child.crashes if now - at < CRASH_WINDOW_SECONDS]
        if len(recent) >= MAX_CRASHES:
            how += f", for the {MAX_CRASHES}th time within a minute"
            if child is not self._preloader:
                raise ChildError(_with_output(child, how))
            self._print(f"The preloader {how}; the hub goes on without it until somebody restarts the hub.")
            return
        delay = RESTART_DELAYS[len(recent) - 1]
        child.start_at = now + delay
        self._print(f"The {child.name} {how}; restarting it{f' in {delay} s' if delay else ''}.")

    def _receive_events(self, channel: Channel, child: Child) -> None:
        """Handle a child's events. Its channel closes when it ends; `_check` handles that."""
        for message in channel.receive_now():
            if self._forks is not None and child is self._preloader:
                self._forks.handle(message)
            elif message["event"] == ipc.READY:
                child.was_ready = True
                self._facts |= message.get("facts", {})
                if child is self._preloader:
                    self._use_preloader(channel)
            elif message["event"] == ipc.FAILED:
                child.why = message["why"]
            elif message["event"] == ipc.FATAL:
                self._fatal = message["why"]
        if channel.is_closed:
            self._unregister(channel)

    def _use_preloader(self, channel: Channel) -> None:
        """Have the preloader at the other end of *channel* fork the children that start from now on."""
        self._forks = Forks(channel)
        if not self._config.first:  # children have started without it
            self._print("The preloader is ready: children that start from now on are forked from it.")

    def _unregister(self, channel: Channel) -> None:
        with contextlib.suppress(KeyError):  # it may be done
            self._selector.unregister(channel)

    def _read_output(self, pipe: Any, child: Child) -> None:
        """Forward whole lines of a child's output; the rest waits for its end, or for the end of the output."""
        has_ended = False
        with contextlib.suppress(BlockingIOError):
            if more := os.read(pipe.fileno(), OUTPUT_PIECE):  # one piece: others have something to say too
                child.unfinished += more
            else:
                has_ended = True
        if has_ended:
            self._selector.unregister(pipe)
            pipe.close()
        whole, newline, rest = child.unfinished.rpartition(b"\n")
        child.unfinished = rest
        self._forward(whole + newline, child)
        if has_ended:
            self._flush(child)

    def _read_rest(self, pipe: Any, child: Child) -> None:
        """Forward what a child has left; a process of its own may still hold the other end, and is not waited for."""
        give_up_at = time.monotonic() + REST_SECONDS
        while not pipe.closed and select.select([pipe], [], [], 0)[0] and time.monotonic() < give_up_at:
            self._read_output(pipe, child)

    def _flush(self, child: Child) -> None:
        """Forward a last line without an end."""
        if child.unfinished:
            last, child.unfinished = child.unfinished + b"\n", b""
            self._forward(last, child)

    def _forward(self, lines: bytes, child: Child) -> None:
        text = lines.decode(errors="replace")
        child.output.extend(text.splitlines())
        self._write(text)

    def _end_all(self) -> None:
        """End in order: first the API, then the worker, last the edge, which keeps connections open until then."""
        self._ending = True
        self._end(self._apis, END_SECONDS)
        if self._settings.servers.stop_on_exit and self._signals < 2:  # noqa: PLR2004 a second signal cuts this short
            limit = self._settings.servers.stop_timeout.total_seconds() + END_SECONDS
            self._end(self._workers, limit, event=ipc.STOP_SERVERS)
        self._end(self._workers, END_SECONDS)
        self._end(self._edges, END_SECONDS, at_least=1.0)

    def _end(self, ending: Iterable[Child], seconds: float, *, event: str = "", at_least: float = 0.0) -> None:
        """Ask *ending* to end and wait for *seconds*, then kill them; a second signal cuts the wait short."""
        alive = [child for child in ending if child.process is not None]
        for child in alive:
            if event and child.channel is not None:
                child.channel.send_event(event)
            elif child.process is not None:
                child.process.terminate()
        began = time.monotonic()
        while any(child.process for child in alive):
            waited = time.monotonic() - began
            if waited > (at_least if self._signals > 1 else seconds):
                break
            self._handle_next(0.1)
        for child in alive:
            self._kill(child)

    def _kill(self, child: Child) -> None:
        if child.process is None:
            return
        self._kill_group(child)
        child.process.wait()
        self._clean_up(child)

    def _kill_group(self, child: Child) -> None:
        if child.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)

    @contextlib.contextmanager
    def _watching_signals(self) -> Iterator[None]:
        """Make signals wake the selector; restore all handlers afterwards."""
        reading, writing = socket.socketpair()
        reading.setblocking(False)
        writing.setblocking(False)
        self._selector.register(reading, selectors.EVENT_READ, (self._on_signal, None))
        before_wakeup = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
        before = {number: signal.signal(number, lambda *_: None) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(before_wakeup)
            self._selector.unregister(reading)
            reading.close()
            writing.close()

    def _on_signal(self, reading: socket.socket, _: None) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in reading.recv(4096):
                if number != signal.SIGCHLD:
                    self._signals += 1
                    self._print("Stopping the hub …" if self._signals == 1 else "Stopping at once.")

    def _print(self, text: str) -> None:
        self._write(text + "\n")

    def _write(self, text: str) -> None:
        for writer in self._writers:
            writer.put(text)

    def tell(self, text: str) -> None:
        """Print *text*, and wait a moment until somebody has taken it."""
        self._print(text)
        for writer in self._writers:
            writer.flush(TELL_SECONDS)

    @contextlib.contextmanager
    def _logging(self) -> Iterator[None]:
        """Let threads write the log: nobody may read the terminal, and the disk may be slow."""
        file = line_writer.to_file(self._settings.data / LOG)
        self._writers = [line_writer.to_terminal(self._out), file]
        try:
            yield
        finally:
            for writer in self._writers:
                writer.close(TELL_SECONDS)
            self._writers = []


def _listen(config: ChildConfig) -> socket.socket:
    """Return the API's listening socket. It outlives API processes, so that no request fails between two of them."""
    config.api_socket.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(config.api_socket))
    config.api_socket.chmod(0o600)
    listener.listen(BACKLOG)
    return listener


def _identity(file: Path) -> tuple[int, int] | None:
    """Return what tells the file from another one at the same place; None if there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _how_it_ended(code: int) -> str:
    if code == UNKNOWN:
        return "ended"
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


def _with_output(child: Child, how: str) -> str:
    output = "\n".join(f"    {line}" for line in child.output)
    return f"The {child.name} {how}." + (f" Its last output:\n{output}" if output else "")


def up(
    config: ChildConfig,
    settings: Settings,
    ready: Callable[[dict[str, Any], Callable[[str], None]], None],
    starting: Callable[[], None],
    tell: Callable[[str], None],
) -> None:
    """Run the hub in the foreground; *tell* prints the progress of a first installation.

    *ready* gets the children's facts, and what prints from then on: it never waits for long.

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
        tell(f"Resource limits: {machine.find_resource_limits(settings)}.")
        if limit := connection_limit_in_words():
            tell(limit)
        config = replace(config, run_folder=str(folder))
        with Supervisor(config, settings, lock) as hub:
            hub.preload()
            chosen = isolation.choose(config, lock.tree)
            for line in isolation.lines(chosen, settings):
                tell(line)
            own = {"pid": os.getpid(), "uid": os.geteuid()}
            facts = own | {"url": settings.url, "host": settings.hub.host, "since": time.time()}
            facts |= {"isolation": chosen.name, "version": installed_version()}
            lock.write_facts(facts)
            hub.run(chosen.name, chosen.epoch, lambda facts: ready(facts, hub.tell))
        machine.leave_resource_limits(settings)
        if not preflight.haproxy_is_running(settings, folder):
            data_folder.remove_run_folder(folder, settings.data)
    finally:
        lock.release()
