"""The sweep: culls what is idle, settles what crashed, reconciles both ways, removes what expired.

Its cost grows with running servers, not with users. One bad server does not spoil the sweep for the others.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from hubless.domain import idleness
from hubless.domain.errors import StoreConflictError
from hubless.domain.idleness import Patience, Reap
from hubless.domain.messages import Kind, Message
from hubless.domain.profiles import Profile
from hubless.domain.server import ACTIVE, Server, State
from hubless.ports.clock import Clock
from hubless.ports.launcher import Launcher, Task, TaskStatus
from hubless.ports.passwords import AttemptStore
from hubless.ports.queue import Queue
from hubless.ports.servers import ServerStore
from hubless.ports.shares import ShareCodeStore
from hubless.ports.tokens import ClientStore, SessionStore, TokenStore
from hubless.ports.users import UserStore
from hubless.services.directory import Directory
from hubless.services.launching import Launching
from hubless.services.routing import Routing
from hubless.services.stopping import Stopping

logger = logging.getLogger(__name__)

MESSAGE_IS_LOST_AFTER = timedelta(seconds=20)
BATCH = 500


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one sweep did."""

    looked_at: int
    reaped: int
    orphans: int
    stale_routes: int
    expired: int


@dataclass(frozen=True, slots=True)
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
    patience: Patience
    patience_by_user: Mapping[str, Patience]
    profiles: Mapping[str, Profile]
    services: Directory
    share_codes: ShareCodeStore
    lock_for: timedelta

    def sweep(self) -> Sweep:
        """Go round once."""
        # Tasks and routes are listed before the records: whatever is listed was made by a launch whose record the
        # later look must show as live, unless it is over.
        tasks, routes = self.launcher.tasks(), list(self.routing.routes.all())
        active = self.servers.in_states(ACTIVE)
        live = frozenset(s.launch_id for s in active if s.launch_id)
        reaped = self._look_after(active, {task.task: task.status for task in tasks})
        return Sweep(
            looked_at=len(active),
            reaped=reaped,
            orphans=self._end_orphans(tasks, live),
            stale_routes=self.routing.drop_stale(routes, live),
            expired=self._tidy(),
        )

    def patience_for(self, server: Server, owner_name: str) -> Patience:
        """Return the limits for *server*: the hub's, then its profile's, then its owner's own."""
        profile = self.profiles.get(server.profile)
        limits = self.patience.overridden_by(profile.patience) if profile else self.patience
        return limits.overridden_by(self.patience_by_user.get(owner_name, Patience()))

    def _look_after(self, active: list[Server], statuses: Mapping[str, TaskStatus]) -> int:
        owners = self.users.get_many({s.owner_id for s in active})
        reaped = 0
        for server in active:
            try:
                owner = owners.get(server.owner_id)
                reaped += self._look_at(server, owner.name if owner else "", statuses.get(server.task or ""))
            except StoreConflictError:
                logger.info("server %s moved meanwhile", server.id)
            except Exception:
                logger.exception("server %s could not be looked after", server.id)
        return reaped

    def _look_at(self, server: Server, owner_name: str, status: TaskStatus | None) -> int:
        now = self.clock.now()
        if server.state is State.READY:
            verdict = idleness.verdict(server, self.patience_for(server, owner_name), now)
            if isinstance(verdict, Reap):
                logger.info("server %s of %s is reaped: %s", server.id, owner_name, verdict.why)
                self.stopping.request(server)
                return 1
        if server.state is State.REQUESTED and now - server.entered_at >= MESSAGE_IS_LOST_AFTER:
            self.queue.send(Message(Kind.LAUNCH, server.id, server.launch_id or ""))
        if server.state is State.STOPPING and now - server.entered_at >= MESSAGE_IS_LOST_AFTER / 4:
            self.queue.send(Message(Kind.STOP, server.id, server.launch_id or ""))
        self.launching.follow(server, status)  # the launcher is asked again only for what it did not list
        return 0

    def _end_orphans(self, tasks: list[Task], live: frozenset[str]) -> int:
        """End tasks that no record knows as live: a crash or a lost message left them."""
        orphans = [task for task in tasks if task.launch_id not in live]
        for task in orphans:
            logger.warning("task %s belongs to no live server and is ended", task.task)
            self.launcher.stop(task.task, force=True)
            self.launcher.forget(task.task)
        return len(orphans)

    def _tidy(self) -> int:
        now = self.clock.now()
        self.attempts.delete_before(now - self.lock_for)
        self.routing.settle_services(self.services.all())
        self.routing.tidy()
        return (
            self.tokens.delete_expired(now, BATCH)
            + self.sessions.delete_expired(now, BATCH)
            + self.clients.delete_expired_codes(now, BATCH)
            + self.share_codes.delete_expired(now, BATCH)
        )


