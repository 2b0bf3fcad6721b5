"""Lessons: starts the servers of a class before it meets, keeps them meanwhile, and stops them afterwards."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from hubless.domain.audit import Act, Doer, DoerKind
from hubless.domain.errors import HublessError, MaintenanceError, QuotaExceededError
from hubless.domain.lifecycle import Server
from hubless.domain.profiles import PROFILE
from hubless.domain.schedules import CATCH_UP, Lesson, keeper
from hubless.domain.stop_reasons import StopCause, StopReason
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.servers import ServerStore
from hubless.ports.single_use import SingleUseStore
from hubless.ports.users import GroupStore, UserStore
from hubless.services.auditing import Auditing
from hubless.services.schedules import Schedules
from hubless.services.stopping import Stopping

if TYPE_CHECKING:
    from hubless.services.spawning import Spawning

logger = logging.getLogger(__name__)
_AT_ONCE: Final = 49  # members of one read: as many users as DynamoDB reads in a round trip
_MOST_KNOWN: Final = 10_000  # records of which one process knows that they are there
NO_LESSONS: Final[tuple[Lesson, ...]] = ()


@value
class Lessons:
    """Does what the present lessons need, and records it with the schedule as the doer.

    A sweep that runs twice starts and stops nothing twice: servers' own records say what is done (ADR 57).
    """

    schedules: Schedules
    groups: GroupStore
    users: UserStore
    servers: ServerStore
    spawning: "Callable[[], Spawning]"  # asked for at the first start: most sweeps need none
    stopping: Stopping
    clock: Clock
    auditing: Auditing
    single_use: SingleUseStore
    known: set[str] = field(default_factory=set, compare=False)  # what this process need not record again

    def present(self) -> tuple[Lesson, ...]:
        """Return the lessons of now, from one read of the store; none if it cannot be read, which is in the log."""
        try:
            return self.schedules.present()
        except Exception:
            logger.exception("the sweep cannot read the schedules")
            return NO_LESSONS

    def note_kept(self, lesson: Lesson, owner: User, server: Server) -> None:
        """Record that an idle server stays because of a lesson, once in the lesson."""
        if self._is_news("kept", lesson, server.id):
            self._record(lesson, Act.SERVER_KEPT, [owner.name], server=server.name)

    def sweep(self, present: Sequence[Lesson], is_over: Callable[[], bool]) -> int:
        """Start and stop servers of these lessons until *is_over*, and return how many."""
        now, done = self.clock.now(), 0
        for lesson in present:
            if now < lesson.ends:
                done += self._start(lesson, is_over)
            elif lesson.schedule.stops:
                done += self._stop(lesson, present, now, is_over)
        return done

    def _start(self, lesson: Lesson, is_over: Callable[[], bool]) -> int:
        """Start members' main servers. If the hub is full, the next sweep goes on."""
        schedule, done = lesson.schedule, list[str]()
        options = {PROFILE: schedule.profile} if schedule.profile else None
        try:
            for owner, server in self._members(schedule.groups):
                if is_over():
                    break
                if not lesson.needs_start(server):
                    continue
                try:
                    self.spawning().start(owner, "", user_options=options)
                except MaintenanceError:
                    logger.info("schedule %s: no server starts, because maintenance is on", schedule.name)
                    break  # a sweep after the maintenance goes on, if the lesson is still on then
                except HublessError as refused:  # such as a full hub, or a profile that is not the member's
                    self._refused(lesson, owner, "start", refused)
                    continue
                done.append(owner.name)
        finally:
            if done:
                self._record(lesson, Act.SERVER_STARTED, done)
        return len(done)

    def _stop(self, lesson: Lesson, present: Sequence[Lesson], now: datetime, is_over: Callable[[], bool]) -> int:
        """Stop the servers that were started in a lesson which is over, unless their owners are in another one."""
        schedule, done = lesson.schedule, list[str]()
        try:
            for owner, server in self._members(schedule.groups):
                if is_over():
                    break
                if server is None or not lesson.needs_stop(server) or keeper(present, owner.groups, now) is not None:
                    continue
                try:
                    self.stopping.request(server, StopReason(StopCause.USER, schedule.name))
                except HublessError as refused:
                    self._refused(lesson, owner, "stop", refused)
                    continue
                done.append(owner.name)
        finally:
            if done:
                self._record(lesson, Act.SERVER_STOPPED, done)
        return len(done)

    def _refused(self, lesson: Lesson, owner: User, what: str, refused: HublessError) -> None:
        """Log what failed at each try, and record it once in a lesson."""
        level = logging.WARNING if isinstance(refused, QuotaExceededError) else logging.INFO
        logger.log(
            level,
            "schedule %s: it did not %s the server of %s: %s",
            lesson.schedule.name,
            what,
            owner.name,
            refused,
        )
        if self._is_news(what, lesson, owner.id):
            self._record(lesson, Act.LESSON_FAILED, [owner.name], what=what, why=refused.message)

    def _is_news(self, what: str, lesson: Lesson, subject: str) -> bool:
        key = f"lesson#{what}#{lesson.mark}#{subject}"
        if key in self.known:
            return False
        if len(self.known) >= _MOST_KNOWN:
            self.known.clear()
        try:
            is_first = self.single_use.use(key, lesson.ends + CATCH_UP)
        except HublessError as away:  # the lesson goes on, and the next sweep records it
            logger.warning("schedule %s: a record has to wait: %s", lesson.schedule.name, away)
            return False
        self.known.add(key)
        return is_first

    def _record(self, lesson: Lesson, act: Act, names: Sequence[str], **about: str) -> None:
        self.auditing.record(Doer(DoerKind.SCHEDULE, lesson.schedule.name), act, *names, about=about)

    def _members(self, groups: Sequence[str]) -> Iterator[tuple[User, Server | None]]:
        """Yield each member once, with the main server; some members at a time."""
        seen = set[str]()
        for name in groups:
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
