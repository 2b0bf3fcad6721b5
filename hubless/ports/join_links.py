"""The store of join links."""

from datetime import datetime
from typing import Protocol

from hubless.domain.join_links import JoinLink


class JoinLinkStore(Protocol):
    """Stores join links, and counts their uses. A link ends at its instant."""

    def add(self, link: JoinLink, now: datetime, *, most: int) -> bool:
        """Store a new link, and return whether there was room: *most* may be there at once, or a few more at a rush."""
        ...

    def find(self, sha256: str, now: datetime) -> JoinLink | None:
        """Return the link whose code has this hash, if it has not ended at *now*."""
        ...

    def all(self, now: datetime) -> list[JoinLink]:
        """Return all that have not ended at *now*, the newest first."""
        ...

    def use(self, sha256: str, now: datetime) -> bool:
        """Count one use, and return whether there was a place and the link has not ended at *now*.

        Concurrent calls never take more places than there are.
        """
        ...

    def give_back(self, sha256: str) -> None:
        """Count one use less, if there is one: an account was not made."""
        ...

    def end(self, sha256: str) -> None:
        """Remove the link; do nothing if there is none."""
        ...

    def delete_expired(self, now: datetime, limit: int) -> int:
        """Remove up to *limit* that have ended, and return how many; 0 where the store does it."""
        ...
