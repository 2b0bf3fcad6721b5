"""Launching: takes servers from `requested` to `ready`, with one conditional write per step.

A caller may crash after any line or call twice: the record says which step was reached, each step is idempotent, and
`reconcile` goes on from there.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum, auto

from hubless.domain import histograms, jupyterhub_versions, lifecycle, limits, names
from hubless.domain.errors import (
    CapacityUnavailableError,
    InvalidRequestError,
    LaunchFailedError,
    LoginUnavailableError,
    RetryLaterError,
    StoreBusyError,
    StoreConflictError,
    StoreUnavailableError,
)
from hubless.domain.launch_times import LaunchTime
from hubless.domain.lifecycle import PENDING, PENDING_START, WAITING_TO_LAUNCH, Deadlines, Server, State
from hubless.domain.limits import LimitReached
from hubless.domain.messages import Message, MessageKind
from hubless.domain.profile_options import Chosen
from hubless.domain.profiles import PROFILE, Profile, choose
from hubless.domain.routes import ServerKey
from hubless.domain.start_steps import launched_at
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.launch_rate_limiter import LaunchRateLimiter
from hubless.ports.launch_times import LaunchTimeStore
from hubless.ports.launch_turns import LaunchTurns
from hubless.ports.launcher import (
    Launch,
    Launcher,
    Preparation,
    TaskEvent,
    TaskPending,
    TaskRunning,
    TaskStatus,
    TaskStopped,
)
from hubless.ports.metrics import Metric, Metrics
from hubless.ports.queue import Queue
from hubless.ports.readiness import Readiness
from hubless.ports.servers import ServerStore
from hubless.ports.users import UserStore
from hubless.services.credentials import Credentials
from hubless.services.edge_autosuspend import EdgeAutosuspend
from hubless.services.pacing import Pacing
from hubless.services.preparing import Preparing
from hubless.services.routing import Routing
from hubless.services.spares import Spares
from hubless.services.stopping import Stopping

logger = logging.getLogger(__name__)

VERSION_PAUSE = timedelta(days=1)
LOOK_PAUSE = timedelta(seconds=3)  # how long the answer about a task is good enough for whoever asks next

_MISSED = {State.REQUESTED: "had no free slot", State.PREPARING: "could not set up the server"}
_UP = frozenset({State.LAUNCHING, State.STARTING, State.READY})  # states in which the launch owns a task and a route


class _Look(Enum):
    """What a look at a starting server found."""

    NOTHING = auto()
    ANSWERED = auto()  # by itself; but not every edge serves its route
    MOVED_ON = auto()  # to another state


@value
class Launching:
    """Launches servers and makes them ready."""

    servers: ServerStore
    users: UserStore
    launcher: Launcher
    readiness: Readiness
    routing: Routing
    credentials: Credentials
    stopping: Stopping
    queue: Queue
    launch_rate_limiter: LaunchRateLimiter
    preparing: Preparing
    clock: Clock
    deadlines: Deadlines
    profiles: Mapping[str, Profile]
    metrics: Metrics
    edge_autosuspend: EdgeAutosuspend
    pacing: Pacing
    launch_times: LaunchTimeStore
    before_start: Callable[[User, Server], Mapping[str, str]] = lambda _owner, _server: {}
    """Returns variables that a login plug-in gives to a server; the hub's own are stronger."""
    is_overdue: Callable[[Server, datetime], bool] = lifecycle.is_overdue
    turns: LaunchTurns | None = None  # None where the launcher has room for all
    spares: Spares | None = None  # None where no tasks wait for launches

    def on_message(self, message: Message) -> None:
        """Handle *message*; ignore it if its launch is over or has passed that step.

        Raises:
            RetryLaterError: when the queue should deliver the message again later.
        """
        server = self.servers.get(message.server_id)
        if server is None or server.launch_id != message.launch_id:
            return
        try:
            if message.kind is MessageKind.LAUNCH and server.state in WAITING_TO_LAUNCH:
                self.edge_autosuspend.request_start()  # as early as possible: edge and task each need half a minute
                self._launch(server)
            elif message.kind is MessageKind.ACTIVITY and server.state in {State.LAUNCHING, State.STARTING}:
                self._on_activity(server)
            elif message.kind is MessageKind.STOP and server.state is State.STOPPING:
                self.stopping.stop(server)
        except StoreConflictError:
            logger.info("server %s: another worker took this step first", server.id, extra=lifecycle.log_fields(server))
        except CapacityUnavailableError:
            self.metrics.count(Metric.THROTTLES)
            raise

    def on_task_event(self, event: TaskEvent) -> None:
        """Take the step that *event* reports, unless it was taken already.

        Events may come in any order: tasks only go forward, and an event of an earlier moment changes nothing.
        """
        if self.spares is not None:
            claimed = self.spares.launch_event(event)
            if claimed is None:
                return
            event = claimed
        server = self.servers.get(event.server_id)
        if server is None or server.launch_id != event.launch_id:
            return  # the task's launch is over: the sweep ends the task if it still runs
        if server.task is not None and server.task != event.task:
            return  # another message of the launch was faster, and got a spare: nothing needs this task
        try:
            if server.state in WAITING_TO_LAUNCH:
                server = self._note_task(server, event.task)
            self.reconcile(server, event.status)
        except StoreConflictError:
            logger.info("server %s: another worker took this step first", server.id, extra=lifecycle.log_fields(server))
        self.resend_activity(server)  # the server may have reported before this event came

    def resend_activity(self, server: Server) -> None:
        """Send the activity message of a starting server again if the server has reported activity."""
        if lifecycle.has_reported(server) and server.state in PENDING_START:
            self.queue.send(Message(MessageKind.ACTIVITY, server.id, server.launch_id or ""))

    def reconcile_pending(self) -> int:
        """Reconcile every server that starts or stops, and return how many there are."""
        pending = self.servers.in_states(PENDING)
        for server in pending:
            self.reconcile_safely(server)
        if self.turns is not None:
            self.turns.see(pending)
        return len(pending)

    def reconcile_running(self) -> None:
        """Reconcile every ready server, so that its owner learns of a crash at once and not by a time-out."""
        for server in self.servers.in_states([State.READY]):
            self.reconcile_safely(server)

    def look(self, server: Server) -> Server | None:
        """Check that a ready *server* still runs, for a request, and return its current record.

        However many requests look at a server, in however many processes, one of them asks the launcher in
        `LOOK_PAUSE`. AWS limits these calls for the whole account: otherwise one visitor could take them from all.
        """
        if server.state is not State.READY:
            return server
        with suppress(StoreBusyError):  # a request that only reads gets what the record says
            if self._may_ask(server):
                self.reconcile_safely(server)
        return self.servers.get(server.id)

    def reconcile_safely(self, server: Server) -> None:
        """Reconcile *server* and log any error, so that one bad server does not stop the caller."""
        try:
            self.reconcile(server)
        except StoreConflictError:
            logger.info("server %s: another worker took this step first", server.id, extra=lifecycle.log_fields(server))
        except Exception:
            logger.exception("server %s: cannot reconcile", server.id, extra=lifecycle.log_fields(server))

    def reconcile(self, server: Server, status: TaskStatus | None = None) -> None:
        """Take the next step that the task's *status* and the time allow; ask the launcher if *status* is None."""
        match server.state:
            case State.REQUESTED | State.PREPARING:
                if self.is_overdue(server, self.clock.now()):
                    self.stopping.fail(
                        server, f"The hub {self._missed(server)} in time. Try again later.", timed_out=True
                    )
            case State.LAUNCHING | State.STARTING:
                self._reconcile_start(server, status or self._poll(server))
            case State.READY:
                self._check(server, status or self._poll(server))
            case State.STOPPING:
                self.stopping.reconcile(server, status)
            case State.STOPPED | State.FAILED:
                pass

    def _missed(self, server: Server) -> str:
        if self.turns is not None and self.turns.obstacle() is not None:
            return "had too little free memory to start the server"
        return _MISSED[server.state]

    def _poll(self, server: Server) -> TaskStatus:
        began = self.clock.now()
        status = self.launcher.describe(server.task or "")
        seen = histograms.STOPPED if isinstance(status, TaskStopped) else histograms.RUNNING
        self.metrics.observe(histograms.POLL_DURATION, self.clock.now() - began, seen)
        return status

    def _launch(self, server: Server) -> None:
        owner = self.users.get(server.owner_id)
        if owner is None or server.profile not in self.profiles:
            self.stopping.fail(server, f"The profile {server.profile} is no longer offered")
            return
        try:  # the settings may have changed since the owner chose
            chosen = self._chosen(server, owner)
        except InvalidRequestError as refused:
            self.stopping.fail(server, f"The server cannot start with what was chosen: {refused}")
            return
        wanted = Preparation(owner.id, chosen.profile)
        try:
            if self._claim_spare(server, chosen.profile):
                return
            server = self.preparing.enqueue(server, wanted)
            if server.state is State.PREPARING:
                server = self.preparing.prepare(server, wanted)
            if self.turns is not None:
                self.turns.take(server)
            self.launch_rate_limiter.acquire()
            task = self.launcher.launch(self._issued(server, owner, chosen))
        except (LaunchFailedError, LoginUnavailableError) as failed:
            self.stopping.fail(server, str(failed))
            return
        try:
            self._note_task(server, task)
        except StoreConflictError:
            self._stop_unless_current(server, task)
            return
        self.resend_activity(server)  # the message came twice, and the server reported before this line

    def launch_of(self, server: Server) -> Launch:
        """Return all that the present launch of *server* needs, for a task that has it already.

        Raises:
            StoreConflictError: when the server starts no more in that launch.
        """
        owner = self.users.get(server.owner_id)
        if owner is None:
            raise StoreConflictError(f"The owner of server {server.id} is gone")
        return self._issued(server, owner, self._chosen(server, owner))

    def _chosen(self, server: Server, owner: User) -> Chosen:
        return choose(self.profiles, {**server.user_options, PROFILE: server.profile}, owner, was_asked=True)

    def _issued(self, server: Server, owner: User, chosen: Chosen) -> Launch:
        return self._with_variables(self.credentials.issue(server, owner, chosen), owner, server)

    def _claim_spare(self, server: Server, profile: Profile) -> bool:
        """Give the launch a task that waits for one; say False if none does, so that it starts its own."""
        if self.spares is None:
            return False
        for spare in self.spares.fitting(server.launch_id or "", profile):
            status = self.launcher.describe(spare.task)
            if isinstance(status, TaskStopped):
                self.spares.give_up(spare, status.why)
                continue
            now = self.clock.now()
            launched = lifecycle.launched(server, task=spare.task, now=now, deadlines=self.deadlines, spare_id=spare.id)
            if self.spares.claim(spare, server, launched):
                self.metrics.count(Metric.SPARES_CLAIMED)
                logger.info("server %s gets spare %s", server.id, spare.id, extra=lifecycle.log_fields(server))
                # The event with the address came before the claim, and none follows.
                self.reconcile(launched, status)
                return True
        return False

    def _with_variables(self, launch: Launch, owner: User, server: Server) -> Launch:
        """Add a login plug-in's variables: they may hold somebody's access token, so that no log shows them."""
        given = self.before_start(owner, server)
        more = {name: text for name, text in given.items() if name not in launch.environment}
        return replace(launch, secrets={**more, **launch.secrets}) if more else launch

    def _note_task(self, server: Server, task: str) -> Server:
        launched = lifecycle.launched(server, task=task, now=self.clock.now(), deadlines=self.deadlines)
        self.servers.write(server, launched)
        logger.info("server %s runs as task %s", server.id, task, extra=lifecycle.log_fields(server))
        return launched

    def _stop_unless_current(self, server: Server, task: str) -> None:
        """Kill a task if a stop came first or the launch has another task; keep it if a repeated message started it."""
        now = self.servers.get(server.id)
        if now is not None and now.launch_id == server.launch_id and now.state in WAITING_TO_LAUNCH:
            self._note_task(now, task)  # a repeated message took the launch for one that is not prepared yet
            return
        is_live = now is not None and now.launch_id == server.launch_id and now.state in _UP
        if now is not None and is_live and now.task == task:
            return
        self.launcher.stop(task, force=True)
        if not is_live:  # otherwise the first task needs them
            self.credentials.remove(server)

    def _on_activity(self, server: Server) -> None:
        """Make a server that has reported activity ready. It reports, so its task runs: the launcher is not asked."""
        if server.address or self._may_ask(server):  # a server can report as often as it likes
            self.reconcile(server, TaskRunning(server.address) if server.address else None)
        now = self.servers.get(server.id)
        is_on_its_way = now is not None and now.launch_id == server.launch_id and now.state in PENDING_START
        if now is not None and is_on_its_way and lifecycle.has_reported(now):
            raise RetryLaterError(f"Server {server.id} is not served by every edge yet")

    def _may_ask(self, server: Server) -> bool:
        """Say whether no request has asked the launcher about *server* within `LOOK_PAUSE`."""
        return self.pacing.is_first(f"look#{server.id}", LOOK_PAUSE)

    def _reconcile_start(self, server: Server, status: TaskStatus) -> None:
        if isinstance(status, TaskStopped):
            self.stopping.fail(server, f"The server {status.why}", status.log_tail, status=status)
            return
        # The last look may be longer ago than the deadline: a server that has made progress since must not fail.
        look = self._advance(server, status) if isinstance(status, TaskRunning) else _Look.NOTHING
        if look is _Look.MOVED_ON:
            return
        if self.is_overdue(server, self.clock.now()):
            why = self._timeout_reason(server, has_answered=look is _Look.ANSWERED)
            self.stopping.fail(server, why, self._end_and_read_log(server), timed_out=True)
            self._end_turn(server, self.clock.now())

    def _advance(self, server: Server, status: TaskRunning) -> _Look:
        """Store the address, check readiness, add the route, make it ready; say what came of it."""
        came_from = server.state
        if server.state is State.LAUNCHING:
            here = lifecycle.addressed(server, address=status.address, now=self.clock.now(), deadlines=self.deadlines)
            self.servers.write(server, here)
            server = here
        owner = self.users.get(server.owner_id)
        if owner is None:
            return _Look.MOVED_ON if server.state is not came_from else _Look.NOTHING
        answer = self.readiness.answers(server, names.server_prefix(owner.name, server.name))
        if answer is None:
            return _Look.MOVED_ON if server.state is not came_from else _Look.NOTHING
        began = self.clock.now()
        sequence = self._add_route(server, owner, status.address)
        took = self.clock.now() - began
        if not self.routing.is_served(sequence):
            self.edge_autosuspend.request_start()
            self._remove_route_unless_current(server, owner)
            return _Look.MOVED_ON if server.state is not came_from else _Look.ANSWERED
        self.metrics.observe(histograms.PROXY_ADD_DURATION, took, histograms.SUCCESS)
        self._become_ready(server, owner, answer.jupyterhub_version)
        return _Look.MOVED_ON

    def _add_route(self, server: Server, owner: User, address: str) -> int:
        """Add the route and return the sequence number that edges must reach; each look at a start does so again."""
        prefix, began = names.route_prefix(owner.name, server.name), self.clock.now()
        try:
            return self.routing.add(prefix, address, server.launch_id or "", ServerKey(server.id, server.owner_id))
        except Exception:
            self.metrics.observe(histograms.PROXY_ADD_DURATION, self.clock.now() - began, histograms.FAILURE)
            raise

    def _become_ready(self, server: Server, owner: User, version: str) -> None:
        now = self.clock.now()
        took = now - (server.requested_at or now)
        try:
            ready = lifecycle.answered(server, now=now, deadlines=self.deadlines, jupyterhub_version=version)
            self.servers.write(server, ready)
            logger.info(
                "server %s is ready after %.1f s", server.id, took.total_seconds(), extra=lifecycle.log_fields(server)
            )
            self.metrics.count(Metric.SPAWNS, outcome="ready")
            self.metrics.duration(Metric.SPAWN_DURATION, took)
            self.metrics.observe(histograms.SPAWN_DURATION, took, histograms.SUCCESS, histograms.NO_REASON)
        except StoreConflictError:
            self._remove_route_unless_current(server, owner)
            raise
        self._note_time(ready, now)
        self._warn_of(version)

    def _note_time(self, server: Server, now: datetime) -> None:
        """Remember how long the launch took, if it got no spare: that says nothing of others.

        The server is ready, whatever comes of it.
        """
        self._end_turn(server, now)
        if (began := launched_at(server)) is None or server.spare_id:
            return
        try:
            self.launch_times.add(server.profile, LaunchTime(now, now - began))
        except StoreUnavailableError as error:
            logger.warning("server %s is ready, but its time is not remembered: %s", server.id, error)

    def _end_turn(self, server: Server, now: datetime) -> None:
        began = launched_at(server)
        if self.turns is not None and began is not None:
            self.turns.ended(server, now - began)

    def _warn_of(self, version: str) -> None:
        """Log JupyterHub's warning of a server with another *version*: once a day and version, in all processes."""
        if jupyterhub_versions.is_other(version) and self.pacing.is_first(f"version#{version}", VERSION_PAUSE):
            logger.warning("%s", jupyterhub_versions.warning(version))

    def _remove_route_unless_current(self, server: Server, owner: User) -> None:
        """Remove a route that was added after a stop had removed it: another task may get its address soon."""
        found = self.servers.get(server.id)
        if found is None or found.launch_id != server.launch_id or found.state not in _UP:
            self.routing.remove(names.route_prefix(owner.name, server.name), server.launch_id or "")

    def _check(self, server: Server, status: TaskStatus) -> None:
        if isinstance(status, TaskStopped):
            self.stopping.fail(server, f"The server {status.why}", status.log_tail, status=status)
        elif isinstance(status, TaskRunning):
            server = self._note_limits(server, status.limits_reached)
            if status.is_frozen is not None and status.is_frozen != (server.frozen_at is not None):
                self._thaw(server) if server.frozen_at is not None else self._freeze(server)

    def _freeze(self, server: Server) -> None:
        """Write down that a ready server does not run on, and let the hub answer for it: its requests would hang."""
        frozen = lifecycle.frozen(server, self.clock.now())
        self.servers.write(server, frozen)
        logger.warning(
            "server %s is frozen: its process does not run on; the hub answers for it until it does",
            server.id,
            extra=lifecycle.log_fields(server),
        )
        if (owner := self.users.get(server.owner_id)) is None:
            return
        self.routing.remove(names.route_prefix(owner.name, server.name), server.launch_id or "")
        now = self.servers.get(server.id)
        if now is not None and now.state is State.READY and now.frozen_at is None:  # it was thawed between both
            self._route_again(now, owner)

    def _thaw(self, server: Server) -> None:
        """Give a frozen server that runs on its route again, and write that down; a crash between both does no harm."""
        if (owner := self.users.get(server.owner_id)) is not None:
            self._route_again(server, owner)
        try:
            self.servers.write(server, lifecycle.thawed(server))
        except StoreConflictError:
            if owner is not None:
                self._remove_route_unless_current(server, owner)
            raise
        logger.info("server %s runs on", server.id, extra=lifecycle.log_fields(server))

    def _route_again(self, server: Server, owner: User) -> None:
        if server.address:
            self._add_route(server, owner, server.address)
            self._remove_route_unless_current(server, owner)

    def _note_limits(self, server: Server, seen: tuple[LimitReached, ...]) -> Server:
        """Write down that the server has run into a limit, so that its owner is told; return the record as it is."""
        now = self.clock.now()
        if (noted := lifecycle.with_limits_reached(server, seen, now)) is None:
            return server
        self.servers.write(server, noted)
        reached = " and ".join(limits.limit_in_words(one.resource, one.limit) for one in seen if one.count)
        logger.warning("server %s reached its %s", server.id, reached, extra=lifecycle.log_fields(server))
        return noted

    def _timeout_reason(self, server: Server, *, has_answered: bool) -> str:
        seconds = (
            self.deadlines.launching if server.state is State.LAUNCHING else self.deadlines.starting
        ).total_seconds()
        what = "get an address" if server.state is State.LAUNCHING else "answer"
        if has_answered or lifecycle.has_reported(server):
            what = "reach every edge"
        return f"The server did not {what} within {seconds:.0f} seconds"

    def _end_and_read_log(self, server: Server) -> tuple[str, ...]:
        """Kill the server's task and return the last lines of its log."""
        self.launcher.stop(server.task or "", force=True)
        status = self.launcher.describe(server.task or "")
        return () if isinstance(status, TaskPending | TaskRunning) else status.log_tail
