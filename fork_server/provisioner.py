"""Lets a server's own `jupyter_client` fork kernels where it would have started a program."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from fork_server.kernel_parent import BEGIN, LISTENS, MODULES, PROGRAM
from fork_server.loading import UnfitError

ANSWER_SECONDS = 10.0  # until a forked process is ready to become a kernel
LISTEN_SECONDS = 5.0  # until the kernel listens; after that it is left to libzmq when it connects
_LONGEST = 2**16  # bytes of an answer
_KNOWN = frozenset({"env", "cwd", "extra_arguments", "kernel_id"})  # options of a kernel's start


class ForkedKernel:
    """A kernel that a kernel parent forked: what `jupyter_client` uses of `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, told: socket.socket) -> None:
        """Watch the process *pid*, whose end is *told* on the socket."""
        self.pid = pid
        self.returncode: int | None = None
        self._told = told
        told.setblocking(False)

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        while self.returncode is None:
            try:
                said = self._told.recv(_LONGEST)
            except BlockingIOError:
                return None
            except ConnectionError:  # it had not read all that it was told
                said = b""
            if said == LISTENS:
                continue
            # Nobody tells when the kernel parent has ended: its kernels were killed with it.
            self.returncode = json.loads(said)["exit"] if said else -signal.SIGKILL
            self._told.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end, at most *timeout* seconds; return as `poll` does."""
        end = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None and (end is None or time.monotonic() < end):
            told = select.poll()  # select(2) knows descriptors below 1,024 alone
            told.register(self._told, select.POLLIN)
            told.poll(None if end is None else max(0.0, end - time.monotonic()) * 1000)
        return self.returncode

    async def until_it_listens(self, seconds: float) -> None:
        """Wait until it listens or has ended, at most *seconds*."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[None] = loop.create_future()

        def tell() -> None:
            if not told.done():
                told.set_result(None)

        loop.add_reader(self._told, tell)
        try:
            await asyncio.wait({told}, timeout=seconds)
        finally:
            loop.remove_reader(self._told)

    def send_signal(self, number: int) -> None:
        """Send a signal to the process, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def install(requests: socket.socket) -> None:
    """Let kernels of this process be forked by the kernel parent at the other end of *requests*.

    What kernelspecs call `local-provisioner`, and what they get without naming one, then tries that first.
    """
    provisioning: Any = sys.modules[MODULES[0]]

    class ForkingProvisioner(provisioning.LocalProvisioner):  # type: ignore[misc] # a class of the server's packages
        """Forks kernels of this Python. All others start as programs."""

        async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
            try:
                kernel = await asyncio.to_thread(fork, requests, cmd, kwargs)
            except (UnfitError, OSError) as why:
                self.log.info("the kernel loads its packages itself: %s", why)
                return await super().launch_kernel(cmd, **kwargs)
            self.process = kernel
            self.pid = self.pgid = kernel.pid
            self.cwd = kwargs.get("cwd") or Path.cwd()
            await kernel.until_it_listens(LISTEN_SECONDS)
            return self.connection_info

    provisioning.LocalProvisioner = ForkingProvisioner
    os.register_at_fork(after_in_child=requests.close)  # or the kernel parent would wait for that child, too


def fork(requests: socket.socket, command: list[str], options: dict[str, Any]) -> ForkedKernel:
    """Fork a kernel, and let it run.

    Args:
        requests: the socket of the kernel parent.
        command: what would start it as a program.
        options: for `subprocess.Popen`.

    Raises:
        UnfitError: when it must start as a program; nothing runs then.
        OSError: as above, when the kernel parent has ended or does not answer.
    """
    program, arguments = command[:3], command[3:]
    if program != [sys.executable, "-m", PROGRAM]:
        raise UnfitError(f"its command is not {sys.executable} -m {PROGRAM}")
    if unknown := sorted(name for name, one in options.items() if name not in _KNOWN and one):
        raise UnfitError(f"it has the option {unknown[0]}")
    body = {
        "arguments": [os.path.expanduser(one) for one in arguments],  # noqa: PTH111 as jupyter_client does
        "environment": options.get("env") or dict(os.environ),
        "folder": str(options.get("cwd") or Path.cwd()),
    }
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with theirs, open(os.memfd_create("kernel"), "wb") as file:  # noqa: PTH123 a descriptor
            file.write(json.dumps(body).encode())
            file.flush()
            file.seek(0)
            socket.send_fds(requests, [BEGIN], [theirs.fileno(), file.fileno()])
        ours.settimeout(ANSWER_SECONDS)
        process = _process(json.loads(ours.recv(_LONGEST) or b"{}"))
        ours.send(BEGIN)
    except (UnfitError, OSError):
        ours.close()
        raise
    return ForkedKernel(process, ours)


def _process(answer: dict[str, Any]) -> int:
    if "process" not in answer:
        raise UnfitError(answer.get("unfit", "its process ended before it was a kernel"))
    return int(answer["process"])
