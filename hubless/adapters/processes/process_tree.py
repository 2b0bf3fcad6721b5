"""Limits of a launch's processes where no cgroup can be written: somebody looks, and ends what is over.

This holds memory and the number of processes some seconds late, and processors not at all. A program that leaves both
its parents and their session within one interval, before anybody saw it, is not found again. So it holds against
accidents, and not against intent.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from hubless.adapters.processes import limit_record, memory_files, process_use
from hubless.adapters.processes.launch_folder import SANDBOX, LaunchFolder
from hubless.adapters.processes.limit_record import LimitRecord
from hubless.adapters.processes.memory_files import MemoryFiles
from hubless.adapters.processes.process_use import start_of
from hubless.domain.limits import Resource
from hubless.domain.values import value

PATIENCE_SECONDS = 15.0  # after which a launch ends that is over a limit at each look
STOP_ROUNDS = 20  # of stopping what a program starts while it is stopped
_SERVER_IN_SANDBOX = 3  # in a sandbox: the monitor, its first process, and the server
# `-u` is bash's letter for the number of processes, `-p` dash's.
_NPROC = 'ulimit -u "$1" 2>/dev/null || ulimit -p "$1" || exit 70; shift; exec "$@"'

Key = tuple[int, float]  # process id and start: an id alone is used again


@dataclass(slots=True, eq=False)
class Process:
    """One process, as a look at all of them saw it."""

    pid: int
    parent: int
    session: int
    began: float  # as `_start` has it
    name: str
    threads: int
    resident: int  # bytes, shared ones included
    children: "list[Process]" = field(default_factory=list)

    @property
    def key(self) -> Key:
        """Return what tells it from another process that gets its id later."""
        return self.pid, self.began


@value
class _Known:
    """The processes and sessions that were seen below a server at the last look."""

    processes: frozenset[Key] = frozenset()
    sessions: frozenset[int] = frozenset()
    sessions_before: frozenset[int] = frozenset()  # of the look before that
    over_since: float | None = None  # the first of the looks in a row that found it over a limit


class ProcessTree:
    """Watches the processes of all launches whose record has no cgroup."""

    def __init__(self, servers: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Watch the launches whose folders are below *servers*; *clock* returns seconds."""
        self._servers = servers
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._in_cgroups: set[str] = set()  # launches whose record says so, which never changes

    def watch(self) -> None:
        """Look once at all launches, and end what is over a limit, and what is left of launches that are over."""
        launches = dict(self._launches())
        if not launches and not self._known:
            return
        processes = look()
        for launch_id in [*self._known]:
            if not LaunchFolder(self._servers / launch_id).is_held():
                _end_rest(self._known.pop(launch_id), processes)
        for launch_id, record in launches.items():
            folder = LaunchFolder(self._servers / launch_id)
            root = processes.get(folder.pid() or 0)
            if root is not None and folder.is_held():
                self._check(folder, record, processes, root)

    def _members(self, launch_id: str, processes: Mapping[int, Process], roots: list[Process]) -> list[Process]:
        """Return what is below *roots*, and what once was, wherever its parents are now."""
        known = self._known.get(launch_id, _Known())
        own, began = [kin for root in roots for kin in family(root)], roots[0].began
        # A look takes a moment: a parent may have ended in it while its child is not listed yet. So the sessions of
        # the look before count as well.
        sessions = _sessions(own) | _sessions_still_of(known, processes)
        adrift = [
            one
            for one in processes.values()
            if one.key in known.processes or (one.session in sessions and one.began >= began)
        ]
        members = unique([*own, *(kin for one in adrift for kin in family(one))])
        keys = frozenset(one.key for one in members)
        self._known[launch_id] = _Known(keys, _sessions(members), known.sessions, known.over_since)
        return members

    def _launches(self) -> Iterator[tuple[str, LimitRecord]]:
        with suppress(FileNotFoundError):
            names = set(os.listdir(self._servers))  # noqa: PTH208 plain names, many of them
            self._in_cgroups &= names
            for name in names - self._in_cgroups:
                record = limit_record.read(self._servers / name)
                if record is not None and record.cgroups:
                    self._in_cgroups.add(name)
                elif record is not None and (record.memory or record.processes):
                    yield name, record

    def _check(
        self, folder: LaunchFolder, record: LimitRecord, processes: Mapping[int, Process], root: Process
    ) -> None:
        launch_id = folder.path.name
        note = folder.note()
        chain = chain_to_server(root, in_sandbox=note is not None and note.isolation == SANDBOX)
        forked = processes.get(folder.server() or 0)  # in a sandbox, and not below its first process
        if forked is not None and forked is not root:
            chain = [*chain, forked]
        members = self._members(launch_id, processes, [root] if forked is None else [root, forked])
        reached = None
        if record.processes is not None and _end_crowd(members, chain, record.processes):
            reached = Resource.PROCESSES  # the next look sees what that has changed
        elif record.memory is not None and _end_largest(members, chain, record.memory, _files_of(members, chain)):
            reached = Resource.MEMORY
        self._known[launch_id] = replace(self._known[launch_id], over_since=self._over_since(launch_id, reached))
        if reached is None:
            return
        if self._is_stubborn(launch_id):
            _end_all(members)
        record = replace(record, reached={**record.reached, reached: record.reached.get(reached, 0) + 1})
        with suppress(OSError):  # the disk may be full; others have limits, too
            limit_record.write(folder.path, record)

    def _over_since(self, launch_id: str, reached: Resource | None) -> float | None:
        if reached is None:
            return None
        before = self._known[launch_id].over_since
        return self._clock() if before is None else before

    def _is_stubborn(self, launch_id: str) -> bool:
        """Say whether to end single programs has not helped: others start, or files in memory stay."""
        since = self._known[launch_id].over_since
        return since is not None and self._clock() - since >= PATIENCE_SECONDS


def _files_of(members: Iterable[Process], chain: list[Process]) -> MemoryFiles:
    """Return the launch's files in memory; the second process of *chain* is the first one in a sandbox."""
    return memory_files.find((one.pid for one in members), chain[1].pid if len(chain) > 1 else None)


def _end_rest(known: _Known, processes: Mapping[int, Process]) -> None:
    """End the *known* processes of a launch that is over, with all in their sessions and below them.

    Each is the very process that was seen in the launch: a session's id is not used again while one of it lives.
    """
    left = [one for one in processes.values() if one.key in known.processes]
    sessions = _sessions(left) & known.sessions
    left += [one for one in processes.values() if one.session in sessions]
    if members := unique(kin for one in left for kin in family(one)):
        _end_all(members)


def nproc_command(processes: int | None) -> list[str]:
    """Return the beginning of a command line that sets RLIMIT_NPROC, which counts for a whole user id."""
    return [] if processes is None else ["/bin/sh", "-c", _NPROC, "limit", str(processes)]


def look() -> dict[int, Process]:
    """Return all processes of this machine by id, each with its children."""
    found: dict[int, Process] = {}
    for pid in psutil.pids():
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            if one := _seen(psutil.Process(pid)):
                found[pid] = one
    for one in found.values():
        if one.parent in found and one.parent != one.pid:
            found[one.parent].children.append(one)
    return found


def _seen(process: psutil.Process) -> Process | None:
    """Return what there is to know of a process; None for one that has ended, which its parent has not noticed yet.

    Raises:
        psutil.NoSuchProcess: when it is not there any more.
    """
    facts = process.as_dict(["ppid", "name", "num_threads", "memory_info", "status"])
    threads = facts["num_threads"] or 1
    resident = facts["memory_info"].rss if facts["memory_info"] else 0
    if facts["status"] == psutil.STATUS_ZOMBIE:
        if threads == 1:
            return None
        resident = _resident_of_threads(process.pid)
    session, parent, name = _session(process.pid), facts["ppid"] or 0, facts["name"] or ""
    return Process(process.pid, parent, session, _start(process), name, threads, resident)


def _start(process: psutil.Process) -> float:
    """Return when the process started: in the kernel's ticks, which no setting of the clock changes.

    Raises:
        psutil.NoSuchProcess: when it is not there any more.
    """
    ticks = start_of(process.pid)
    return process.create_time() if ticks is None else ticks  # not Linux, or it has just ended


def _resident_of_threads(pid: int) -> int:
    """Return the resident bytes of a process whose first thread has ended: only the others tell them."""
    pages = 0
    with suppress(OSError, ValueError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            pages = max(pages, int((thread / "statm").read_text().split()[1]))
    return pages * os.sysconf("SC_PAGE_SIZE")


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0  # it has ended meanwhile


def family(root: Process) -> list[Process]:
    """Return *root* and everything below it."""
    found, waiting, seen = [], [root], {root.pid}
    while waiting:
        one = waiting.pop()
        found.append(one)
        for child in one.children:
            if child.pid not in seen:
                seen.add(child.pid)
                waiting.append(child)
    return found


def unique(processes: Iterable[Process]) -> list[Process]:
    """Return each process once."""
    return list({one.pid: one for one in processes}.values())


def _sessions(processes: Iterable[Process]) -> frozenset[int]:
    """Return their sessions without the hub's, and without 0, which what has ended and the kernel's threads have."""
    return frozenset(one.session for one in processes) - {0, os.getsid(0)}


def _sessions_still_of(known: _Known, processes: Mapping[int, Process]) -> frozenset[int]:
    """Return the *known* sessions without those that have a new leader: it is of somebody else.

    A session has the id of its leader. When its last process has ended, another one may get that id.
    """
    sessions = known.sessions | known.sessions_before
    return frozenset(one for one in sessions if one not in processes or processes[one].key in known.processes)


def chain_to_server(root: Process, *, in_sandbox: bool) -> list[Process]:
    """Return the processes from *root* to the server, by place alone: each process can give itself any name.

    What a sandbox's programs leave behind becomes a child of its first process, too; the server is the oldest.
    """
    chain = [root]
    while in_sandbox and len(chain) < _SERVER_IN_SANDBOX and chain[-1].children:
        chain.append(min(chain[-1].children, key=lambda one: (one.began, one.pid)))
    return chain


def _end_largest(members: list[Process], chain: list[Process], limit: int, files: MemoryFiles) -> bool:
    """End the largest processes until the rest is within *limit* bytes, kernels rather than the server.

    *chain* leads to the server, its last; what contains the server is never ended for itself. What processes hold in
    *files* counts for them, and they end together. The sandbox's own files stay as long as the server.
    """
    if sum(one.resident for one in members) + files.size <= limit:
        return False  # shared pages count twice here, so it cannot be more
    used = {one.pid: _memory(one) for one in members}
    if sum(used.values()) + files.size <= limit:
        return False  # files that are mapped count twice here; to find out which are is slow
    of_files, of_sandbox = files.unmapped(used)
    for file, size in of_files.items():
        used[_holder(files.holders[file], chain)] += size
    left = limit - of_sandbox
    if sum(used.values()) <= left:
        return False
    server = chain[-1]
    others = _together([one for one in members if one not in chain], files)
    is_the_servers_own = used[server.pid] > left
    victims = [server] if is_the_servers_own or not others else _surplus(others, used, left)
    ended = [_act(victim, psutil.Process.kill) for victim in victims]
    return any(ended)


def _holder(pids: frozenset[int], chain: list[Process]) -> int:
    """Return one of the processes that hold a file: a program below the server, if there is one."""
    return min(pids - {one.pid for one in chain} or pids)


def _together(processes: list[Process], files: MemoryFiles) -> list[list[Process]]:
    """Return the processes in groups: those that hold the same file in memory are in one."""
    groups = {one.pid: [one] for one in processes}
    for pids in files.holders.values():
        held = {id(groups[pid]): groups[pid] for pid in pids if pid in groups}
        merged = [one for group in held.values() for one in group]
        groups |= {one.pid: merged for one in merged}
    return list({id(group): group for group in groups.values()}.values())


def _end_crowd(members: list[Process], chain: list[Process], limit: int) -> bool:
    """End the largest crowds, each below one child of *chain*, until no more than *limit* processes are left.

    *chain* leads to the server, its last. In a sandbox its first process gets the children of those that end.
    """
    if sum(one.threads for one in members) <= limit:
        return False
    inside = {one.pid for one in members} - {one.pid for one in chain}
    others = [one for one in members if one not in chain]
    crowds = [family(one) for one in others if one.parent not in inside] or [[chain[-1]]]
    return _end_all(_surplus(crowds, {one.pid: one.threads for one in members}, limit))


def _surplus(groups: list[list[Process]], used: Mapping[int, int], limit: int) -> list[Process]:
    """Return the processes of the largest *groups*, as many as it takes until what all use is within *limit*.

    One group in each look would be too few: a program can leave hundreds of processes without parents behind.
    """
    left, found = sum(used.values()), list[Process]()
    by_size = sorted(groups, key=lambda group: sum(used.get(one.pid, 0) for one in group), reverse=True)
    for group in by_size:
        if left <= limit:
            break
        left -= sum(used.get(one.pid, 0) for one in group)
        found += group
    return found


def _end_all(crowd: list[Process]) -> bool:
    """Stop the processes until they start no more, and kill them: what is killed one by one is started again."""
    stopped: dict[Key, Process] = {}
    new = crowd
    for _ in range(STOP_ROUNDS):
        for one in new:
            _act(one, psutil.Process.suspend)
            stopped[one.key] = one
        processes = look()
        alive = [processes[one.pid] for one in stopped.values() if _is_same(processes.get(one.pid), one)]
        new = [kin for one in alive for kin in family(one) if kin.key not in stopped]
        if not new:
            break
    killed = [_act(one, psutil.Process.kill) for one in stopped.values()]
    return any(killed)


def _is_same(found: Process | None, one: Process) -> bool:
    return found is not None and found.key == one.key


def _act(one: Process, action: Callable[[psutil.Process], None]) -> bool:
    """Do it to the process if it still is the one that was seen; say whether it was done."""
    try:
        process = psutil.Process(one.pid)
        if _start(process) != one.began:
            return False
        action(process)
    except psutil.Error:
        return False
    return True


def _memory(one: Process) -> int:
    return process_use.memory(one.pid) or one.resident
