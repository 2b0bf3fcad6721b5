"""Limits of a launch's processes where no cgroup can be written: somebody looks, and ends what is over.

This holds memory and the number of processes some seconds late, and processors not at all. A program that leaves both
its parents and their session within one interval, before anybody saw it, is not found again.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from hubless.adapters.processes import limit_record
from hubless.adapters.processes.launch_folder import SANDBOX, LaunchFolder
from hubless.adapters.processes.limit_record import LimitRecord
from hubless.domain.limits import Resource
from hubless.domain.values import value

STOP_ROUNDS = 20  # of stopping what a program starts while it is stopped
_SERVER_IN_SANDBOX = 3  # in a sandbox: the monitor, its first process, and the server
# `-u` is bash's letter for the number of processes, `-p` dash's.
_NPROC = 'ulimit -u "$1" 2>/dev/null || ulimit -p "$1" || exit 70; shift; exec "$@"'

Key = tuple[int, float]  # process id and time of its start: an id alone is used again


@dataclass(slots=True, eq=False)
class Process:
    """One process, as a look at all of them saw it."""

    pid: int
    parent: int
    session: int
    began: float
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


class ProcessTree:
    """Watches the processes of all launches whose record has no cgroup."""

    def __init__(self, servers: Path) -> None:
        """Watch the launches whose folders are below *servers*."""
        self._servers = servers
        self._known: dict[str, _Known] = {}

    def watch(self) -> None:
        """Look once at all launches, and end what is over a limit."""
        launches = dict(self._launches())
        self._known = {launch_id: known for launch_id, known in self._known.items() if launch_id in launches}
        if not launches:
            return
        processes = look()
        for launch_id, record in launches.items():
            folder = LaunchFolder(self._servers / launch_id)
            root = processes.get(folder.pid() or 0)
            if root is not None and folder.is_held():
                self._check(folder, record, processes, root)

    def _members(self, launch_id: str, processes: Mapping[int, Process], root: Process) -> list[Process]:
        """Return what is below *root*, and what once was, wherever its parents are now."""
        known = self._known.get(launch_id, _Known())
        own = family(root)
        # A look takes a moment: a parent may have ended in it while its child is not listed yet. So the sessions of
        # the look before count as well.
        sessions = _sessions(own) | known.sessions | known.sessions_before
        adrift = [
            one
            for one in processes.values()
            if one.key in known.processes or (one.session in sessions and one.began >= root.began)
        ]
        members = unique([*own, *(kin for one in adrift for kin in family(one))])
        self._known[launch_id] = _Known(frozenset(one.key for one in members), _sessions(members), known.sessions)
        return members

    def _launches(self) -> Iterator[tuple[str, LimitRecord]]:
        with suppress(FileNotFoundError):
            for entry in os.scandir(self._servers):
                record = limit_record.read(Path(entry.path))
                if record is not None and not record.cgroups and (record.memory or record.processes):
                    yield entry.name, record

    def _check(
        self, folder: LaunchFolder, record: LimitRecord, processes: Mapping[int, Process], root: Process
    ) -> None:
        members = self._members(folder.path.name, processes, root)
        note = folder.note()
        chain = chain_to_server(root, in_sandbox=note is not None and note.isolation == SANDBOX)
        for resource, end in ((Resource.PROCESSES, _end_crowd), (Resource.MEMORY, _end_largest)):
            limit = record.processes if resource is Resource.PROCESSES else record.memory
            if limit is not None and end(members, chain, limit):
                record = replace(record, reached={**record.reached, resource: record.reached.get(resource, 0) + 1})
                with suppress(OSError):  # the disk may be full; others have limits, too
                    limit_record.write(folder.path, record)
                return  # the next look sees what that has changed


def nproc_command(processes: int | None) -> list[str]:
    """Return the beginning of a command line that sets RLIMIT_NPROC, which counts for a whole user id."""
    return [] if processes is None else ["/bin/sh", "-c", _NPROC, "limit", str(processes)]


def look() -> dict[int, Process]:
    """Return all processes of this machine by id, each with its children."""
    found: dict[int, Process] = {}
    wanted = ["pid", "ppid", "create_time", "name", "num_threads", "memory_info", "status"]
    for one in psutil.process_iter(wanted):
        facts = one.info
        is_headless = facts["status"] == psutil.STATUS_ZOMBIE and (facts["num_threads"] or 1) > 1
        if is_headless or facts["status"] != psutil.STATUS_ZOMBIE:
            resident = facts["memory_info"].rss if facts["memory_info"] else 0
            if is_headless:
                resident = _resident_of_threads(facts["pid"])
            found[facts["pid"]] = Process(
                facts["pid"],
                facts["ppid"] or 0,
                _session(facts["pid"]),
                facts["create_time"] or 0.0,
                facts["name"] or "",
                facts["num_threads"] or 1,
                resident,
            )
    for one in found.values():
        if one.parent in found and one.parent != one.pid:
            found[one.parent].children.append(one)
    return found


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


def chain_to_server(root: Process, *, in_sandbox: bool) -> list[Process]:
    """Return the processes from *root* to the server, by place alone: each process can give itself any name.

    What a sandbox's programs leave behind becomes a child of its first process, too; the server is the oldest.
    """
    chain = [root]
    while in_sandbox and len(chain) < _SERVER_IN_SANDBOX and chain[-1].children:
        chain.append(min(chain[-1].children, key=lambda one: (one.began, one.pid)))
    return chain


def _end_largest(members: list[Process], chain: list[Process], limit: int) -> bool:
    """End the largest processes until the rest is within *limit* bytes, kernels rather than the server.

    *chain* leads to the server, its last; what contains the server is never ended for itself.
    """
    if sum(one.resident for one in members) <= limit:
        return False  # shared pages count twice here, so it cannot be more
    used = {one.pid: _memory(one) for one in members}
    if sum(used.values()) <= limit:
        return False
    server = chain[-1]
    others = [[one] for one in members if one not in chain]
    is_the_servers_own = used[server.pid] > limit
    victims = [server] if is_the_servers_own or not others else _surplus(others, used, limit)
    ended = [_act(victim, psutil.Process.kill) for victim in victims]
    return any(ended)


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
        if process.create_time() != one.began:
            return False
        action(process)
    except psutil.Error:
        return False
    return True


def _memory(one: Process) -> int:
    """Return the bytes that the process uses: its proportional share (PSS), else what is its own."""
    try:
        return int(psutil.Process(one.pid).memory_full_info().pss) or one.resident
    except (psutil.Error, AttributeError):
        return one.resident
