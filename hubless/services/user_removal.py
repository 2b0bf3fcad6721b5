"""Waiting for ends: of a server that is to be removed, of all servers of a user who is."""

import asyncio

from hubless.domain.errors import InvalidRequestError
from hubless.domain.lifecycle import INACTIVE, Server
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.servers import ServerStore
from hubless.services.accounts import Accounts
from hubless.services.stopping import Stopping

STOP_TIMEOUT = 9.0  # seconds: JupyterHub's slow_stop_timeout, and less than API Gateway waits
POLL = 0.1


@value
class UserRemoval:
    """The removal of what may still run."""

    servers: ServerStore
    stopping: Stopping
    accounts: Accounts

    async def wait_until_stopped(self, server: Server) -> Server:
        """Return *server* once it has ended, or as it is when that takes too long."""
        waited = 0.0
        current: Server | None = server
        while current is not None and current.state not in INACTIVE and waited < STOP_TIMEOUT:
            await asyncio.sleep(POLL)
            waited += POLL
            current = self.servers.get(server.id)
        return current or server

    async def remove(self, user: User) -> None:
        """Stop all that *user* runs and remove the user.

        Raises:
            InvalidRequestError: when a server takes too long to stop; asking again later finishes it.
        """
        running = [s for s in self.servers.of_owners([user.id]) if s.state not in INACTIVE]
        for server in running:
            self.stopping.request_until_done(server)
        for server in running:
            if (await self.wait_until_stopped(server)).state not in INACTIVE:
                raise InvalidRequestError(
                    f"{user.name}'s server is still stopping: delete {user.name} when it has stopped"
                )
        self.accounts.remove(user.name)
