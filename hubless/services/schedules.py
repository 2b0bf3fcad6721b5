"""Schedules: starts the servers of a class before it meets, keeps them meanwhile, and stops them afterwards."""

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final

from hubless.domain.errors import HublessError, QuotaExceededError
from hubless.domain.lifecycle import Server
from hubless.domain.profiles import PROFILE
from hubless.domain.schedules import Lesson, Schedule, lessons
from hubless.domain.stop_reasons import StopCause, StopReason
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.servers import ServerStore
from hubless.ports.users import GroupStore, UserStore
from hubless.services.spawning import Spawning
from hubless.services.stopping import Stopping

logger = logging.getLogger(__name__)
_AT_ONCE: Final = 49  # members of one read: as many users as DynamoDB reads in a round trip


@value
class Schedules:
    """Does what the present lessons need. It keeps no state: a sweep that runs twice starts and stops nothing twice."""

    schedules: tuple[Schedule, ...]
    groups: GroupStore
    users: UserStore
    servers: ServerStore
    spawning: Spawning
    stopping: Stopping
    clock: Clock

    def keeps(self, owner: User, now: datetime) -> bool:
        """Say whether a lesson of the owner's is on, in which no server of theirs is stopped for idleness."""
        return any(
            lesson.begins <= now < lesson.ends
            for schedule in self.schedules
            if not set(schedule.groups).isdisjoint(owner.groups)
            for lesson in lessons(schedule, now)
        )

    def sweep(self, is_over: Callable[[], bool]) -> int:
        """Start and stop servers until *is_over*, and return how many."""
        now, done = self.clock.now(), 0
        for schedule in self.schedules:
            for lesson in lessons(schedule, now):
                if now < lesson.ends:
                    done += self._start(lesson, is_over)
                elif schedule.stops:
                    done += self._stop(lesson, now, is_over)
        return done

    def _start(self, lesson: Lesson, is_over: Callable[[], bool]) -> int:
        """Start members' main servers. If the hub is full, the next sweep goes on."""
        schedule, done = lesson.schedule, 0
        options = {PROFILE: schedule.profile} if schedule.profile else None
        for owner, server in self._members(schedule):
            if is_over():
                break
            if not lesson.needs_start(server):
                continue
            try:
                self.spawning.start(owner, "", user_options=options)
            except QuotaExceededError as full:
                logger.warning("schedule %s: the server of %s does not start yet: %s", schedule.name, owner.name, full)
                continue
            except HublessError as refused:  # such as a profile that is not the member's, or a start by the member
                logger.info("schedule %s: it did not start the server of %s: %s", schedule.name, owner.name, refused)
                continue
            done += 1
        return done

    def _stop(self, lesson: Lesson, now: datetime, is_over: Callable[[], bool]) -> int:
        """Stop the servers that were started in a lesson which is over, unless their owners are in another one."""
        schedule, done = lesson.schedule, 0
        for owner, server in self._members(schedule):
            if is_over():
                break
            if server is None or not lesson.needs_stop(server) or self.keeps(owner, now):
                continue
            try:
                self.stopping.request(server, StopReason(StopCause.USER, schedule.name))
            except HublessError as refused:
                logger.info("schedule %s: it did not stop the server of %s: %s", schedule.name, owner.name, refused)
                continue
            done += 1
        return done

    def _members(self, schedule: Schedule) -> Iterator[tuple[User, Server | None]]:
        """Yield each member once, with the main server; some members at a time."""
        seen = set[str]()
        for name in schedule.groups:
            group, after = self.groups.summary(name), ""
            while group is not None:
                page = self.groups.members(group.id, limit=_AT_ONCE, after=after)
                yield from self._with_servers([one.id for one in page if one.id not in seen])
                seen.update(one.id for one in page)
                if len(page) < _AT_ONCE:
                    break
                after = page[-1].id

    def _with_servers(self, user_ids: Sequence[str]) -> Iterator[tuple[User, Server | None]]:
        if not user_ids:
            return
        users = self.users.get_many(user_ids)
        main = {server.owner_id: server for server in self.servers.of_owners(list(users)) if not server.name}
        for user in users.values():
            yield user, main.get(user.id)
