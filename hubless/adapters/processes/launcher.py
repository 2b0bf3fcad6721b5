"""Starts servers as processes in their own sessions, and finds those that another hub process started."""

import logging
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from hubless.adapters.processes.accounts import Account, account_of
from hubless.adapters.processes.launch_folder import LaunchFolder, Note
from hubless.domain.errors import LaunchFailedError
from hubless.domain.profiles import Profile
from hubless.domain.values import value
from hubless.ports.launcher import Launch, Task, TaskPending, TaskRunning, TaskStatus, TaskStopped

logger = logging.getLogger(__name__)

KEPT_LOGS = 200
LOCK_TRIES, LOCK_RETRY_SECONDS = 20, 0.01
EXIT_SECONDS = 1.0
RECENT_PORTS = 256  # not reused, because their servers may not listen yet
# The child writes its process id to its standard input, a file, and then becomes the server. So the id is known even if
# this process dies right after the fork. (Not a higher descriptor, because dash supports only ten.)
_BECOME = 'echo $$ >&0 && exec "$@" </dev/null'


class ProcessLauncher:
    """Runs servers on this machine.

    A task's name is its launch id. Launching is idempotent: the process inherits the lock on a file of the launch, and
    a launcher that cannot take the lock knows that the process lives.
    """

    name = "processes"

    def __init__(
        self, servers: Path, homes: Path, *, run_as_system_users: bool, environment: Mapping[str, str]
    ) -> None:
        """Store launches below *servers*; servers inherit *environment* from the hub."""
        self._servers = servers
        self._homes = homes
        self._as_system_users = run_as_system_users
        self._environment = dict(environment)
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._exit_codes: dict[str, int] = {}
        self._secrets: dict[str, tuple[str, ...]] = {}
        self._ports: deque[int] = deque(maxlen=RECENT_PORTS)
        self._guard = threading.Lock()

    def launch(self, launch: Launch) -> str:
        folder = self._folder(launch.launch_id)
        folder.make()
        lock = _lock_with_retries(folder)
        if lock is None:
            return launch.launch_id  # it runs, or another launcher starts it
        try:
            if folder.pid() is not None:
                raise LaunchFailedError("The launch has ended already: spawn again")
            self._start(launch, folder, lock)
        finally:
            os.close(lock)  # the process keeps its own
        return launch.launch_id

    def describe(self, task: str) -> TaskStatus:
        folder = self._folder(task)
        self._reap(task)
        if folder.is_held():
            return _status(folder)
        self._await_exit(task)
        return TaskStopped(self._end_of(task, folder), folder.log_tail(self._secrets.get(task, ())))

    def describe_many(self, tasks: Iterable[str]) -> dict[str, TaskStatus]:
        return {task: self.describe(task) for task in tasks}

    def stop(self, task: str, *, force: bool = False) -> None:
        folder = self._folder(task)
        pid = folder.pid()
        if pid is None or not folder.is_held():
            return
        # The process holds the lock, so it lives, and no other process has its id.
        try:
            if force:
                _kill_all(pid)
            else:
                os.kill(pid, signal.SIGTERM)
        except (ProcessLookupError, psutil.NoSuchProcess):
            pass  # it ended by itself
        self._reap(task)

    def tasks(self) -> list[Task]:
        if not self._servers.is_dir():
            return []
        found = (entry.name for entry in os.scandir(self._servers) if entry.is_dir() and entry.name != "ended")
        return [Task(name, name, _status(folder)) for name in found if (folder := self._folder(name)).is_held()]

    def forget(self, task: str) -> None:
        folder = self._folder(task)
        if not folder.path.is_dir() or folder.is_held():
            return
        ended = self._servers / "ended"
        ended.mkdir(mode=0o700, exist_ok=True)
        if folder.log.exists():
            folder.log.replace(ended / f"{task}.log")
        shutil.rmtree(folder.path, ignore_errors=True)
        for old in sorted(ended.iterdir())[:-KEPT_LOGS]:  # launch ids sort by time
            old.unlink(missing_ok=True)
        with self._guard:
            for known in (self._children, self._exit_codes, self._secrets):
                known.pop(task, None)

    def garbage_collect(self, offered: Iterable[Profile]) -> int:  # noqa: ARG002 nothing to collect here
        return 0

    # --- starting ---

    def _start(self, launch: Launch, folder: LaunchFolder, lock: int) -> None:
        account = account_of(launch.owner_name, launch.owner_id, self._homes, as_system_users=self._as_system_users)
        command = self._command(launch, account)
        if account.uid is None:
            account.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        note = Note(self._free_port(), str(account.home), account.uid if account.uid is not None else os.geteuid())
        folder.write_note(note)
        self._secrets[launch.launch_id] = tuple(value for value in launch.secrets.values() if value)
        pid_file = os.open(folder.pid_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with folder.log.open("ab") as log:
                child = self._popen(launch, account, command, note, _Files(pid_file, log.fileno(), lock))
        except OSError as error:
            folder.pid_file.unlink()
            raise LaunchFailedError(f"Cannot start {command[0]}: {error.strerror}") from error
        finally:
            os.close(pid_file)
        with self._guard:
            self._children[launch.launch_id] = child

    def _popen(
        self, launch: Launch, account: Account, command: list[str], note: Note, files: "_Files"
    ) -> subprocess.Popen[bytes]:
        who = {} if account.uid is None else {"user": account.uid, "group": account.gid, "extra_groups": account.groups}
        child: subprocess.Popen[bytes] = subprocess.Popen(
            ["/bin/sh", "-c", _BECOME, "launch", *command],
            cwd=account.home,
            env=self._child_environment(launch, account, note),
            stdin=files.pid,
            stdout=files.log,
            stderr=files.log,
            pass_fds=(files.lock,),
            start_new_session=True,
            **who,  # type: ignore[call-overload]  # a dict of several types
        )
        return child

    def _command(self, launch: Launch, account: Account) -> list[str]:
        program, *rest = launch.profile.command
        found = shutil.which(program, path=self._path(launch))
        if found is None:
            raise LaunchFailedError(
                f"The program {program} of profile {launch.profile.name} is not installed on this machine."
                " Install it, or name another command in the settings."
            )
        is_root = (os.geteuid() if account.uid is None else account.uid) == 0
        root = ["--allow-root"] if is_root and Path(program).name == "jupyterhub-singleuser" else []
        return [found, *rest, *root, *launch.profile.args]

    def _path(self, launch: Launch) -> str:
        return launch.environment.get("PATH") or self._environment.get("PATH") or os.defpath

    def _child_environment(self, launch: Launch, account: Account, note: Note) -> dict[str, str]:
        own = {"HOME": str(account.home), "USER": account.name, "LOGNAME": account.name, "SHELL": account.shell}
        service = {"JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{note.port}{launch.prefix}"}
        return self._environment | own | dict(launch.environment) | service | dict(launch.secrets)

    def _free_port(self) -> int:
        with self._guard:
            while True:
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", 0))
                    port: int = probe.getsockname()[1]
                if port not in self._ports:
                    self._ports.append(port)
                    return port

    # --- ending ---

    def _reap(self, task: str) -> None:
        """Collect the exit code of an ended child, so that no zombie remains."""
        with self._guard:
            child = self._children.get(task)
            if child is not None and (code := child.poll()) is not None:
                self._exit_codes[task] = code
                del self._children[task]

    def _await_exit(self, task: str) -> None:
        """Wait for the exit code of an ending child: the lock is released a moment earlier."""
        child = self._children.get(task)
        if child is not None:
            with suppress(subprocess.TimeoutExpired):
                child.wait(EXIT_SECONDS)
            self._reap(task)

    def _end_of(self, task: str, folder: LaunchFolder) -> str:
        if folder.pid() is None:
            return "was never started"
        code = self._exit_codes.get(task)
        if code is None:
            return "ended"
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            return f"was killed by {name}" + (" (perhaps out of memory)" if -code == signal.SIGKILL else "")
        return f"exited with code {code}"

    def _folder(self, task: str) -> LaunchFolder:
        if not task or "/" in task or task in {".", "..", "ended"}:
            return LaunchFolder(self._servers / "ended" / "nothing")
        return LaunchFolder(self._servers / task)


@value
class _Files:
    """The open files of a child."""

    pid: int
    log: int
    lock: int


def _status(held: LaunchFolder) -> TaskStatus:
    note = held.note()
    return TaskPending() if note is None or held.pid() is None else TaskRunning(f"127.0.0.1:{note.port}")


def _lock_with_retries(folder: LaunchFolder) -> int | None:
    """Take the lock; retry, because a check whether it is held also takes it for a moment."""
    for _ in range(LOCK_TRIES):
        if (lock := folder.try_lock()) is not None:
            return lock
        time.sleep(LOCK_RETRY_SECONDS)
    return None


def _kill_all(pid: int) -> None:
    """Kill the process and its descendants, because kernels have their own sessions."""
    process = psutil.Process(pid)
    family = [*process.children(recursive=True), process]
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
