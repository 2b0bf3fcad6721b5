"""Starts fork servers and asks them for servers: processes that share what was loaded once (ADR 60).

Whatever makes a launch unfit for that is no failure: the server starts in the usual way, and the log says why.
"""

import fcntl
import json
import logging
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from hubless.adapters.processes.isolation.programs import interpreter_of
from hubless.adapters.processes.launch_folder import LOG_LIMIT, bound_file
from hubless.domain.values import value

logger = logging.getLogger(__name__)

LOADING_SECONDS = 30.0  # until a fork server has loaded its packages
ANSWER_SECONDS = 30.0  # until a forked process is ready to become a server
UNFIT_SECONDS = 600.0  # before the hub tries again to load packages that could not be shared
PATIENCE = 60.0  # seconds that a fork server waits for a hub that has gone
MOST = 4  # fork servers at once: each holds its packages in memory
# The first must be there. The others are what servers load of it anyway, if it is installed.
MODULES = (
    "jupyterhub.singleuser", "jupyter_server.serverapp", "jupyterlab.labapp", "jupyter_lsp.serverextension",
    "jupyter_server_terminals", "notebook_shim.nbserver", "IPython.paths", "httpcore", "h11",
)  # fmt: skip
# What kernels load, where they are forked, too.
KERNEL_MODULES = (
    "ipykernel.kernelapp", "ipykernel.zmqshell", "jupyter_client.provisioning", "IPython.core.completerlib",
    "IPython.core.debugger", "IPython.core.logger", "IPython.extensions.storemagic", "tornado.platform.asyncio",
    "ipykernel.debugger",
)  # fmt: skip
_PROGRAM = Path(__file__).parents[3] / "fork_server" / "__main__.py"
# It is no child of the hub, because it outlives it.
_DETACHED = ("/bin/sh", "-c", '"$@" &', "detached")
_PADDING = " " * 2048  # the place for the command line of a server
_PERSONAL = ("HOME", "USER", "LOGNAME", "SHELL")
_NOWHERE = "/nonexistent"  # a home without packages, and without settings
_LOG = "fork-server.log"
_POLL_SECONDS = 0.02
_LARGEST_PART = 2**15  # bytes
_MOST_OF_SCRIPT = 2**12  # bytes of a script that is looked at
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


class UnfitError(Exception):
    """Raised when a server must start in the usual way; the message says why."""


def states(folder: Path) -> list[str]:
    """Return what the fork servers below *folder* do, each as a sentence without a full stop."""
    found = []
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        with suppress(OSError):
            if why := _known_unfit(place / "unfit"):
                found.append(f"servers load their packages themselves: {why}")
            elif (lock := _try_lock(place / "lock")) is not None:
                os.close(lock)
            else:
                is_ready = (place / "socket").exists()
                found.append("servers are forked" if is_ready else "the servers' packages are being loaded")
    return found


@value
class ForkRequest:
    """What a forked process needs to become a server.

    Args:
        arguments: of the command, without the program.
        environment: the server's, as a whole.
        home: its working folder.
        log: the descriptor of its log.
        kept: descriptors of the launch's lock and of the file for the process id; of a sandbox's holder instead.
        launch: the launch's folder, to which the exit code is written; None where a sandbox reports it.
        account: user id, group id and further groups; None for the hub's own.
        sandbox: a process of the sandbox to enter, and whether the sandbox has a user namespace of its own.
        cgroups: files to which the process writes its id.
        processes: RLIMIT_NPROC, or None.
        oom_score: `oom_score_adj` of the process.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    home: Path
    log: int
    kept: Sequence[int]
    launch: Path | None
    account: tuple[int, int, Sequence[int]] | None
    sandbox: tuple[int, bool] | None
    cgroups: Sequence[str]
    processes: int | None
    oom_score: int


class ForkServers:
    """The fork servers of this hub: one for each program that servers run. They outlive the hub for a while."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], *, patience: float = PATIENCE, kernels: bool = False
    ) -> None:
        """Keep sockets below *folder*. Fork servers get the *environment* that all servers have.

        With *kernels*, servers also fork their kernels.
        """
        self._kernels = kernels
        self._modules = ",".join((*MODULES, *KERNEL_MODULES) if kernels else MODULES)
        self._folder = folder
        self._environment = {name: text for name, text in environment.items() if name not in _PERSONAL}
        self._environment["HOME"] = _NOWHERE
        self._patience = patience
        self._leases: dict[Path, socket.socket] = {}
        self._guard = threading.Lock()

    def fork(self, program: str, path: str, request: ForkRequest, begin: Callable[[int], None]) -> None:
        """Fork a server that runs *program*, and call *begin* with its process id just before it runs.

        Args:
            program: the absolute path of a script.
            path: the PATH on which `env` would look for its interpreter.
            request: what the process needs.
            begin: is given the process id, as the hub sees it.

        Raises:
            UnfitError: when the server must start in the usual way; nothing runs then.
        """
        end = time.monotonic() + LOADING_SECONDS
        while not self._ask(self._ready(program, path), request, begin):  # its packages have changed, or it has ended
            if time.monotonic() > end:
                raise UnfitError("its packages change at the moment")
            time.sleep(_POLL_SECONDS)  # until the one that ends has ended, and another one loads them

    def preload(self, programs: Sequence[tuple[str, str]]) -> None:
        """Have the packages of *programs* loaded at once, as far as they can be shared, and return when they are.

        From then on this hub holds the fork servers: they wait for the first server as long as it runs. Each program
        comes with its PATH.
        """
        for program, path in programs:
            with suppress(UnfitError, OSError):
                self._start(self._place(program, path), program, path)
        for program, path in programs:
            with suppress(UnfitError, OSError):
                self._ready(program, path)

    def close(self) -> None:
        """Let go of the fork servers: they end when no other hub holds them. Servers run on."""
        with self._guard:
            for lease in self._leases.values():
                with lease, suppress(OSError):
                    lease.send(b"end")
            self._leases.clear()

    # --- starting ---

    def _place(self, program: str, path: str) -> Path:
        """Return the folder of the fork server for *program*.

        Raises:
            UnfitError: when its servers cannot be forked.
        """
        interpreter = _interpreter(program, path)
        if os.geteuid() == 0:
            _check_trust(Path(program), Path(interpreter))
        variables = (f"{name}={text}" for name, text in sorted(self._environment.items()))
        facts = [interpreter, program, self._modules, _digest_of_code(), *variables]
        return self._folder / sha256("\0".join(facts).encode(errors="surrogateescape")).hexdigest()[:16]

    def _ready(self, program: str, path: str) -> Path:
        """Return the folder of a fork server that listens."""
        place, end = self._place(program, path), time.monotonic() + LOADING_SECONDS
        has_started = self._start(place, program, path)
        while time.monotonic() < end:
            if self._lease(place):
                return place
            with suppress(FileNotFoundError):
                raise UnfitError((place / "unfit").read_text(encoding="utf-8"))
            if (lock := _try_lock(place / "lock")) is not None:
                os.close(lock)
                if has_started:
                    raise UnfitError(f"its fork server has ended; the file {_LOG} says why")
                has_started = self._start(place, program, path)  # the one that ran was just ending
            time.sleep(_POLL_SECONDS)
        raise UnfitError(f"its packages were not loaded within {LOADING_SECONDS:.0f} seconds")

    def _start(self, place: Path, program: str, path: str) -> bool:
        """Start the fork server in that folder, unless it runs; say whether it was started."""
        with self._guard:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = _try_lock(place / "lock")
            if lock is None:
                return False
            try:
                if why := _known_unfit(place / "unfit"):
                    raise UnfitError(why)
                if self._others(place) >= MOST:
                    raise UnfitError(f"there are {MOST} fork servers already, for other programs")
                for left in ("socket", "unfit", _LOG):
                    (place / left).unlink(missing_ok=True)
                if (lease := self._leases.pop(place, None)) is not None:
                    lease.close()
                words = [
                    _interpreter(program, path),
                    str(_PROGRAM),
                    program,
                    str(place),
                    str(lock),
                    str(self._patience),
                ]
                with (place / _LOG).open("ab") as log:
                    subprocess.run(
                        [*_DETACHED, *words, self._modules, _PADDING],
                        cwd="/",
                        env=self._environment,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        pass_fds=(lock,),
                        start_new_session=True,
                        check=True,
                    )
                logger.info("loading the packages of %s once for all servers", program)
                return True
            finally:
                os.close(lock)

    def _others(self, place: Path) -> int:
        """Return how many other fork servers run; remove the folders of those that have ended."""
        running = 0
        for other in self._folder.iterdir():
            if other == place:
                continue
            if (lock := _try_lock(other / "lock")) is None:
                running += 1
            else:
                shutil.rmtree(other, ignore_errors=True)
                os.close(lock)
        return running

    # --- asking ---

    def _lease(self, place: Path) -> bool:
        """Hold a connection by which the fork server knows that a hub is there; say whether it listens."""
        with self._guard:
            if (lease := self._leases.get(place)) is not None:
                if not _is_closed(lease):
                    return True
                lease.close()  # of a fork server in whose place another one is by now
            with suppress(OSError):
                self._leases[place] = _connected(place)
                self._leases[place].send(b"lease")
                return True
            return False

    def _ask(self, place: Path, request: ForkRequest, begin: Callable[[int], None]) -> bool:
        """Ask for a process and let it run; say whether there was one that had loaded the packages of now."""
        try:
            connection = _connected(place)
        except OSError:
            return False  # it has just ended
        with connection:
            bound_file(place / _LOG, LOG_LIMIT)
            connection.settimeout(ANSWER_SECONDS)
            try:
                launch = b"" if request.launch is None else os.fsencode(request.launch)
                socket.send_fds(connection, [b"fork " + launch], [request.log, *request.kept])
                body = _body(request, kernels=self._kernels)
                for start in range(0, len(body), _LARGEST_PART):
                    connection.send(body[start : start + _LARGEST_PART])
                answer = json.loads(connection.recv(_LARGEST_PART) or b"{}")
            except (BrokenPipeError, ConnectionResetError):
                return False  # it has ended, with nothing begun
            except OSError as error:
                raise UnfitError(f"its fork server does not answer ({error})") from error
            if answer.get("stale") or not answer:
                return False
            if why := answer.get("unfit"):
                raise UnfitError(str(why))
            begin(int(answer["process"]))
            try:
                connection.send(b"!")
            except OSError as error:
                raise UnfitError("its process ended before it was a server") from error
            return True


def _known_unfit(file: Path) -> str:
    """Return why packages could not be loaded a short time ago; "" if that is not known."""
    try:
        is_fresh = time.time() - file.stat().st_mtime < UNFIT_SECONDS
        return file.read_text(encoding="utf-8") if is_fresh else ""
    except FileNotFoundError:
        return ""


def _body(request: ForkRequest, *, kernels: bool) -> bytes:
    account, sandbox = request.account, request.sandbox
    body = {
        "arguments": list(request.arguments),
        "environment": dict(request.environment),
        "home": str(request.home),
        "account": account and {"uid": account[0], "gid": account[1], "groups": list(account[2])},
        "sandbox": sandbox and {"process": sandbox[0], "has_user_namespace": sandbox[1]},
        "cgroups": list(request.cgroups),
        "processes": request.processes,
        "oom_score": request.oom_score,
        "kernels": kernels,
    }
    return json.dumps(body).encode() + b"\n"


def _connected(place: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    folder = os.open(place, os.O_PATH | os.O_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{folder}/socket")  # an address has 107 bytes at most (unix(7))
    except OSError:
        connection.close()
        raise
    finally:
        os.close(folder)
    return connection


def _is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _try_lock(file: Path) -> int | None:
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _interpreter(program: str, path: str) -> str:
    """Return the Python of a script that starts `jupyterhub-singleuser`.

    Raises:
        UnfitError: when the program is something else.
    """
    if sys.platform != "linux":
        raise UnfitError("forked servers need Linux")
    try:
        head = Path(program).read_bytes()[:_MOST_OF_SCRIPT]
    except OSError as error:
        raise UnfitError(f"{program} cannot be read") from error
    found = interpreter_of(Path(program), path)
    if found is None or not found.name.startswith("python") or b"from jupyterhub.singleuser import main" not in head:
        raise UnfitError(f"{program} is no script that starts jupyterhub-singleuser in Python")
    return str(found)


def _check_trust(program: Path, interpreter: Path) -> None:
    """Check that only root can change what root would load.

    Raises:
        UnfitError: naming what others can change.
    """
    environment = interpreter.parent.parent
    packages = [one for one in sorted(environment.glob("lib/python3*/site-packages")) if one.is_dir()]
    for first in (program, interpreter, Path(os.path.realpath(interpreter)), *packages):
        for place in (first, *first.parents):
            found = place.stat()
            may_others = bool(found.st_mode & _OTHERS_MAY_WRITE) and not found.st_mode & stat.S_ISVTX
            if found.st_uid != 0 or may_others:
                raise UnfitError(f"others than root can change {place}, and the hub runs as root")


def _digest_of_code() -> str:
    return sha256(b"".join(file.read_bytes() for file in sorted(_PROGRAM.parent.glob("*.py")))).hexdigest()
