"""The sweep: culls idle servers, handles crashes, ends orphans, removes stale routes and expired records.

Its cost grows with running servers, not with users. One bad server does not stop the sweep for the others.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING

from hubless.domain import idleness, names
from hubless.domain.downtime import Uptimes
from hubless.domain.errors import StoreConflictError, StoreUnavailableError
from hubless.domain.idle_policies import IdlePolicies
from hubless.domain.idleness import IdlePolicy, NextStop, Reap
from hubless.domain.lifecycle import ACTIVE, Server, State
from hubless.domain.lock_policy import LockPolicy
from hubless.domain.messages import Message, MessageKind
from hubless.domain.profiles import Profile
from hubless.domain.routes import Route, ServerKey
from hubless.domain.schedules import Lesson, keeper
from hubless.domain.spares import Spare
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.bulletin import BulletinStore
from hubless.ports.clock import Clock
from hubless.ports.join_links import JoinLinkStore
from hubless.ports.launcher import Launcher, Task, TaskRunning, TaskStatus, TaskStopped
from hubless.ports.leases import LeaseStore
from hubless.ports.letters import LetterStore
from hubless.ports.passwords import AttemptStore
from hubless.ports.pending_logins import PendingLoginStore
from hubless.ports.people_batches import PeopleBatchStore
from hubless.ports.queue import Queue
from hubless.ports.servers import ServerStore
from hubless.ports.shares import ShareCodeStore
from hubless.ports.sign_ups import SignUpStore
from hubless.ports.single_use import SingleUseStore
from hubless.ports.sweeps import SweepStore
from hubless.ports.tokens import ClientStore, SessionStore, TokenStore
from hubless.ports.usage import UsageLog
from hubless.ports.users import UserStore
from hubless.services.budgets import Budgets
from hubless.services.edge_autosuspend import EdgeAutosuspend
from hubless.services.inspecting import Finding, Inspecting
from hubless.services.launching import Launching
from hubless.services.preparing import PreparingAhead
from hubless.services.resumable_sweep import Step, SweepProgress, run_steps
from hubless.services.routing import Routing
from hubless.services.service_registry import ServiceRegistry
from hubless.services.stopping import Stopping
from hubless.services.uptime_log import UptimeLog

if TYPE_CHECKING:
    from hubless.services.lessons import Lessons
    from hubless.services.spare_keeping import SpareKeeping

logger = logging.getLogger(__name__)

_WAITING = {  # states that wait for a message
    State.REQUESTED: MessageKind.LAUNCH,
    State.PREPARING: MessageKind.LAUNCH,
    State.STOPPING: MessageKind.STOP,
}
# When a message counts as lost, relative to that of a launch: a queue of preparations moves slowly, stops are quick.
_PATIENCE = {State.PREPARING: 10.0, State.STOPPING: 0.25}
RETRY_WINDOW = timedelta(minutes=1)  # the time between two sweeps in the cloud
LONG_SWEEP = timedelta(seconds=5)
BATCH, PIECE = 500, 50  # expired records that one run removes at most, and that one call removes


class Part(IntEnum):
    """The parts of a sweep, in this order."""

    SERVERS = 1
    TASKS = 2  # orphans
    ROUTES = 3  # stale routes
    TIDYING = 4
    EXPIRED = 5
    AHEAD = 6  # launches to prepare
    UNUSED = 7  # garbage of profiles that are no longer offered
    LESSONS = 8  # servers of classes that meet now, or have met
    SPARES = 9  # tasks that wait for launches


@value
class SweepReport:
    """What one run of the sweep did. If it is incomplete, the next run goes on where this one ended."""

    active: int  # servers that start, run or stop, at the beginning
    checked: int
    reaped: int
    orphans: int
    stale_routes: int
    expired: int
    prepared: int
    discarded: int
    is_incomplete: bool
    waiting_spares: int = 0  # at the beginning


@value
class _Time:
    """The instants by which one sweep judges."""

    now: datetime
    sure_at: datetime  # by which servers grow too old and records expire
    uptimes: Uptimes | None = None

    @property
    def edges_report(self) -> bool:
        return self.uptimes is None or self.uptimes.edges_report


@value
class _Snapshot:
    """What the sweep has read before it checks servers one by one."""

    time: _Time
    routed: frozenset[tuple[str, str | None, str | None]]  # prefix, launch and address of each route
    is_short_of_messages: bool
    findings: Mapping[str, Finding]  # of servers that were asked for their work, by id
    lessons: Sequence[Lesson] = ()  # that are on, or have just ended


@value
class Reaping:
    """Runs the sweep."""

    servers: ServerStore
    users: UserStore
    launcher: Launcher
    launching: Launching
    stopping: Stopping
    routing: Routing
    tokens: TokenStore
    clients: ClientStore
    sessions: SessionStore
    attempts: AttemptStore
    queue: Queue
    clock: Clock
    idle_policies: IdlePolicies
    inspecting: Inspecting
    profiles: Mapping[str, Profile]
    services: ServiceRegistry
    share_codes: ShareCodeStore
    lock_policy: LockPolicy
    sweeps: SweepStore
    edge_autosuspend: EdgeAutosuspend
    leases: LeaseStore
    pending_logins: PendingLoginStore
    single_use: SingleUseStore
    sign_ups: SignUpStore
    people_batches: PeopleBatchStore
    join_links: JoinLinkStore
    bulletin: BulletinStore
    letters: LetterStore
    preparing_ahead: PreparingAhead
    usage: UsageLog
    message_is_lost_after: timedelta = timedelta(seconds=20)  # how long a message to launch may wait in the queue
    report_interval: timedelta = timedelta()  # activity may be seen that much later
    active_limit: int = 0  # active servers in the whole hub; 0 for no limit
    lessons: "Lessons | None" = None  # None where a hub has no schedules
    delete_old_acts: Callable[[datetime, int], int] = lambda _now, _limit: 0  # audit records that were kept long enough
    budgets: Budgets | None = None  # None: there are none
    uptime_log: UptimeLog | None = None  # None: no time is downtime
    files_stop: Callable[[User, Server], NextStop | None] = lambda _owner, _server: None  # because of too many files
    frozen_after: timedelta | None = None  # how long a server may be frozen; None for no limit
    spares: "SpareKeeping | None" = None  # None where no tasks wait for launches

    def sweep(self, until: datetime | None = None) -> SweepReport:
        """Take each step once, from the resume point of the last run; stop at *until*, but take at least one step.

        It always reads the lists of tasks, routes and servers: one round trip per hundred servers.
        """
        # Tasks and routes are listed before records: the record of a listed task is live in the later read, unless its
        # launch is over.
        began, uptimes = self.clock.elapsed(), self.uptime_log.note() if self.uptime_log else None
        tasks, routes = self.launcher.tasks(), list(self.routing.routes.all())
        spares = self.spares.all() if self.spares is not None else []
        active, now = self.servers.in_states(ACTIVE), self.clock.now()
        time = self._time(uptimes, now)
        present = self.lessons.present() if self.lessons is not None else ()
        self._reconcile_edge(active, routes)
        live = frozenset(s.launch_id for s in active if s.launch_id)
        owned = live | {spare.id for spare in spares}  # the names under which launchers list tasks that are no orphans
        taken = frozenset(s.task for s in active if s.task)  # that of a claimed spare has the spare's name
        steps = [
            *self._server_steps(
                active, {task.task: task.status for task in tasks}, routes, time, until, present=present
            ),
            *(
                Step(Part.TASKS, task.launch_id, partial(self._end_orphan, task))
                for task in tasks
                if task.launch_id not in owned and task.task not in taken
            ),
            *(
                Step(Part.TASKS, task.launch_id, partial(self._end_duplicate, task))
                for task in _duplicates(tasks, active, spares)
            ),
            *(
                Step(Part.ROUTES, route.prefix, partial(self._remove_route, route))
                for route in self.routing.stale(routes, live)
            ),
            *self._cleanup_steps(routes, time.sure_at, until),
            Step(Part.AHEAD, "", lambda: self.preparing_ahead.prepare_some(until)),
            Step(Part.UNUSED, "", self._collect_garbage),
            *self._lesson_steps(present, until),
            *self._spare_steps(spares, tasks, until),
        ]
        this = self._run_from_resume_point(steps, until)
        self._note_long_sweep(self.clock.elapsed() - began)
        return SweepReport(
            active=len(active),
            checked=this.taken[Part.SERVERS],
            reaped=this.done[Part.SERVERS],
            orphans=this.done[Part.TASKS],
            stale_routes=this.done[Part.ROUTES],
            expired=this.done[Part.EXPIRED],
            prepared=this.done[Part.AHEAD],
            discarded=this.done[Part.UNUSED],
            is_incomplete=bool(this.resume_after),
            waiting_spares=sum(spare.can_be_claimed for spare in spares),
        )

    def _time(self, uptimes: Uptimes | None, now: datetime) -> "_Time":
        """Return by which instants to judge; a clock that jumps meanwhile changes none of them."""
        if self.uptime_log is None or uptimes is None or uptimes.hub.up_at is None:
            return _Time(now, now)
        now = uptimes.hub.up_at
        return _Time(now, self.uptime_log.sure_at(uptimes, now), uptimes)

    def _note_long_sweep(self, took: timedelta) -> None:
        """Note that the hub was up all along in a sweep that took long: the next note would take it for a downtime."""
        if self.uptime_log is not None and took > LONG_SWEEP:
            self.uptime_log.note(took=took)

    def _lesson_steps(self, present: Sequence[Lesson], until: datetime | None) -> Iterator[Step]:
        if (lessons := self.lessons) is not None and present:
            yield Step(Part.LESSONS, "", lambda: lessons.sweep(present, lambda: self._is_over(until)))

    def _spare_steps(self, spares: Sequence[Spare], tasks: Sequence[Task], until: datetime | None) -> Iterator[Step]:
        if (keeping := self.spares) is not None:
            yield Step(Part.SPARES, "", lambda: keeping.keep(spares, tasks, until))

    def _reconcile_edge(self, active: list[Server], routes: list[Route]) -> None:
        """Start or stop the edge at every run and any resume point: without an edge no user reaches a server."""
        try:
            self.edge_autosuspend.reconcile(is_needed=bool(active) or self.routing.has_service_routes(routes))
        except Exception:
            logger.exception("the sweep cannot start or stop the edge")

    # --- order and time limit ---

    def _run_from_resume_point(self, steps: list[Step], until: datetime | None) -> SweepProgress:
        """Take the steps from the last resume point, and store the next one.

        It is stored once, at the end: after a crash the next run repeats steps, which are idempotent. Two concurrent
        runs take the same steps; if both stop early, either resume point is right, because each run has done every step
        before its own.
        """
        before = self.sweeps.resume_point()
        this = run_steps(steps, before, lambda: self._is_over(until))
        if this.resume_after != before:
            with suppress(StoreConflictError):
                self.sweeps.set_resume_point(before, this.resume_after)
        return this

    def _is_over(self, until: datetime | None) -> bool:
        return until is not None and self.clock.now() >= until

    # --- servers ---

    def _server_steps(
        self,
        active: list[Server],
        listed: Mapping[str, TaskStatus],
        routes: list[Route],
        time: _Time,
        until: datetime | None,
        *,
        present: Sequence[Lesson],
    ) -> Iterator[Step]:
        owners = self.users.get_many({s.owner_id for s in active})
        statuses = {**listed, **self._describe_unlisted([s.task for s in active if s.task and s.task not in listed])}
        routed = frozenset((route.prefix, route.launch_id, route.address) for route in routes)
        findings = self._inspect([server for server in active if _runs(statuses.get(server.task or ""))], owners, until)
        seen = _Snapshot(time, routed, self._is_short_of_messages(active), findings, present)
        for server in active:
            status = statuses.get(server.task or "")
            yield Step(
                Part.SERVERS, server.id, partial(self._check_server, server, owners.get(server.owner_id), status, seen)
            )

    def _inspect(
        self, running: list[Server], owners: Mapping[str, User], until: datetime | None
    ) -> Mapping[str, Finding]:
        """Ask servers for their work; without an answer none of them is stopped for idleness in this sweep."""
        try:
            return self.inspecting.look([(s, owners[s.owner_id]) for s in running if s.owner_id in owners], until)
        except Exception:
            logger.exception("the sweep cannot ask servers for their work")
            return {}

    def _is_short_of_messages(self, active: list[Server]) -> bool:
        """Say whether the queue has fewer messages than there are servers that wait for one."""
        waiting = sum(server.state in _WAITING for server in active)
        try:
            return waiting > 0 and self.queue.depth() < waiting
        except StoreUnavailableError as away:  # then sending would fail too
            logger.warning("cannot read queue depth: %s", away)
            return False

    def _describe_unlisted(self, unlisted: list[str]) -> Mapping[str, TaskStatus]:
        """Ask for tasks that the launcher did not list: they started just now, or have ended."""
        try:
            return self.launcher.describe_many(unlisted)
        except Exception:
            logger.exception("cannot describe %d tasks in one call; trying one by one", len(unlisted))
            return {}

    def _check_server(self, server: Server, owner: User | None, status: TaskStatus | None, seen: "_Snapshot") -> int:
        # A server that has crashed is reported as crashed, however idle it was.
        if not isinstance(status, TaskStopped) and self._limit_of(server, owner, status, seen) is not None:
            current = self.servers.get(server.id)
            # Read again: the server may have been active since the list was read, which changes no revision.
            is_same = current is not None and current.revision == server.revision
            if current is not None and is_same and (limit := self._limit_of(current, owner, status, seen)):
                of = owner.name if owner else ""
                logger.info("server %s of %s: the sweep stops it because it %s", server.id, of, limit.why)
                self.stopping.request(current, limit.reason)
                return 1
        if server.state in _WAITING and self._is_message_lost(server, seen):
            self.queue.send(Message(_WAITING[server.state], server.id, server.launch_id or ""))
        self.launching.reconcile(server, status)
        if owner is not None and server.state is State.READY and _runs(status):
            self._mend_route(server, owner, seen)
        self.launching.resend_activity(server)  # the API may have crashed before it sent the message
        return 0

    def _is_message_lost(self, server: Server, seen: "_Snapshot") -> bool:
        """Say whether to send the message of a waiting server again.

        If messages are missing, always. If there are enough, they may belong to other servers: then less and less
        often, because each message too many takes a slot from servers that wait for capacity.
        """
        first = self.message_is_lost_after * _PATIENCE.get(server.state, 1.0)
        waited = seen.time.now - server.entered_at
        return waited >= first and (seen.is_short_of_messages or _is_retry_due(waited, first))

    def _mend_route(self, server: Server, owner: User, seen: "_Snapshot") -> None:
        """Add the missing route of a ready server, and remove that of a frozen one.

        A late worker may have removed it with another launch's, or crashed between the record and the route.
        """
        prefix = names.route_prefix(owner.name, server.name)
        is_frozen = server.frozen_at is not None
        if ((prefix, server.launch_id, server.address) in seen.routed) != is_frozen:
            return
        current = self.servers.get(server.id)
        if current is None or current.revision != server.revision or not current.address:
            return
        if is_frozen:
            self.routing.remove(prefix, current.launch_id or "")
            return
        logger.warning("server %s: it is ready and had no route; the sweep adds it", server.id)
        self.routing.add(prefix, current.address, current.launch_id or "", ServerKey(current.id, current.owner_id))

    def _limit_of(
        self, server: Server, owner: User | None, status: TaskStatus | None, seen: "_Snapshot"
    ) -> Reap | None:
        """Return why to stop *server*; for idleness only if it was asked for its work, or has no owner any more."""
        if server.state is not State.READY:
            return None
        if owner is not None and (stop := self.files_stop(owner, server)) is not None and stop.at <= seen.time.sure_at:
            return Reap("has an owner whose files take more room than they may", stop.reason)
        # The record may be old: while the hub was down, the server may have gone on.
        is_frozen = isinstance(status, TaskRunning) and status.is_frozen
        stop = idleness.frozen_stop(server, self.frozen_after)
        if is_frozen and stop is not None and stop.at <= seen.time.sure_at:
            return Reap(f"was frozen for {self.frozen_after}", stop.reason)
        limits = self.idle_policies.of(server.profile, owner.name if owner else "")
        finding = seen.findings.get(server.id, Finding(is_open=owner is not None))
        is_open = finding.is_open or not seen.time.edges_report
        if is_open and not idleness.is_too_old(server, limits, seen.time.sure_at):
            return None
        lesson = keeper(seen.lessons, owner.groups, seen.time.now) if owner is not None else None
        verdict = self._verdict(server, limits, finding, seen)
        if verdict is None or lesson is None or owner is None:
            return verdict
        # The lesson puts off a stop for idleness, and none for age.
        verdict = self._verdict(server, replace(limits, idle_after=None), finding, seen)
        if verdict is None and self.lessons is not None:
            self.lessons.note_kept(lesson, owner, server)
        return verdict

    def _verdict(self, server: Server, limits: IdlePolicy, finding: Finding, seen: "_Snapshot") -> Reap | None:
        time = seen.time
        verdict = idleness.verdict(
            server,
            limits,
            time.now,
            worked_at=finding.worked_at,
            report_interval=self.report_interval,
            uptime=time.uptimes.edges if time.uptimes else None,
            aged_at=time.sure_at,
        )
        return verdict if isinstance(verdict, Reap) else None

    # --- orphans and stale routes ---

    def _end_orphan(self, task: Task) -> int:
        """Kill a task without a live record: a crash or a lost message left it."""
        logger.warning("task %s: it belongs to no live server; the sweep ends it", task.task)
        self.launcher.stop(task.task, force=True)
        self.launcher.forget(task.task)
        return 1

    def _end_duplicate(self, task: Task) -> int:
        """Kill the second task of a launch: a worker crashed after it had started the first. Credentials stay."""
        logger.warning("task %s: its launch has another task; the sweep ends this one", task.task)
        self.launcher.stop(task.task, force=True)
        return 1

    def _remove_route(self, route: Route) -> int:
        return int(self.routing.routes.remove(route.prefix, route.launch_id) is not None)

    # --- garbage and expired records ---

    def _collect_garbage(self) -> int:
        """Remove what no profile or user needs any more; not while launches are to be prepared: AWS counts both."""
        if self.preparing_ahead.is_behind:
            return 0
        found = self.launcher.garbage_collect(self.profiles.values())
        return found + self.launcher.remove_owners(lambda owner_ids: self.users.get_many(owner_ids).keys())

    def _cleanup_steps(self, routes: list[Route], now: datetime, until: datetime | None) -> Iterator[Step]:
        tidying: Mapping[str, Callable[[], None]] = {
            "attempts": lambda: self.attempts.delete_before(self.lock_policy.kept_since(now)),
            "edges": self.routing.tidy,
            "places of active servers": lambda: self.servers.recount_active(self.active_limit, now),
            "number of users": lambda: self.users.recount(now),
            "budgets": self._keep_budgets,
            "services": lambda: self.routing.sync_services(self.services.all(), routes),
        }
        expiring: Mapping[str, Callable[[datetime, int], int]] = {
            "tokens": self.tokens.delete_expired,
            "sessions": self.sessions.delete_expired,
            "authorization codes": self.clients.delete_expired_codes,
            "share codes": self.share_codes.delete_expired,
            "leases": self.leases.delete_expired,
            "pending logins": self.pending_logins.delete_expired,
            "used keys": self.single_use.delete_expired,
            "sign-ups": self.sign_ups.delete_expired,
            "usage of launches": self.usage.delete_expired,
            "join links": self.join_links.delete_expired,
            "announcements": self.bulletin.delete_expired,
            "messages to users": self.letters.delete_expired,
            "people to add": self.people_batches.delete_expired,
            "audit records": self.delete_old_acts,
        }
        for key, tidy in tidying.items():
            yield Step(Part.TIDYING, key, partial(_uncounted, tidy))
        for key, remove in expiring.items():
            yield Step(Part.EXPIRED, key, partial(self._expire, remove, now, until))

    def _keep_budgets(self) -> None:
        if self.budgets is not None:
            self.budgets.sweep(self.stopping)

    def _expire(self, remove: Callable[[datetime, int], int], now: datetime, until: datetime | None) -> int:
        removed = 0
        while removed < BATCH:
            some = remove(now, PIECE)
            removed += some
            if some < PIECE or self._is_over(until):
                break
        return removed


def _runs(status: TaskStatus | None) -> bool:
    return status is not None and not isinstance(status, TaskStopped)


def _uncounted(act: Callable[[], None]) -> int:
    act()
    return 0


def _duplicates(tasks: list[Task], active: list[Server], spares: Iterable[Spare]) -> Iterator[Task]:
    """Yield running tasks of a launch, or of a spare, whose record has another task."""
    known = {server.launch_id: server.task for server in active if server.task}
    known |= {spare.id: spare.task for spare in spares if spare.task}
    for task in tasks:
        if known.get(task.launch_id, task.task) != task.task and not isinstance(task.status, TaskStopped):
            yield task


def _is_retry_due(waited: timedelta, first: timedelta) -> bool:
    """Say whether *waited* is within the retry window after *first*, after 4 times *first*, 16 times, and so on."""
    while first * 4 <= waited:
        first *= 4
    return waited < first + RETRY_WINDOW
