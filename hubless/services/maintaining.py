"""Maintaining: admins turn maintenance on and off, and starts heed it."""

import logging
from datetime import datetime
from typing import Final

from hubless.domain import maintenance
from hubless.domain.errors import MaintenanceError, StoreConflictError
from hubless.domain.maintenance import Maintenance, StartCheck
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.bulletin import BulletinStore
from hubless.ports.clock import Clock
from hubless.services.bulletin_reading import BulletinReader
from hubless.services.identifiers import new_id

logger = logging.getLogger(__name__)
_ID: Final = "m"


@value
class Maintaining:
    """Turns maintenance on and off. While it is on, the store refuses each start in the start's own write."""

    store: BulletinStore
    reader: BulletinReader
    clock: Clock

    def current(self) -> Maintenance | None:
        """Return the maintenance that is on now; None if there is none."""
        return self._on(self.reader.now().maintenance)

    def shown(self) -> Maintenance | None:
        """Return the maintenance of which pages tell; it may be a few seconds old."""
        return self._on(self.reader.recent().maintenance)

    def turn_on(
        self,
        by: str,
        *,
        text: str = "",
        ends_at: datetime | None = None,
        admins_start: bool = False,
        seen: str | None = None,
    ) -> Maintenance:
        """Turn maintenance on, or change what is said of it.

        Args:
            by: the name of who does it.
            text: what people read besides, in Markdown.
            ends_at: when it ends by itself; None for when somebody turns it off.
            admins_start: whether admins' own servers start all the same.
            seen: what `maintenance.seen_id` says of what *by* has read; None to replace whatever there is.

        Raises:
            InvalidRequestError: when the text or the end is not allowed.
            StoreConflictError: when somebody else was faster.
        """
        before, now = self.reader.now().maintenance, self.clock.now()
        if seen is not None and seen != maintenance.seen_id(self._on(before)):
            raise _changed_meanwhile()
        began_at = before.began_at if before is not None and before.is_on(now) else now
        wanted = Maintenance(new_id(_ID, now), text.strip(), began_at, by, ends_at, admins_start)
        maintenance.check(wanted, now)
        self.store.set_maintenance(before, wanted)
        self.reader.forget()
        logger.warning("%s has turned maintenance on: nobody starts a server", by)
        return wanted

    def turn_off(self, by: str, *, seen: str | None = None) -> bool:
        """Turn maintenance off, and return whether it was on.

        Args:
            by: the name of who does it.
            seen: what `maintenance.seen_id` says of what *by* has read; None to turn off whatever there is.

        Raises:
            StoreConflictError: when somebody else has changed it since.
        """
        before = self.reader.now().maintenance
        if before is None:
            return False
        if seen is not None and (present := self._on(before)) is not None and seen != present.id:
            raise _changed_meanwhile()
        self.store.set_maintenance(before, None)
        self.reader.forget()
        logger.warning("%s has turned maintenance off", by)
        return before.is_on(self.clock.now())

    def check_of(self, owner: User) -> StartCheck:
        """Return what the write of a start of *owner*'s server tells the store."""
        return StartCheck(self.clock.now(), owner.admin)

    def require_no_maintenance(self, owner: User) -> None:
        """Refuse a start before anything is written for it. What pages know is asked first, and then the store.

        Raises:
            MaintenanceError: when maintenance refuses it.
        """
        if (known := self.shown()) is not None and known.refuses(self.check_of(owner)):
            found = self.current()
            if found is not None and found.refuses(self.check_of(owner)):
                raise found.refusal(self.clock.now())

    def refusal(self, refused: MaintenanceError) -> MaintenanceError:
        """Return the error of a start that the store has *refused*, with the end that is known now."""
        found = self.current()
        return refused if found is None else found.refusal(self.clock.now())

    def _on(self, found: Maintenance | None) -> Maintenance | None:
        return found if found is not None and found.is_on(self.clock.now()) else None


def _changed_meanwhile() -> StoreConflictError:
    return StoreConflictError("Somebody else has changed the maintenance meanwhile, or it has ended.")
