"""What people make for a group while the hub runs, by its name: it goes with the group (ADR 74)."""

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from hubless.domain import names
from hubless.domain.announcements import Announcement
from hubless.domain.errors import InvalidRequestError, StoreConflictError, StoreUnavailableError
from hubless.domain.join_links import JoinLink
from hubless.domain.schedules import Schedule
from hubless.domain.sign_ups import SignUp
from hubless.domain.translatable import gettext as _
from hubless.domain.users import Group
from hubless.domain.values import value
from hubless.ports.bulletin import BulletinStore
from hubless.ports.clock import Clock
from hubless.ports.join_links import JoinLinkStore
from hubless.ports.schedules import ScheduleStore
from hubless.ports.sign_ups import SignUpStore
from hubless.ports.users import GroupStore
from hubless.services.bulletin_reading import BulletinReader

logger = logging.getLogger(__name__)
TRIES: Final = 5  # of what somebody changes at the same moment


@value
class References:
    """The announcements, schedules, join links and waiting sign-ups that name a group."""

    announcements: tuple[Announcement, ...]
    schedules: tuple[Schedule, ...]
    join_links: tuple[JoinLink, ...]
    sign_ups: tuple[SignUp, ...]


@value
class GroupReferences:
    """Keeps what names a group in step with the groups that there are.

    Whoever makes a reference writes it first, and then looks whether the group is still there. Whoever removes a group
    removes it first, and then looks for references. So of two at once at least one sees what the other did.
    """

    groups: GroupStore
    bulletin: BulletinStore
    reader: BulletinReader
    schedules: ScheduleStore
    join_links: JoinLinkStore
    sign_ups: SignUpStore
    clock: Clock

    @contextmanager
    def to(self, wanted: Collection[str]) -> Iterator[None]:
        """Let the caller write what names the groups *wanted*, and take it back if one is removed meanwhile.

        Raises:
            InvalidRequestError: when there is no group of such a name.
        """
        before = self._ids(wanted)
        for name in wanted:
            if name not in before:
                raise _no_group(name)
        yield
        for name in self._forget_gone(before):
            raise _no_group(name)

    @contextmanager
    def of_sign_up(self, group: str) -> Iterator[None]:
        """Let the caller store a sign-up into *group*, which loses it if the group is removed meanwhile.

        A group that is not there yet is made when the sign-up is complete, and "" is none.
        """
        before = self._ids([group] if group else [])
        yield
        self._forget_gone(before)

    def remove(self, group: Group) -> None:
        """Remove *group*, and all references to it. After a crash in between, whoever removes it again goes on.

        Raises:
            StoreUnavailableError: when somebody changes one of them each time.
        """
        self.forget(group.name)  # first: without the group nobody would look for them again
        self.groups.delete(group.id)
        if self.groups.summary(group.name) is None:
            self.forget(group.name)  # what was made just before the group was gone

    def of(self, name: str) -> References:
        """Return what names the group *name*."""
        return References(
            tuple(one for one in self.reader.now().announcements if name in one.groups),
            tuple(one for one in self.schedules.all() if name in one.groups),
            tuple(one for one in self.join_links.all(self.clock.now()) if one.group == name),
            tuple(one for one in self.sign_ups.all(self.clock.now()) if one.group == name),
        )

    def forget(self, name: str) -> None:
        """Remove all references to the group *name*. What names other groups too stays for those.

        Raises:
            StoreUnavailableError: when somebody changes one of them each time.
        """
        for _try in range(TRIES):
            found = self.of(name)
            try:
                for announcement in found.announcements:
                    self._forget_announcement(announcement, name)
                for schedule in found.schedules:
                    self._forget_schedule(schedule, name)
                for sign_up in found.sign_ups:
                    self._forget_sign_up(sign_up, name)
            except StoreConflictError:
                continue
            for link in found.join_links:
                self.join_links.end(link.sha256)
                logger.info("the join link %s has ended: its group %s is gone", link.id, name)
            return
        raise StoreUnavailableError("Somebody changes what names this group; try again.")

    def _forget_announcement(self, one: Announcement, name: str) -> None:
        left = _without(one.groups, name)
        if left:
            self.bulletin.replace(one, replace(one, groups=left, revision=one.revision + 1))
        elif not self.bulletin.remove(one.id, revision=one.revision):  # without groups it would be for everybody
            raise StoreConflictError(f"the announcement {one.id} is not as it was read")
        self.reader.forget()
        logger.info("the announcement %s is no longer for the group %s, which is gone", one.id, name)

    def _forget_schedule(self, one: Schedule, name: str) -> None:
        left = _without(one.groups, name)
        if left:
            done = self.schedules.replace(one, replace(one, groups=left, revision=one.revision + 1))
        else:
            done = self.schedules.remove(one.name, revision=one.revision)
        if not done:
            raise StoreConflictError(f"the schedule {one.name} is not as it was read")
        logger.info("the schedule %s is no longer for the group %s, which is gone", one.name, name)

    def _forget_sign_up(self, one: SignUp, name: str) -> None:
        self.sign_ups.change(one, replace(one, group="", revision=one.revision + 1))
        logger.info("the sign-up of %s is no longer for the group %s, which is gone", one.name, name)

    def _forget_gone(self, before: Mapping[str, str]) -> list[str]:
        """Forget the groups that are not there any more, and return their names; *before* has the ids by name."""
        after = self._ids(before)
        gone = [name for name, group_id in before.items() if after.get(name) != group_id]
        for name in gone:
            self.forget(name)
        return gone

    def _ids(self, wanted: Collection[str]) -> dict[str, str]:
        if not wanted:
            return {}
        return {group.name: group.id for group in self.groups.summaries(limit=len(wanted), names=wanted)}


def _without(groups: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(one for one in groups if one != name)


def _no_group(name: str) -> InvalidRequestError:
    return InvalidRequestError(_("There is no group %(group)s.", group=names.shown(name)))
