"""Following: bounds the streams that follow the starts of one owner's servers.

Each stream holds a function, or a connection and a reader of the store, for as long as a start takes.
"""

from datetime import timedelta

from hubless.domain.leases import Lease
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.leases import LeaseStore

CLOSING = timedelta(seconds=30)  # an answer that has reached its time limit is still being closed


@value
class Following:
    """Counts the progress streams of each owner, in all processes and functions."""

    leases: LeaseStore
    clock: Clock
    limit: int  # streams of one owner's starts at the same time
    longest: timedelta  # after this time a stream of this process has ended, even if the process crashed
    longest_of_any: timedelta  # the same for all processes and functions, whose streams may last longer

    def begin(self, owner: User) -> Lease | None:
        """Return the lease of one more stream, or None if the owner's starts have as many followers as they may."""
        now = self.clock.now()
        until, latest = now + self.longest + CLOSING, now + self.longest_of_any + CLOSING
        given = self.leases.claim(f"follow#{owner.id}", limit=self.limit, now=now, until=until, latest=latest)
        return given if isinstance(given, Lease) else None

    def end(self, lease: Lease) -> None:
        """Let another client follow in place of a stream that has ended."""
        self.leases.release(lease)
