import contextlib
import errno
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from hubless.adapters.processes import free_ports, freezes
from hubless.adapters.processes.accounts import account_of
from hubless.adapters.processes.fork_servers import ForkServers
from hubless.adapters.processes.isolation import ACCOUNTS, NONE, SANDBOX, root_servers, sandbox_processes
from hubless.adapters.processes.launch_folder import LOG_KEPT, LOG_LIMIT, LaunchFolder, running_otherwise
from hubless.adapters.processes.listeners import waiting_by_port
from hubless.adapters.processes.readiness import HttpReadiness
from hubless.domain.errors import LaunchFailedError
from hubless.domain.profiles import Profile
from hubless.ports.launcher import Launch, Task, TaskRunning, TaskStopped
from tests.support.builders import a_server
from tests.support.concurrency import eventually
from tests.support.processes import KINDS, ProcessLaunchers, is_alive, make_environment, python_for_all

ROOT = Path(__file__).parents[2]
SECRET = "s3cr3t-0f-th3-l4unch"
PREFIX = "/user/alice/"

SERVER = """
import contextlib, json, os, signal, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

what = sys.argv[1:]
home = Path(os.environ["HOME"])
with open(home / "starts", "a") as starts:
    starts.write(f"{os.getpid()}\\n")
(home / "environment.json").write_text(json.dumps(dict(os.environ)))
if "fail" in what:
    print("first line", flush=True)
    print("no module named nonsense", file=sys.stderr, flush=True)
    sys.exit(3)
if "tell" in what:
    print("my token is", os.environ["JUPYTERHUB_API_TOKEN"], flush=True)
    sys.exit(4)
if "stubborn" in what:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    kernel = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    (home / "kernel").write_text(str(kernel.pid))
if "orphan" in what:
    # Forked without closing what it inherits, and left behind.
    if (child := os.fork()) == 0:
        os.setsid()
        time.sleep(600)
        os._exit(0)
    (home / "orphan").write_text(str(child))

if "unlock" in what or "close" in what:  # as if it had ended
    import fcntl
    for file in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if os.readlink(file).endswith("/lock"):
                fcntl.flock(int(file.name), fcntl.LOCK_UN)
                if "close" in what:
                    os.close(int(file.name))
if "report" in what:  # as a sandbox's monitor does
    for file in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if os.readlink(file).endswith("/lock"):
                os.truncate(int(file.name), 2**40)

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass

url = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
server = HTTPServer((url.hostname, url.port), Handler)
(home / "up").touch()
if "headless" in what:  # as if it had ended: its first thread has
    import ctypes, threading
    threading.Thread(target=server.serve_forever).start()
    ctypes.CDLL(None).pthread_exit(None)
server.serve_forever()
"""


class Place:
    """Folders with a server program, and launchers over them."""

    def __init__(self, folder, kind, forked=None):
        """Start servers with the isolation *kind*; *forked* is a command whose servers are forked, and what forks."""
        self.servers, self.homes, self.script = folder / "servers", folder / "homes", folder / "server.py"
        self.kind = kind
        self.python = python_for_all() if kind == ACCOUNTS else sys.executable
        self.script.write_text(SERVER)
        self.homes.mkdir()
        self.environment = {"PATH": os.environ["PATH"]}
        self.home = self.homes / "u-alice"
        self.command, forks = forked or ((self.python, str(self.script)), None)
        self.is_forked = forks is not None
        self.launchers = ProcessLaunchers(self.servers, self.homes, self.environment, kind, forks=forks)

    def launcher(self):
        return self.launchers.make()

    def launch(self, *what, launch_id="l1", command=None, **facts):
        profile = Profile("small", command=command or self.command, args=what)
        secrets = {"secrets": {"JUPYTERHUB_API_TOKEN": SECRET}, "environment": {"GIVEN": "yes"}}
        return Launch(launch_id, "s1", "u-alice", "alice", "", PREFIX, profile, **secrets | facts)

    def starts(self):
        return (self.home / "starts").read_text().split()

    def pid(self, launch_id="l1"):
        return LaunchFolder(self.servers / launch_id).pid()

    def server(self):
        """Return the server's process id; in a sandbox the launcher knows the monitor's."""
        if (server := LaunchFolder(self.servers / "l1").server()) is not None:
            return server
        return self.seen_as(2) if self.kind == SANDBOX else self.pid()

    def told(self, name):
        """Return the process id that the server wrote into a file of its home."""
        number = int((self.home / name).read_text())
        return self.seen_as(number) if self.kind == SANDBOX else number

    def seen_as(self, number):
        """Return the process that has this id in the sandbox."""
        folder = LaunchFolder(self.servers / "l1")
        roots = [psutil.Process(pid) for pid in (folder.pid(), folder.server()) if pid is not None]
        inside = [one for root in roots for one in (root, *root.children(recursive=True))]
        return next(one.pid for one in inside if sandbox_processes._id_inside(one.pid) == number)


@pytest.fixture(scope="module")
def forked():
    """Commands of which a fork server forks servers, by kind of isolation."""
    folder = Path(tempfile.mkdtemp(prefix="hubless-forked-"))
    folder.chmod(0o755)
    forks = ForkServers(folder / "fork-servers", {"PATH": os.environ["PATH"]}, patience=0)
    pythons = {kind: python_for_all() if kind == ACCOUNTS else sys.executable for kind in KINDS}
    made = {kind: ((make_environment(folder / kind, python, SERVER),), forks) for kind, python in pythons.items()}
    yield made
    forks.close()
    shutil.rmtree(folder)


@pytest.fixture(params=[*KINDS, *(f"forked, {kind}" for kind in KINDS)])
def place(request, forked):
    folder = Path(tempfile.mkdtemp(prefix="hubless-processes-"))  # pytest's own are closed to other accounts
    folder.chmod(0o755)
    kind = request.param.removeprefix("forked, ")
    made = Place(folder, kind, forked[kind] if kind != request.param else None)
    yield made
    ender = made.launcher()
    for task in ender.tasks():
        ender.stop(task.task, force=True)
    eventually(lambda: not ender.tasks())
    for launch in made.servers.glob("l*"):
        ender.forget(launch.name)
    made.launchers.wait()
    shutil.rmtree(folder)


@pytest.fixture
def launcher(place):
    return place.launcher()


def end(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def answers(address):
    return HttpReadiness().answers(a_server(address=address), PREFIX)


def running(launcher, task="l1"):
    """Wait until the task answers, and return its status."""

    def answering():
        status = launcher.describe(task)
        assert not isinstance(status, TaskStopped), status
        return status if isinstance(status, TaskRunning) and answers(status.address) else None

    return eventually(answering)


def gone(launcher, task="l1"):
    return eventually(lambda: status if isinstance(status := launcher.describe(task), TaskStopped) else None)


# --- starting ---


def test_a_launch_runs_at_an_address_of_its_own(place, launcher):
    task = launcher.launch(place.launch())
    status = running(launcher, task)
    assert re.fullmatch(r"127\.0\.0\.1:\d+", status.address)
    assert LaunchFolder(place.servers / "l1").is_forked == place.is_forked
    assert launcher.tasks() == [Task(task, "l1", launcher.describe(task))]
    other = launcher.launch(place.launch(launch_id="l2"))
    assert running(launcher, other).address != status.address
    assert sorted(t.launch_id for t in launcher.tasks()) == ["l1", "l2"]


def test_a_missing_program_is_named(place, launcher):
    with pytest.raises(LaunchFailedError, match="no-such-program-here"):
        launcher.launch(place.launch(command=("no-such-program-here",)))
    assert launcher.tasks() == []
    assert isinstance(launcher.describe("l1"), TaskStopped)


def test_an_invalid_program_is_reported_with_the_reason(place, launcher):
    broken = place.script.with_name("broken")
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    launcher.launch(place.launch(command=(str(broken),)))
    status = gone(launcher)
    assert "exited with code" in status.why
    assert "broken" in " ".join(status.log_tail)


@pytest.mark.parametrize("name", ["limits.json.new", "task.json.new", "server.log"])
def test_a_file_that_cannot_be_written_is_told_to_the_owner(place, launcher, name):
    (in_its_place := place.servers / "l1" / name).mkdir(parents=True)
    with pytest.raises(LaunchFailedError, match=rf"^The hub cannot start \S+: .*{name}.* An admin must look at"):
        launcher.launch(place.launch())
    assert launcher.tasks() == []
    in_its_place.rmdir()
    launcher.launch(place.launch())
    running(launcher)


def test_a_launch_whose_folder_cannot_be_made_is_told_to_the_owner(place, launcher):
    place.servers.mkdir()
    (place.servers / "l1").touch()
    with pytest.raises(LaunchFailedError, match="An admin must look at"):
        launcher.launch(place.launch())


# --- tasks of other launchers ---


DYING = """
import os, signal, socket, sys
from pathlib import Path
from hubless.adapters.processes.fork_servers import ForkServers
from hubless.domain.profiles import Profile
from hubless.ports.launcher import Launch
from tests.support.processes import ProcessLaunchers

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

servers, homes, python, script, kind, forks = sys.argv[1:]
environment = {"PATH": os.environ["PATH"]}
if forks:
    forks = ForkServers(Path(forks), environment, patience=0)
    socket.socket.recv = die  # so it waits for the sandbox
launcher = ProcessLaunchers(Path(servers), Path(homes), environment, kind, forks=forks or None).make()
profile = Profile("small", command=(python, script))
launcher.launch(Launch("l1", "s1", "u-alice", "alice", "", "/user/alice/", profile))
die()
"""


def launch_and_die(place, forks=""):
    """Launch in a process that is killed right after it, or while its sandbox starts if there are *forks*."""
    died = subprocess.run(
        [sys.executable, "-c", DYING, place.servers, place.homes, place.python, place.script, place.kind, forks],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr


@pytest.mark.parametrize("place", KINDS, indirect=True)
def test_a_task_survives_a_launcher_that_is_killed_right_after_the_launch(place):
    launch_and_die(place)
    heir = place.launcher()
    assert [(task.task, task.launch_id) for task in heir.tasks()] == [("l1", "l1")]
    running(heir)
    assert heir.launch(place.launch()) == "l1"
    assert len(place.starts()) == 1
    heir.stop("l1")
    gone(heir)


@pytest.mark.parametrize("place", [SANDBOX], indirect=True)
def test_a_task_survives_a_launcher_that_is_killed_while_a_sandbox_starts(place, tmp_path):
    launch_and_die(place, forks=str(tmp_path / "fork-servers"))
    heir = place.launcher()
    running(heir, heir.launch(place.launch()))
    assert len(place.starts()) == 1


# --- ends ---


def test_an_early_exit_is_reported_with_code_and_log(place, launcher):
    launcher.launch(place.launch("fail"))
    assert gone(launcher) == TaskStopped("exited with code 3", ("first line", "no module named nonsense"))
    assert launcher.tasks() == []


def test_the_first_describe_after_the_end_has_the_code(place, launcher):
    for number in range(10):
        launcher.launch(place.launch("fail", launch_id=f"l{number}"))
        assert gone(launcher, f"l{number}").why == "exited with code 3"


def test_a_killed_server_is_reported_with_its_signal(place, launcher):
    launcher.launch(place.launch())
    running(launcher)
    os.kill(place.server(), signal.SIGKILL)
    assert "SIGKILL" in gone(launcher).why


def test_another_launcher_sees_the_end_and_the_last_lines_too(place, launcher):
    launcher.launch(place.launch("fail"))
    status = gone(place.launcher())
    assert status.log_tail[-1] == "no module named nonsense"


def test_a_task_that_never_existed_is_stopped(launcher):
    for task in ("never", "", ".", "..", "../x", "ended", "/etc"):
        assert isinstance(launcher.describe(task), TaskStopped)
        launcher.stop(task)
        launcher.stop(task, force=True)
        launcher.forget(task)
    assert launcher.tasks() == []


def test_force_kills_a_stubborn_server_and_its_kernels(place, launcher):
    launcher.launch(place.launch("stubborn"))
    running(launcher)
    server, kernel = place.server(), place.told("kernel")
    launcher.stop("l1")
    assert isinstance(launcher.describe("l1"), TaskRunning)
    assert os.getsid(kernel) != os.getsid(server)
    launcher.stop("l1", force=True)
    gone(launcher)
    eventually(lambda: not is_alive(server) and not is_alive(kernel))


def test_a_stopped_server_is_frozen_until_it_runs_on_and_can_be_ended(place, launcher, monkeypatch):
    monkeypatch.setattr(freezes, "STOPPED_SECONDS", 0.0)  # one look is enough
    launcher.launch(place.launch())
    assert running(launcher).is_frozen is False
    server = place.server()
    os.kill(server, signal.SIGSTOP)
    eventually(lambda: launcher.describe("l1").is_frozen)
    os.kill(server, signal.SIGCONT)
    eventually(lambda: launcher.describe("l1").is_frozen is False)
    os.kill(server, signal.SIGSTOP)
    eventually(lambda: launcher.tasks()[0].status.is_frozen)
    launcher.stop("l1")
    gone(launcher)
    assert not is_alive(server)


def test_which_process_a_server_is_holds_for_a_minute(tmp_path, monkeypatch):
    now, asked, server, gone = [0.0], [], [7], set()
    monkeypatch.setattr(freezes.process_use, "state_of", lambda pid: "" if pid in gone else "S")
    monkeypatch.setattr(freezes, "waiting_by_port", dict)
    monkeypatch.setattr(freezes.sandbox_processes, "server_of", lambda _: asked.append(now[0]) or server[0])
    folder, seen = LaunchFolder(tmp_path), freezes.Freezes(lambda: now[0])

    def look_until(end):
        while now[0] < end:
            seen.look(folder, 1)
            now[0] += 10

    look_until(10)
    server[0] = 8  # the sandbox has become a server
    look_until(100)
    assert asked == [0, 10, 20, 80]
    server[0] = 9
    gone.add(8)
    look_until(110)
    assert asked[4:] == [100]


def test_a_freeze_is_sure_after_two_looks_and_deafness_after_long(tmp_path, monkeypatch):
    now, stopped, waiting = [0.0], [False], {1: 0}
    monkeypatch.setattr(freezes.process_use, "state_of", lambda _: "T" if stopped[0] else "S")
    monkeypatch.setattr(freezes, "waiting_by_port", lambda: dict(waiting))
    folder, seen = LaunchFolder(tmp_path), freezes.Freezes(lambda: now[0])
    (tmp_path / "pid").write_text("1 1")

    def look(seconds):
        now[0] += seconds
        return seen.look(folder, 1)

    assert look(0) is False
    assert not seen.are_likely()
    stopped[0] = True
    assert not seen.are_likely()  # nobody looks again so soon
    now[0] += freezes.LIKELY_SECONDS
    assert seen.are_likely()  # before anybody has looked
    assert [look(3), look(3), look(3)] == [None, True, True]
    assert [look(60), look(3)] == [None, True]  # what was seen so long ago may have been another freeze
    stopped[0] = False
    assert seen.are_likely()  # until a look has found that it runs on
    assert look(3) is False
    assert not seen.are_likely()
    waiting[1] = 2
    now[0] += freezes.LIKELY_SECONDS
    assert not seen.are_likely()  # ports are looked at less often
    now[0] += freezes.WAITING_SECONDS - freezes.LIKELY_SECONDS
    assert seen.are_likely()
    assert {look(3) for _ in range(10)} == {None}
    assert seen.are_likely()
    assert look(3) is True
    waiting[1] = 0
    assert look(3) is False
    stopped[0] = True
    seen.forget(tmp_path.name)
    assert not seen.are_likely()


def test_who_waits_at_a_port_is_counted_until_somebody_takes_them():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert waiting_by_port()[port] == 0
        with socket.create_connection(("127.0.0.1", port)):
            eventually(lambda: waiting_by_port()[port] == 1)
            server.accept()[0].close()
            assert waiting_by_port()[port] == 0


def test_a_server_has_ended_even_if_a_fork_lives(place, launcher):
    launcher.launch(place.launch("orphan"))
    running(launcher)
    orphan = place.told("orphan")
    try:
        os.kill(place.server(), signal.SIGKILL)
        gone(launcher)
        # A forked server is no child of its sandbox's first process, which then has none left, and ends with the rest.
        assert is_alive(orphan) or (place.is_forked and place.kind == SANDBOX)
        assert isinstance(place.launcher().describe("l1"), TaskStopped)
        assert launcher.tasks() == []
        launcher.forget("l1")
        if place.kind == SANDBOX:  # nothing of it stays
            eventually(lambda: not is_alive(orphan))
    finally:
        end(orphan)


@pytest.mark.parametrize(("outgoing", "is_own"), [("32768\t60999", True), ("1024\t65535", False), ("", False)])
def test_a_port_is_none_that_outgoing_connections_get(tmp_path, monkeypatch, outgoing, is_own):
    (tmp_path / "range").write_text(outgoing)
    monkeypatch.setattr(free_ports, "_OUTGOING", tmp_path / "range")
    found = {free_ports.find() for _ in range(20)}
    assert (found <= set(free_ports.PORTS)) == is_own
    assert len(found) > 1


def test_a_port_that_is_taken_is_not_chosen(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(free_ports, "PORTS", range(port, port + 1))
        monkeypatch.setattr(free_ports, "_first_outgoing", lambda: 65536)
        assert free_ports.find() != port


def no_port():
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


@pytest.mark.parametrize(("find", "why"), [(no_port, "Address already in use"), (lambda: 9, "servers that start have")])
def test_a_machine_without_free_ports_is_told_to_the_owner(tmp_path, monkeypatch, find, why):
    monkeypatch.setattr(free_ports, "find", find)
    command = (sys.executable, "-c", "")
    launcher = ProcessLaunchers(tmp_path / "servers", tmp_path / "homes", {}, NONE).make()
    launcher._ports.append(9)
    launch = Launch("l1", "s1", "u-alice", "alice", "", PREFIX, Profile("small", command=command))
    with pytest.raises(LaunchFailedError, match=f"This machine has no free port for the server: {why}"):
        launcher.launch(launch)
    assert launcher.tasks() == []


@pytest.mark.parametrize("how", ["unlock", "close", "headless"])
def test_a_server_cannot_pretend_that_it_has_ended(place, launcher, how):
    launcher.launch(place.launch(how))
    running(launcher)
    assert [task.task for task in place.launcher().tasks()] == ["l1"]
    launcher.forget("l1")
    assert isinstance(place.launcher().describe("l1"), TaskRunning)
    server = place.server()
    launcher.stop("l1")
    gone(launcher)
    eventually(lambda: not is_alive(server))  # a forked one closes its files a moment before it has ended


def test_the_hub_reads_nothing_that_a_server_wrote_into_its_lock(place, launcher):
    launcher.launch(place.launch("report"))
    running(launcher)
    launcher.stop("l1")
    gone(launcher)
    folder = LaunchFolder(place.servers / "l1")
    if place.kind != SANDBOX:  # that server cannot reach it
        assert folder.lock.stat().st_size == 2**40
        assert folder.sandbox_report() == {}
    launcher.forget("l1")
    assert not folder.path.exists()


def test_forget_removes_the_folder_and_keeps_the_log(place, launcher):
    launcher.launch(place.launch("fail"))
    gone(launcher)
    launcher.forget("l1")
    launcher.forget("l1")
    assert not (place.servers / "l1").exists()
    assert [file.read_text() for file in place.servers.rglob("*") if file.is_file()] == [
        "first line\nno module named nonsense\n"
    ]
    assert place.home.is_dir()
    assert isinstance(launcher.describe("l1"), TaskStopped)
    assert launcher.tasks() == []


def test_the_log_of_a_forgotten_launch_is_bounded(place, launcher):
    launcher.launch(place.launch("fail"))
    gone(launcher)
    with (place.servers / "l1/server.log").open("ab") as log:
        log.write(b"x" * LOG_LIMIT + b"\nlast line\n")
    launcher.forget("l1")
    (kept,) = place.servers.glob("ended/*.log")
    assert kept.stat().st_size < LOG_KEPT + 200
    assert kept.read_text().endswith("x\nlast line\n")


# --- secrets and environment ---


def environment_of(place):
    return json.loads((place.home / "environment.json").read_text())


def test_the_server_gets_what_the_launch_gives_it(place, launcher):
    launcher.launch(place.launch())
    address = running(launcher).address
    seen = environment_of(place)
    assert seen["JUPYTERHUB_API_TOKEN"] == SECRET
    assert seen["GIVEN"] == "yes"
    assert seen["JUPYTERHUB_SERVICE_URL"] == f"http://{address}{PREFIX}"
    assert (seen["HOME"], seen["USER"]) == (str(place.home), "alice")


def test_secrets_are_nowhere_but_in_the_environment(place, launcher):
    launch = place.launch()
    launcher.launch(launch)
    status = running(launcher)
    pid = place.pid()
    # A forked process replaces its environment in its memory: the file has what the fork server was started with.
    assert (SECRET.encode() in Path(f"/proc/{place.server()}/environ").read_bytes()) == (not place.is_forked)
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # one that has ended tells nobody
            assert SECRET not in " ".join(process.cmdline())
    files = [file for file in place.servers.rglob("*") if file.is_file()]
    assert files
    assert [file for file in files if SECRET.encode() in file.read_bytes()] == []
    assert SECRET not in repr(launch) + repr(status) + repr(launcher.tasks())
    assert (place.servers / "l1").stat().st_mode & 0o077 == 0


def test_secrets_are_removed_from_the_log_tail(place, launcher):
    launcher.launch(place.launch("tell"))
    status = gone(launcher)
    assert status.log_tail == ("my token is ***",)
    assert SECRET not in repr(status)


def test_the_hubs_own_environment_does_not_leak(place, monkeypatch):
    monkeypatch.setenv("HUBLESS_KEY", "the hub's own")
    place.environment["SHOWN"] = "yes"
    launcher = place.launcher()
    launcher.launch(place.launch())
    running(launcher)
    seen = environment_of(place)
    assert "HUBLESS_KEY" not in seen
    assert "the hub's own" not in seen.values()
    assert seen["SHOWN"] == "yes"
    by_python_and_shell = {"LC_CTYPE", "PWD", "OLDPWD", "SHLVL", "_"}
    given = {
        "PATH",
        "SHOWN",
        "GIVEN",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "JUPYTERHUB_SERVICE_URL",
        "JUPYTERHUB_API_TOKEN",
    }
    assert set(seen) - by_python_and_shell == given


@pytest.fixture
def other(place):
    """A virtual environment that is none of the hub's, with `pip`."""
    folder = place.script.parent / "other"
    (folder / "bin").mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text(f"home = {Path(place.python).resolve().parent}\n")
    (folder / "bin" / "python").symlink_to(Path(place.python).resolve())
    (folder / "bin" / "pip").write_text("#!/bin/sh\n")
    (folder / "bin" / "pip").chmod(0o755)
    return folder


def test_a_command_of_another_environment_meets_its_programs(place, launcher, other):
    launcher.launch(place.launch(command=(str(other / "bin" / "python"), str(place.script))))
    running(launcher)
    path = environment_of(place)["PATH"]
    assert path.startswith(f"{other / 'bin'}:{place.environment['PATH']}:")
    assert shutil.which("pip", path=path) == str(other / "bin" / "pip")


def test_a_profiles_own_path_stays_as_it_is(place, launcher, other):
    launch = place.launch(command=(str(other / "bin" / "python"), str(place.script)), environment={"PATH": "/usr/bin"})
    launcher.launch(launch)
    running(launcher)
    assert environment_of(place)["PATH"] == "/usr/bin"


def test_programs_that_users_install_come_last_and_serve_users_alone(place, launcher):
    launcher.launch(place.launch())
    running(launcher)
    environment = environment_of(place)
    users = f"{environment['HOME']}/.local/bin"
    assert environment["PATH"].endswith(f"{place.environment['PATH']}:{users}")
    if place.pid() != place.server():  # the programs that isolate it, which root may run
        for pid in {place.pid(), psutil.Process(place.server()).ppid()}:
            assert users.encode() not in Path(f"/proc/{pid}/environ").read_bytes()


def test_only_the_server_gets_the_variables_of_the_loader(place, launcher):
    variables = {"LD_LIBRARY_PATH": "/no/such/libraries", "GLIBC_TUNABLES": "glibc.malloc.check=0"}
    launcher.launch(place.launch(environment=variables))
    running(launcher)
    assert variables.items() <= environment_of(place).items()
    if place.pid() != place.server():  # the programs that isolate it, which root may run
        for pid in {place.pid(), psutil.Process(place.server()).ppid()}:
            assert b"LD_LIBRARY_PATH" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_the_hubs_open_files_do_not_leak(place, launcher, tmp_path):
    with (tmp_path / "private").open("w") as private, socket.socket() as listening:
        os.set_inheritable(private.fileno(), True)
        os.set_inheritable(listening.fileno(), True)
        launcher.launch(place.launch())
        running(launcher)
        pids = {place.pid(), place.server()}
        targets = [str(f.readlink()) for pid in pids for f in Path(f"/proc/{pid}/fd").iterdir()]
        inode = f"socket:[{os.fstat(listening.fileno()).st_ino}]"
    assert str(tmp_path / "private") not in targets
    assert inode not in targets


# --- accounts ---


def as_root_with(monkeypatch, uid):
    entry = pwd.struct_passwd(("someone", "x", uid, uid, "", "/home/someone", "/bin/zsh"))
    monkeypatch.setattr(pwd, "getpwnam", lambda name: {"someone": entry}[name])
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: [gid, 4242])


@pytest.mark.parametrize("uid", [0, 1, 33, 999])
def test_no_server_runs_as_root_or_a_system_account(monkeypatch, tmp_path, uid):
    as_root_with(monkeypatch, uid)
    with pytest.raises(LaunchFailedError, match="someone"):
        account_of("someone", "u-1", tmp_path, as_system_users=True)


def test_a_server_runs_as_the_system_user_of_its_owners_name(monkeypatch, tmp_path):
    as_root_with(monkeypatch, 1000)
    account = account_of("someone", "u-1", tmp_path, as_system_users=True)
    assert (account.uid, account.gid, account.groups) == (1000, 1000, (1000, 4242))
    assert (account.home, account.shell) == (Path("/home/someone"), "/bin/zsh")


def test_a_user_without_a_system_user_gets_a_folder_by_id(monkeypatch, tmp_path):
    as_root_with(monkeypatch, 1000)
    for name, as_system_users in (("nobody-here", True), ("someone", False)):
        account = account_of(name, "u-1", tmp_path, as_system_users=as_system_users)
        assert (account.uid, account.home) == (None, tmp_path / "u-1")


def test_a_hub_without_root_runs_servers_as_itself(monkeypatch, tmp_path):
    as_root_with(monkeypatch, 1000)
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    assert account_of("someone", "u-1", tmp_path, as_system_users=True).uid is None


def test_servers_that_an_earlier_hub_ran_as_root_end(place, launcher):
    launcher.launch(place.launch())
    running(launcher)
    before = ProcessLaunchers(place.servers, place.homes, place.environment, "none").make()
    before.launch(place.launch("stubborn", launch_id="l2"))
    running(before, "l2")
    kernel = int((place.home / "kernel").read_text())
    by_root = os.geteuid() == 0
    assert root_servers.end_all(place.servers) == by_root
    if by_root:
        gone(before, "l2")
        eventually(lambda: not is_alive(kernel))
    running(launcher)
    before.stop("l2", force=True)
    gone(before, "l2")
    assert root_servers.end_all(place.servers) == root_servers.end_all(place.servers / "none") == 0


def test_servers_that_run_with_another_isolation_are_counted(place, launcher):
    launcher.launch(place.launch())
    launcher.launch(place.launch(launch_id="l2"))
    running(launcher, "l2")
    assert running_otherwise(place.servers, place.kind) == 0
    assert running_otherwise(place.servers, "another") == 2
    note = place.servers / "l2" / "task.json"
    as_before_there_were_kinds = {k: v for k, v in json.loads(note.read_text()).items() if k != "isolation"}
    note.write_text(json.dumps(as_before_there_were_kinds))
    assert running_otherwise(place.servers, place.kind) == (place.kind != "none")
    assert running_otherwise(place.servers / "none", place.kind) == 0
    note.write_text(json.dumps(as_before_there_were_kinds | {"isolation": place.kind}))
