"""Runs a program, and passes on a bounded part of its output: `python3 -I -c SOURCE BYTES PROGRAM ARGUMENT…`.

The first process of a server's container runs this text (`task_definitions.py` passes it), with the Python of any
image. CloudWatch bills what is written, and neither ECS nor CloudWatch bounds it for one task. Output beyond BYTES a
minute is dropped, and a line says how much. The program gets a pipe, so it is never held up, and has no other way to
the log where this is the container's first process: its own files in /proc are closed to other processes.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time

EVENT = 26  # bytes that CloudWatch bills for each line besides its text
BURST_MINUTES = 4  # so much comes through at once after a quiet time: a start, or a traceback
PIECE = 65_536
PR_SET_DUMPABLE = 4
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
NOT_STARTED = 127  # a shell's


class Allowance:
    """How much may be passed on: it grows by *per_minute* bytes, up to a burst."""

    def __init__(self, per_minute: int, now: float) -> None:
        self._per_second, self._most = per_minute / 60, float(per_minute * BURST_MINUTES)
        self._left, self._at = self._most, now
        self._dropped = 0

    def pass_on(self, piece: bytes, now: float) -> bytes:
        """Return the part of *piece* to pass on, with a line where a gap begins and ends."""
        self._left = min(self._most, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._dropped:
            if self._left < self._per_second * 30:  # one gap for half a minute, and not one a line
                self._dropped += len(piece)
                return b""
            note = b"\n[hubless] %d bytes of output were dropped\n" % self._dropped
            self._dropped = 0
            return note + self._within(piece)
        return self._within(piece)

    def _within(self, piece: bytes) -> bytes:
        passed = []
        for line in piece.splitlines(keepends=True):
            cost = len(line) + EVENT
            if self._dropped or cost > self._left:
                self._dropped += len(line)
                continue
            self._left -= cost
            passed.append(line)
        if self._dropped:
            passed.append(b"\n[hubless] too much output: the log leaves out what follows\n")
        return b"".join(passed)


def run(per_minute: int, command: "list[str]") -> int:
    """Run *command* with bounded output, and return its exit code as a shell does."""
    hide()
    source, sink = os.pipe()
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # wakes `select`
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)  # they wait until there is a program to send them to
    child = start(command, sink)
    os.close(sink)
    for number in FORWARDED:
        signal.signal(number, lambda received, _frame: send(child, received))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    allowance, code, sources = Allowance(per_minute, time.monotonic()), reaped(child), [source, woken]
    while code is None:
        ready = select.select(sources, [], [], 1)[0]  # a second: a signal between two steps must not be lost
        if woken in ready:
            os.read(woken, PIECE)
        if source in ready and not forward(source, allowance):
            sources.remove(source)
        code = reaped(child)
    if source in sources:  # what the program wrote last
        os.set_blocking(source, False)
        for _ in range(64):
            if not forward(source, allowance):
                break
    return code


def hide() -> None:
    """Close this process's files in /proc to others of the same user, who would write to the log past the limit."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def start(command: "list[str]", sink: int) -> int:
    """Start *command* with its output to *sink*, and return its process id."""
    child = os.fork()
    if child:
        return child
    try:
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and programs inherit that
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
        os.execvp(command[0], command)  # noqa: S606 the profile's command, of the hub's settings
    except OSError as error:
        os.write(2, f"cannot run {command[0]}: {error}\n".encode())
    os._exit(NOT_STARTED)


def send(child: int, number: int) -> None:
    """Pass a signal on to the program."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)


def forward(source: int, allowance: Allowance) -> bool:
    """Pass on what can be read now; say whether there may be more."""
    try:
        piece = os.read(source, PIECE)
    except BlockingIOError:
        return False
    rest = allowance.pass_on(piece, time.monotonic())
    while rest:
        rest = rest[os.write(1, rest) :]
    return bool(piece)


def reaped(child: int) -> "int | None":
    """Reap every process that has ended, as the first process must; return the program's code once it has ended."""
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return NOT_STARTED
        if not ended:
            return None
        if ended == child:
            return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


if __name__ == "__main__":
    raise SystemExit(run(int(sys.argv[1]), sys.argv[2:]))
