"""Who has files beyond a limit, and when that stops a server."""

from hubless.domain.home_limits import HomeLimits
from hubless.domain.idleness import NextStop
from hubless.domain.lifecycle import Server
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.home_usage import HomeUsageStore


@value
class HomeLimiting:
    """Compares homes with their limits."""

    limits: HomeLimits
    usage: HomeUsageStore

    def next_stop(self, owner: User, server: Server) -> NextStop | None:
        """Return when *server* is stopped because its owner's home is too large; None if it is not."""
        if self.limits.overrun is None:
            return None
        return self.limits.next_stop(owner, server, self.usage.get_many([owner.id]).get(owner.id))
