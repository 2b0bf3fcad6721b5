"""The promises of every means that holds a launch's limits, with real processes.

Control groups are tested where they work on this machine; the process watch works everywhere.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from hubless.adapters.processes import load_sampler, memory_files, process_tree
from hubless.adapters.processes.cgroups import ControlGroups, NoControlGroupsError
from hubless.adapters.processes.isolation import SANDBOX
from hubless.adapters.processes.isolation.bubblewrap import View
from hubless.adapters.processes.launch_folder import LOG_KEPT, LOG_LIMIT, LaunchFolder
from hubless.adapters.processes.launcher import OOM_SCORE
from hubless.adapters.processes.limit_means import Means
from hubless.adapters.processes.load_sampler import LoadSampler
from hubless.adapters.processes.loads_file import LoadsFile
from hubless.adapters.processes.memory_files import MemoryFiles
from hubless.adapters.processes.process_use import start_of
from hubless.adapters.processes.resource_limits import ResourceLimits
from hubless.adapters.sqlite.owner_uids import SqliteOwnerUidStore
from hubless.domain.limits import Resource
from hubless.domain.profiles import Profile
from hubless.ports.launcher import Launch, TaskRunning, TaskStopped
from tests.support.builders import NOW
from tests.support.concurrency import eventually
from tests.support.processes import KINDS, ProcessLaunchers, is_alive, isolation, python_for_all
from tests.support.sqlite import InMemory

MIB = 2**20
PROFILE = Profile("small", memory_bytes=200 * MIB, cpus=0.5)
# Writes its own id as the launcher's shell does, takes the launch's lock, and lets "kernels" do what they are told.
SERVER = """
import os, subprocess, sys, time
from pathlib import Path

Path("pid").write_text(str(os.getpid()))
own, *codes = sys.argv[1:]
kernels = [subprocess.Popen([sys.executable, "-c", code], start_new_session=True) for code in codes]
Path("up").touch()
exec(own)
while True:
    for kernel in kernels:
        kernel.poll()
    time.sleep(0.02)
"""
SMALL = "import time; time.sleep(600)"
LARGE = "import time; held = b'x' * (400 << 20); open('too-much', 'w').close(); time.sleep(600)"
WITHIN = "import time; held = b'x' * (60 << 20); open('enough', 'w').close(); time.sleep(600)"
# Two hundred sleepers, and no more: what a fork bomb does, but harmless where nothing holds it.
CROWD = """
import os, time
started = 0
for _ in range(200):
    try:
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)
        started += 1
    except OSError:
        pass
open("started", "w").write(str(started))
time.sleep(600)
"""
WAITING = """
import os, time
while not os.path.exists("go"):
    time.sleep(0.02)
"""


class Place:
    """A folder of launches, and limits that a test enforces whenever it looks."""

    def __init__(self, folder, means):
        self.servers, self.means = folder / "servers", means
        self.limits = self.other_hub()
        self._children = []

    def other_hub(self, **facts):
        return ResourceLimits(self.servers, self.means, **{"max_processes": 60} | facts)

    def start(self, *kernels, own="", launch_id="l1", profile=PROFILE):
        folder = LaunchFolder(self.servers / launch_id)
        folder.make()
        self.limits.prepare(launch_id, profile)
        lock = folder.try_lock()
        command = [*self.limits.wrapper(launch_id), sys.executable, "-c", SERVER, own, *kernels]
        child = subprocess.Popen(command, cwd=folder.path, pass_fds=[lock], start_new_session=True)
        self._children.append(child)
        os.close(lock)
        eventually((folder.path / "up").exists)
        return child

    def path(self, name, launch_id="l1"):
        return self.servers / launch_id / name

    def reached(self, launch_id="l1"):
        """Look as the worker does, and return what the launch has reached by resource."""
        self.limits.watch()
        return {one.resource: one for one in self.limits.reached(launch_id)}

    def close(self):
        while started := [one for one in psutil.process_iter() if self._is_ours(one)]:
            for one in started:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
        for child in self._children:
            child.wait(10)
        for entry in self.servers.iterdir():
            self.limits.release(entry.name)

    def _is_ours(self, process):
        with contextlib.suppress(psutil.Error):
            return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(self.servers)
        return False


def every_means():
    try:
        return {"cgroups": Means(ControlGroups.find(f"tests-{os.getpid()}")), "watch": Means()}
    except NoControlGroupsError:
        return {"watch": Means()}


MEANS = every_means()


@pytest.fixture(scope="module", autouse=True)
def _no_cgroups_left():
    yield
    if "cgroups" in MEANS:
        MEANS["cgroups"].control_groups.leave()


@pytest.fixture(params=sorted(MEANS))
def place(request, tmp_path):
    made = Place(tmp_path, MEANS[request.param])
    made.servers.mkdir()
    yield made
    made.close()


@pytest.fixture
def groups(tmp_path):
    """Launches in control groups; the process watch where this machine has none."""
    made = Place(tmp_path, MEANS.get("cgroups", MEANS["watch"]))
    made.servers.mkdir()
    yield made
    made.close()


def children(server):
    return [one for one in psutil.Process(server.pid).children(recursive=True) if is_alive(one.pid)]


# --- memory ---


def test_what_uses_more_memory_is_ended_and_told(place):
    server = place.start(SMALL, LARGE)
    memory = eventually(lambda: place.reached().get(Resource.MEMORY))
    assert (memory.limit, memory.count) == (200 * MIB, 1)
    eventually(lambda: len(children(server)) == 1)  # the small kernel goes on, and so does the server
    assert server.poll() is None
    assert place.limits.exceeded("l1") == "memory limit of 200 MiB"


@pytest.fixture
def watched(tmp_path):
    made = Place(tmp_path, Means())
    made.servers.mkdir()
    yield made
    made.close()


# A file in memory that no process maps: 400 MiB.
IN_A_FILE = """
import os, time
held = os.memfd_create("data")
for _ in range(400):
    os.write(held, b"x" * (1 << 20))
time.sleep(600)
"""
# 120 MiB in a file in memory that two processes map: one and a half limits if they counted twice.
SHARED = """
import mmap, os, time
held = os.memfd_create("data")
for _ in range(120):
    os.write(held, b"x" * (1 << 20))
seen = mmap.mmap(held, 120 << 20)
os.fork()
sum(seen[::4096])
open(f"mapped-{os.getpid()}", "w").close()
time.sleep(600)
"""


@pytest.mark.parametrize("shared_folder", [False, True], ids=["memfd", "dev-shm"])
def test_memory_in_a_file_that_nobody_maps_counts(place, shared_folder):
    name = f"/dev/shm/hubless-test-{os.getpid()}"
    opened = f'os.open("{name}", os.O_RDWR | os.O_CREAT); os.unlink("{name}")'
    place.start(IN_A_FILE.replace('os.memfd_create("data")', opened) if shared_folder else IN_A_FILE)
    memory = eventually(lambda: place.reached().get(Resource.MEMORY))
    assert memory.limit == 200 * MIB


def test_memory_in_a_file_counts_once_for_all_who_map_it(place):
    server = place.start(SHARED)
    eventually(lambda: len([*place.servers.glob("l1/mapped-*")]) == 2)
    assert place.reached() == {}
    assert len(psutil.Process(server.pid).children(recursive=True)) == 2


def test_what_a_look_reads_of_mappings_is_bounded_for_a_launch(place, monkeypatch):
    server = place.start(SHARED)
    eventually(lambda: len([*place.servers.glob("l1/mapped-*")]) == 2)
    first, second = (int(one.name.removeprefix("mapped-")) for one in place.servers.glob("l1/mapped-*"))
    files = memory_files.find([first, second], None)
    assert sum(files.unmapped([first, second])[0].values()) < MIB
    monkeypatch.setattr(memory_files, "SMAPS_BYTES", len(Path(f"/proc/{first}/smaps").read_bytes()))
    assert 59 * MIB < sum(files.unmapped([first, second])[0].values()) < 61 * MIB
    assert server.poll() is None


def test_mappings_are_not_read_of_what_is_within_its_limit(monkeypatch):
    server = a_process(3, 1, *(a_process(pid, 3, resident=400) for pid in range(7, 12)), resident=100)
    ended_by(monkeypatch)
    monkeypatch.setattr(process_tree, "_memory", lambda one: one.resident // 4)
    monkeypatch.delattr(MemoryFiles, "unmapped")
    assert not process_tree._end_largest(
        process_tree.family(server), [server], 1000, MemoryFiles({("00:01", 5): 400}, {})
    )


def test_who_holds_the_same_file_in_memory_ends_together(monkeypatch):
    holders = [a_process(pid, 3, resident=1) for pid in (7, 8)]
    server = a_process(3, 1, *holders, a_process(9, 3, resident=400), resident=100)
    monkeypatch.setattr(MemoryFiles, "unmapped", lambda self, _: (self.files, 0))
    ended = ended_by(monkeypatch)
    files = MemoryFiles({("00:01", 5): 800}, {("00:01", 5): frozenset({7, 8})})
    assert process_tree._end_largest(process_tree.family(server), [server], 1000, files)
    assert sorted(ended) == [7, 8]


def test_a_server_ends_whose_sandbox_has_too_much_in_files(monkeypatch):
    server = a_process(3, 2, a_process(9, 3, resident=10), resident=100)
    ended = ended_by(monkeypatch)
    files = MemoryFiles(devices={"00:32": 950})
    assert process_tree._end_largest(process_tree.family(server), [server], 1000, files)
    assert ended == [3]


def test_limits_hold_after_somebody_set_the_clock(watched, monkeypatch):
    server = watched.start(WAITING + LARGE)
    assert watched.reached() == {}
    boot_time = psutil.boot_time() + 3600  # the time now, less what has passed since the boot
    monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: boot_time)
    watched.path("go").touch()
    eventually(lambda: watched.reached().get(Resource.MEMORY))
    eventually(lambda: children(server) == [])
    assert server.poll() is None


def test_a_launch_ends_that_stays_over_its_limit(watched):
    """Its program starts another one whenever one is ended."""
    now = [0.0]
    watched.limits._tree = process_tree.ProcessTree(watched.servers, clock=lambda: now[0])
    server = watched.start(
        f"import subprocess, sys\nwhile True:\n    subprocess.run([sys.executable, '-c', {LARGE!r}])"
    )
    eventually(lambda: watched.reached().get(Resource.MEMORY))
    assert server.poll() is None

    def looks():
        watched.path("too-much").unlink(missing_ok=True)
        eventually(watched.path("too-much").exists)
        now[0] += process_tree.PATIENCE_SECONDS
        watched.limits.watch()
        return server.poll()

    assert eventually(looks) == -9
    assert watched.limits.exceeded("l1") == "memory limit of 200 MiB"


def test_patience_begins_anew_after_a_look_within_the_limit(watched):
    now = [0.0]
    watched.limits._tree = process_tree.ProcessTree(watched.servers, clock=lambda: now[0])
    server = watched.start(LARGE, WAITING + LARGE.replace("too-much", "again"))
    eventually(lambda: watched.reached().get(Resource.MEMORY))
    eventually(lambda: len(children(server)) == 1)
    eventually(lambda: watched.limits.watch() or watched.limits._tree._known["l1"].over_since is None)
    now[0] += process_tree.PATIENCE_SECONDS
    watched.path("go").touch()
    eventually(lambda: watched.reached()[Resource.MEMORY].count == 2)
    assert server.poll() is None


def test_what_a_server_leaves_behind_ends_at_the_next_look(watched):
    server = watched.start(SMALL, SMALL)
    left = children(server)
    watched.limits.watch()
    server.kill()
    server.wait()
    assert [one.is_running() for one in left] == [True, True]
    watched.limits.watch()
    assert psutil.wait_procs(left, 10)[1] == []


def test_only_what_was_seen_in_a_launch_ends_after_it(monkeypatch):
    seen, its_child, stranger = a_process(7, 1, a_process(8, 7)), a_process(8, 7), a_process(9, 1)
    again = process_tree.Process(10, 1, 77, 5.0, "python", 1, 0)
    seen.session, stranger.session = 7, 6
    ended = ended_by(monkeypatch)
    known = process_tree._Known(frozenset({seen.key, (10, 1.0)}), frozenset({7, 77}))
    process_tree._end_rest(known, {one.pid: one for one in (seen, its_child, stranger, again)})
    assert sorted(ended) == [7, 8]


def test_what_stays_within_its_memory_is_left_alone(place):
    server = place.start(WITHIN)
    eventually(place.path("enough").exists)
    for _ in range(3):
        assert place.reached() == {}
    assert len(children(server)) == 1
    assert place.limits.exceeded("l1") is None


def test_without_a_limit_memory_is_free(place):
    server = place.start(LARGE, profile=Profile("free"))
    eventually(place.path("too-much").exists)
    assert place.reached() == {}
    assert len(children(server)) == 1


def test_a_server_that_uses_more_itself_is_ended(place):
    server = place.start(SMALL, own=LARGE)
    eventually(lambda: place.reached() and server.poll() is not None)
    assert place.limits.exceeded("l1") == "memory limit of 200 MiB"


# --- processes ---


def test_no_more_processes_live_than_the_limit_allows(place):
    server = place.start(SMALL, CROWD)
    processes = eventually(lambda: place.reached().get(Resource.PROCESSES))
    assert processes.limit == 60
    eventually(lambda: place.reached() and len(children(server)) < 60)
    assert server.poll() is None
    if place.means.control_groups:  # the watch is later
        started = eventually(lambda: place.path("started").exists() and place.path("started").read_text())
        assert 0 < int(started) < 60


def test_a_launch_that_was_refused_processes_did_not_end_by_it(groups):
    groups.start(CROWD)
    eventually(groups.path("started").exists)
    assert eventually(lambda: groups.reached().get(Resource.PROCESSES)).count > 0
    held = groups.means.control_groups is not None
    assert (groups.limits.exceeded("l1") is None) is held


def test_what_left_its_parents_still_counts(place):
    place.start(WAITING + "if os.fork():\n    os._exit(0)\n" + CROWD)
    place.limits.watch()
    place.path("go").touch()
    eventually(lambda: place.reached().get(Resource.PROCESSES))


def test_no_process_of_unknown_session_becomes_a_launchs(tmp_path, monkeypatch):
    place = Place(tmp_path, Means())
    place.servers.mkdir()
    server = place.start(SMALL)
    stranger = subprocess.Popen([sys.executable, "-c", LARGE], cwd=place.servers, start_new_session=True)
    place._children.append(stranger)
    eventually((place.servers / "too-much").exists)
    (kernel,) = children(server)
    look = process_tree.look

    def look_while_the_kernel_ends():
        found = {pid: one for pid, one in look().items() if pid in {server.pid, kernel.pid, stranger.pid}}
        found[kernel.pid].session = found[stranger.pid].session = 0
        return found

    monkeypatch.setattr(process_tree, "look", look_while_the_kernel_ends)
    try:
        for _ in range(3):
            assert place.reached() == {}
        assert stranger.poll() is None
    finally:
        place.close()


def test_a_session_with_a_new_leader_is_no_longer_a_launchs(tmp_path):
    """Its id was used again: once all its processes have ended, another process may get it."""
    server, leader, follower = a_process(3, 1), a_process(77, 1), a_process(78, 1)
    leader.session = follower.session = 77
    leader.began = follower.began = 5.0

    def members(*others, known=frozenset(), before=frozenset()):
        tree = process_tree.ProcessTree(tmp_path)
        tree._known["l1"] = process_tree._Known(frozenset({server.key, *known}), frozenset({1, 77}), before)
        return [one.pid for one in tree._members("l1", {one.pid: one for one in (server, *others)}, [server])]

    assert members(leader, follower) == [3]
    assert members(leader, follower, before=frozenset({77})) == [3]
    assert members(leader, follower, known={leader.key}) == [3, 77, 78]
    assert members(follower) == [3, 78]  # its leader has ended


def test_a_look_sees_the_process_that_got_an_id_again(monkeypatch):
    with subprocess.Popen(["/bin/sleep", "600"]) as program:
        try:
            seen = process_tree.look()[program.pid]
            monkeypatch.setattr(process_tree, "start_of", lambda _: seen.began + 1)
            again = process_tree.look()[program.pid]
            assert again.key != seen.key
            assert not process_tree._act(seen, psutil.Process.kill)
        finally:
            program.kill()


# --- logs ---

FLOOD = """
import os, time
log = open("server.log", "ab", buffering=0)
for _ in range(6):
    log.write(b"x" * (1 << 20))
log.write(b"\\nthe end\\n")
open("flooded", "w").close()
while not os.path.exists("go"):
    time.sleep(0.02)
log.write(b"and on\\n")
open("went-on", "w").close()
time.sleep(600)
"""


def test_a_server_that_floods_its_log_does_not_fill_the_hubs_disk(place):
    place.start(FLOOD)
    eventually(place.path("flooded").exists)
    place.limits.watch()
    assert place.path("server.log").stat().st_size < LOG_KEPT + 200
    place.path("go").touch()
    eventually(place.path("went-on").exists)
    place.limits.watch()
    log = place.path("server.log").read_bytes()
    assert log.startswith(b"[The hub has removed what came before")
    assert log.endswith(b"x\nthe end\nand on\n")


def test_a_log_within_its_limit_stays_as_it_is(place):
    place.start(SMALL)
    place.path("server.log").write_bytes(b"x" * LOG_LIMIT)
    place.limits.watch()
    assert place.path("server.log").stat().st_size == LOG_LIMIT


# --- launches ---


def a_process(pid, parent, *children, resident=0):
    return process_tree.Process(pid, parent, 1, 0.0, "python", 1, resident, list(children))


def ended_by(monkeypatch):
    """Return the ids of the processes that are ended from now on."""
    ended = []
    monkeypatch.setattr(process_tree, "_act", lambda one, action: ended.append(one.pid) or True)
    monkeypatch.setattr(process_tree, "_end_all", lambda crowd: ended.extend(one.pid for one in crowd) or True)
    monkeypatch.setattr(process_tree, "_memory", lambda one: one.resident)
    return ended


HEADLESS = """
import ctypes, threading, time
held = b"x" * (100 << 20)
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""


def test_a_look_sees_a_process_whose_first_thread_has_ended():
    with subprocess.Popen([sys.executable, "-c", HEADLESS]) as program:
        try:
            eventually(lambda: psutil.Process(program.pid).status() == psutil.STATUS_ZOMBIE)
            assert process_tree.look()[program.pid].resident > 100 << 20
        finally:
            program.kill()


def test_one_look_ends_as_many_orphans_as_are_too_many(monkeypatch):
    orphans = [a_process(pid, 1) for pid in range(1000, 1600)]
    kernel = a_process(4, 3, a_process(5, 4), a_process(6, 4))
    server = a_process(3, 2, kernel)
    first = a_process(2, 1, server, *orphans)
    ended = ended_by(monkeypatch)
    assert process_tree._end_crowd(process_tree.family(first), [first, server], 512)
    assert len(ended) == len(orphans) + 5 - 512
    assert {3, 2}.isdisjoint(ended)


def test_one_look_ends_as_many_programs_as_use_too_much_together(monkeypatch):
    programs = [a_process(pid, 3, resident=200) for pid in range(1000, 1050)]
    server = a_process(3, 1, *programs, resident=100)
    ended = ended_by(monkeypatch)
    assert process_tree._end_largest(process_tree.family(server), [server], 1000, MemoryFiles())
    assert len(programs) - len(ended) == 4
    assert 3 not in ended


def test_another_hub_knows_the_limits_of_what_it_adopts(place):
    place.start(LARGE)
    place.limits = place.other_hub(max_processes=0)
    memory = eventually(lambda: place.reached().get(Resource.MEMORY))
    assert memory.limit == 200 * MIB
    assert ResourceLimits(place.servers, Means()).exceeded("l1") == "memory limit of 200 MiB"


def test_release_ends_what_is_left_and_removes_the_cgroups(groups):
    server = groups.start(SMALL, SMALL)
    left = children(server)
    assert len(left) == 2
    folders = [parent / "l1" for parent in _parents(groups)]
    assert all(folder.is_dir() for folder in folders)
    server.kill()
    server.wait()
    groups.limits.release("l1")
    groups.limits.release("l1")
    assert not any(folder.exists() for folder in folders)
    if folders:
        psutil.wait_procs(left, 10)
    for one in left:
        assert one.is_running() is not bool(folders)
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()


def test_a_launch_that_was_forgotten_loses_its_cgroup_at_the_next_look(groups):
    groups.start(SMALL).kill()
    for file in (*groups.path("").iterdir(),):
        file.unlink()
    groups.path("").rmdir()
    groups.limits.remove_forgotten()
    eventually(
        lambda: groups.limits.remove_forgotten() or not any((parent / "l1").exists() for parent in _parents(groups))
    )


def test_two_launches_have_limits_of_their_own(place):
    place.start(LARGE)
    other = place.start(WITHIN, launch_id="l2")
    eventually(lambda: place.reached().get(Resource.MEMORY))
    assert place.reached("l2") == {}
    assert len(children(other)) == 1


def test_a_launch_that_never_was_has_no_limits(place):
    assert place.limits.reached("never") == ()
    assert place.limits.exceeded("never") is None
    assert place.limits.wrapper("never") == []
    place.limits.release("never")


# --- the launcher ---

HTTP_SERVER = """
import os, subprocess, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass

url = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
server = HTTPServer((url.hostname, url.port), Handler)
kernel = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
exec(sys.argv[2])
server.serve_forever()
"""


class Launched:
    """Launches of a real launcher, in each kind of isolation."""

    def __init__(self, folder, kind, means):
        folder.chmod(0o755)
        self.homes = folder / "homes"
        self.servers = folder / "servers"
        for one in (self.homes, self.servers):
            one.mkdir()
        view = View((), (), (self.homes,), 400 * MIB)
        self.launchers = ProcessLaunchers(
            self.servers,
            self.homes,
            {"PATH": os.environ["PATH"]},
            of=isolation(kind, self.homes, SqliteOwnerUidStore(InMemory()), view),
            means=means,
            max_processes=100,
        )
        self.launcher = self.launchers.make()
        self.limits = ResourceLimits(self.servers, means)

    def launch(self, kernel, own=""):
        command = (python_for_all(), "-c", HTTP_SERVER, kernel, own)
        profile = Profile("small", command=command, memory_bytes=200 * MIB)
        self.launcher.launch(Launch("l1", "s1", "u-alice", "alice", "", "/user/alice/", profile))

    def status(self):
        """Look as the worker does, and return what the launcher says."""
        self.limits.watch()
        return self.launcher.describe("l1")

    def reached(self):
        self.limits.watch()
        return [one.resource for one in self.limits.reached("l1")]

    def family(self):
        root = psutil.Process(LaunchFolder(self.servers / "l1").pid())
        return [root, *root.children(recursive=True)]

    def close(self):
        self.launcher.stop("l1", force=True)
        eventually(lambda: isinstance(self.launcher.describe("l1"), TaskStopped))
        self.launchers.wait()
        self.launcher.forget("l1")
        eventually(lambda: self.limits.remove_forgotten() or "l1" not in self.cgroups())

    def cgroups(self):
        groups = self.limits.means.control_groups
        return groups.launches() if groups else set()


@pytest.fixture(params=[(kind, means) for kind in KINDS for means in sorted(MEANS)], ids="-".join)
def launched(request, tmp_path_factory):
    folder = Path(tempfile.mkdtemp(prefix="hubless-test-"))  # pytest's own folder is closed to other accounts
    kind, means = request.param
    made = Launched(folder, kind, MEANS[means])
    yield made
    made.close()
    shutil.rmtree(folder)


def test_a_kernel_that_uses_too_much_is_told_while_the_server_runs(launched):
    launched.launch("held = b'x' * (400 << 20); import time; time.sleep(600)")
    status = eventually(lambda: found if getattr(found := launched.status(), "limits_reached", ()) else None)
    assert isinstance(status, TaskRunning)
    assert [(one.resource, one.limit) for one in status.limits_reached] == [(Resource.MEMORY, 200 * MIB)]


@pytest.mark.parametrize("launched", [(SANDBOX, means) for means in sorted(MEANS)], ids="-".join, indirect=True)
def test_files_in_a_sandboxs_memory_count(launched):
    hold = "held = open('/tmp/data', 'wb', buffering=0)\nfor _ in range(300):\n    held.write(b'x' * (1 << 20))\n"
    launched.launch(f"{hold}import time; time.sleep(600)")
    eventually(lambda: launched.reached() == [Resource.MEMORY])


def test_the_kernel_ends_servers_before_the_hub(launched):
    launched.launch(SMALL)
    eventually(lambda: isinstance(launched.status(), TaskRunning) and len(launched.family()) > 1)
    for one in launched.family():
        assert Path(f"/proc/{one.pid}/oom_score_adj").read_text() == f"{OOM_SCORE}\n"


@pytest.mark.parametrize("name", ["bwrap", "python3"])
def test_a_kernels_name_does_not_spare_it(launched, name):
    hog = "held = b'x' * (400 << 20); import time; time.sleep(600)"
    launched.launch(f"open('/proc/self/comm', 'w').write('{name}'); {hog}")
    status = eventually(lambda: found if getattr(found := launched.status(), "limits_reached", ()) else None)
    for _ in range(3):
        assert isinstance(launched.status(), TaskRunning)
    assert [(one.resource, one.count) for one in status.limits_reached] == [(Resource.MEMORY, 1)]


def test_a_crowd_without_its_parents_ends_before_the_server(launched):
    launched.launch("import os\nif os.fork():\n    os._exit(0)\n" + CROWD)
    status = eventually(lambda: found if getattr(found := launched.status(), "limits_reached", ()) else None)
    assert [one.resource for one in status.limits_reached] == [Resource.PROCESSES]
    for _ in range(3):
        assert isinstance(launched.status(), TaskRunning)


def test_a_server_that_dies_of_memory_fails_with_that_reason(launched):
    launched.launch(SMALL, own="held = b'x' * (400 << 20)")
    status = eventually(lambda: found if isinstance(found := launched.status(), TaskStopped) else None)
    assert status.why == "was killed by SIGKILL after it had reached its memory limit of 200 MiB"


def test_a_server_that_dies_otherwise_blames_no_memory(launched):
    launched.launch(SMALL, own="os.kill(os.getpid(), 9)")
    status = eventually(lambda: found if isinstance(found := launched.status(), TaskStopped) else None)
    assert status.why == "was killed by SIGKILL (perhaps out of memory)"


# --- processors ---


def test_the_processors_are_limited_where_that_is_promised(place):
    place.start(SMALL)
    if Resource.CPUS in place.limits.holds:
        folder = place.means.control_groups.parents["cpu"] / "l1"
        quota = [
            (folder / file).read_text().split() for file in ("cpu.max", "cpu.cfs_quota_us") if (folder / file).exists()
        ]
        assert quota[0][0] == "50000"
    else:
        assert place.limits.wrapper("l1") == []


# --- what launches use ---

BUSY = "while True: pass"


class Samples:
    """Measures the launches of a place; ten seconds pass between two measurements."""

    def __init__(self, place):
        self._file = LoadsFile(place.servers.parent / "loads.json")
        self._seconds = 0.0
        self._sampler = LoadSampler(place.servers, self._file, lambda: self._seconds)

    def __call__(self, *launches):
        self._seconds += 10
        for _ in self._sampler.steps(lambda: NOW + timedelta(seconds=self._seconds)):
            pass
        return self._file.get_many(launches)


def test_what_a_server_and_its_kernels_use_is_measured(place):
    place.start(WITHIN, BUSY)
    measured = Samples(place)
    (first,) = measured("l1").values()
    assert (first.cpus, first.memory_limit, first.measured_at) == (None, 200 * MIB, NOW + timedelta(seconds=10))
    eventually(lambda: place.path("enough").exists() and (60 * MIB < measured("l1")["l1"].memory < 200 * MIB))
    assert eventually(lambda: (load := measured("l1")["l1"]).cpus and load).cpus < 0.6  # of half a processor


def test_only_time_since_the_measurement_before_counts(watched, monkeypatch):
    watched.start()
    seconds = iter([100.0, 105.0, 104.0, 105.0])  # a program that ended took a second with it
    monkeypatch.setattr(load_sampler, "_used_by", lambda _pids: (MIB, next(seconds)))
    measured = Samples(watched)
    assert [measured("l1")["l1"].cpus for _ in range(4)] == [None, 0.5, 0.0, 0.1]


def test_each_launch_has_a_measurement_of_its_own(place):
    place.start(WITHIN, launch_id="l1")
    place.start(SMALL, launch_id="l2", profile=Profile("free"))
    eventually(lambda: place.path("enough").exists())
    found = Samples(place)("l1", "l2")
    assert found["l1"].memory > found["l2"].memory + 50 * MIB
    assert found["l2"].memory_limit is None


def test_a_server_that_was_forked_counts_for_its_launch(watched):
    server = watched.start(SMALL)
    forked = subprocess.Popen([sys.executable, "-c", WITHIN], cwd=watched.path("."))
    watched._children.append(forked)
    watched.path("server").write_text(f"{forked.pid} {start_of(forked.pid)}")
    measured = Samples(watched)
    eventually(lambda: watched.path("enough").exists() and measured("l1")["l1"].memory > 60 * MIB)
    assert server.poll() is None


def test_a_launch_that_has_ended_is_measured_no_more(place):
    server = place.start()
    measured = Samples(place)
    assert measured("l1")
    server.kill()
    server.wait(10)
    assert measured("l1") == {}


def test_without_launches_nothing_is_measured(tmp_path):
    sampler = LoadSampler(tmp_path / "servers", LoadsFile(tmp_path / "loads.json"))
    assert list(sampler.steps(lambda: NOW)) == []
    assert (tmp_path / "loads.json").read_text() == "{}"


# --- a limit for each user id ---


def test_rlimit_nproc_is_set_where_each_owner_has_a_user_id(tmp_path):
    folder = LaunchFolder(tmp_path / "l1")
    folder.make()
    limits = ResourceLimits(tmp_path, Means(), max_processes=77, one_uid_each=True)
    limits.prepare("l1", PROFILE)
    code = "import resource; print(resource.getrlimit(resource.RLIMIT_NPROC))"
    shown = subprocess.run(
        [*limits.wrapper("l1"), sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert shown.stdout == "(77, 77)\n"


# --- what the start of the hub found ---


def can_be_made(group):
    with contextlib.suppress(OSError):
        group.mkdir()
        group.rmdir()
        return True
    return False


def test_cgroups_that_can_be_written_are_found():
    # Of version 2 a folder alone says little: a container may be refused the controllers.
    assert "cgroups" in MEANS or not can_be_made(Path(f"/sys/fs/cgroup/memory/trial-of-tests-{os.getpid()}"))


@pytest.mark.parametrize("means", MEANS.values(), ids=MEANS.keys())
def test_what_was_found_is_read_as_it_was_written(tmp_path, means):
    means.save(tmp_path / "limits.json")
    assert Means.load(tmp_path / "limits.json") == means
    assert (tmp_path / "limits.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"parents": 3}'])
def test_without_a_readable_finding_the_watch_is_what_there_is(tmp_path, text):
    (tmp_path / "limits.json").write_text(text)
    for file in (tmp_path / "limits.json", tmp_path / "none.json"):
        means = Means.load(file)
        assert means.control_groups is None
        assert means.holds == {Resource.MEMORY, Resource.PROCESSES}


def _parents(place):
    groups = place.means.control_groups
    return list(groups.parents.values()) if groups else []
