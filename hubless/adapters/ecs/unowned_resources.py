"""Removes what was made for owners who are gone: a few resources in each sweep."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from hubless.ports.clock import Clock

LOOK_EVERY = timedelta(hours=1)  # a look lists all resources of a kind
OWNERS_PER_CALL, REMOVED_PER_CALL = 100, 10  # AWS throttles changes of an account together


class UnownedResources:
    """The resources of one kind that belong to owners, one for each."""

    def __init__(self, clock: Clock, owners: Callable[[datetime], list[str]], remove: Callable[[str], None]) -> None:
        """Use *owners*, which lists the ids of those who have a resource, and *remove*, which removes an owner's."""
        self._clock, self._owners, self._remove = clock, owners, remove
        self._looked_at: datetime | None = None
        self._unchecked: list[str] = []  # owner ids of the last look

    def remove_some(self, existing: Callable[[Collection[str]], Collection[str]]) -> int:
        """Remove up to `REMOVED_PER_CALL` resources of owners who are gone, and return how many it removed.

        It asks *existing* about at most `OWNERS_PER_CALL` owners, and the next call continues with the others. It lists
        the resources each `LOOK_EVERY`.
        """
        now = self._clock.now()
        if not self._unchecked:
            if self._looked_at is not None and now - self._looked_at < LOOK_EVERY:
                return 0
            self._unchecked, self._looked_at = self._owners(now), now
        some = self._unchecked[:OWNERS_PER_CALL]
        known = existing(some) if some else ()
        gone = [owner_id for owner_id in some if owner_id not in known]
        for owner_id in gone[:REMOVED_PER_CALL]:
            self._remove(owner_id)
        self._unchecked = gone[REMOVED_PER_CALL:] + self._unchecked[OWNERS_PER_CALL:]
        return len(gone[:REMOVED_PER_CALL])
