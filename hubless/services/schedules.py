"""Schedules: those of the settings, and those that admins make while the hub runs."""

import logging
from collections.abc import Collection
from dataclasses import replace

from hubless.domain import schedules
from hubless.domain.errors import InvalidRequestError, NameTakenError, NotFoundError, StoreConflictError
from hubless.domain.schedules import MOST_SCHEDULES, Lesson, Schedule
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.schedules import ScheduleStore
from hubless.services import settings_first
from hubless.services.group_references import GroupReferences

logger = logging.getLogger(__name__)


@value
class Schedules:
    """Keeps schedules. Those of the settings are stronger than others of the same name, and change only there."""

    fixed: tuple[Schedule, ...]  # of the settings
    store: ScheduleStore
    references: GroupReferences
    profiles: Collection[str]
    clock: Clock

    def all(self) -> list[Schedule]:
        """Return all schedules: those of the settings, then the others by name."""
        return settings_first.merged(self.fixed, self.store.all())

    def is_fixed(self, name: str) -> bool:
        """Say whether the settings have the schedule of that name."""
        return settings_first.is_fixed(self.fixed, name)

    def find(self, name: str) -> Schedule:
        """Return the schedule of that name.

        Raises:
            NotFoundError: when there is none.
        """
        for one in self.all():
            if one.name == name:
                return one
        raise NotFoundError("Schedule", name)

    def present(self) -> tuple[Lesson, ...]:
        """Return the lessons that are on now, or ended within the last hour."""
        now = self.clock.now()
        return tuple(lesson for one in self.all() for lesson in schedules.lessons(one, now))

    def add(self, schedule: Schedule) -> Schedule:
        """Add a schedule, and return it as it is stored. It counts from now on, for a lesson that is on too.

        Raises:
            InvalidRequestError: when it breaks a rule, names what the hub does not have, or there are too many.
            NameTakenError: when there is one of its name.
        """
        self._check(schedule)
        if self.is_fixed(schedule.name):
            raise NameTakenError("Schedule", schedule.name)
        if len(self.store.all()) >= MOST_SCHEDULES:
            raise InvalidRequestError(
                _("There are %(count)s schedules already: remove one first", count=MOST_SCHEDULES)
            )
        added = replace(schedule, revision=0)
        with self.references.to(added.groups):
            if not self.store.add(added):
                raise NameTakenError("Schedule", schedule.name)
        logger.info("schedule %s was added: %s", added.name, added)
        return added

    def change(self, before: Schedule, after: Schedule) -> Schedule:
        """Store *after* in place of *before*, and return it as it is stored.

        Raises:
            InvalidRequestError: when it breaks a rule, names what the hub does not have, or the settings have it.
            StoreConflictError: when somebody has changed or removed it since *before* was read.
        """
        self._check_not_fixed(before.name)
        changed = replace(after, name=before.name, revision=before.revision + 1)
        if replace(changed, is_paused=before.is_paused, revision=before.revision) == before:
            self._replace(before, changed)  # a pause needs no group or profile that is gone meanwhile
        else:
            self._check(changed)
            with self.references.to(changed.groups):
                self._replace(before, changed)
        logger.info("schedule %s was changed: %s", changed.name, changed)
        return changed

    def pause(self, name: str, *, is_paused: bool) -> Schedule:
        """Let the schedule rest, or go on. Servers that run stay as they are.

        Raises:
            InvalidRequestError: when the settings have it.
            NotFoundError: when there is none of that name.
            StoreConflictError: when somebody changes it at the same time.
        """
        before = self.find(name)
        return self.change(before, replace(before, is_paused=is_paused))

    def remove(self, before: Schedule) -> None:
        """Remove the schedule *before*, as somebody read it. Servers that run stay as they are.

        Raises:
            InvalidRequestError: when the settings have it.
            StoreConflictError: when somebody has changed or removed it since.
        """
        self._check_not_fixed(before.name)
        if not self.store.remove(before.name, revision=before.revision):
            raise _changed_meanwhile()
        logger.info("schedule %s was removed", before.name)

    def _check(self, schedule: Schedule) -> None:
        schedules.check(schedule)
        if schedule.profile and schedule.profile not in self.profiles:
            raise InvalidRequestError(_("There is no server type %(name)s", name=repr(schedule.profile[:60])))

    def _replace(self, before: Schedule, after: Schedule) -> None:
        if not self.store.replace(before, after):
            raise _changed_meanwhile()

    def _check_not_fixed(self, name: str) -> None:
        refusal = _("The schedule %(name)s is one of the settings: change it there", name=name)
        settings_first.require_not_fixed(self.fixed, name, refusal)


def _changed_meanwhile() -> StoreConflictError:
    return StoreConflictError("Somebody else has changed the schedule. Load the page again to see it.")
