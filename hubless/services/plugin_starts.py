"""Starts of servers where a login plug-in logs people in: its variables, from what it knows of the owner just now."""

import logging
from collections.abc import Mapping

from hubless.domain.errors import LaunchFailedError, LoginUnavailableError, NotAllowedError
from hubless.domain.lifecycle import Server
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.login_plugin import LoginPlugin
from hubless.services.logins import Logins

logger = logging.getLogger(__name__)


@value
class PluginStarts:
    """Asks the plug-in before a start."""

    plugin: LoginPlugin
    logins: Logins

    def before_start(self, owner: User, server: Server) -> Mapping[str, str]:
        """Return the plug-in's variables for *server*; where the class wants that, its login is refreshed before.

        Whoever starts the server: a login that cannot be refreshed keeps nobody from a start, and ends nothing.

        Raises:
            LaunchFailedError: when settings no longer let the owner in.
            LoginUnavailableError: when the class fails to say its variables.
        """
        if self.plugin.refreshes_before_start:
            self._refresh(owner)
        return self.plugin.before_start(owner.name, server.name, self.logins.auth_states.of(owner))

    def _refresh(self, owner: User) -> None:
        try:
            found = self.plugin.refresh(owner.name, self.logins.auth_states.of(owner))
        except LoginUnavailableError as failed:
            logger.warning("the login of user %s was not refreshed: %s", owner.name, failed)
            return
        if isinstance(found, bool):
            if not found:
                logger.info("the login of user %s cannot be refreshed: the user must log in again", owner.name)
            return
        try:
            self.logins.log_in(found)
        except NotAllowedError as refused:
            raise LaunchFailedError(str(refused)) from refused
