"""Asks many servers at once whether they answer: nobody waits for a server that accepts and says nothing."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from hubless.domain.lifecycle import Server
from hubless.ports.readiness import Answer, Readiness

logger = logging.getLogger(__name__)

AT_ONCE = 64  # servers that are asked at the same time
AT_ONCE_OF_OWNER = 2
SLOW_SECONDS = 0.5  # from here on, a server that does not answer is asked less and less often
LONGEST_PAUSE_SECONDS = 8.0  # between two questions to such a server
WAIT_SECONDS = 0.05  # for the answer of a server that has not hung yet
KEPT_SECONDS = 1.0  # an answer is good for as long: edges need a moment for the route
FORGOTTEN_SECONDS = 60.0  # after the last question about a launch


class _Checks:
    """The checks of one launch."""

    def __init__(self) -> None:
        self.is_under_way = False
        self.answer: Answer | None = None
        self.done_at = 0.0
        self.next_at = 0.0
        self.pause = 0.0
        self.asked_at = 0.0


class ConcurrentReadiness:
    """Says what *readiness* has found out, which threads ask: an answer that takes longer is told a question later.

    An owner has two of the threads at most. So many servers that hang delay no start of others.
    """

    def __init__(
        self, readiness: Readiness, clock: Callable[[], float] = time.monotonic, *, wait_seconds: float = WAIT_SECONDS
    ) -> None:
        """Ask *readiness*, whose answers need a time-out; *clock* has seconds.

        A question waits for *wait_seconds* for its answer, unless the server has hung before.
        """
        self._wait_seconds = wait_seconds
        self._readiness = readiness
        self._clock = clock
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="readiness")
        self._launches: dict[str, _Checks] = {}
        self._running: dict[str, int] = {}  # checks under way, by owner
        self._guard = threading.Lock()

    def answers(self, server: Server, prefix: str) -> Answer | None:
        now, key = self._clock(), f"{server.launch_id}@{server.address}"
        with self._guard:
            self._forget_old(now)
            checks = self._launches.setdefault(key, _Checks())
            checks.asked_at = now
            if checks.answer is not None and now - checks.done_at < KEPT_SECONDS:
                return checks.answer
            if self._may_begin(checks, server.owner_id, now):
                checks.is_under_way = True
                self._running[server.owner_id] = self._running.get(server.owner_id, 0) + 1
                check = self._pool.submit(self._check, checks, server, prefix)
            else:
                return None
            seconds = 0.0 if checks.pause else self._wait_seconds
        wait([check], seconds)
        with self._guard:
            return None if checks.is_under_way else checks.answer

    def close(self) -> None:
        """End the threads, once each has its answer."""
        self._pool.shutdown()

    def _may_begin(self, checks: _Checks, owner_id: str, now: float) -> bool:
        of_owner = self._running.get(owner_id, 0)
        is_due = not checks.is_under_way and now >= checks.next_at
        return is_due and of_owner < AT_ONCE_OF_OWNER and sum(self._running.values()) < AT_ONCE

    def _check(self, checks: _Checks, server: Server, prefix: str) -> None:
        began, answer = self._clock(), None
        try:
            answer = self._readiness.answers(server, prefix)
        except Exception:
            logger.exception("server %s: cannot ask whether it answers", server.id)
        with self._guard:
            now = self._clock()
            is_slow = answer is None and now - began >= SLOW_SECONDS
            checks.pause = min(max(2 * checks.pause, SLOW_SECONDS), LONGEST_PAUSE_SECONDS) if is_slow else 0.0
            checks.is_under_way, checks.answer, checks.done_at = False, answer, now
            checks.next_at = now + checks.pause
            self._running[server.owner_id] -= 1
            if not self._running[server.owner_id]:
                del self._running[server.owner_id]

    def _forget_old(self, now: float) -> None:
        old = [
            key
            for key, checks in self._launches.items()
            if not checks.is_under_way and now - checks.asked_at > FORGOTTEN_SECONDS
        ]
        for key in old:
            del self._launches[key]
