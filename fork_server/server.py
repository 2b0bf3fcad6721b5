"""The fork server: it waits for requests, forks, and writes down how its children ended."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from pathlib import Path

from fork_server import linux
from fork_server.child import Child
from fork_server.loading import Loaded

FORK, LEASE, END = b"fork ", b"lease", b"end"
_FIRST = 4096  # bytes of a request's first part: a path
_FILES = 3  # most open files that come with a request
_FIRST_PATIENCE = 60.0  # seconds in which the hub that started this must come
_PATIENCE = 5.0  # seconds in which a client must say what it wants
_STALE = b'{"stale": true}'


class ForkServer:
    """Forks a server for each request, and ends when no hub is there any more.

    A request's first part is read here: which launch it is for, without secrets. Everything else is read by the child,
    so no secret of a server is ever in the memory of this process, which all later servers get a copy of.
    """

    def __init__(self, listener: socket.socket, lock: int, loaded: Loaded, patience: float) -> None:
        """Listen on *listener*, and hold *lock*.

        It ends *patience* seconds after the last hub has gone, and once packages have changed.
        """
        self._listener = listener
        self._lock = lock
        self._loaded = loaded
        self._patience = patience
        self._id = os.getpid()
        linux.adopt_orphans()  # a server in a sandbox is the child of a process that ends at once
        self._leases: dict[int, socket.socket] = {}
        self._launches: dict[int, str] = {}  # the folder of each child's launch
        self._wakes, self._woken = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wakes, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)

    def serve(self) -> Child | None:
        """Serve until there is nothing to wait for, and return None. A child returns at once, with its request."""
        left = time.monotonic() + max(self._patience, _FIRST_PATIENCE)
        while self._leases or time.monotonic() < left:
            ready = self._wait(left)
            if self._wakes in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wakes, _FIRST)
                self._reap()
            for lease in set(ready) & set(self._leases):
                left = time.monotonic() + (0 if _says_end(self._leases[lease]) else self._patience)
                self._leases.pop(lease).close()
            if self._listener.fileno() in ready:
                connection, _ = self._listener.accept()
                child = self._answer(connection)
                if child is not None:
                    return child
                if self._loaded.is_stale:
                    return None
        return None

    def _wait(self, left: float) -> list[int]:
        poll = select.poll()
        for descriptor in (self._listener.fileno(), self._wakes, *self._leases):
            poll.register(descriptor, select.POLLIN)
        wait = None if self._leases else max(0, int((left - time.monotonic()) * 1000) + 1)
        return [descriptor for descriptor, _ in poll.poll(wait)]

    def _answer(self, connection: socket.socket) -> Child | None:
        """Answer a client; return a child in the process that was forked for it."""
        connection.settimeout(_PATIENCE)
        descriptors: list[int] = []
        try:
            first = b""
            if _user_of(connection) == os.geteuid():
                first, descriptors, _, _ = socket.recv_fds(connection, _FIRST, _FILES)
            if first == LEASE:
                self._leases[connection.fileno()] = connection
            elif first.startswith(FORK) and descriptors:
                return self._fork(connection, os.fsdecode(first[len(FORK) :]), descriptors)
        except OSError as error:  # the client sees that nobody answers
            sys.stderr.write(f"a request was not served: {error}\n")
        finally:
            if os.getpid() == self._id:
                for descriptor in descriptors:
                    os.close(descriptor)
                if connection.fileno() not in self._leases:
                    connection.close()
        return None

    def _fork(self, connection: socket.socket, launch: str, descriptors: list[int]) -> Child | None:
        """Fork a child for the launch with that folder, and return it in the child."""
        if self._loaded.is_stale:
            connection.send(_STALE)
            return None
        try:
            pid = os.fork()
        except OSError as error:  # memory is short, or there are too many processes
            connection.send(json.dumps({"unfit": f"its fork server cannot fork: {error}"}).encode())
            return None
        if pid == 0:
            return self._in_child(connection, descriptors)
        self._launches[pid] = launch
        return None

    def _in_child(self, connection: socket.socket, descriptors: list[int]) -> Child:
        """Let go of everything that is the parent's."""
        self._launches.clear()
        signal.set_wakeup_fd(-1)
        for one in (self._listener, *self._leases.values()):
            one.close()
        for descriptor in (self._wakes, self._woken, self._lock):
            os.close(descriptor)
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        connection.settimeout(None)
        return Child(connection, descriptors, self._loaded)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if launch := self._launches.pop(pid, ""):  # a sandbox has its own report
                with contextlib.suppress(OSError):  # the launch was forgotten
                    Path(launch, "exit-code").write_text(str(os.waitstatus_to_exitcode(status)), encoding="ascii")


def _says_end(lease: socket.socket) -> bool:
    """Say whether the hub ends in order: nobody will start it again within moments."""
    try:
        return lease.recv(_FIRST) == END
    except OSError:
        return False


def _user_of(connection: socket.socket) -> int:
    """Return the user id of the process at the other end (unix(7))."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])
