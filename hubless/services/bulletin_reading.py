"""Reading the bulletin, which each page needs, without a read for each page."""

import logging
from datetime import datetime, timedelta
from typing import Final

from hubless.domain.announcements import Bulletin
from hubless.domain.errors import HublessError
from hubless.ports.bulletin import BulletinStore
from hubless.ports.clock import Clock

logger = logging.getLogger(__name__)
AGE: Final = timedelta(seconds=10)  # how old what pages show may be, where another process has changed it


class BulletinReader:
    """Reads the bulletin: for pages at most once in `AGE`, in each process of the hub."""

    def __init__(self, store: BulletinStore, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._kept: tuple[datetime, Bulletin] | None = None

    def now(self) -> Bulletin:
        """Return what the store has now.

        Raises:
            StoreUnavailableError: when it does not answer.
        """
        at = self._clock.now()
        found = self._store.read(at)
        self._kept = at, found
        return found

    def recent(self) -> Bulletin:
        """Return what the store had at most `AGE` ago. Without an answer, return what was known last: pages go on."""
        kept, at = self._kept, self._clock.now()
        if kept is not None and timedelta(0) <= at - kept[0] < AGE:  # a clock that goes back does not keep it for long
            return kept[1]
        try:
            return self.now()
        except HublessError as error:
            logger.warning("pages show no new announcements: %s", error)
            self._kept = at, Bulletin() if kept is None else kept[1]
            return self._kept[1]

    def forget(self) -> None:
        """Read the store for the next page: this process has changed it."""
        self._kept = None
