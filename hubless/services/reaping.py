"""The sweep: culls what is idle, settles what crashed, reconciles both ways, removes what expired.

Its cost grows with running servers, not with users. One bad server does not spoil the sweep for the others.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from enum import IntEnum
from functools import partial

from hubless.domain import idleness, names
from hubless.domain.errors import StoreConflictError, StoreUnavailableError
from hubless.domain.idleness import IdlePolicy, Reap
from hubless.domain.lifecycle import ACTIVE, Server, State
from hubless.domain.lock_policy import LockPolicy
from hubless.domain.messages import Message, MessageKind
from hubless.domain.profiles import Profile
from hubless.domain.routes import Route, ServerKey
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.launcher import Launcher, Task, TaskStatus, TaskStopped
from hubless.ports.passwords import AttemptStore
from hubless.ports.queue import Queue
from hubless.ports.servers import ServerStore
from hubless.ports.shares import ShareCodeStore
from hubless.ports.sweeps import SweepStore
from hubless.ports.tokens import ClientStore, SessionStore, TokenStore
from hubless.ports.users import UserStore
from hubless.services.edge_autosuspend import EdgeAutosuspend
from hubless.services.launching import Launching
from hubless.services.resumable_sweep import Step, SweepProgress, run_steps
from hubless.services.routing import Routing
from hubless.services.service_registry import ServiceRegistry
from hubless.services.stopping import Stopping

logger = logging.getLogger(__name__)

_WAITING = {State.REQUESTED: MessageKind.LAUNCH, State.STOPPING: MessageKind.STOP}  # for a message of this kind
AGAIN = timedelta(minutes=1)  # as long as sweeps are apart in the cloud
BATCH, PIECE = 500, 50  # of what is expired: at most in one run, and at once


class Part(IntEnum):
    """What a sweep looks after, in this order."""

    SERVERS = 1
    TASKS = 2  # that no record knows
    ROUTES = 3  # that lead nowhere
    TIDYING = 4
    EXPIRED = 5
    UNUSED = 6  # what was made for profiles that are no longer on offer


@value
class SweepReport:
    """What one run of the sweep did, and whether it was cut: then the next one begins where this one ended."""

    active: int  # servers that run or are on their way, at its beginning
    checked: int
    reaped: int
    orphans: int
    stale_routes: int
    expired: int
    discarded: int
    is_incomplete: bool


@value
class _Seen:
    """What was seen before servers are looked at one by one."""

    now: datetime
    led: frozenset[tuple[str, str | None, str | None]]  # prefix, launch and address of each route
    is_short_of_messages: bool


@value
class Reaping:
    """The hub's housekeeping."""

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
    idle_policy: IdlePolicy
    idle_policy_by_user: Mapping[str, IdlePolicy]
    profiles: Mapping[str, Profile]
    services: ServiceRegistry
    share_codes: ShareCodeStore
    lock_policy: LockPolicy
    sweeps: SweepStore
    edge_autosuspend: EdgeAutosuspend
    message_is_lost_after: timedelta = timedelta(seconds=20)  # for so long a request to start or stop may wait its turn

    def sweep(self, until: datetime | None = None) -> SweepReport:
        """Go round once, from where the last run was cut; stop at *until*, after one step at least.

        Only the lists are made in any case: a round trip for a hundred servers.
        """
        # Tasks and routes are listed before the records: whatever is listed was made by a launch whose record the
        # later look must show as live, unless it is over.
        tasks, routes = self.launcher.tasks(), list(self.routing.routes.all())
        active, now = self.servers.in_states(ACTIVE), self.clock.now()
        self._settle_edge(active, routes)
        live = frozenset(s.launch_id for s in active if s.launch_id)
        steps = [
            *self._look_after(active, {task.task: task.status for task in tasks}, routes, now),
            *(
                Step(Part.TASKS, task.launch_id, partial(self._end_orphan, task))
                for task in tasks
                if task.launch_id not in live
            ),
            *(Step(Part.TASKS, task.launch_id, partial(self._end_second, task)) for task in _seconds(tasks, active)),
            *(
                Step(Part.ROUTES, route.prefix, partial(self._drop, route))
                for route in self.routing.stale(routes, live)
            ),
            *self._tidy(routes, now, until),
            Step(Part.UNUSED, "", lambda: self.launcher.garbage_collect(self.profiles.values())),
        ]
        this = self._go_round(steps, until)
        return SweepReport(
            active=len(active),
            checked=this.taken[Part.SERVERS],
            reaped=this.done[Part.SERVERS],
            orphans=this.done[Part.TASKS],
            stale_routes=this.done[Part.ROUTES],
            expired=this.done[Part.EXPIRED],
            discarded=this.done[Part.UNUSED],
            is_incomplete=bool(this.resume_after),
        )

    def idle_policy_for(self, server: Server, owner_name: str) -> IdlePolicy:
        """Return the limits for *server*: the hub's, then its profile's, then its owner's own."""
        profile = self.profiles.get(server.profile)
        limits = self.idle_policy.overridden_by(profile.idle_policy) if profile else self.idle_policy
        return limits.overridden_by(self.idle_policy_by_user.get(owner_name, IdlePolicy()))

    def _settle_edge(self, active: list[Server], routes: list[Route]) -> None:
        """See to the edge at every run, wherever the round is: without it nobody reaches what runs."""
        try:
            self.edge_autosuspend.reconcile(is_needed=bool(active) or self.routing.has_service_routes(routes))
        except Exception:
            logger.exception("the edge could not be looked after")

    # --- in which order, and for how long ---

    def _go_round(self, steps: list[Step], until: datetime | None) -> SweepProgress:
        """Take the steps from where the last run was cut, and note where this one was.

        The place is noted once, at the end: who dies before has the next run repeat what it did, which does no harm. Two
        runs at once go the same way; where both are cut, either's place is right, as each has done all before its own.
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

    def _look_after(
        self, active: list[Server], listed: Mapping[str, TaskStatus], routes: list[Route], now: datetime
    ) -> Iterator[Step]:
        owners = self.users.get_many({s.owner_id for s in active})
        statuses = {**listed, **self._asked([s.task for s in active if s.task and s.task not in listed])}
        led = frozenset((route.prefix, route.launch_id, route.address) for route in routes)
        seen = _Seen(now, led, self._is_short_of_messages(active))
        for server in active:
            status = statuses.get(server.task or "")
            yield Step(
                Part.SERVERS, server.id, partial(self._look_at, server, owners.get(server.owner_id), status, seen)
            )

    def _is_short_of_messages(self, active: list[Server]) -> bool:
        """Say whether fewer messages are under way than there are servers that wait for one."""
        waiting = sum(server.state in _WAITING for server in active)
        try:
            return waiting > 0 and self.queue.depth() < waiting
        except StoreUnavailableError as away:  # then nothing can be sent either
            logger.warning("nobody knows how many messages there are: %s", away)
            return False

    def _asked(self, unlisted: list[str]) -> Mapping[str, TaskStatus]:
        """Ask for tasks that the launcher did not list: they have come just now, or are gone."""
        try:
            return self.launcher.describe_many(unlisted)
        except Exception:
            logger.exception("%d tasks could not be asked for at once", len(unlisted))
            return {}  # each is asked for by itself

    def _look_at(self, server: Server, owner: User | None, status: TaskStatus | None, seen: "_Seen") -> int:
        owner_name, now = owner.name if owner else "", seen.now
        # What has died is told as such, however idle it was.
        if not isinstance(status, TaskStopped) and self._is_to_go(server, owner_name, now):
            current = self.servers.get(server.id)
            # Looked at again: what was active since the list was made stays, and no write would mind that.
            if current is not None and current.revision == server.revision and self._is_to_go(current, owner_name, now):
                self.stopping.request(current)
                return 1
        if server.state in _WAITING and self._is_message_lost(server, seen):
            self.queue.send(Message(_WAITING[server.state], server.id, server.launch_id or ""))
        self.launching.reconcile(server, status)  # the launcher is asked again only for what it did not list
        if (
            owner is not None
            and server.state is State.READY
            and status is not None
            and not isinstance(status, TaskStopped)
        ):
            self._route_again(server, owner, seen)
        self.launching.resend_activity(server)  # who said so may have died before the message was sent
        return 0

    def _is_message_lost(self, server: Server, seen: "_Seen") -> bool:
        """Say whether a server that waits is to be asked for again.

        Where messages are missing, at once. Where there are enough, they may still be others': then ever more rarely, as each
        that is too many takes a turn from those who wait for capacity.
        """
        first = self.message_is_lost_after / (4 if server.state is State.STOPPING else 1)
        waited = seen.now - server.entered_at
        return waited >= first and (seen.is_short_of_messages or _is_time_again(waited, first))

    def _route_again(self, server: Server, owner: User, seen: "_Seen") -> None:
        """Lead to a server that is ready and has no route: somebody who was late with another launch's took it."""
        prefix = names.route_prefix(owner.name, server.name)
        if (prefix, server.launch_id, server.address) in seen.led:
            return
        current = self.servers.get(server.id)
        if current is None or current.revision != server.revision or not current.address:
            return
        logger.warning("server %s is ready and had no route", server.id)
        self.routing.add(prefix, current.address, current.launch_id or "", ServerKey(current.id, current.owner_id))

    def _is_to_go(self, server: Server, owner_name: str, now: datetime) -> bool:
        if server.state is not State.READY:
            return False
        verdict = idleness.verdict(server, self.idle_policy_for(server, owner_name), now)
        if isinstance(verdict, Reap):
            logger.info("server %s of %s is to be reaped: %s", server.id, owner_name, verdict.why)
        return isinstance(verdict, Reap)

    # --- what belongs to nobody ---

    def _end_orphan(self, task: Task) -> int:
        """End a task that no record knows as live: a crash or a lost message left it."""
        logger.warning("task %s belongs to no live server and is ended", task.task)
        self.launcher.stop(task.task, force=True)
        self.launcher.forget(task.task)
        return 1

    def _end_second(self, task: Task) -> int:
        """End a launch's second task: who started it died before it saw the first. What the launch has is the first one's."""
        logger.warning("task %s is the second of its launch and is ended", task.task)
        self.launcher.stop(task.task, force=True)
        return 1

    def _drop(self, route: Route) -> int:
        return int(self.routing.routes.remove(route.prefix, route.launch_id) is not None)

    # --- the rest ---

    def _tidy(self, routes: list[Route], now: datetime, until: datetime | None) -> Iterator[Step]:
        tidying: Mapping[str, Callable[[], None]] = {
            "attempts": lambda: self.attempts.delete_before(self.lock_policy.counts_since(now)),
            "edges": self.routing.tidy,
            "services": lambda: self.routing.sync_services(self.services.all(), routes),
        }
        expiring: Mapping[str, Callable[[datetime, int], int]] = {
            "tokens": self.tokens.delete_expired,
            "sessions": self.sessions.delete_expired,
            "authorization codes": self.clients.delete_expired_codes,
            "share codes": self.share_codes.delete_expired,
        }
        for key, tidy in tidying.items():
            yield Step(Part.TIDYING, key, partial(_uncounted, tidy))
        for key, remove in expiring.items():
            yield Step(Part.EXPIRED, key, partial(self._expire, remove, now, until))

    def _expire(self, remove: Callable[[datetime, int], int], now: datetime, until: datetime | None) -> int:
        removed = 0
        while removed < BATCH:
            some = remove(now, PIECE)
            removed += some
            if some < PIECE or self._is_over(until):
                break
        return removed


def _uncounted(act: Callable[[], None]) -> int:
    act()
    return 0


def _seconds(tasks: list[Task], active: list[Server]) -> Iterator[Task]:
    """Yield tasks that run for a launch whose record has another one."""
    known = {server.launch_id: server.task for server in active if server.task}
    for task in tasks:
        if known.get(task.launch_id, task.task) != task.task and not isinstance(task.status, TaskStopped):
            yield task


def _is_time_again(waited: timedelta, first: timedelta) -> bool:
    """Say so for a while after *first*, after four times that, and so on."""
    while first * 4 <= waited:
        first *= 4
    return waited < first + AGAIN
