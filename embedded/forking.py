"""The supervisor's side of the preloader: asks it for children, and watches them as if they were its own."""

import os
import select
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, Any, Protocol

from embedded import ipc
from embedded.ipc import Channel

ANSWER_SECONDS = 2.0  # a fork takes milliseconds
STATUS_SECONDS = 0.5  # until the exit code of a child that has ended counts as unknown
UNKNOWN = 256  # the exit code of a process that ended when no preloader was there: no process has it


class Process(Protocol):
    """What the supervisor needs of a child's process; `subprocess.Popen` has it."""

    pid: int
    returncode: int | None
    stderr: IO[bytes] | None

    def poll(self) -> int | None:
        """Return the exit code, or minus the signal that ended it; None while it runs."""

    def terminate(self) -> None:
        """Ask it to end."""

    def wait(self) -> int:
        """Wait until it has ended, and return what `poll` returns."""


class PreloaderError(Exception):
    """Raised when the preloader does not fork."""


def is_possible() -> bool:
    """Say whether the kernel tells how another's children end: with pidfd, which some sandboxes and Pythons lack."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (OSError, AttributeError):  # a Python that was built for Linux before 5.3 has no such function
        return False
    return True


class ForkedProcess:
    """A process that the preloader forked."""

    def __init__(self, pid: int, stderr: IO[bytes], code_of: Callable[[int], int | None]) -> None:
        """Create it; *code_of* returns the exit code of a process id that has ended, None if nobody knows it.

        Raises:
            ProcessLookupError: when it has ended already.
        """
        self.pid = pid
        self.stderr: IO[bytes] | None = stderr
        self.returncode: int | None = None
        self._code_of = code_of
        self._ending = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """Return the exit code, or minus the signal that ended it; None while it runs."""
        return self._look(0)

    def terminate(self) -> None:
        """Ask it to end."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._ending, signal.SIGTERM)

    def wait(self) -> int:
        """Wait until it has ended, and return what `poll` returns."""
        while (code := self._look(None)) is None:
            pass
        return code

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._ending], [], [], timeout)[0]:
            code = self._code_of(self.pid)
            self.returncode = _reaped(self.pid) if code is None else code
            os.close(self._ending)
        return self.returncode


class Forks:
    """What a preloader that runs has forked."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._forked: deque[int] = deque()
        self._codes: dict[int, int] = {}

    def handle(self, message: dict[str, Any]) -> None:
        """Take a message of the preloader."""
        if message["event"] == ipc.FORKED:
            self._forked.append(message["pid"])
        elif message["event"] == ipc.ENDED:
            self._codes[message["pid"]] = message["code"]

    def fork(self, module: str, descriptors: Sequence[int], stderr: IO[bytes]) -> ForkedProcess:
        """Have the preloader fork a child that runs *module*; it gets *descriptors*: channel, errors, listener.

        Raises:
            PreloaderError: when it does not, or the child has ended at once.
        """
        self._channel.send_with({"module": module}, descriptors)
        if not self._wait(lambda: bool(self._forked), ANSWER_SECONDS):
            raise PreloaderError("it has ended" if self._channel.is_closed else f"no answer in {ANSWER_SECONDS:g} s")
        try:
            return ForkedProcess(self._forked.popleft(), stderr, self._code_of)
        except OSError as error:
            raise PreloaderError(str(error)) from None

    def _code_of(self, pid: int) -> int | None:
        self._wait(lambda: pid in self._codes, STATUS_SECONDS)
        return self._codes.pop(pid, None)

    def _wait(self, is_there: Callable[[], bool], seconds: float) -> bool:
        give_up_at = time.monotonic() + seconds
        while not is_there() and not self._channel.is_closed:
            left = give_up_at - time.monotonic()
            if left <= 0 or not select.select([self._channel], [], [], left)[0]:
                break
            for message in self._channel.receive_now():
                self.handle(message)
        return is_there()


def _reaped(pid: int) -> int:
    """Return the exit code of an orphan of the preloader that process 1 of a container, this one, has adopted."""
    try:
        _, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return UNKNOWN
    return os.waitstatus_to_exitcode(status)
