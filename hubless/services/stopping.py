"""Stopping: removes a server's route, then its task, then its credentials, and then writes that it has stopped.

Each step is idempotent. The record stays `stopping` until nothing is left, so after a crash the next worker goes on.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from hubless.domain import histograms, lifecycle, names
from hubless.domain.errors import IllegalTransitionError, LoginUnavailableError, StoreConflictError
from hubless.domain.lifecycle import Deadlines, Server, State
from hubless.domain.messages import Message, MessageKind
from hubless.domain.stop_reasons import StopReason
from hubless.domain.usage import Totals, sum_of, usage_of
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.launcher import Launcher, TaskStatus, TaskStopped
from hubless.ports.metrics import Metric, Metrics
from hubless.ports.queue import Queue
from hubless.ports.servers import ServerStore
from hubless.ports.usage import UsageLog
from hubless.ports.users import UserStore
from hubless.services.credentials import Credentials
from hubless.services.routing import Routing

if TYPE_CHECKING:
    from hubless.services.spares import Spares

logger = logging.getLogger(__name__)


@value
class Stopping:
    """Stops servers."""

    servers: ServerStore
    users: UserStore
    launcher: Launcher
    routing: Routing
    credentials: Credentials
    usage: UsageLog
    queue: Queue
    clock: Clock
    deadlines: Deadlines
    metrics: Metrics
    after_stop: Callable[[User, Server], None] | None = None  # what a login plug-in cleans up
    keep_launches: timedelta | None = None  # how long the usage of a launch is kept; None: for ever
    is_overdue: Callable[[Server, datetime], bool] = lifecycle.is_overdue
    spares: "Spares | None" = None  # None where no tasks wait for launches

    def request(self, server: Server, reason: StopReason | None = None) -> Server:
        """Request the stop of an active *server* and return it as `stopping`; a stopping server is returned as it is.

        The owner sees the *reason* until the next start.

        Raises:
            IllegalTransitionError: when the server is not active.
            StoreConflictError: when the server has changed meanwhile; read it again and retry.
        """
        if server.state is State.STOPPING:
            return server
        out = lifecycle.stopping(server, now=self.clock.now(), deadlines=self.deadlines, reason=reason)
        self.servers.write(server, out)
        logger.info("server %s: stop requested", server.id, extra=lifecycle.log_fields(server))
        if server.state in lifecycle.PENDING_START:
            self.metrics.count(Metric.SPAWNS, outcome="stopped")
        self.queue.send(Message(MessageKind.STOP, out.id, out.launch_id or ""))
        return out

    def fail(
        self,
        server: Server,
        why: str,
        log_tail: tuple[str, ...] = (),
        *,
        status: TaskStatus | None = None,
        timed_out: bool = False,
    ) -> None:
        """Stop *server* because of a failure; if its task has ended, it is failed when this returns.

        Args:
            server: an active server.
            why: the reason, as a sentence for the owner.
            log_tail: the last lines of its log.
            status: the status of its task, if the caller knows it.
            timed_out: whether its start took too long.
        """
        now = self.clock.now()
        out = lifecycle.stopping(server, now=now, deadlines=self.deadlines, failure=why, log_tail=log_tail)
        self.servers.write(server, out)
        logger.warning(
            "server %s failed in launch %s: %s", server.id, server.launch_id, why, extra=lifecycle.log_fields(server)
        )
        if server.state is State.READY:
            self.metrics.count(Metric.SERVER_CRASHES)
        else:
            self.metrics.count(Metric.SPAWNS, outcome="failed")
            took, ended = now - (server.requested_at or now), isinstance(status, TaskStopped)
            self.metrics.observe(histograms.SPAWN_DURATION, took, *_how_start_failed(ended=ended, timed_out=timed_out))
        if isinstance(status, TaskStopped):
            self.reconcile(out, status)
        else:
            self.stop(out, force=True)

    def stop(self, server: Server, *, force: bool = False) -> None:
        """Remove the route and ask the task to end; finish the stop if the task has ended already."""
        self._unroute_measured(server)
        if server.task is not None:
            self.launcher.stop(server.task, force=force)
        self.reconcile(server)

    def reconcile(self, server: Server, status: TaskStatus | None = None) -> None:
        """Finish the stop of *server* if its task has ended; kill an overdue task. *status* None asks the launcher."""
        if server.task is not None and not isinstance(status or self.launcher.describe(server.task), TaskStopped):
            if self.is_overdue(server, self.clock.now()):
                self._unroute(server)
                self.launcher.stop(server.task, force=True)
            return
        self._unroute(server)
        self.credentials.remove(server)
        if self.spares is not None:
            self.spares.forget(server)
        used = self._meter(server)
        task = server.task
        now = self.clock.now()
        self.servers.write(server, lifecycle.ended(server, now=now, deadlines=self.deadlines), used=used)
        if not server.failure:  # somebody asked for the stop
            outcome = histograms.FAILURE if lifecycle.is_overdue(server, now) else histograms.SUCCESS
            self.metrics.observe(histograms.STOP_DURATION, now - server.entered_at, outcome)
        if task is not None:
            self.launcher.forget(task)
            self._clean_up(server)

    def request_until_done(self, server: Server, reason: StopReason | None = None) -> Server:
        """Request the stop of *server* as `request` does, and retry if the server changes meanwhile."""
        current: Server | None = server
        for _ in range(10):
            if current is None or current.state in lifecycle.INACTIVE:
                break
            try:
                return self.request(current, reason)
            except (StoreConflictError, IllegalTransitionError):
                current = self.servers.get(server.id)
        return current or server

    def _clean_up(self, server: Server) -> None:
        """Let a login plug-in clean up; the server has stopped, whatever comes of it."""
        owner = self.users.get(server.owner_id) if self.after_stop is not None else None
        if self.after_stop is None or owner is None:
            return
        try:
            self.after_stop(owner, server)
        except LoginUnavailableError as failed:
            logger.warning("server %s has stopped, but %s", server.id, failed, extra=lifecycle.log_fields(server))

    def _unroute_measured(self, server: Server) -> None:
        began, outcome = self.clock.now(), histograms.FAILURE
        try:
            self._unroute(server)
            outcome = histograms.SUCCESS
        finally:
            self.metrics.observe(histograms.PROXY_DELETE_DURATION, self.clock.now() - began, outcome)

    def _unroute(self, server: Server) -> None:
        owner = self.users.get(server.owner_id)
        if owner is not None and server.launch_id:
            self.routing.remove(names.route_prefix(owner.name, server.name), server.launch_id)

    def _meter(self, server: Server) -> Totals:
        now = self.clock.now()
        if (used := usage_of(server, now)) is None:
            return Totals()
        self.usage.add(used, expires_at=None if self.keep_launches is None else now + self.keep_launches)
        return sum_of(used)


def _how_start_failed(*, ended: bool, timed_out: bool) -> tuple[str, str]:
    """Return the status and the reason under which JupyterHub counts such a start."""
    if timed_out:
        return histograms.FAILURE, histograms.TIMEOUT
    return histograms.ERROR, histograms.EXITED if ended else histograms.NO_REASON
