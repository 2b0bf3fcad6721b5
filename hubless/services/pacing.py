"""Pacing: of all requests that would do the same, in any process, one does it; the others go on without."""

from datetime import timedelta

from hubless.domain.leases import Lease
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.leases import LeaseStore


@value
class Pacing:
    """Limits how often requests do what others pay for, such as calls that AWS counts for the whole account."""

    leases: LeaseStore
    clock: Clock

    def is_first(self, key: str, pause: timedelta) -> bool:
        """Say whether the caller is the first with *key* within *pause*; then it should act, and no other does."""
        now = self.clock.now()
        return isinstance(self.leases.claim(key, limit=1, now=now, until=now + pause), Lease)
