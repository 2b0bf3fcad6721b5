"""The store of the bulletin: announcements, and the maintenance."""

from datetime import datetime
from typing import Protocol

from hubless.domain.announcements import Announcement, Bulletin
from hubless.domain.maintenance import Maintenance


class BulletinStore(Protocol):
    """Stores what all pages tell. `ServerStore.write` heeds the maintenance in the write of a start."""

    def read(self, now: datetime) -> Bulletin:
        """Return the announcements that have not ended at *now*, and the maintenance, in one read."""
        ...

    def add(self, announcement: Announcement, now: datetime, *, most: int) -> bool:
        """Store a new one, and return whether there was room: *most* may be there at once, or a few more at a rush."""
        ...

    def replace(self, before: Announcement, after: Announcement) -> None:
        """Replace *before* by *after*, which has the same id.

        Raises:
            StoreConflictError: when it is gone, or has another revision than *before*.
        """
        ...

    def remove(self, announcement_id: str, *, revision: int) -> bool:
        """Remove the announcement of that id, if it has this *revision*, and return whether there was such a one."""
        ...

    def set_maintenance(self, before: Maintenance | None, after: Maintenance | None) -> None:
        """Replace the maintenance that was read; None stands for none. No start is written after it that it refuses.

        Raises:
            StoreConflictError: when another one than *before* is stored.
        """
        ...

    def delete_expired(self, now: datetime, limit: int) -> int:
        """Remove up to *limit* announcements that have ended, and return how many; 0 where the store does it."""
        ...
