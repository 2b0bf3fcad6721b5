"""The list of those who wait for a place in a full hub."""

from datetime import datetime
from typing import Protocol

from hubless.domain.waiting import Waiting


class WaitingList(Protocol):
    """Keeps who waits. Users who have not asked for `GONE_AFTER` wait no more, and lose their place in the line."""

    def ask(self, owner_id: str, now: datetime) -> Waiting:
        """Put a user at the end of the line, or note that one who waits has asked again, and keeps the place.

        A user who does not exist any more is not stored.
        """
        ...

    def find(self, owner_id: str, now: datetime) -> Waiting | None:
        """Return the user's place in the line; None for who does not wait."""
        ...

    def ahead(self, of: Waiting | None, now: datetime) -> int:
        """Return how many wait before that one, or how many wait at all for None; at most `MOST_AHEAD`."""
        ...

    def leave(self, owner_id: str) -> None:
        """Forget that a user waits; nothing happens for who does not."""
        ...
