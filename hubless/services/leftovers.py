"""Leftovers: removes what launches left that are over, such as a start that somebody stopped at once."""

import logging
from collections.abc import Callable, Sequence

from hubless.domain.lifecycle import ACTIVE
from hubless.domain.values import value
from hubless.ports.servers import ServerStore

logger = logging.getLogger(__name__)

AT_ONCE = 500  # launches whose leftovers one call removes


@value
class Leftovers:
    """Removes leftovers on one machine. In AWS the sweep does, because the launcher lists them."""

    servers: ServerStore
    left: Callable[[], Sequence[str]]  # returns launches that do not run, and left something
    remove_one: Callable[[str], None]  # removes what a launch left; nothing if it may still run

    def remove(self) -> int:
        """Remove what launches left that no live record has, and return of how many.

        The list comes first. So a launch in it that no later record has is over, and never begins again.

        Raises:
            OSError: when the disk fails; the next call goes on.
        """
        if not (left := self.left()):
            return 0
        live = {server.launch_id for server in self.servers.in_states(ACTIVE)}
        over = [launch_id for launch_id in left if launch_id not in live][:AT_ONCE]
        for launch_id in over:
            self.remove_one(launch_id)
        if over:
            logger.info("removed what launches left that are over: %d", len(over))
        return len(over)
