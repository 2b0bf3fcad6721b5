"""Activity: the reports of servers, edges and clients. The hub stores the latest instant, with one write per server."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from hubless.domain.errors import InvalidRequestError
from hubless.domain.lifecycle import PENDING_START, Server
from hubless.domain.messages import Message, MessageKind
from hubless.domain.routes import ServerKey
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.queue import Queue
from hubless.ports.servers import ServerStore
from hubless.ports.users import UserStore
from hubless.services.pacing import Pacing

MESSAGE_PAUSE = timedelta(seconds=3)  # a server that reports without a pause sends no message without a pause
TOLERATED_FUTURE = timedelta(minutes=59)  # as in JupyterHub


@value
class Activity:
    """Stores when users and servers were last active."""

    servers: ServerStore
    users: UserStore
    queue: Queue
    clock: Clock
    pacing: Pacing
    hub_sees_work: bool = False  # by its edges and by asking servers

    def report(
        self, user: User, at: datetime | None, servers: Mapping[str, datetime], *, by_server: str | None = None
    ) -> None:
        """Store activity of *user* and of its *servers* by name; an instant older than the stored one changes nothing.

        A server reports any traffic as activity, also that of open tabs. So if the hub sees work itself, a server's own
        report shows only that it listens (ADR 29).

        Args:
            user: the owner of the servers.
            at: when the user was active, or None.
            servers: when each server was active, by its name.
            by_server: the id of the server whose own token sent the report: it listens, so a start can be completed.

        Raises:
            InvalidRequestError: naming a server that the user does not have, or an instant too far in the future;
                nothing was written.
        """
        self._check(filter(None, (at, *servers.values())))
        known = {name: self.servers.find(user.id, name) for name in servers}
        # The default server always exists for clients, even before its first start.
        if missing := [name for name, server in known.items() if server is None and name]:
            raise InvalidRequestError(f"No such server '{missing[0][:60]}' for user {user.name}")
        is_evidence = by_server is None or not self.hub_sees_work
        for server in filter(None, known.values()):
            if is_evidence or server.state in PENDING_START:
                self.servers.touch(server.id, servers[server.name])
            if server.id == by_server and self._may_complete(server):
                self.queue.send(Message(MessageKind.ACTIVITY, server.id, server.launch_id or ""))
        if at is not None and is_evidence:
            self.users.touch(user.id, at)

    def _may_complete(self, server: Server) -> bool:
        """Say whether the report of *server* should complete its start, and no other report has just tried."""
        return server.state in PENDING_START and self.pacing.is_first(f"report#{server.id}", MESSAGE_PAUSE)

    def _check(self, instants: Iterable[datetime]) -> None:
        latest = self.clock.now() + TOLERATED_FUTURE
        for instant in instants:
            if instant > latest:
                raise InvalidRequestError(f"Activity {instant.isoformat()} is too far in the future")

    def report_seen(self, seen: Mapping[ServerKey, datetime]) -> None:
        """Store when an edge last saw traffic of each server: one write per server, and no reads."""
        for server, at in seen.items():
            self.servers.touch(server.server_id, at, owner_id=server.owner_id)
