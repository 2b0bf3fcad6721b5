"""What a forked process does until it is a server: it takes everything that is the server's own, and runs it."""

from __future__ import annotations

import atexit
import json
import os
import resource
import runpy
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from fork_server import kernel_parent, linux, personal, provisioner
from fork_server.kernel_parent import Kernel, KernelParent
from fork_server.loading import Loaded, UnfitError

LONGEST_PART = 2**16  # bytes of a request that are sent at once
LONGEST = 2**22  # bytes of a request
BEGAN, ENDED = b"forked\n", b"%d\n"  # what a sandbox's holder is told
_FAILED = 1


class Child:
    """A process that was forked for one request."""

    def __init__(self, connection: socket.socket, descriptors: list[int], loaded: Loaded) -> None:
        """Take over the connection, and the open files that came with the request.

        Args:
            connection: on which the rest of the request comes, and to which the answer goes.
            descriptors: the log, then the launch's lock and the file for the process id, or the sandbox's holder.
            loaded: what this process has loaded.
        """
        self._connection = connection
        self._log, *self._others = descriptors
        self._loaded = loaded
        self._request: dict[str, Any] = {}

    def become(self) -> int:
        """Become the server, run it, and return its exit code. Does not return where there is nothing to run."""
        try:
            self._request = self._read()
            self._loaded.check(self._request["environment"], self._request["home"])
            self._join_groups()
            process = self._enter()
        except (UnfitError, OSError, ValueError, KeyError) as why:
            self._answer({"unfit": str(why)})
            os._exit(_FAILED)
        try:
            self._take_account()
            os.chdir(self._request["home"])
        except OSError as why:
            self._answer({"unfit": str(why)})
            os._exit(_FAILED)
        self._answer({"process": process})
        if self._connection.recv(1) != b"!":  # who asked has given up, and starts the server in another way
            os._exit(_FAILED)
        self._connection.close()
        self._tell_id()
        self._take_streams()
        return self._run()

    # --- the request ---

    def _read(self) -> dict[str, Any]:
        parts, length = [], 0
        while part := self._connection.recv(LONGEST_PART):
            length += len(part)
            if length > LONGEST:
                raise ValueError("the request is too long")
            parts.append(part)
            if part.endswith(b"\n"):  # JSON of ASCII has no other end of a line
                break
        return dict(json.loads(b"".join(parts)))

    def _answer(self, answer: dict[str, Any]) -> None:
        try:
            self._connection.send(json.dumps(answer).encode())
        except OSError:
            os._exit(_FAILED)  # nobody waits for it

    # --- becoming ---

    def _join_groups(self) -> None:
        for file in self._request["cgroups"]:
            Path(file).write_text("0", encoding="ascii")
        if (most := self._request["processes"]) is not None:
            resource.setrlimit(resource.RLIMIT_NPROC, (most, most))

    def _enter(self) -> int:
        """Enter the sandbox, if there is one, in a process of its own. Return the id that the hub's processes see."""
        sandbox = self._request["sandbox"]
        if sandbox is None:
            os.setsid()
            self._prefer_to_end()
            return os.getpid()
        linux.enter(sandbox["process"], has_user_namespace=sandbox["has_user_namespace"])
        reader, writer = os.pipe()
        if (inner := os.fork()) != 0:
            os.write(writer, str(inner).encode())
            os._exit(0)  # the fork server becomes the parent of the server
        os.close(writer)
        seen = os.read(reader, 32)
        os.close(reader)
        os.setsid()
        self._prefer_to_end()
        return int(seen)

    def _prefer_to_end(self) -> None:
        """Let the kernel end the server before the hub where memory is short."""
        try:
            Path("/proc/self/oom_score_adj").write_text(str(self._request["oom_score"]), encoding="ascii")
        except OSError:
            return

    def _take_account(self) -> None:
        account, sandbox = self._request["account"], self._request["sandbox"]
        if account is None and sandbox is None:
            return
        linux.give_up_capabilities()
        if account is not None:
            os.setgroups(account["groups"])
            os.setresgid(account["gid"], account["gid"], account["gid"])
            os.setresuid(account["uid"], account["uid"], account["uid"])
        linux.clear_capabilities()
        linux.become_readable()

    def _tell_id(self) -> None:
        """Write which process this is where a later hub looks; tell a sandbox's holder that the server is there."""
        if self._request["sandbox"] is not None:
            holder = self._others[0]
            os.write(holder, BEGAN)
            os.register_at_fork(after_in_child=self._let_go_of_holder)  # which waits until nobody has this open
            return
        _lock, file = self._others
        started = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
        os.write(file, f"{os.getpid()} {started}\n".encode())
        os.close(file)

    def _let_go_of_holder(self) -> None:
        if self._others:  # once: what is forked by a child of the server has something else there
            os.close(self._others.pop())

    def _take_streams(self) -> None:
        null = os.open(os.devnull, os.O_RDWR)
        for stream, source in ((0, null), (1, self._log), (2, self._log)):
            os.dup2(source, stream)  # Python's own streams write there from now on
        os.close(null)
        os.close(self._log)

    # --- running ---

    def _run(self) -> int:
        script, arguments = sys.argv[0], self._request["arguments"]
        linux.set_title([sys.executable, script, *arguments])
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.clear()
        os.environ.update(self._loaded.by_python | self._request["environment"])
        has_kernels = self._request["kernels"] and kernel_parent.is_possible()
        self._request = {}
        sys.argv = [script, *arguments]
        personal.set_right()
        personal.add_own_packages()
        if has_kernels and (kernel := self._offer_kernels()) is not None:
            return kernel.run()
        self._loaded.answers.give(os.environ)
        atexit.register(self._tell_end)
        self._code = _FAILED
        try:
            runpy.run_path(script, run_name="__main__")
            self._code = 0
        except SystemExit as end:
            self._code = end.code if isinstance(end.code, int) else int(end.code is not None)
            raise
        return self._code

    def _offer_kernels(self) -> Kernel | None:
        """Fork a parent for the server's kernels; return a kernel in each process that it forks."""
        requests, served = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            pid = os.fork()
        except OSError as error:  # kernels start as programs then
            sys.stderr.write(f"kernels load their packages themselves: {error}\n")
            requests.close()
            served.close()
            return None
        if pid == 0:
            requests.close()
            kernel = KernelParent(served, self._loaded).serve()
            if kernel is None:
                os._exit(0)
            return kernel
        served.close()
        provisioner.install(requests)
        return None

    def _tell_end(self) -> None:
        """Tell the sandbox's holder how the server ends."""
        if len(self._others) == 1:
            os.write(self._others[0], ENDED % (self._code & 0xFF))
