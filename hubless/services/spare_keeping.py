"""Keeping spares: each sweep ends those that are of no use, and starts those that are missing."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from hubless.domain import spares
from hubless.domain.errors import CapacityUnavailableError, HublessError, LaunchFailedError
from hubless.domain.leases import NoLease
from hubless.domain.profiles import Profile, by_default
from hubless.domain.spares import Spare
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.launch_rate_limiter import LaunchRateLimiter
from hubless.ports.launcher import Launcher, Task, TaskStatus, TaskStopped
from hubless.ports.leases import LeaseStore
from hubless.services.identifiers import new_id
from hubless.services.spares import PREFIX, Spares

logger = logging.getLogger(__name__)

LEASE = "spares"
LONGEST_RUN = timedelta(seconds=40)  # of a sweep each minute
# A start that begins just before the end of a run waits for its slot, and for AWS.
LONGEST_LEASE = LONGEST_RUN + timedelta(seconds=50)


@value
class SpareKeeping:
    """Keeps as many spares as the profiles want."""

    spares: Spares
    launcher: Launcher
    rate_limiter: LaunchRateLimiter
    leases: LeaseStore
    clock: Clock
    profiles: Mapping[str, Profile]

    def all(self) -> list[Spare]:
        """Return all spares that are not claimed.

        Read them after the tasks and before the servers: then a listed task is that of one or the other.
        """
        return self.spares.store.all()

    def keep(self, known: Iterable[Spare], tasks: Sequence[Task], until: datetime | None) -> int:
        """End spares that are of no use, and start missing ones; return how many it ended or started.

        Args:
            known: the spares, as `all` has returned them.
            tasks: what the launcher lists.
            until: when to begin nothing more; None for no limit.
        """
        now = self.clock.now()
        named = {task.launch_id: task for task in tasks}
        left = [spare for spare in known if not self._is_cleared_away(spare, named.get(spare.id), now)]
        # A file of secrets without a task is listed as stopped: the task may have started since, or be about to.
        listed = {name: task for name, task in named.items() if not isinstance(task.status, TaskStopped)}
        kinds = {name: self._kind_of(profile) for name, profile in self.profiles.items() if profile.warmth.count}
        sound = self._without_faults(left, listed, kinds, now)
        ended = self._end_too_many(sound, now)
        is_short = any(self._missing(sound, now).values())
        return len(left) - len(sound) + ended + (self._start_missing(kinds, until) if is_short else 0)

    # --- ending ---

    def _is_cleared_away(self, spare: Spare, task: Task | None, now: datetime) -> bool:
        """Remove the record of a spare that was given up, once its task has ended."""
        if spare.is_free:
            return False
        if task is not None and not isinstance(task.status, TaskStopped):
            self.launcher.stop(task.task, force=True)
        elif not spares.holds_off(spare, now):
            if name := spare.task or (task.task if task is not None else ""):
                self.launcher.forget(name)
            self.spares.store.remove(spare)
        return True

    def _statuses(self, left: Iterable[Spare], listed: Mapping[str, Task]) -> dict[str, TaskStatus]:
        """Return the status of each free spare's task, by the spare's id; ask only for those that are not listed."""
        free = [spare for spare in left if spare.is_free]
        unlisted = {spare.id: spare.task for spare in free if spare.task and spare.id not in listed}
        described = self.launcher.describe_many(unlisted.values()) if unlisted else {}
        asked = {spare_id: described[task] for spare_id, task in unlisted.items() if task in described}
        return asked | {spare.id: listed[spare.id].status for spare in free if spare.id in listed}

    def _with_task(self, spare: Spare, listed: Mapping[str, Task]) -> Spare:
        """Note the task of a spare whose starter died before it had noted it."""
        if spare.task or spare.id not in listed:
            return spare
        noted = spares.started(spare, listed[spare.id].task)
        return noted if self.spares.store.replace(spare, noted) else spare

    def _without_faults(
        self, left: Sequence[Spare], listed: Mapping[str, Task], kinds: Mapping[str, str | None], now: datetime
    ) -> list[Spare]:
        """End free spares of *left* that are of no use, and return all others."""
        statuses = self._statuses(left, listed)
        sound = []
        for spare in left:
            noted = self._with_task(spare, listed)
            if not (noted.is_free and self._is_ended(noted, statuses.get(spare.id), kinds.get(spare.profile), now)):
                sound.append(noted)
        return sound

    def _is_ended(self, spare: Spare, status: TaskStatus | None, kind: str | None, now: datetime) -> bool:
        if isinstance(status, TaskStopped):
            return self._end(spare, status.why)
        if kind is None or spare.kind != kind or spares.is_lost(spare, now):
            return self._end(spare)
        failure = spares.fault(spare, now)
        return failure is not None and self._end(spare, failure)

    def _end_too_many(self, sound: Iterable[Spare], now: datetime) -> int:
        free = self._by_profile(spare for spare in sound if spare.is_free)
        return sum(
            self._end(spare)
            for name, some in free.items()
            for spare in spares.too_many(some, self._wanted(name, now), now)
        )

    def _end(self, spare: Spare, failure: str = "") -> bool:
        """Give a spare up, and then end its task; the next sweep clears it away."""
        if not self.spares.give_up(spare, failure):
            return False  # a launch was faster
        if not failure:
            logger.info("spare %s of profile %s is not needed; the sweep ends it", spare.id, spare.profile)
        if spare.task:
            self.launcher.stop(spare.task, force=True)
        return True

    # --- starting ---

    def _start_missing(self, kinds: Mapping[str, str | None], until: datetime | None) -> int:
        """Start missing spares, one sweep at a time, as far as launches of servers leave slots."""
        now = self.clock.now()
        end = min(until or now + LONGEST_RUN, now + LONGEST_RUN)
        given = self.leases.claim(LEASE, limit=1, now=now, until=now + LONGEST_LEASE)
        if isinstance(given, NoLease):
            return 0
        done = 0
        try:
            for name, count in self._missing(self.all(), now).items():  # another sweep may have started them by now
                for _ in range(count if kinds.get(name) else 0):
                    if self.clock.now() >= end:
                        return done
                    done += self._start(by_default(self.profiles[name]), kinds[name] or "")
        except CapacityUnavailableError as later:
            logger.info("the sweep starts the other spares later: %s", later)
        finally:
            self.leases.release(given)
        return done

    def _start(self, profile: Profile, kind: str) -> bool:
        """Start a spare: first its record, so that no task is without one.

        Raises:
            CapacityUnavailableError: when a later sweep may start it.
        """
        self.rate_limiter.acquire()
        now = self.clock.now()
        spare = Spare(new_id(PREFIX, now), profile.name, kind, now)
        self.spares.store.add(spare)
        try:
            task = self.spares.launcher.start_spare(self.spares.order_of(spare, profile))
        except CapacityUnavailableError:
            self.spares.give_up(spare)
            raise
        except LaunchFailedError as failed:
            self.spares.give_up(spare, f"could not be started: {failed}")
            return False
        noted = self.spares.note(spare.id, lambda found: None if found.task else spares.started(found, task))
        # A launch may have it already, if another sweep has noted the task. Else that sweep took the starter for dead.
        if noted is None and self.spares.store.claim_of(spare.id) is None:
            self.launcher.stop(task, force=True)
        logger.info("spare %s of profile %s runs as task %s", spare.id, profile.name, task)
        return True

    def _missing(self, some: Iterable[Spare], now: datetime) -> dict[str, int]:
        there = self._by_profile(some)
        return {name: spares.missing(there.get(name, ()), self._wanted(name, now), now) for name in self.profiles}

    def _wanted(self, profile: str, now: datetime) -> int:
        return self.profiles[profile].warmth.wanted(now) if profile in self.profiles else 0

    def _kind_of(self, profile: Profile) -> str | None:
        try:
            return self.spares.kind_of(by_default(profile))
        except HublessError as why:
            logger.warning("profile %s can have no spares: %s", profile.name, why)
            return None

    @staticmethod
    def _by_profile(some: Iterable[Spare]) -> dict[str, list[Spare]]:
        found = dict[str, list[Spare]]()
        for spare in some:
            found.setdefault(spare.profile, []).append(spare)
        return found
