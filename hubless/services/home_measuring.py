"""Measuring homes: whose is due, and what was found."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from hubless.domain.home_usage import HomeUsage
from hubless.domain.lifecycle import ACTIVE
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.home_usage import Homes, HomeSize, HomeUsageStore
from hubless.ports.servers import ServerStore
from hubless.ports.users import UserStore
from hubless.services.home_limiting import HomeLimiting

logger = logging.getLogger(__name__)

AGAIN_AFTER = timedelta(minutes=10)
"""The age at which the measurement of a home in use is taken again."""
AGAIN_WHEN_OVER = timedelta(seconds=50)
"""The same while the home stops servers: its owner removes files, and waits for the look of the next minute."""
PAGE = 100  # users at once


@value
class HomeMeasuring:
    """Measures homes one after the other."""

    servers: ServerStore
    users: UserStore
    usage: HomeUsageStore
    homes: Homes
    clock: Clock
    limiting: HomeLimiting

    def steps(self, *, everybody: bool = False) -> Iterator[None]:
        """Measure the homes that are due, in small steps; the caller pauses between them and may stop at each.

        Due are the homes of users with active servers, and of those who were active since the last measurement. Of the
        latter, a call looks at the `PAGE` users that were active last, or at *everybody*.
        """
        tasks = {server.owner_id: server.task for server in self.servers.in_states(ACTIVE)}
        yield from self._measure(tasks)
        offset, total = 0, 1
        while offset < total:
            page, total = self.users.page(offset=offset, limit=PAGE, sort="last_activity", descending=True)
            seen = {user.id: user.last_activity_at for user in page if user.last_activity_at is not None}
            yield from self._measure(dict.fromkeys(seen.keys() - tasks.keys()), seen)
            offset += PAGE
            if not everybody or not seen:
                return

    def _measure(self, tasks: dict[str, str | None], seen: dict[str, datetime] | None = None) -> Iterator[None]:
        """Measure the homes of these owners that are due; *seen* says when each was last active."""
        known = self.usage.get_many(tasks)
        for owner_id, task in tasks.items():
            if self._is_due(known.get(owner_id), (seen or {}).get(owner_id)):
                yield from self._walk(owner_id, task, known.get(owner_id))

    def _is_due(self, known: HomeUsage | None, seen: datetime | None) -> bool:
        if known is None:
            return True
        # A clock that was set back must not stop the measuring until it has caught up.
        hurries = known.over_since is not None and self.limiting.limits.overrun is not None
        again_after = AGAIN_WHEN_OVER if hurries else AGAIN_AFTER
        is_old = not timedelta() <= self.clock.now() - known.measured_at < again_after
        return is_old and (seen is None or seen > known.measured_at - AGAIN_AFTER)

    def _walk(self, owner_id: str, task: str | None, before: HomeUsage | None) -> Iterator[None]:
        """Measure one home. One that cannot be measured does not keep the hub from the others."""
        found = HomeSize()
        try:
            walk = self.homes.walk(owner_id, task)
            if walk is None:
                return
            for size in walk:
                found = size
                yield
        except Exception:
            logger.exception("cannot measure the home of user %s; the hub goes on with the next home", owner_id)
            found = HomeSize(found.size, is_whole=False)
        usage = HomeUsage(owner_id, found.size, found.is_whole, self.clock.now())
        self.usage.put(replace(usage, over_since=self._over_since(usage, before)))

    def _over_since(self, usage: HomeUsage, before: HomeUsage | None) -> datetime | None:
        owner = self.users.get(usage.owner_id)
        if owner is None or not usage.exceeds(self.limiting.of([owner])[owner.id]):
            return None
        return usage.measured_at if before is None or before.over_since is None else before.over_since
