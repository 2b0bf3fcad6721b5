"""Control groups, version 1 and 2: where the kernel holds limits of memory, processes and processors.

The files and their meaning are those of the kernel's documentation (admin-guide/cgroup-v1, admin-guide/cgroup-v2).
Nothing here assumes that a file can be written: `ControlGroups.find` tries what it returns.

A launch has two cgroups in each other: the outer one has the limits, and the server is in the inner one. A hub without
root owns both, and its servers have its user id. A server can make a cgroup namespace and mount what that shows: the
inner cgroup and no more. So the files with the limits are out of its reach.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from hubless.adapters.processes import process_use
from hubless.adapters.processes.limit_record import LimitRecord
from hubless.adapters.processes.small_files import words
from hubless.domain.limits import Resource
from hubless.domain.values import value

PROC = Path("/proc")
CONTROLLERS = {"memory": Resource.MEMORY, "pids": Resource.PROCESSES, "cpu": Resource.CPUS}
NEEDED = ("memory", "pids")  # without one of them the worker watches the processes
OURS = "hubless"  # the folder of all hubs of a machine
LEAF = "hub"  # where the hub's own processes go: a cgroup of version 2 that has children holds no processes
INNER = "inner"  # where a launch's processes go: it has no limits
PERIOD = 100_000  # microseconds: the kernel's default
REMOVAL_TRIES, REMOVAL_RETRY_SECONDS = 10, 0.01
# The shell joins each cgroup before `--` and then becomes the command after it, so the process id stays the same.
_JOIN = 'while [ "$1" != -- ]; do echo $$ >"$1" || exit 70; shift; done; shift; exec "$@"'


class NoControlGroupsError(Exception):
    """Raised when no cgroup can be used; the message says what was seen."""


@value
class ControlGroups:
    """The folders below which each launch gets a cgroup, by controller."""

    version: int
    parents: Mapping[str, Path]

    @property
    def name(self) -> str:
        """Return the name for people."""
        return f"cgroup v{self.version}"

    @property
    def holds(self) -> frozenset[Resource]:
        """Return what the kernel holds here."""
        return frozenset(CONTROLLERS[controller] for controller in self.parents)

    @classmethod
    def find(cls, hub: str, *, proc: Path = PROC) -> "ControlGroups":
        """Return cgroups that work for the hub of that name: each was made, limited, joined and removed.

        It may move the calling process into a cgroup of its own, so call it before you start others.

        Raises:
            NoControlGroupsError: saying what was tried last and what the kernel answered.
        """
        why = "none is mounted that this account may use"
        for version, bases in _candidates(proc):
            try:
                found = cls(version, {name: _parent(version, base, hub, proc) for name, base in bases.items()})
                return found.tried()
            except OSError as error:
                why = f"{error.strerror}: {error.filename}" if error.filename else str(error)
        raise NoControlGroupsError(why)

    def tried(self) -> "ControlGroups":
        """Return these cgroups without the controllers that turned out not to work.

        Raises:
            OSError: when a needed controller does not work.
        """
        limits = LimitRecord(2**26, 64, 1.0)
        works = {}
        for controller, parent in self.parents.items():
            group = parent / f"trial-{os.getpid()}"
            try:
                _try(controller, group, limits)
            except OSError:
                if controller in NEEDED:
                    raise
            else:
                works[controller] = parent
        return ControlGroups(self.version, works)

    def of(self, launch_id: str) -> dict[str, str]:
        """Return the folders of a launch, by controller."""
        return {controller: str(parent / launch_id) for controller, parent in self.parents.items()}

    def leave(self) -> None:
        """Remove the folders of a hub that ends, unless servers of it go on."""
        for parent in set(self.parents.values()):
            with suppress(OSError):
                parent.rmdir()

    def launches(self) -> set[str]:
        """Return the ids of the launches that have a cgroup."""
        found: set[str] = set()
        for parent in set(self.parents.values()):
            with suppress(OSError):
                found |= {entry.name for entry in os.scandir(parent) if entry.is_dir() and entry.name != LEAF}
        return found


def make(record: LimitRecord) -> None:
    """Make the launch's cgroups with its limits; those that exist get the limits again.

    Raises:
        OSError: when the kernel refuses.
    """
    for controller, folder in record.cgroups.items():
        group = Path(folder)
        group.mkdir(mode=0o755, exist_ok=True)
        _limit(controller, group, record)
        (group / INNER).mkdir(mode=0o755, exist_ok=True)


def hold(record: LimitRecord) -> bool:
    """Say whether the launch's cgroups still have the limits of its record; memory in whole pages."""
    return all(_reads_back(controller, Path(folder), record) for controller, folder in record.cgroups.items())


def join_command(cgroups: Mapping[str, str]) -> list[str]:
    """Return the beginning of a command line: it joins the inner cgroups and becomes the rest."""
    files = join_files(cgroups)
    return ["/bin/sh", "-c", _JOIN, "join", *files, "--"] if files else []


def join_files(cgroups: Mapping[str, str]) -> list[str]:
    """Return the files of the inner cgroups to which a process writes its id, or 0, to join them."""
    return sorted({f"{folder}/{INNER}/cgroup.procs" for folder in cgroups.values()})


def counts(cgroups: Mapping[str, str]) -> dict[str, int]:
    """Return how often the kernel has enforced a limit, by resource: ended a process, or refused a new one."""
    found = {}
    if memory := cgroups.get("memory"):
        of_v2 = _number_in(f"{memory}/memory.events", "oom_kill")
        found[Resource.MEMORY.value] = of_v2 or _count_of_v1(memory, "memory.oom_control", "oom_kill")
    if pids := cgroups.get("pids"):
        found[Resource.PROCESSES.value] = _count_of_v1(pids, "pids.events", "max")
    return found


def used(cgroups: Mapping[str, str]) -> tuple[int, float] | None:
    """Return bytes of memory and seconds of processors that the launch uses and has used; None if it has no cgroup.

    Pages of files that nobody used lately do not count: the kernel takes them when others need memory.
    """
    group = cgroups.get("memory", "")
    bytes_used = words(f"{group}/memory.current") or words(f"{group}/memory.usage_in_bytes")
    if not bytes_used:
        return None
    idle = _number_in(f"{group}/memory.stat", "total_inactive_file", "inactive_file")  # of version 1; of version 2
    return max(0, int(bytes_used[0]) - idle), _cpu_seconds(cgroups.get("cpu", ""), group)


def _cpu_seconds(group: str, of_memory: str) -> float:
    """Return the processors' time: of the cgroup, else of the processes that are in it now."""
    if microseconds := _number_in(f"{of_memory}/cpu.stat", "usage_usec"):  # version 2 has it without the controller
        return microseconds / 1_000_000
    if nanoseconds := words(f"{group}/cpuacct.usage"):  # version 1, where the two controllers are mounted together
        return int(nanoseconds[0]) / 1_000_000_000
    seconds = 0.0
    for pid in words(f"{of_memory}/{INNER}/cgroup.procs"):
        with suppress(OSError):  # it has ended meanwhile
            seconds += process_use.cpu_seconds(int(pid))
    return seconds


def remove(cgroups: Mapping[str, str]) -> None:
    """Kill what is left in the cgroups and remove them; what does not end at once stays for the next call.

    Those that the server made in its own are removed, too.
    """
    for folder in dict.fromkeys(cgroups.values()):
        group = Path(folder)
        for _ in range(REMOVAL_TRIES):
            if _is_removed(group):
                break
            _kill(group)
            time.sleep(REMOVAL_RETRY_SECONDS)


# --- which there are ---


@value
class _Mount:
    """A mounted hierarchy. *root* is the cgroup that the mount point shows: in a container not the uppermost one."""

    version: int
    point: Path
    root: str
    controllers: frozenset[str]


def _mounts(proc: Path) -> list[_Mount]:
    """Return the hierarchies that /proc/self/mountinfo lists (proc_pid_mountinfo(5))."""
    found = []
    for line in (proc / "self/mountinfo").read_text().splitlines():
        ours, _, theirs = line.partition(" - ")
        root, point = ours.split()[3:5]
        kind, _, options = theirs.split(" ", 2)
        if kind in {"cgroup", "cgroup2"}:
            found.append(_Mount(2 if kind == "cgroup2" else 1, Path(point), root, frozenset(options.split(","))))
    return found


def _own_groups(proc: Path) -> dict[str, str]:
    """Return the paths of the caller's cgroups by controller; the key of version 2 is the empty word."""
    lines = (line.split(":", 2) for line in (proc / "self/cgroup").read_text().splitlines())
    return {controller: path for _, controllers, path in lines for controller in controllers.split(",")}


def _candidates(proc: Path) -> Iterator[tuple[int, dict[str, Path]]]:
    """Yield the versions with a folder for each controller: the hub's own cgroup first, then the uppermost.

    The own cgroup comes first, so that servers stay within the limits that an operator set for the hub.
    """
    try:
        mounts, own = _mounts(proc), _own_groups(proc)
    except OSError:
        return
    for mount in mounts:
        if mount.version == 2:  # noqa: PLR2004 the version
            here = _inside(mount, own.get("", "/"))
            for base in _bases(mount, here.parent if here.name == LEAF else here):
                if set(NEEDED) <= set(words(base / "cgroup.controllers")):
                    offered = words(base / "cgroup.controllers")
                    yield 2, {controller: base for controller in CONTROLLERS if controller in offered}
    by_controller = {one: mount for mount in mounts for one in mount.controllers & CONTROLLERS.keys()}
    bases = {one: list(_bases(mount, _inside(mount, own.get(one, "/")))) for one, mount in by_controller.items()}
    bases = {one: some for one, some in bases.items() if some}
    if set(NEEDED) <= bases.keys():
        yield 1, {one: some[0] for one, some in bases.items()}


def _inside(mount: _Mount, path: str) -> Path:
    """Return where the mount point shows the cgroup with that path."""
    inner = Path(path)
    if inner.is_relative_to(mount.root):
        inner = inner.relative_to(mount.root)
    return mount.point / str(inner).lstrip("/") if str(inner) not in {".", "/"} else mount.point


def _bases(mount: _Mount, own: Path) -> Iterator[Path]:
    """Yield the cgroups below which the hub may make others.

    That is its own one, if systemd delegated it (an attribute says so) or nobody else is in it; and the uppermost
    one, which root alone can write.
    """
    if own != mount.point and (_is_delegated(own) or _is_alone_in(own)):
        yield own
    if os.geteuid() == 0:
        yield mount.point


def _is_delegated(group: Path) -> bool:
    for attribute in ("trusted.delegate", "user.delegate"):
        with suppress(OSError):
            return os.getxattr(group, attribute) == b"1"
    return False


def _is_alone_in(group: Path) -> bool:
    return set(words(group / "cgroup.procs")) <= {str(os.getpid())}


# --- making ---


def _parent(version: int, base: Path, hub: str, proc: Path) -> Path:
    """Make the folder of this hub below *base* and return it."""
    parent = base / OURS / hub
    if version == 2:  # noqa: PLR2004 the version
        _leave(base, proc)
        for group in (base, base / OURS, parent):
            group.mkdir(mode=0o755, exist_ok=True)
            _enable(group)
    else:
        parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    return parent


def _leave(base: Path, proc: Path) -> None:
    """Move the processes of *base* into a leaf below it, unless it is the uppermost cgroup, which may keep them."""
    if not (base / "cgroup.type").exists():
        return
    inside = [pid for pid in words(base / "cgroup.procs") if (proc / pid).exists()]
    if inside:
        (base / LEAF).mkdir(mode=0o755, exist_ok=True)
        for pid in inside:
            with suppress(ProcessLookupError):
                _write(base / LEAF / "cgroup.procs", pid)


def _enable(group: Path) -> None:
    """Let the children of *group* have the controllers that it has."""
    offered = set(words(group / "cgroup.controllers"))
    given = set(words(group / "cgroup.subtree_control"))
    if missing := [f"+{controller}" for controller in CONTROLLERS if controller in offered - given]:
        _write(group / "cgroup.subtree_control", " ".join(missing))


def _limit(controller: str, group: Path, limits: LimitRecord) -> None:
    """Write the limit of one controller; no limit is written as well, because a cgroup may have an old one."""
    with suppress(OSError):  # version 1 has no such file
        _write(group / "cgroup.max.descendants", "1")  # the inner one: a server makes none
    if controller == "pids":
        _write(group / "pids.max", str(limits.processes or "max"))
    elif controller == "cpu":
        _limit_cpus(group, limits.cpus)
    elif (group / "memory.max").exists():
        _write(group / "memory.max", str(limits.memory or "max"))
        with suppress(OSError):  # a kernel without swap accounting has no such file
            _write(group / "memory.swap.max", "0" if limits.memory else "max")
    else:
        _limit_memory_v1(group, limits.memory)


def _limit_memory_v1(group: Path, memory: int | None) -> None:
    """Write the limit of memory, and the same one for memory with swap; neither may pass the other on the way."""
    both, alone = group / "memory.memsw.limit_in_bytes", group / "memory.limit_in_bytes"
    with suppress(OSError):  # a kernel since 5.11 counts what is inside in any case
        _write(group / "memory.use_hierarchy", "1")
    with suppress(OSError):
        _write(both, "-1")
    _write(alone, str(memory or -1))
    if memory:
        with suppress(OSError):  # a kernel without swap accounting has no such file
            _write(both, str(memory))


def _limit_cpus(group: Path, cpus: float | None) -> None:
    quota = _quota(cpus)
    if (group / "cpu.max").exists():
        _write(group / "cpu.max", f"{quota or 'max'} {PERIOD}")
    else:
        _write(group / "cpu.cfs_period_us", str(PERIOD))
        _write(group / "cpu.cfs_quota_us", str(quota or -1))


def _quota(cpus: float | None) -> int | None:
    """Return the microseconds of each period; the kernel refuses less than a millisecond."""
    return max(1000, round(cpus * PERIOD)) if cpus else None


def _try(controller: str, group: Path, limits: LimitRecord) -> None:
    """Make a cgroup with a limit, read that back, start a process in it, and remove it.

    Raises:
        OSError: when one of these does not work.
    """
    cgroups = {controller: str(group)}
    try:
        make(replace(limits, cgroups=cgroups))
        if not (_reads_back(controller, group, limits) and _counts_what_is_inside(group)):
            raise OSError(f"{group} does not keep a limit")
        command = [*join_command(cgroups), "/bin/sh", "-c", "echo joined; read line"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as one:
            joined = one.stdout is not None and one.stdout.readline() == b"joined\n"
            is_inside = str(one.pid) in words(group / INNER / "cgroup.procs")
        if not (joined and is_inside):
            raise OSError(f"No process can join {group}")
    finally:
        remove(cgroups)


def _reads_back(controller: str, group: Path, limits: LimitRecord) -> bool:
    files = {
        "memory": ("memory.max", "memory.limit_in_bytes"),
        "pids": ("pids.max",),
        "cpu": ("cpu.max", "cpu.cfs_quota_us"),
    }[controller]
    wanted = {"memory": limits.memory, "pids": limits.processes, "cpu": _quota(limits.cpus)}[controller]
    return wanted is None or any(words(group / file)[:1] == [str(wanted)] for file in files)


def _counts_what_is_inside(group: Path) -> bool:
    """Say whether the limit counts for cgroups below, which kernels before 5.11 must be told for version 1."""
    return words(group / "memory.use_hierarchy") in ([], ["1"])


# --- removing ---


def _is_removed(group: Path) -> bool:
    """Remove the cgroup with all below it, and say whether it is gone."""
    try:
        for one in _innermost_first(group):
            one.rmdir()
    except FileNotFoundError:
        return not group.exists()
    except OSError:
        return False
    return True


def _innermost_first(group: Path) -> list[Path]:
    return [Path(folder) for folder, _, _ in os.walk(group, topdown=False)] or [group]


def _kill(group: Path) -> None:
    """Kill every process in the cgroup and below it; none can start another meanwhile."""
    with suppress(OSError):
        _write(group / "cgroup.kill", "1")
        return
    with suppress(OSError):
        _write(group / "pids.max", "0")
    for one in _innermost_first(group):
        for pid in words(one / "cgroup.procs"):
            with suppress(OSError):
                _kill_one(int(pid), one)


def _kill_one(pid: int, group: Path) -> None:
    """Kill a process if it still is the one in the cgroup: ids are used again."""
    descriptor = os.pidfd_open(pid)
    try:
        if str(pid) in words(group / "cgroup.procs"):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    finally:
        os.close(descriptor)


# --- files ---


def _write(file: Path, text: str) -> None:
    """Write *text* with one call, as these files require; never create one, which only a double would allow."""
    descriptor = os.open(file, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from None
    finally:
        os.close(descriptor)


def _number_in(file: str | Path, *keys: str) -> int:
    """Return the number behind the first of *keys* that a file of lines such as `oom_kill 3` has; 0 without any."""
    found = words(file)
    numbers = dict(zip(found[::2], found[1::2], strict=False))
    return next((int(numbers[key]) for key in keys if key in numbers), 0)


def _count_of_v1(group: str, file: str, key: str) -> int:
    """Return a count of the launch: version 1 counts in the cgroup of the process, version 2 in the one with limits."""
    return sum(_number_in(f"{one}/{file}", key) for one in (group, f"{group}/{INNER}"))


def name_of(data: Path) -> str:
    """Return the name of the cgroup of the hub with that data folder: no other hub has it."""
    return sha256(str(data.resolve()).encode()).hexdigest()[:12]
