"""Name look-ups: bounds how many users one person can look for by their names, so that nobody lists who exists."""

from datetime import timedelta
from typing import Final

from hubless.domain.errors import QuotaExceededError
from hubless.domain.leases import NoLease
from hubless.domain.translatable import ngettext
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.leases import LeaseStore

LIMIT: Final = 100  # names; sharing with somebody new takes two: the search, and the button
PERIOD: Final = timedelta(hours=1)


@value
class NameLookups:
    """Counts the names that each person looks for, in all processes and functions, whether they exist or not."""

    leases: LeaseStore
    clock: Clock

    def count(self, who: User) -> None:
        """Count one name more for which *who* looks.

        Raises:
            QuotaExceededError: when *who* has looked for as many names within the last hour as anybody may.
        """
        now = self.clock.now()
        given = self.leases.claim(f"name#{who.id}", limit=LIMIT, now=now, until=now + PERIOD)
        if isinstance(given, NoLease):
            wait = given.until - now
            raise QuotaExceededError(
                ngettext(
                    "You have looked for too many names. Try again in a minute, or send a link.",
                    "You have looked for too many names. Try again in %(count)s minutes, or send a link.",
                    max(1, -(-wait // timedelta(minutes=1))),
                ),
                limit=LIMIT,
                retry=True,
                after=wait,
            )
