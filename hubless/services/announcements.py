"""Announcements: admins make, change and remove them, and pages show them."""

import logging
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Final

from hubless.domain import announcements
from hubless.domain.announcements import MOST, Announcement, Kind
from hubless.domain.errors import InvalidRequestError, NotFoundError, StoreConflictError
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value
from hubless.ports.bulletin import BulletinStore
from hubless.ports.clock import Clock
from hubless.services.bulletin_reading import BulletinReader
from hubless.services.group_references import GroupReferences
from hubless.services.identifiers import new_id

logger = logging.getLogger(__name__)
_ID: Final = "n"


@value
class Wish:
    """What somebody wants an announcement to be."""

    text: str
    ends_at: datetime
    starts_at: datetime | None = None  # None: now
    kind: Kind = Kind.INFO
    groups: tuple[str, ...] = ()


@value
class Announcements:
    """Manages announcements."""

    store: BulletinStore
    reader: BulletinReader
    references: GroupReferences
    clock: Clock

    def make(self, by: str, wish: Wish) -> Announcement:
        """Make an announcement; *by* is the name of who makes it.

        Raises:
            InvalidRequestError: when something is not allowed, or there are too many already.
        """
        now = self.clock.now()
        text, starts_at = wish.text.strip(), wish.starts_at or now
        made = Announcement(new_id(_ID, now), text, wish.kind, starts_at, wish.ends_at, by, now, wish.groups)
        announcements.check(made, now)
        with self.references.to(made.groups):
            if not self.store.add(made, now, most=MOST):
                raise InvalidRequestError(_("There are %(most)s announcements already. Remove some first.", most=MOST))
        self.reader.forget()
        logger.info("%s has made the announcement %s", by, made.id)
        return made

    def change(self, before: Announcement, wish: Wish) -> Announcement:
        """Change the announcement *before*, as somebody read it.

        Raises:
            InvalidRequestError: when something is not allowed.
            StoreConflictError: when somebody else has changed or removed it since.
        """
        after = replace(
            before,
            text=wish.text.strip(),
            kind=wish.kind,
            starts_at=wish.starts_at or before.starts_at,
            ends_at=wish.ends_at,
            groups=wish.groups,
            revision=before.revision + 1,
        )
        announcements.check(after, self.clock.now())
        with self.references.to(after.groups):
            self.store.replace(before, after)
        self.reader.forget()
        return after

    def remove(self, before: Announcement) -> None:
        """Remove the announcement *before*, as somebody read it.

        Raises:
            StoreConflictError: when somebody else has changed or removed it since.
        """
        is_removed = self.store.remove(before.id, revision=before.revision)
        self.reader.forget()
        if not is_removed:
            raise StoreConflictError("Somebody else has changed this announcement, or removed it")

    def all(self) -> tuple[Announcement, ...]:
        """Return those that have not ended; what starts first comes first."""
        return self.reader.now().announcements

    def get(self, announcement_id: str) -> Announcement:
        """Return the announcement of this id.

        Raises:
            NotFoundError: when there is none, or it has ended.
        """
        found = next((one for one in self.all() if one.id == announcement_id), None)
        if found is None:
            raise NotFoundError("Announcement", announcement_id)
        return found

    def shown_to(self, groups: Collection[str] | None, *, without: Collection[str] = ()) -> list[Announcement]:
        """Return what a page shows to a member of *groups*, warnings first.

        Args:
            groups: the names of the reader's groups; None for who is not logged in.
            without: ids of what the reader has put away. Warnings stay.
        """
        now = self.clock.now()
        shown = [one for one in self.reader.recent().announcements if one.is_shown(now) and one.is_for(groups)]
        left = [one for one in shown if one.kind is Kind.WARNING or one.id not in without]
        return sorted(left, key=lambda one: one.kind is not Kind.WARNING)
