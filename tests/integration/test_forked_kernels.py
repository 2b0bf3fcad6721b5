"""Forked kernels: they are what started ones are, belong to their server alone, and start as programs otherwise."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from fork_server.kernel_parent import BEGIN, LISTENS, KernelParent
from fork_server.provisioner import ForkedKernel
from hubless.adapters.processes import fork_servers
from tests.support.concurrency import concurrently, eventually
from tests.support.fork_place import PATH, Place
from tests.support.processes import is_alive, make_environment, python_for_all

pytestmark = pytest.mark.real

SERVERS = Path(__file__).parents[2] / ".venv-servers"
IS_ROOT = os.geteuid() == 0
ACCOUNT = (2_100_000_050, 2_100_000_051, (2_100_000_052,))
# A server that does with its kernels what it is told: JSON in lines, by a socket in its home.
SERVER = """
import asyncio, json, os, socket, sys
from jupyter_client.manager import AsyncKernelManager

kernels = {}

async def start(name, argv=None, env=None, **options):
    manager = kernels[name] = AsyncKernelManager()
    spec = manager.kernel_spec
    spec.argv[1:1] = argv or []
    spec.env = env or {}
    await manager.start_kernel(**options)
    manager.listens = [opens(port) for port in manager.ports]
    return await ready(name)

def opens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0

async def listens(name):
    return kernels[name].listens

async def ready(name):
    manager = kernels[name]
    client = manager.client()
    client.start_channels()
    await client.wait_for_ready(timeout=60)
    manager.spoken = client
    return manager.provisioner.pid

async def run(name, code):
    said = []
    def hear(message):
        content = message["content"]
        said.append(content.get("text") or content.get("data", {}).get("text/plain") or content.get("ename") or "")
    await kernels[name].spoken.execute_interactive(code, allow_stdin=False, output_hook=hear, timeout=60)
    return "".join(said)

async def debug(name, command, arguments):
    client = kernels[name].spoken
    content = {"type": "request", "seq": 1, "command": command, "arguments": arguments}
    message = client.session.msg("debug_request", content)
    client.control_channel.send(message)
    while True:
        reply = await client.get_control_msg(timeout=60)
        if reply["parent_header"].get("msg_id") == message["msg_id"]:
            return reply["content"]

async def breakpoints():
    return [sys.breakpointhook is sys.__breakpointhook__, [one for one in os.environ if one.startswith("PYDEVD")]]

async def restart(name):
    kernels[name].spoken.stop_channels()
    await kernels[name].restart_kernel()
    return await ready(name)

async def interrupt(name):
    await kernels[name].interrupt_kernel()

async def poll(name):
    return await kernels[name].provisioner.poll()

async def shutdown(name):
    kernels[name].spoken.stop_channels()
    await kernels[name].shutdown_kernel()

async def serve(reader, writer):
    while line := await reader.readline():
        what, *rest = json.loads(line)
        answer = await globals()[what](*rest[:-1], **rest[-1])
        writer.write(json.dumps(answer).encode() + b"\\n")
    writer.close()

async def main():
    server = await asyncio.start_unix_server(serve, "control")
    open(os.environ["ANSWER"], "w").write(json.dumps({"pid": os.getpid()}))
    await server.serve_forever()

asyncio.run(main())
"""
# Loaded by the fork server: fork(2) fails in a process whose folder says so.
SCARCE = """
import errno, os
real = os.fork

def fork():
    if os.path.exists("memory-is-gone"):
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    return real()

os.fork = fork
"""
FACTS = """
import json, locale, os, re, signal, sys, threading
print(json.dumps({
    "environment": {name: text for name, text in os.environ.items() if name != "JPY_PARENT_PID"},
    "arguments": sys.argv[:-1], "command": sys.orig_argv[:-1], "path": sys.path, "folder": os.getcwd(),
    "signals": {number: str(signal.getsignal(number)) for number in (2, 13, 15, 17)}, "mask": os.umask(0o22),
    "main": sorted(set(vars(sys.modules["__main__"])) - {"__file__"}), "name": __name__, "flags": str(sys.flags),
    "streams": [type(one).__name__ for one in (sys.stdin, sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)],
    "threads": sorted(re.sub("-[0-9]+", "", one.name) for one in threading.enumerate()), "locale": locale.getlocale(),
    "breakpoint": [sys.breakpointhook.__module__, sys.breakpointhook.__name__],
    "session": os.getsid(0) == os.getpgid(0) == os.getpid(),
}))
"""
OWN = """
import json, multiprocessing, random, secrets, tempfile, uuid
print(json.dumps([str(uuid.uuid4()), random.random(), secrets.token_hex(), next(tempfile._get_candidate_names()),
    multiprocessing.current_process().authkey.hex(), get_ipython().kernel.session.key.hex(),
    get_ipython().kernel.session.session, get_ipython().history_manager.session_number]))
"""
WAIT = """
import subprocess
try:
    subprocess.run(["sleep", "600"])
except KeyboardInterrupt:
    print("interrupted")
"""


class Server:
    """A forked server with kernels."""

    def __init__(self, place, name, *files, account=None):
        self.home = place.home = place.folder / f"home-{name}"
        self.home.mkdir()
        for file in files:
            (self.home / file).touch()
        self.lock = place.folder / name / "lock"
        self.pid = place.fork(name, account=account)["pid"]

    def ask(self, what, *arguments, **options):
        with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rw") as stream:
            connection.settimeout(90)
            connection.connect(f"/proc/{self.pid}/cwd/control")  # an address has 107 bytes at most (unix(7))
            stream.write(json.dumps([what, *arguments, options]) + "\n")
            stream.flush()
            return json.loads(stream.readline())

    def run(self, name, code):
        return self.ask("run", name, code)

    def kernel_parent(self):
        (found,) = (one for one in psutil.Process(self.pid).children() if "fork_server" in one.cmdline())
        return found

    def is_forked(self, kernel):
        return psutil.Process(kernel).ppid() == self.kernel_parent().pid


@pytest.fixture(scope="module")
def place():
    folder = Path(tempfile.mkdtemp(prefix="hubless-kernels-"))  # pytest's own are closed to other accounts
    folder.chmod(0o755)
    command = make_environment(folder / "venv", python_for_all() if IS_ROOT else SERVERS / "bin" / "python", SERVER)
    (packages,) = (folder / "venv").glob("lib/*/site-packages")
    servers = SERVERS / packages.relative_to(folder / "venv")
    assert servers.is_dir(), "a Python that all accounts may run has another version than the servers' environment"
    (packages / "servers.pth").write_text(f"{servers}\n")
    (packages / "scarce.py").write_text(SCARCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fork_servers, "MODULES", ("jupyter_client", "scarce", "multiprocessing.process"))
        made = Place(folder, command, PATH | {"LANG": "C.UTF-8"}, kernels=True)
    yield made
    made.close()
    shutil.rmtree(folder)


def rights_of(pid):
    """Return the account, the groups and the capabilities of a process, as Linux has them."""
    lines = (line.split(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    kept = ("Uid", "Gid", "Groups", "NoNewPrivs")
    return {
        name: [int(one, 16 if name.startswith("Cap") else 10) for one in text.split()]
        for name, text in lines
        if name in kept or name.startswith("Cap")
    }


@pytest.fixture
def server(place, request):
    made = Server(place, request.node.name)
    yield made
    if is_alive(made.pid):
        os.kill(made.pid, signal.SIGKILL)


def test_a_forked_kernel_has_what_a_started_one_has(place, server):
    (folder := server.home / "lesson").mkdir()
    own = {"COURSE": "physics", "USER": "grace"}
    forked = server.ask("start", "forked", env=own, cwd=str(folder))
    started = server.ask("start", "started", argv=["-W", "default"], env=own, cwd=str(folder))
    assert server.is_forked(forked)
    assert server.ask("listens", "forked") == [True] * 5  # as soon as its server connects
    assert psutil.Process(started).ppid() == server.pid
    has, should_have = (json.loads(server.run(name, FACTS)) for name in ("forked", "started"))
    del should_have["command"][1:3]  # what kept it from being forked
    assert has == should_have
    assert has["environment"]["COURSE"] == "physics"
    assert has["folder"] == str(folder)
    python = Path(place.command).with_name("python")
    assert psutil.Process(forked).cmdline()[:3] == [str(python), "-m", "ipykernel_launcher"]
    assert psutil.Process(forked).name() == psutil.Process(started).name()
    assert server.run("forked", "print(input())") == server.run("started", "print(input())")
    assert server.run("forked", "!echo from a shell").strip() == "from a shell"
    assert server.run("forked", "1 + 1") == "2"


def test_a_forked_kernel_has_a_debugger_and_its_server_has_none(server):
    assert server.is_forked(server.ask("start", "a"))
    assert server.ask("debug", "a", "initialize", {"adapterID": "test"})["success"]
    assert server.ask("debug", "a", "debugInfo", {})["body"]["isStarted"]
    assert server.ask("breakpoints") == [True, []]


def test_forked_kernels_share_no_key_and_no_randomness(server):
    names = ["a", "b", "c"]
    kernels = concurrently(lambda number: server.ask("start", names[number]), times=3)
    assert all(map(server.is_forked, kernels))
    said = [json.loads(server.run(name, OWN)) for name in names]
    assert [len(set(column)) for column in zip(*said, strict=True)] == [3] * len(said[0])


@pytest.mark.skipif(not IS_ROOT, reason="only root gives servers accounts")
def test_a_forked_kernel_has_its_servers_account_and_no_rights(place):
    server = Server(place, "account", account=ACCOUNT)
    kernel = server.ask("start", "a")
    assert server.is_forked(kernel)
    user, group, groups = ACCOUNT
    should_have = {"Uid": [user] * 4, "Gid": [group] * 4, "Groups": [*groups], "NoNewPrivs": [1]}
    capabilities = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
    for pid in (server.pid, server.kernel_parent().pid, kernel):
        assert rights_of(pid) == should_have | {name: [0] for name in capabilities}
    (secret := place.folder / "secret").touch(0o600)
    assert server.run("a", f"open({str(secret)!r})") == "PermissionError"
    server.run("a", "open('kept', 'w').close()")
    assert (kept := (server.home / "kept").stat()).st_uid == user
    assert kept.st_gid == group


def test_interrupts_restarts_and_ends_reach_a_forked_kernel(server):
    first = server.ask("start", "a")

    def interrupt():
        (program,) = eventually(psutil.Process(first).children)  # for which it waits
        server.ask("interrupt", "a")
        return program.pid

    said, program = concurrently(lambda number: interrupt() if number else server.run("a", WAIT), times=2)
    assert said == "interrupted\n"
    eventually(lambda: not is_alive(program))  # it had the interrupt, too
    assert server.run("a", "1 + 1") == "2"
    second = server.ask("restart", "a")
    assert server.is_forked(second)
    assert not is_alive(first)
    assert server.run("a", "1 + 1") == "2"
    os.kill(second, signal.SIGKILL)
    assert eventually(lambda: server.ask("poll", "a")) == -signal.SIGKILL
    third = server.ask("start", "b")
    server.ask("shutdown", "b")
    assert not is_alive(third)
    eventually(lambda: server.kernel_parent().children() == [])  # and no zombie


@pytest.mark.parametrize("options", [{"argv": ["-X", "dev"]}, {"env": {"PYTHONHASHSEED": "7"}}])
def test_a_kernel_of_another_kind_starts_as_a_program(server, options):
    kernel = server.ask("start", "a", **options)
    assert psutil.Process(kernel).ppid() == server.pid
    assert server.run("a", "import os; os.environ.get('PYTHONHASHSEED')") in {"", "'7'"}
    assert server.is_forked(server.ask("start", "b"))


def test_packages_of_the_user_that_came_later_are_found(server):
    server.ask("start", "a")
    own = Path(server.run("a", "import site; print(site.getusersitepackages())").strip())
    own.mkdir(parents=True)
    (own / "newcomer.py").write_text("HELLO = 'hello'\n")
    assert server.is_forked(server.ask("start", "b"))
    assert server.run("b", "import newcomer; newcomer.HELLO") == "'hello'"


# --- bad days ---


def files_of(pid):
    """Return what the process has open; it may close a file meanwhile."""
    found = set()
    for one in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(one.readlink())
    return found


def test_kernels_end_with_their_kernel_parent_and_others_start(server):
    first = server.ask("start", "a")
    parent = server.kernel_parent()
    os.kill(first, signal.SIGSTOP)  # it cannot end by itself
    parent.kill()
    assert eventually(lambda: server.ask("poll", "a")) == -signal.SIGKILL
    eventually(lambda: not is_alive(first))
    second = server.ask("start", "b")
    assert psutil.Process(second).ppid() == server.pid
    assert server.run("b", "1 + 1") == "2"


def test_a_kernel_that_its_server_let_go_wakes_nobody_until_its_end():
    ours, requests = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    told, reply = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = object.__new__(KernelParent)  # not as a process of its own: that would close all files of this one
    parent._requests, parent._kernels, parent._told, parent._left = requests, {}, set(), set()
    parent._wakes, woken = os.pipe()
    with ExitStack() as ends, ours, requests, reply:
        kernel = ends.enter_context(subprocess.Popen(["sleep", "600"]))
        ends.callback(kernel.kill)
        parent._kernels[kernel.pid] = reply
        told.close()
        parent._tell_ends(parent._wait())
        ours.send(BEGIN)
        assert parent._wait() == {requests.fileno()}
        kernel.kill()
        eventually(lambda: not is_alive(kernel.pid))
        parent._tell_ends(set())
        assert parent._kernels == {}
        assert not psutil.pid_exists(kernel.pid)  # and no zombie
    for descriptor in (parent._wakes, woken):
        os.close(descriptor)


def test_a_kernel_parent_that_can_open_no_more_files_keeps_its_kernels(server):
    server.ask("start", "a")
    parent = server.kernel_parent()
    taken = {int(one.name) for one in Path(f"/proc/{parent.pid}/fd").iterdir()}
    before, free = parent.rlimit(psutil.RLIMIT_NOFILE), min(set(range(len(taken) + 1)) - taken)
    parent.rlimit(psutil.RLIMIT_NOFILE, (free, before[1]))
    assert psutil.Process(server.ask("start", "b")).ppid() == server.pid
    parent.rlimit(psutil.RLIMIT_NOFILE, before)
    assert server.is_forked(server.ask("start", "c"))
    assert [server.run(name, "1 + 1") for name in "abc"] == ["2", "2", "2"]


def test_a_kernel_that_was_killed_before_it_began_has_ended():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    kernel = ForkedKernel(1, ours)
    assert (kernel.poll(), kernel.wait(0)) == (None, None)
    ours.send(BEGIN)
    theirs.close()  # nobody has read it
    assert (kernel.wait(), kernel.poll()) == (-signal.SIGKILL, -signal.SIGKILL)


@pytest.mark.parametrize("says", ["that it listens", "that it has ended", "nothing"])
def test_a_server_waits_for_its_kernel_to_listen(says):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    kernel = ForkedKernel(1, ours)
    if said := {"that it listens": LISTENS, "that it has ended": b'{"exit": 3}'}.get(says):
        theirs.send(said)
    asyncio.run(asyncio.wait_for(kernel.until_it_listens(600 if said else 0.01), 60))
    assert kernel.wait(0) == (3 if says == "that it has ended" else None)
    if says != "that it has ended":
        with ThreadPoolExecutor(1) as pool:
            end = pool.submit(kernel.wait)
            theirs.send(LISTENS)  # late, or again: it is no end
            theirs.send(b'{"exit": 4}')
            assert end.result(60) == 4
    theirs.close()
    ours.close()


def test_kernels_end_with_their_server(server):
    kernel, parent = server.ask("start", "a"), server.kernel_parent().pid
    assert server.lock in files_of(server.pid)
    assert server.lock not in files_of(kernel) | files_of(parent)  # it tells the hub that the server runs
    os.kill(server.pid, signal.SIGKILL)
    eventually(lambda: not is_alive(parent) and not is_alive(kernel))


def test_a_server_without_memory_for_a_fork_starts_the_kernel_itself(server):
    (server.home / "memory-is-gone").touch()
    kernel = server.ask("start", "a")
    assert psutil.Process(kernel).ppid() == server.pid
    assert server.run("a", "1 + 1") == "2"
    (server.home / "memory-is-gone").unlink()
    assert server.is_forked(server.ask("start", "b"))


def test_a_server_without_memory_for_a_kernel_parent_starts_kernels_itself(place):
    server = Server(place, "scarce", "memory-is-gone")
    assert psutil.Process(server.pid).children() == []
    assert psutil.Process(server.ask("start", "a")).ppid() == server.pid
    assert server.run("a", "1 + 1") == "2"
