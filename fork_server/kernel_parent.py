"""Forks the kernels of one server from a process that has `ipykernel` loaded.

A kernel belongs to one user. So its parent is forked from the server itself, before that runs a line of its packages:
it has the server's account, sandbox, limits and variables already.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from fork_server import linux, personal
from fork_server.loading import Loaded, UnfitError

MODULES = ("jupyter_client.provisioning", "ipykernel.zmqshell")  # loaded where kernels can be forked
PROGRAM = "ipykernel_launcher"
BEGIN, LISTENS = b"!", b"listens"
_FAILED = 1
_FILES = 2  # open files that come with a request: where to answer, and the rest of it
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def is_possible() -> bool:
    """Say whether this process has loaded what kernels need."""
    return all(name in sys.modules for name in MODULES)


class KernelParent:
    """Forks a kernel for each request of its server, tells how kernels end, and ends with the server."""

    def __init__(self, requests: socket.socket, loaded: Loaded) -> None:
        """Serve *requests*, of which the server has the other end. *loaded* is what this process has loaded."""
        _close_all_but(requests.fileno())
        self._requests = requests
        self._loaded = loaded
        loaded.note_packages()
        self._kernels: dict[int, socket.socket] = {}  # where the server waits for each kernel's end
        self._told: set[int] = set()
        self._left: set[int] = set()  # kernels for whose end the server does not wait any more
        self._wakes, self._woken = os.pipe()
        for descriptor in (self._wakes, self._woken):
            os.set_blocking(descriptor, False)
        for number in _ENDING:  # a signal to the server's group; this one ends with the server
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        linux.set_title([sys.executable, "fork_server kernels"])
        gc.freeze()

    def serve(self) -> Kernel | None:
        """Serve until the server ends, and return None. A kernel returns at once."""
        while True:
            ready = self._wait()
            if self._wakes in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wakes, select.PIPE_BUF)
            self._tell_ends(ready)
            if self._requests.fileno() in ready:
                request, descriptors, _, _ = socket.recv_fds(self._requests, 1, _FILES)
                if not request:
                    return None
                kernel = self._answer(descriptors)
                if kernel is not None:
                    return kernel

    def _wait(self) -> set[int]:
        poll = select.poll()
        poll.register(self._requests, select.POLLIN)
        poll.register(self._wakes, select.POLLIN)
        for pid, reply in self._kernels.items():
            if pid not in self._left:
                poll.register(reply, 0)  # whatever comes is the kernel's; only the other end's closing is told here
        return {descriptor for descriptor, _ in poll.poll()}

    def _answer(self, descriptors: list[int]) -> Kernel | None:
        """Answer a request with these open files; return a kernel in the process that was forked for it."""
        if len(descriptors) < _FILES:  # too many are open here: the server sees that nobody answers
            for one in descriptors:
                os.close(one)
            return None
        return self._fork(socket.socket(fileno=descriptors[0]), descriptors[1])

    def _fork(self, reply: socket.socket, body: int) -> Kernel | None:
        """Fork a kernel, and return it in the kernel."""
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:  # the server starts the kernel itself
            with contextlib.suppress(OSError):  # it waits no more
                reply.send(json.dumps({"unfit": str(error)}).encode())
            reply.close()
            os.close(body)
            return None
        if pid != 0:
            os.close(body)
            self._kernels[pid] = reply
            return None
        signal.set_wakeup_fd(-1)
        for descriptor in (self._wakes, self._woken):
            os.close(descriptor)
        for one in (self._requests, *self._kernels.values()):
            one.close()
        return Kernel(reply, body, self._loaded, parent)

    def _tell_ends(self, ready: set[int]) -> None:
        """Tell the server how kernels ended. Their ids stay theirs until the server knows."""
        for pid, reply in [*self._kernels.items()]:
            ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is not None and pid not in self._told:
                self._told.add(pid)
                code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
                with contextlib.suppress(OSError):
                    reply.send(json.dumps({"exit": code}).encode())
            if reply.fileno() in ready:  # the server has closed its end
                self._left.add(pid)
            if ended is not None and pid in self._left:
                os.waitpid(pid, 0)
                self._told.discard(pid)
                self._left.discard(pid)
                self._kernels.pop(pid).close()


class Kernel:
    """A process that was forked for one kernel."""

    def __init__(self, reply: socket.socket, body: int, loaded: Loaded, parent: int) -> None:
        """Read the request from the file *body*, and answer on *reply*; *parent* is the kernel parent's id."""
        self._reply = reply
        self._body = body
        self._loaded = loaded
        self._parent = parent

    def run(self) -> int:
        """Become the kernel, run it, and return its exit code. Does not return where there is nothing to run."""
        try:
            request = self._read()
            os.setsid()  # before its id is told: an interrupt goes to its whole group
            os.chdir(request["folder"])
            linux.end_with_parent()
        except (UnfitError, OSError, ValueError, KeyError) as why:
            self._reply.send(json.dumps({"unfit": str(why)}).encode())
            os._exit(_FAILED)
        self._reply.send(json.dumps({"process": os.getpid()}).encode())
        if self._reply.recv(1) != BEGIN or os.getppid() != self._parent:
            os._exit(_FAILED)
        return self._become(request)

    def _read(self) -> dict[str, Any]:
        """Return the request.

        Raises:
            UnfitError: when the kernel would load other modules than this process has.
        """
        with open(self._body, "rb") as body:  # noqa: PTH123 a descriptor
            request: dict[str, Any] = json.loads(body.read())
        if self._loaded.is_stale:
            raise UnfitError("its packages have changed")
        own = {name: text for name, text in request["environment"].items() if self._loaded.by_python.get(name) != text}
        self._loaded.check(own, own.get("HOME", ""))
        return request

    def _become(self, request: dict[str, Any]) -> int:
        command = [sys.executable, "-m", PROGRAM, *request["arguments"]]
        linux.set_title(command, name=Path(sys.executable).name)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.environ["JPY_PARENT_PID"] = str(self._parent)  # which `ipykernel` watches
        sys.orig_argv[:] = command
        sys.argv = ["-m", *request["arguments"]]
        personal.set_right()
        personal.add_own_packages()  # there may be some since the server started
        importlib.invalidate_caches()
        self._loaded.debugger.give()
        self._tell_when_it_listens()
        sys.path[0] = str(Path.cwd())  # as Python does for a module
        runpy.run_module(PROGRAM, run_name="__main__", alter_sys=True)
        return 0

    def _tell_when_it_listens(self) -> None:
        """Tell the server when it can connect. libzmq would try again after 0.1 to 0.2 s if it came too early."""
        application = importlib.import_module("ipykernel.kernelapp").IPKernelApp
        write = application.write_connection_file  # called next when all sockets are bound

        def write_and_tell(app: Any, **options: Any) -> None:
            application.write_connection_file = write
            write(app, **options)
            with self._reply, contextlib.suppress(OSError):  # the server has ended
                self._reply.send(LISTENS)

        application.write_connection_file = write_and_tell


def _close_all_but(kept: int) -> None:
    """Close what the server has open: its lock tells the hub that it runs."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 the numbers alone
        descriptor = int(name)
        if descriptor > sys.__stderr__.fileno() and descriptor != kept:  # type: ignore[union-attr] # there is one
            with contextlib.suppress(OSError):  # the folder that was listed
                os.close(descriptor)
