"""Visits: records who logs in at somebody else's server, and shows it to the owner."""

import logging
from collections.abc import Callable
from datetime import datetime

from hubless.domain.lifecycle import Server
from hubless.domain.tokens import Client
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.domain.visits import KEPT_FOR, MAX_SHOWN, Visit
from hubless.ports.clock import Clock
from hubless.ports.servers import ServerStore
from hubless.ports.users import UserStore
from hubless.ports.visits import VisitStore

logger = logging.getLogger(__name__)


@value
class Visits:
    """Keeps the latest visit of each person at each server for thirty days."""

    store: VisitStore
    servers: ServerStore
    users: UserStore
    clock: Clock
    tell: Callable[[Visit, str], None] = lambda _visit, _owner: None  # of a new visit, and its owner's name

    def note(self, visitor: User, client: Client) -> None:
        """Record that *visitor* logs in at the server of *client*; nothing if it is no server, or the visitor's own."""
        if client.server_id is None or client.owner_id is None or client.owner_id == visitor.id:
            return
        server, owner = self.servers.get(client.server_id), self.users.get(client.owner_id)
        if server is None or owner is None:
            return
        by_role = not is_shared(visitor, owner, server)
        visit = Visit(
            owner.id,
            server.id,
            server.display_name or server.name,
            visitor.id,
            visitor.name,
            by_role,
            self.clock.now(),
        )
        self.store.put(visit)
        self.tell(visit, owner.name)
        how = "by a role" if by_role else "by a share"
        logger.info("user %s opens the server %s/%s %s", visitor.name, owner.name, server.name, how)

    def by_role(self, owner: User) -> list[Visit]:
        """Return who has opened the owner's servers by a role in the last thirty days, newest first."""
        return self.store.by_role(owner.id, self._since(), limit=MAX_SHOWN)

    def by_share(self, server: Server) -> list[Visit]:
        """Return who has opened *server* by a share in the last thirty days, newest first."""
        return self.store.by_share(server.owner_id, server.id, self._since(), limit=MAX_SHOWN)

    def _since(self) -> datetime:
        return self.clock.now() - KEPT_FOR


def is_shared(visitor: User, owner: User, server: Server) -> bool:
    """Say whether *server* is shared with *visitor*, directly or through a group."""
    return f"access:servers!server={owner.name}/{server.name}" in visitor.shared
