"""Removal of users whose servers may still run: stop the servers, wait until they have stopped, remove the user."""

import asyncio
from collections.abc import Callable

from hubless.domain.errors import InvalidRequestError
from hubless.domain.lifecycle import INACTIVE, Server
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.servers import ServerStore
from hubless.services.accounts import Accounts
from hubless.services.stopping import Stopping

STOP_TIMEOUT = 9.0  # seconds: near JupyterHub's slow_stop_timeout (10), and less than API Gateway's time-out
POLL = 0.1  # seconds


@value
class UserRemoval:
    """Removes users and waits for their servers to stop."""

    servers: ServerStore
    stopping: Stopping
    accounts: Accounts
    before_removal: Callable[[str], None] | None = None  # what a login plug-in forgets of a user

    async def wait_until_stopped(self, server: Server) -> Server:
        """Return *server* when it has stopped or failed, or as it is after the time-out."""
        waited = 0.0
        current: Server | None = server
        while current is not None and current.state not in INACTIVE and waited < STOP_TIMEOUT:
            await asyncio.sleep(POLL)
            waited += POLL
            current = self.servers.get(server.id)
        return current or server

    async def remove(self, user: User) -> None:
        """Stop all servers of *user*, wait, and remove the user.

        Raises:
            InvalidRequestError: when a server takes too long to stop; a later retry completes the removal.
            LoginUnavailableError: when a login plug-in does not forget the user, who then stays.
        """
        running = [s for s in self.servers.of_owners([user.id]) if s.state not in INACTIVE]
        for server in running:
            self.stopping.request_until_done(server)
        for server in running:
            if (await self.wait_until_stopped(server)).state not in INACTIVE:
                raise InvalidRequestError(
                    _(
                        "A server of %(user)s is still stopping. Delete %(user)s again when it has stopped.",
                        user=user.name,
                    )
                )
        if self.before_removal is not None:
            await asyncio.to_thread(self.before_removal, user.name)
        self.accounts.remove(user.name)
