"""Activity: what servers, edges and clients report, kept as the latest instant; one write a server."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from hubless.domain.errors import InvalidRequestError
from hubless.domain.lifecycle import PENDING_START
from hubless.domain.messages import Message, MessageKind
from hubless.domain.routes import ServerKey
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.queue import Queue
from hubless.ports.servers import ServerStore
from hubless.ports.users import UserStore

TOLERATED_FUTURE = timedelta(minutes=59)  # JupyterHub's


@value
class Activity:
    """Who was active when."""

    servers: ServerStore
    users: UserStore
    queue: Queue
    clock: Clock

    def report(
        self, user: User, at: datetime | None, servers: Mapping[str, datetime], *, by_server: str | None = None
    ) -> None:
        """Note activity of *user* and of its *servers* by name; what is older than what is known changes nothing.

        Args:
            by_server: the id of the server whose own token came with the report: its first words say that it listens.

        Raises:
            InvalidRequestError: naming a server that the user has not, or an instant too far in the future; nothing
                was written.
        """
        for instant in (at, *servers.values()):
            if instant is not None and instant > self.clock.now() + TOLERATED_FUTURE:
                raise InvalidRequestError(f"Activity {instant.isoformat()} is too far in the future")
        known = {name: self.servers.find(user.id, name) for name in servers}
        # The default server always counts as there, even where nobody has started it yet.
        if missing := [name for name, server in known.items() if server is None and name]:
            raise InvalidRequestError(f"No such server '{missing[0][:60]}' for user {user.name}")
        for name, server in known.items():
            if server is not None:
                self.servers.touch(server.id, servers[name])
                if server.id == by_server and server.state in PENDING_START:
                    self.queue.send(Message(MessageKind.ACTIVITY, server.id, server.launch_id or ""))
        if at is not None:
            self.users.touch(user.id, at)

    def report_seen(self, seen: Mapping[ServerKey, datetime]) -> None:
        """Note what an edge saw pass: one write for each of *seen*, and no reads."""
        for server, at in seen.items():
            self.servers.touch(server.server_id, at, owner_id=server.owner_id)
