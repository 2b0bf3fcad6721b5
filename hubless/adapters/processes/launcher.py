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
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil

from hubless.adapters.processes import free_ports
from hubless.adapters.processes.accounts import Account
from hubless.adapters.processes.fork_servers import ForkRequest, ForkServers, UnfitError
from hubless.adapters.processes.freezes import Freezes
from hubless.adapters.processes.isolation import SANDBOX, Isolation, Start, sandbox_processes
from hubless.adapters.processes.isolation.programs import environment_folder
from hubless.adapters.processes.launch_folder import ENDED_LOG_LIMIT, LaunchFolder, Note
from hubless.adapters.processes.resource_limits import ResourceLimits
from hubless.domain import tokens
from hubless.domain.errors import LaunchFailedError
from hubless.domain.profiles import Profile
from hubless.domain.values import value
from hubless.ports.launcher import Launch, Preparation, Task, TaskPending, TaskRunning, TaskStatus, TaskStopped

logger = logging.getLogger(__name__)

KEPT_LOGS = 200
LEFT_SECONDS = 60.0  # after which the folder of a launch that never ran is no start that is under way
LOCK_TRIES, LOCK_RETRY_SECONDS = 20, 0.01
EXIT_SECONDS = 1.0
RECENT_PORTS = 256  # not reused, because their servers may not listen yet
PORT_TRIES = 4 * RECENT_PORTS  # for one that is not among them
_SIGNALLED = 128  # the exit code of a sandbox whose server a signal ended is the signal's number above this
# The child writes its process id, and when it started, to its standard input, a file, and then becomes the server. So
# both are known even if this process dies right after the fork. (Not a higher descriptor: dash supports only ten.)
_WRITE_ID = "read -r line </proc/$$/stat && set -- ${line##*)} && shift 19 && echo $1"
# Where the whole machine is out of memory, the kernel ends a server before the hub (proc_pid_oom_score_adj(5)).
OOM_SCORE = 500
_END_FIRST = f"{{ echo {OOM_SCORE} >/proc/self/oom_score_adj; }} 2>/dev/null"
_BECOME = ("/bin/sh", "-c", f'{_END_FIRST}; echo $$ $({_WRITE_ID}) >&0 && exec "$@" </dev/null', "launch")
# The same for a sandbox whose server is forked: its standard input is a socket, and standard output is the file.
_BECOME_HOLDER = ("/bin/sh", "-c", f'{_END_FIRST}; echo $$ $({_WRITE_ID}) && exec "$@" >&2', "launch")
# What waits in a sandbox until the forked server ends, and ends as it did; it becomes the server where none comes. Only
# a subshell says that it is ready: where the hub has just been killed, SIGPIPE ends who says it.
_KILLED = _SIGNALLED + signal.SIGKILL  # what it reports where the server could not say how it ends
_HOLDER = (
    '(echo ready >&0); if read -r word && [ "$word" = forked ];'
    f' then read -r code || code={_KILLED}; exit "$code"; fi; exec "$@" </dev/null'
)
_HOLD = ("/bin/sh", "-c", _HOLDER, "holder")
_READY = b"ready\n"
SANDBOX_SECONDS = 30.0  # until a sandbox is there
# The loader runs what these name in every program, and root's programs isolate: only the server gets them.
_OF_LOADER = ("LD_", "GCONV_PATH", "GLIBC_TUNABLES", "LOCPATH", "NLSPATH")
# What users install with pip puts programs here; last, and never where root or the hub looks for one.
_USERS_PROGRAMS = ".local/bin"


@value
class _Files:
    """The open files of a child."""

    pid: int
    log: int
    lock: int


class ProcessLauncher:
    """Runs servers on this machine.

    A task's name is its launch id. Launching is idempotent: the process inherits the lock on a file of the launch, and
    a launcher that cannot take the lock knows that the process lives.
    """

    name = "processes"

    def __init__(
        self,
        servers: Path,
        isolation: Callable[[], Isolation],
        limits: ResourceLimits,
        *,
        environment: Mapping[str, str],
        fork_servers: ForkServers | None = None,
    ) -> None:
        """Store launches below *servers*; servers inherit *environment* from the hub.

        *fork_servers* fork servers where that is possible; without them each server loads its packages itself.

        *limits* holds the resource limits of launches. *isolation* returns the kind that new launches get. Those that
        run keep the one that they were started with.
        """
        self._servers = servers
        self._isolation = isolation
        self._limits = limits
        self._environment = dict(environment)
        self._fork_servers = fork_servers
        self._freezes = Freezes()
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._exit_codes: dict[str, int] = {}
        self._secrets: dict[str, tuple[str, ...]] = {}
        self._ports: deque[int] = deque(maxlen=RECENT_PORTS)
        self._guard = threading.Lock()

    def is_prepared(self, wanted: Preparation) -> bool:  # noqa: ARG002 a process needs nothing made beforehand
        return True

    def unprepared(self, wanted: Iterable[Preparation]) -> list[Preparation]:  # noqa: ARG002 as above
        return []

    def prepare(self, wanted: Preparation) -> None:
        pass

    def preload(self, profiles: Iterable[Profile]) -> None:
        """Let fork servers load the packages of these profiles' commands, so that the first server need not wait."""
        if self._fork_servers is None:
            return
        programs = []
        for command in dict.fromkeys(profile.command for profile in profiles):
            path = self._path_of(command)
            if program := shutil.which(command[0], path=path):
                programs.append((str(Path(program).absolute()), path))
        self._fork_servers.preload(programs)

    def close(self) -> None:
        """Let go of the fork servers. Servers run on."""
        if self._fork_servers is not None:
            self._fork_servers.close()

    def launch(self, launch: Launch) -> str:
        folder = self._folder(launch.launch_id)
        try:
            return self._launch(launch, folder)
        except OSError as error:
            raise LaunchFailedError(_sentence(launch, error)) from error

    def _launch(self, launch: Launch, folder: LaunchFolder) -> str:
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
            return self._status(folder)
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
        with suppress(ProcessLookupError, psutil.NoSuchProcess):  # it may end by itself
            _end(folder, pid, force=force)
        self._reap(task)

    def tasks(self) -> list[Task]:
        if not self._servers.is_dir():
            return []
        found = (entry.name for entry in os.scandir(self._servers) if entry.is_dir() and entry.name != "ended")
        folders = [folder for name in found if not (folder := self._folder(name)).stray.exists()]  # an operator decides
        return [Task(one.path.name, one.path.name, self._status(one)) for one in folders if one.is_held()]

    def left(self) -> list[str]:
        """Return the launches that are over, or never ran, and left a folder: those of live records too."""
        if not self._servers.is_dir():
            return []
        found = (entry.name for entry in os.scandir(self._servers) if entry.is_dir() and entry.name != "ended")
        return [name for name in found if self._folder(name).is_left(LEFT_SECONDS)]

    def sees_freezes(self) -> bool:
        """Say at little cost whether a server may be frozen, or may run on: then it is time to look."""
        return self._freezes.are_likely()

    def forget(self, task: str) -> None:
        try:
            self.remove(task)
        except OSError as error:
            logger.warning("cannot remove what launch %s left, a later sweep tries again: %s", task, error)

    def remove(self, task: str) -> None:
        """Do what `forget` does.

        Raises:
            OSError: when the disk fails, or the folder cannot be written.
        """
        folder = self._folder(task)
        if not folder.path.is_dir() or folder.is_held():
            return
        sandbox_processes.kill_rest(folder)
        self._limits.release(task)
        self._freezes.forget(task)
        ended = self._servers / "ended"
        ended.mkdir(mode=0o700, exist_ok=True)
        folder.bound_log(ENDED_LOG_LIMIT)
        with suppress(FileNotFoundError):  # another thread removes it too
            folder.log.replace(ended / f"{task}.log")
        with suppress(FileNotFoundError):
            shutil.rmtree(folder.path)
        for old in sorted(ended.iterdir())[:-KEPT_LOGS]:  # launch ids sort by time
            old.unlink(missing_ok=True)
        with self._guard:
            for known in (self._children, self._exit_codes, self._secrets):
                known.pop(task, None)

    def garbage_collect(self, offered: Iterable[Profile]) -> int:  # noqa: ARG002 nothing to collect here
        return 0

    def remove_owners(self, existing: Callable[[Collection[str]], Collection[str]]) -> int:  # noqa: ARG002 only files
        return 0

    # --- starting ---

    def _start(self, launch: Launch, folder: LaunchFolder, lock: int) -> None:
        try:
            child = self._child(launch, folder, lock)
        except OSError:
            folder.pid_file.unlink(missing_ok=True)
            self._limits.release(launch.launch_id)
            raise
        if child is not None:
            with self._guard:
                self._children[launch.launch_id] = child

    def _child(self, launch: Launch, folder: LaunchFolder, lock: int) -> "subprocess.Popen[bytes] | None":
        """Start the server; return its process, or the sandbox's, if it is a child of this one."""
        isolation = self._isolation()
        account = isolation.account(launch.owner_name, launch.owner_id)
        program = self._command(launch)
        _check_gpus(launch.profile, isolation.name)
        isolation.prepare(account)
        uid = os.geteuid() if account.uid is None else account.uid
        note = Note(self._free_port(), str(account.home), uid, isolation.name)
        folder.write_note(note)
        folder.write_owner(
            {
                "user": launch.owner_name,
                "user_id": launch.owner_id,
                "server": launch.server_name,
                "server_id": launch.server_id,
                "profile": launch.profile.name,
                "token_sha256": tokens.sha256(launch.secrets.get("JUPYTERHUB_API_TOKEN", "")),
            }
        )
        self._secrets[launch.launch_id] = tuple(value for value in launch.secrets.values() if value)
        environment = self._child_environment(launch, account, note)
        early, late = _without_loader(environment)
        if not launch.environment.get("PATH"):  # a profile's own stays as it is
            late["PATH"] = os.pathsep.join((early["PATH"], str(account.home / _USERS_PROGRAMS)))
        start = Start(program, account, folder, lock, environment, late=late)
        self._limits.prepare(launch.launch_id, launch.profile)
        pid_file = os.open(folder.pid_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with folder.log.open("ab") as log:
                files = _Files(pid_file, log.fileno(), lock)
                if self._fork_servers is not None and isolation.name == SANDBOX:
                    return self._sandbox(isolation, start, early, files)
                if self._is_forked(start, files):
                    return None
                command = [*self._limits.wrapper(launch.launch_id), *_BECOME, *isolation.wrap(start)]
                return _popen(command, start, early, files)
        finally:
            os.close(pid_file)

    def _sandbox(
        self, isolation: Isolation, start: Start, early: Mapping[str, str], files: _Files
    ) -> "subprocess.Popen[bytes]":
        """Start a sandbox, and fork the server into it; it starts there by itself where that is not possible."""
        ours, holders = socket.socketpair()
        with ours, holders:
            held = replace(start, command=(*_HOLD, *start.argv), calls=(Path(start.command[0]), *start.calls), late={})
            command = [*self._limits.wrapper(start.folder.path.name), *_BECOME_HOLDER, *isolation.wrap(held)]
            child = subprocess.Popen(
                command,
                cwd=start.account.home,
                env=early,
                stdin=holders.fileno(),
                stdout=files.pid,
                stderr=files.log,
                pass_fds=(files.lock,),
                start_new_session=True,
            )
            holders.close()
            ours.settimeout(SANDBOX_SECONDS)
            with suppress(OSError):
                if ours.recv(len(_READY)) == _READY:
                    self._is_forked(start, files, sandbox=(ours, sandbox_processes.first_of(start.folder)))
        return child

    def _is_forked(self, start: Start, files: _Files, *, sandbox: tuple[socket.socket, int] | None = None) -> bool:
        """Say whether a fork server has started the server, which then runs; no process is left otherwise."""
        if self._fork_servers is None:
            return False
        account, folder = start.account, start.folder
        request = ForkRequest(
            arguments=start.command[1:],
            environment={**start.environment, **start.late},
            home=account.home,
            log=files.log,
            kept=(files.lock, files.pid) if sandbox is None else (sandbox[0].fileno(),),
            launch=folder.path if sandbox is None else None,
            account=None if account.uid is None else (account.uid, account.gid or account.uid, account.groups),
            sandbox=None if sandbox is None else (sandbox[1], account.uid is None),
            cgroups=self._limits.cgroup_files(folder.path.name),
            processes=self._limits.process_limit(folder.path.name),
            oom_score=OOM_SCORE,
        )
        try:
            self._fork_servers.fork(start.command[0], start.environment.get("PATH", ""), request, folder.note_server)
        except UnfitError as why:
            logger.info("launch %s: the server loads its packages itself: %s", folder.path.name, why)
            return False
        return True

    def _command(self, launch: Launch) -> list[str]:
        program, *rest = launch.profile.command
        found = shutil.which(program, path=self._path(launch))
        if found is None:
            raise LaunchFailedError(
                f"The program {program} of profile {launch.profile.name} is not installed on this machine."
                " Install it, or name another command in the settings."
            )
        return [str(Path(found).absolute()), *rest, *launch.profile.args]

    def _path(self, launch: Launch) -> str:
        """Return the server's PATH: the profile's own, or the hub's after the `bin` of the command's environment."""
        return launch.environment.get("PATH") or self._path_of(launch.profile.command)

    def _path_of(self, command: Sequence[str]) -> str:
        path = self._environment.get("PATH") or os.defpath
        program = Path(command[0])
        folder = environment_folder(program, path) if program.is_absolute() else None
        return path if folder is None else os.pathsep.join((str(folder), path))

    def _child_environment(self, launch: Launch, account: Account, note: Note) -> dict[str, str]:
        own = {"HOME": str(account.home), "USER": account.name, "LOGNAME": account.name, "SHELL": account.shell}
        service = {"JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{note.port}{launch.prefix}"}
        path = {"PATH": self._path(launch)}
        given = dict(launch.environment) | dict(launch.chosen)
        return self._environment | own | given | path | service | dict(launch.secrets)

    def _free_port(self) -> int:
        """Return a port that no other launch got lately.

        Raises:
            LaunchFailedError: when there is none.
        """
        with self._guard:
            for _ in range(PORT_TRIES):
                try:
                    port = free_ports.find()
                except OSError as error:
                    raise _no_port(error.strerror or str(error)) from error
                if port not in self._ports:
                    self._ports.append(port)
                    return port
        raise _no_port("servers that start have them all")

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
        elif (folder := self._folder(task)).awaits_exit_code:
            end = time.monotonic() + EXIT_SECONDS
            while folder.exit_code() is None and time.monotonic() < end:
                time.sleep(LOCK_RETRY_SECONDS)

    def _end_of(self, task: str, folder: LaunchFolder) -> str:
        if folder.pid() is None:
            return "was never started"
        code = _code_of(folder, self._exit_codes.get(task))
        reached = self._limits.exceeded(task)
        after = f" after it had reached its {reached}" if reached else ""
        if code is None:
            return f"ended{after}"
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            perhaps = " (perhaps out of memory)" if -code == signal.SIGKILL else ""
            return f"was killed by {name}{after or perhaps}"
        return f"exited with code {code}{after}"

    def _status(self, held: LaunchFolder) -> TaskStatus:
        note = held.note()
        if note is None or held.pid() is None:
            return TaskPending()
        reached = self._limits.reached(held.path.name)
        return TaskRunning(f"127.0.0.1:{note.port}", reached, self._freezes.look(held, note.port))

    def _folder(self, task: str) -> LaunchFolder:
        if not task or "/" in task or task in {".", "..", "ended"}:
            return LaunchFolder(self._servers / "ended" / "nothing")
        return LaunchFolder(self._servers / task)


def _no_port(why: str) -> LaunchFailedError:
    return LaunchFailedError(
        f"This machine has no free port for the server: {why}. Try again when other servers have stopped, or ask an"
        " admin which program holds so many (`ss -tanp`)."
    )


def _sentence(launch: Launch, error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    return (
        f"The hub cannot start {launch.profile.command[0]}: {error.strerror or error}{where}."
        " An admin must look at that file, and at the free room and inodes of its disk (`df`, `df -i`)."
    )


def _lock_with_retries(folder: LaunchFolder) -> int | None:
    """Take the lock; retry, because a check whether it is held also takes it for a moment."""
    for _ in range(LOCK_TRIES):
        if (lock := folder.try_lock()) is not None:
            return lock
        time.sleep(LOCK_RETRY_SECONDS)
    return None


def _popen(command: list[str], start: Start, environment: Mapping[str, str], files: _Files) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=start.account.home,
        env=environment,
        stdin=files.pid,
        stdout=files.log,
        stderr=files.log,
        pass_fds=(files.lock,),
        start_new_session=True,
    )


def _check_gpus(profile: Profile, isolation: str) -> None:
    """Refuse a launch whose profile needs more GPUs than its server would see. The hub reserves none.

    Raises:
        LaunchFailedError: saying how many there are.
    """
    seen = 0 if isolation == SANDBOX else sum(1 for _ in Path("/dev").glob("nvidia[0-9]*"))
    if profile.gpus > seen:
        where = "A sandbox has" if isolation == SANDBOX else "This machine has"
        raise LaunchFailedError(
            f"The profile {profile.title} needs {profile.gpus} GPUs. {where} {seen or 'none'}. Choose another profile."
        )


def _without_loader(environment: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the *environment* without the loader's variables, and those."""
    late = {name: text for name, text in environment.items() if name.startswith(_OF_LOADER)}
    return {name: text for name, text in environment.items() if name not in late}, late


def _end(folder: LaunchFolder, pid: int, *, force: bool) -> None:
    note = folder.note()
    if note is not None and note.isolation == SANDBOX:
        (sandbox_processes.kill if force else sandbox_processes.terminate)(folder, pid)
    elif force:
        _kill_all(pid)
    else:
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)  # a process that is stopped gets no other signal before


def _code_of(folder: LaunchFolder, code: int | None) -> int | None:
    """Return the server's exit code, negative for a signal; None if only the hub that started it would know."""
    note = folder.note()
    if note is None or note.isolation != SANDBOX:
        return folder.exit_code() if code is None else code
    code = folder.sandbox_report().get("exit-code") if code is None else code
    return _SIGNALLED - code if code is not None and code > _SIGNALLED else code


def _kill_all(pid: int) -> None:
    """Kill the process and its descendants, because kernels have their own sessions."""
    process = psutil.Process(pid)
    family = [*process.children(recursive=True), process]
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
