"""Where a hub makes its cgroups, by what the kernel lists of mounts and memberships; and version 2's files.

The folders here are doubles: a machine has one version of each controller, and few have both.
`test_resource_limits.py` uses the real one.
"""

import os

import pytest

from hubless.adapters.processes import cgroups
from hubless.adapters.processes.cgroups import ControlGroups, NoControlGroupsError
from hubless.adapters.processes.limit_record import LimitRecord

V2 = {"cgroup.controllers": "cpuset cpu io memory pids", "cgroup.subtree_control": "", "cgroup.procs": ""}
LIMITS = {"memory.max": "max", "memory.swap.max": "max", "pids.max": "max", "cpu.max": "max 100000"}


def filled(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


class Kernel:
    """A /proc with mounts and memberships that a test writes."""

    def __init__(self, folder):
        self.proc, self.mounted = folder / "proc", folder / "cgroup"
        (self.proc / "self").mkdir(parents=True)

    def says(self, mounts, groups):
        """*mounts*: of (mounted folder, root, kind, controllers); *groups*: lines of /proc/self/cgroup."""
        lines = [
            f"30 23 0:26 {root} {self.mounted / name} rw,nosuid - {kind} cgroup rw,{controllers}\n"
            for name, root, kind, controllers in mounts
        ]
        other = "22 1 259:2 / / rw,relatime - ext4 /dev/root rw\n"
        (self.proc / "self/mountinfo").write_text(other + "".join(lines))
        (self.proc / "self/cgroup").write_text("".join(f"{line}\n" for line in groups))

    def candidates(self):
        return [
            (version, {name: str(path.relative_to(self.mounted)) for name, path in bases.items()})
            for version, bases in cgroups._candidates(self.proc)
        ]


@pytest.fixture
def kernel(tmp_path):
    return Kernel(tmp_path)


@pytest.fixture
def as_user(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1234)


def everywhere(path):
    return {"memory": path, "pids": path, "cpu": path}


def test_root_uses_the_uppermost_cgroup_of_version_2(kernel, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    kernel.says([(".", "/", "cgroup2", "nsdelegate")], ["0::/user.slice/session-3.scope"])
    filled(kernel.mounted, V2)
    filled(kernel.mounted / "user.slice/session-3.scope", V2 | {"cgroup.procs": f"77\n{os.getpid()}\n"})
    assert kernel.candidates() == [(2, everywhere("."))]


def test_a_login_session_is_not_taken_over(kernel, as_user):
    kernel.says([(".", "/", "cgroup2", "")], ["0::/user.slice/session-3.scope"])
    filled(kernel.mounted / "user.slice/session-3.scope", V2 | {"cgroup.procs": f"77\n{os.getpid()}\n"})
    assert kernel.candidates() == []


def test_a_cgroup_that_is_the_hubs_alone_is_used(kernel, as_user):
    kernel.says([(".", "/", "cgroup2", "")], ["0::/system.slice/hub.service"])
    filled(kernel.mounted / "system.slice/hub.service", V2 | {"cgroup.procs": f"{os.getpid()}\n"})
    assert kernel.candidates() == [(2, everywhere("system.slice/hub.service"))]


def test_a_delegated_cgroup_is_used_from_its_leaf(kernel, as_user):
    kernel.says([(".", "/", "cgroup2", "")], ["0::/system.slice/hub.service/hub"])
    filled(kernel.mounted / "system.slice/hub.service", V2)
    filled(kernel.mounted / "system.slice/hub.service/hub", V2 | {"cgroup.procs": f"{os.getpid()}\n"})
    assert kernel.candidates() == [(2, everywhere("system.slice/hub.service"))]


def test_a_hybrid_machine_uses_the_version_with_controllers(kernel, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    mounts = [
        ("unified", "/", "cgroup2", ""),
        ("memory", "/", "cgroup", "memory"),
        ("pids", "/", "cgroup", "pids"),
        ("cpu,cpuacct", "/", "cgroup", "cpu,cpuacct"),
    ]
    kernel.says(mounts, ["4:memory:/some/job", "3:pids:/", "2:cpu,cpuacct:/", "0::/"])
    filled(kernel.mounted / "unified", V2 | {"cgroup.controllers": ""})
    filled(kernel.mounted / "memory/some/job", {"cgroup.procs": "77\n"})
    assert kernel.candidates() == [(1, {"memory": "memory", "pids": "pids", "cpu": "cpu,cpuacct"})]


def test_a_container_sees_its_cgroup_as_the_uppermost(kernel, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    mounts = [("memory", "/docker/abc", "cgroup", "memory"), ("pids", "/docker/abc", "cgroup", "pids")]
    kernel.says(mounts, ["4:memory:/docker/abc", "3:pids:/docker/abc"])
    assert kernel.candidates() == [(1, {"memory": "memory", "pids": "pids"})]


def test_without_a_needed_controller_there_is_none(kernel, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    kernel.says([("memory", "/", "cgroup", "memory"), ("cpu", "/", "cgroup", "cpu")], ["4:memory:/", "1:cpu:/"])
    with pytest.raises(NoControlGroupsError, match="none is mounted that this account may use"):
        ControlGroups.find("hub", proc=kernel.proc)


def test_the_reason_why_a_cgroup_cannot_be_used_is_said(kernel, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    kernel.says([("memory", "/", "cgroup", "memory"), ("pids", "/", "cgroup", "pids")], ["4:memory:/", "3:pids:/"])
    filled(kernel.mounted, {"memory": "a file, where the kernel has a folder"})
    with pytest.raises(NoControlGroupsError, match=r"Not a directory: .*memory"):
        ControlGroups.find("hub", proc=kernel.proc)


def test_a_machine_without_proc_has_none(tmp_path):
    with pytest.raises(NoControlGroupsError):
        ControlGroups.find("hub", proc=tmp_path)


# --- version 2 ---


def test_the_hubs_processes_move_into_a_leaf_and_controllers_are_passed_on(kernel):
    base = filled(kernel.mounted / "hub.service", V2 | {"cgroup.type": "domain", "cgroup.procs": "4711\n"})
    (kernel.proc / "4711").mkdir()
    for folder in ("hub", "hubless", "hubless/h1"):
        filled(base / folder, V2)
    assert cgroups._parent(2, base, "h1", kernel.proc) == base / "hubless/h1"
    assert (base / "hub/cgroup.procs").read_text() == "4711"
    for group in (base, base / "hubless", base / "hubless/h1"):
        assert (group / "cgroup.subtree_control").read_text() == "+memory +pids +cpu"


def test_the_uppermost_cgroup_keeps_its_processes(kernel):
    base = filled(kernel.mounted, V2 | {"cgroup.procs": "4711\n"})
    (kernel.proc / "4711").mkdir()
    for folder in ("hubless", "hubless/h1"):
        filled(base / folder, V2)
    cgroups._parent(2, base, "h1", kernel.proc)
    assert not (base / "hub").exists()


def limited(folder, **limits):
    cgroups.make(LimitRecord(**limits, cgroups=everywhere(str(folder))))
    return {name: (folder / name).read_text() for name in LIMITS}


def test_limits_are_written_as_version_2_wants_them(kernel):
    folder = filled(kernel.mounted / "l1", LIMITS)
    assert limited(folder, memory=2**30, processes=512, cpus=1.5) == {
        "memory.max": "1073741824",
        "memory.swap.max": "0",
        "pids.max": "512",
        "cpu.max": "150000 100000",
    }


def test_a_launch_joins_a_cgroup_in_the_one_with_its_limits(kernel):
    folder = filled(kernel.mounted / "l1", LIMITS | {"cgroup.max.descendants": "max"})
    limited(folder, memory=2**30)
    assert cgroups.join_command(everywhere(str(folder)))[-2:] == [f"{folder}/inner/cgroup.procs", "--"]
    assert list((folder / "inner").iterdir()) == []
    assert (folder / "cgroup.max.descendants").read_text() == "1"


def test_limits_that_somebody_raised_are_noticed(kernel):
    folder = filled(kernel.mounted / "l1", LIMITS)
    record = LimitRecord(2**30, 512, 1.5, everywhere(str(folder)))
    cgroups.make(record)
    assert cgroups.hold(record)
    (folder / "pids.max").write_text("max")
    assert not cgroups.hold(record)


def test_version_1_without_hierarchy_is_not_used(kernel):
    """Kernels before 5.11 count what is in the inner cgroup for the outer one only if they are told."""
    folder = filled(kernel.mounted / "l1", {"memory.use_hierarchy": "0"})
    assert not cgroups._counts_what_is_inside(folder)
    (folder / "memory.use_hierarchy").write_text("1")
    assert cgroups._counts_what_is_inside(folder)


def test_what_is_not_limited_is_free_again(kernel):
    folder = filled(kernel.mounted / "l1", dict.fromkeys(LIMITS, ""))
    assert limited(folder) == LIMITS


def test_the_smallest_share_is_what_the_kernel_takes(kernel):
    folder = filled(kernel.mounted / "l1", dict.fromkeys(LIMITS, ""))
    assert limited(folder, cpus=0.001)["cpu.max"] == "1000 100000"


def test_the_kernels_counts_of_version_2_are_read(kernel):
    events = {"memory.events": "low 0\nhigh 0\nmax 31\noom 4\noom_kill 3\n", "pids.events": "max 17\n"}
    folder = filled(kernel.mounted / "l1", events)
    assert cgroups.counts(everywhere(str(folder))) == {"memory": 3, "processes": 17}


def test_the_kernels_counts_of_version_1_are_those_of_the_inner_cgroup(kernel):
    folder = filled(kernel.mounted / "l1", {"memory.oom_control": "oom_kill 0\n", "pids.events": "max 0\n"})
    filled(folder / "inner", {"memory.oom_control": "under_oom 0\noom_kill 2\n", "pids.events": "max 5\n"})
    assert cgroups.counts(everywhere(str(folder))) == {"memory": 2, "processes": 5}


def test_without_files_nothing_was_counted(kernel):
    assert cgroups.counts(everywhere(str(kernel.mounted / "gone"))) == {"memory": 0, "processes": 0}


def test_what_a_launch_uses_is_read_of_version_2(kernel):
    files = {
        "memory.current": "1000\n",
        "memory.stat": "anon 600\ninactive_file 300\n",
        "cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
    }
    folder = filled(kernel.mounted / "l1", files)
    assert cgroups.used(everywhere(str(folder))) == (700, 2.5)


def test_what_a_launch_uses_is_read_of_version_1(kernel):
    memory = {"memory.usage_in_bytes": "1000\n", "memory.stat": "inactive_file 0\ntotal_inactive_file 300\n"}
    folders = {
        "memory": str(filled(kernel.mounted / "memory/l1", memory)),
        "cpu": str(filled(kernel.mounted / "cpu/l1", {"cpuacct.usage": "2500000000\n", "cpu.stat": "nr_periods 0\n"})),
    }
    assert cgroups.used(folders) == (700, 2.5)


def test_without_a_count_of_processors_that_of_processes_is_taken(kernel):
    folder = filled(kernel.mounted / "l1", {"memory.usage_in_bytes": "1000\n"})
    filled(folder / "inner", {"cgroup.procs": f"{os.getpid()}\n999999999\n"})
    memory, seconds = cgroups.used({"memory": str(folder)})
    assert memory == 1000
    assert 0 < seconds <= sum(os.times()[:4]) + 0.01  # a tick


def test_a_launch_without_its_cgroup_uses_nothing_known(kernel):
    assert cgroups.used(everywhere(str(kernel.mounted / "gone"))) is None
    assert cgroups.used({}) is None
