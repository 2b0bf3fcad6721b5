"""Preparing: makes what launches need beforehand, at the rate that the launcher allows.

In AWS each owner of a home has task definitions of their own, and AWS registers one a second (ADR 33). The sweep
prepares ahead, for users who were seen lately. A start that comes before waits in a queue of its own, where its owner
sees its position, and its deadline to launch begins after that.
"""

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from hubless.domain import lifecycle
from hubless.domain.errors import CapacityUnavailableError, InvalidRequestError, LaunchFailedError, RetryLaterError
from hubless.domain.leases import Lease, NoLease
from hubless.domain.lifecycle import Deadlines, Server, State
from hubless.domain.profiles import PROFILE, Profile, choose, offered
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.launch_rate_limiter import LaunchRateLimiter
from hubless.ports.launcher import Launcher, Preparation
from hubless.ports.leases import LeaseStore
from hubless.ports.servers import ServerStore
from hubless.ports.users import UserStore

logger = logging.getLogger(__name__)

AT_ONCE = 3  # as many as get a slot within the longest wait of a rate limiter
SHORTEST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=2)
LONGEST_PREPARATION = timedelta(minutes=1)  # spawn's time limit

LOOK_EVERY = timedelta(minutes=5)  # for new users; a look reads something of every user
LOOK_AGAIN = timedelta(days=1)  # at a user who was prepared, and may use another profile since
LONGEST_RUN = timedelta(seconds=40)  # of a sweep each minute
OWNERS_PER_READ = 500
EVER = timedelta(days=20_000)


@value
class Preparing:
    """Prepares the launch of a server that was requested."""

    servers: ServerStore
    launcher: Launcher
    rate_limiter: LaunchRateLimiter
    leases: LeaseStore
    clock: Clock
    deadlines: Deadlines

    def enqueue(self, server: Server, wanted: Preparation) -> Server:
        """Return a requested *server* as `preparing` if its launch is not prepared, and as it is otherwise.

        Raises:
            LaunchFailedError: when no launch can succeed.
            StoreConflictError: when another step was faster.
        """
        if server.state is not State.REQUESTED or self.launcher.is_prepared(wanted):
            return server
        logger.info("server %s must be prepared before its launch", server.id, extra=lifecycle.log_fields(server))
        return self._write(server, lifecycle.unprepared(server, now=self.clock.now(), deadlines=self.deadlines))

    def prepare(self, server: Server, wanted: Preparation) -> Server:
        """Prepare the launch of a `preparing` *server* if it is its turn, and return it as requested again.

        Raises:
            RetryLaterError: when it is not its turn yet.
            LaunchFailedError: when no launch can succeed.
            StoreConflictError: when another step was faster.
        """
        self._wait_for_turn(server)
        given = self._claim(server)
        try:
            if not self.launcher.is_prepared(wanted):  # the sweep or a repeated message may have prepared it
                self.rate_limiter.acquire()
                self.launcher.prepare(wanted)
        finally:
            self.leases.release(given)
        return self._write(server, lifecycle.prepared(server, now=self.clock.now(), deadlines=self.deadlines))

    def _wait_for_turn(self, server: Server) -> None:
        """Raise RetryLaterError unless *server* is among the first of the queue.

        It retries after half the time that those ahead take, because some of them may give up.
        """
        ahead = self.servers.queue_position(server, self.clock.now())
        if ahead < AT_ONCE:
            return
        pause = (ahead + 1 - AT_ONCE) * self.rate_limiter.interval / 2
        raise RetryLaterError(
            f"Server {server.id} waits for its preparation: {ahead} are ahead",
            after=min(max(pause, SHORTEST_PAUSE), LONGEST_PAUSE),
        )

    def _claim(self, server: Server) -> Lease:
        """Return the right to prepare *server* now: a repeated message would waste a slot that others wait for."""
        now = self.clock.now()
        given = self.leases.claim(f"prepare#{server.id}", limit=1, now=now, until=now + LONGEST_PREPARATION)
        if isinstance(given, NoLease):
            raise RetryLaterError(f"Another worker prepares server {server.id}", after=SHORTEST_PAUSE * AT_ONCE)
        return given

    def _write(self, before: Server, after: Server) -> Server:
        self.servers.write(before, after)
        return after


class PreparingAhead:
    """Prepares the launches of users who were seen lately, a few in each sweep.

    What is prepared already, the launcher says; so a new process begins with a look at all users, and repeats nothing.
    """

    def __init__(
        self,
        users: UserStore,
        servers: ServerStore,
        launcher: Launcher,
        rate_limiter: LaunchRateLimiter,
        clock: Clock,
        *,
        profiles: Mapping[str, Profile],
        seen_within: timedelta | None,
    ) -> None:
        """Prepare for users who were seen within *seen_within*; for nobody if it is None."""
        self._users, self._servers, self._launcher = users, servers, launcher
        self._rate_limiter, self._clock = rate_limiter, clock
        self._profiles, self._seen_within = profiles, seen_within
        self._look_at: datetime | None = None  # when to look for users next
        self._looked_at: dict[str, datetime] = {}  # by user id
        self._unread: deque[str] = deque()  # users whom the look under way has not come to
        self._read: list[str] = []  # users whom it has come to
        self._wanted: dict[Profile, list[Preparation]] = {}  # what they need: the launcher is still to be asked
        self._due: deque[Preparation] = deque()

    @property
    def is_behind(self) -> bool:
        """Say whether launches are still to be prepared, as far as this process knows."""
        return bool(self._due) or self._is_looking

    @property
    def _is_looking(self) -> bool:
        return bool(self._unread or self._read)

    def prepare_some(self, until: datetime | None = None) -> int:
        """Prepare launches until *until*, or until starts need the rate, and return how many it prepared.

        A look at many users may take several runs: it goes on where the last one ended.
        """
        now = self._clock.now()
        end = min(until or now + LONGEST_RUN, now + LONGEST_RUN)
        done = 0
        try:
            self._begin_look(now, end)
            while self._is_looking and self._clock.now() < end:
                self._look_on()
            while self._due and self._clock.now() < end:
                done += self._prepare(self._due[0])
                self._due.popleft()
        except CapacityUnavailableError as later:
            logger.info("the sweep prepares the other %d launches later: %s", len(self._due), later)
        return done

    # --- the look: finds out which launches are to be prepared ---

    def _begin_look(self, now: datetime, end: datetime) -> None:
        """Begin a look at users who were seen lately, if it is time for one."""
        is_due = self._look_at is None or now >= self._look_at
        if not self._seen_within or self._is_looking or not is_due or now >= end:
            return
        self._look_at = now + LOOK_EVERY  # also if this look fails: it costs a read of every user
        self._unread.extend(
            user_id
            for user_id in self._users.seen_since(now - min(self._seen_within, EVER))
            if user_id not in self._looked_at or now - self._looked_at[user_id] >= LOOK_AGAIN
        )

    def _look_on(self) -> None:
        """Read the servers of some users; after the last of them, ask the launcher about one profile.

        A look that fails is given up, and the next begins with the same users.
        """
        try:
            if self._unread:
                self._read_some()
            elif self._wanted:
                self._ask(self._wanted.pop(next(iter(self._wanted))))
            else:
                self._looked_at |= dict.fromkeys(self._read, self._clock.now())
                self._read.clear()
        except Exception:
            for one in (self._unread, self._read, self._wanted):
                one.clear()
            raise

    def _read_some(self) -> None:
        """Note what some users used last; for a user who started nothing yet, the first profile."""
        first = next(iter(offered(self._profiles, None).values()))
        some = [self._unread.popleft() for _ in range(min(OWNERS_PER_READ, len(self._unread)))]
        used: dict[str, dict[Profile, None]] = {user_id: {} for user_id in some}
        for server in self._servers.of_owners(some):
            if server.profile in self._profiles:
                with suppress(InvalidRequestError):  # the settings have changed: the owner will choose again
                    options = {**server.user_options, PROFILE: server.profile}
                    used[server.owner_id][choose(self._profiles, options, None).profile] = None
        for user_id, wanted in used.items():
            for profile in wanted or [first]:
                self._wanted.setdefault(profile, []).append(Preparation(user_id, profile))
        self._read.extend(some)

    def _ask(self, wanted: Sequence[Preparation]) -> None:
        """Queue those of *wanted* that are not prepared."""
        known = set(self._due)
        self._due.extend(one for one in self._launcher.unprepared(wanted) if one not in known)

    # --- one launch ---

    def _prepare(self, wanted: Preparation) -> int:
        """Prepare one launch unless its owner is gone, and return how many were prepared."""
        if self._users.get(wanted.owner_id) is None:
            return 0
        self._rate_limiter.acquire()
        try:
            self._launcher.prepare(wanted)
        except LaunchFailedError as failed:
            logger.warning("cannot prepare profile %s for user %s: %s", wanted.profile.name, wanted.owner_id, failed)
            return 0
        return 1
