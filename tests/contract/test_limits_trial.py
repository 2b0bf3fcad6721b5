"""Whether a server can raise its own limits: real cgroups, handed over to an account without root as systemd does."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from hubless.adapters.processes import cgroups
from hubless.adapters.processes.cgroups import ControlGroups, NoControlGroupsError
from hubless.adapters.processes.isolation import NONE, SANDBOX
from hubless.adapters.processes.isolation.bubblewrap import DISABLE_USERNS, View
from hubless.adapters.processes.isolation.limits_trial import RAISED, reason_against_limits
from hubless.adapters.processes.isolation.trial import Stakes
from hubless.adapters.processes.limit_record import LimitRecord
from hubless.adapters.sqlite.owner_uids import SqliteOwnerUidStore
from tests.support.accounts import UNPRIVILEGED, run_as
from tests.support.processes import KINDS, isolation
from tests.support.sqlite import InMemory

IS_ROOT = os.geteuid() == 0
# Each kind, and the account that runs the hub.
CASES = [(kind, os.geteuid()) for kind in KINDS if kind != NONE] + ([(SANDBOX, UNPRIVILEGED)] if IS_ROOT else [])
WITHOUT_ROOT = UNPRIVILEGED if IS_ROOT else os.geteuid()


HUB = f"tests-of-trial-{os.getpid()}"


def versions():
    """Return the version that works here, in a list that is empty where none does."""
    try:
        groups = ControlGroups.find(HUB)
    except NoControlGroupsError:
        return []
    groups.leave()
    return [groups.version]


def mount_of_version_2():
    """Return where version 2 is mounted with a folder that root may add; its controllers do not matter."""
    mounts = [Path(line.split()[1]) for line in Path("/proc/self/mounts").read_text().splitlines() if "cgroup2" in line]
    return mounts if IS_ROOT else []


@pytest.fixture(params=versions(), ids="v{}".format)
def groups(request):
    made = ControlGroups.find(HUB)
    yield made
    for parent in made.parents.values():
        cgroups.remove({"all": str(parent)})


@contextlib.contextmanager
def handed_over(groups, uid):
    """Give the hub's cgroups to *uid*, with this process in it where version 2 wants that."""
    (before,) = [*own_group_of_version_2()] if groups.version == 2 else [None]
    for parent in groups.parents.values():
        if before is not None:
            (parent / cgroups.LEAF).mkdir(exist_ok=True)
            (parent / cgroups.LEAF / "cgroup.procs").write_text(str(os.getpid()))
        for one in (parent, *parent.rglob("*")):
            os.chown(one, uid, uid)
    yield
    if before is not None:
        (before / "cgroup.procs").write_text(str(os.getpid()))


def own_group_of_version_2():
    path = cgroups._own_groups(cgroups.PROC)[""]
    return [cgroups._inside(mount, path) for mount in cgroups._mounts(cgroups.PROC) if mount.version == 2][:1]


@pytest.fixture
def folder():
    made = Path(tempfile.mkdtemp(prefix="hubless-limits-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def reason(folder, kind, uid, groups, *, namespaces=False):
    """Return what the trial says of a hub that *uid* runs; with *namespaces* the sandbox allows others in it."""
    os.chown(folder, uid, uid)

    def tried():
        data, homes = folder / "data", folder / "data" / "homes"
        for made in (data, data / "servers", homes):
            made.mkdir(mode=0o700, exist_ok=True)
        view = View((), (), (data,), 2**26)
        one = isolation(kind, homes, SqliteOwnerUidStore(InMemory()), view, (data, homes))
        if namespaces:
            one._no_more_namespaces = []
        return reason_against_limits(one, Stakes(data / "servers", (), (), {"PATH": os.environ["PATH"]}), groups)

    with handed_over(groups, uid):
        return run_as(uid, tried)


@pytest.mark.parametrize(("kind", "uid"), CASES)
def test_no_server_can_raise_the_limits_of_its_cgroups(folder, groups, kind, uid):
    assert reason(folder, kind, uid, groups) is None


def test_a_server_in_namespaces_of_its_own_raises_no_limit(folder, groups):
    assert reason(folder, SANDBOX, WITHOUT_ROOT, groups, namespaces=True) is None


def test_the_trial_finds_limits_on_the_servers_own_cgroup(folder, groups, monkeypatch):
    """What hubs did before: a namespace shows the server its cgroup, with the files of the limits."""
    monkeypatch.setattr(cgroups, "INNER", ".")
    assert reason(folder, SANDBOX, WITHOUT_ROOT, groups, namespaces=True) == RAISED
    assert reason(folder, SANDBOX, WITHOUT_ROOT, groups) is None


def test_the_trial_finds_that_nothing_is_isolated(folder, groups):
    assert reason(folder, NONE, WITHOUT_ROOT, groups) == RAISED


def test_a_sandbox_without_root_makes_no_more_user_namespaces(tmp_path):
    one = isolation(SANDBOX, tmp_path, SqliteOwnerUidStore(InMemory()))
    assert one._no_more_namespaces == [DISABLE_USERNS]


# --- version 2, which has these files without any controller ---

INTRUDER = """
mkdir seen && mount -t cgroup2 none seen && echo mounted
[ -d seen/inner ] && echo sees its limits
mkdir seen/own && echo made a cgroup
"""


@pytest.fixture(params=mount_of_version_2(), ids=str)
def launch(request):
    """A launch's cgroup that belongs to an account without root."""
    group = request.param / f"hubless-tests-{os.getpid()}"
    group.mkdir()
    yield group
    cgroups.remove({"all": str(group)})


def test_a_server_sees_its_inner_cgroup_and_makes_none(launch, folder):
    os.chown(folder, WITHOUT_ROOT, WITHOUT_ROOT)
    with contextlib.suppress(OSError):  # a machine may have no controller of version 2 to limit
        cgroups.make(LimitRecord(2**26, 64, None, {"memory": str(launch)}))
    (launch / cgroups.INNER).mkdir(exist_ok=True)
    for path in (launch, *launch.rglob("*")):
        os.chown(path, WITHOUT_ROOT, WITHOUT_ROOT)
    joining = cgroups.join_command({"memory": str(launch)})
    account = ["setpriv", f"--reuid={WITHOUT_ROOT}", f"--regid={WITHOUT_ROOT}", "--clear-groups"]
    said = subprocess.run(
        [*joining, *account, "unshare", "--user", "--map-root-user", "--mount", "--cgroup", "sh", "-c", INTRUDER],
        capture_output=True, text=True, check=False, cwd=folder,
    ).stdout  # fmt: skip
    assert said.splitlines() == ["mounted"]
    assert (launch / "cgroup.max.descendants").read_text() == "1\n"
    cgroups.remove({"memory": str(launch)})
    assert not launch.exists()


def test_what_a_server_made_in_its_cgroup_is_removed(launch):
    (launch / cgroups.INNER / "own" / "another").mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"]) as left:
        (launch / cgroups.INNER / "own" / "another" / "cgroup.procs").write_text(str(left.pid))
        cgroups.remove({"memory": str(launch)})
    assert not launch.exists()
    assert left.returncode == -9
