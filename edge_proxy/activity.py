"""Who was active: what HAProxy saw, reported in batches and only where it is news."""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from itertools import islice

from edge_proxy.backoff import Backoff
from edge_proxy.haproxy_config import EdgeConfiguration, server_from_activity_key
from edge_proxy.runtime_api import RuntimeApi
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.routes import ServerKey

logger = logging.getLogger(__name__)
BATCH = 25  # writes, one after the other; then routes come first again
IS_NEWS_AFTER = timedelta(seconds=1)  # the same request is seen at instants that differ by less
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0  # seconds
Report = Callable[[Mapping[ServerKey, datetime]], None]


class ActivityReporter:
    """Reports, every so often, who was active since the last report. It costs what was seen, not what exists."""

    def __init__(
        self,
        configuration: EdgeConfiguration,
        runtime: RuntimeApi,
        report: Report,
        *,
        clock: Callable[[], datetime],
        every_seconds: float,
    ) -> None:
        self._edge = configuration
        self._runtime = runtime
        self._report = report
        self._clock = clock
        self._every_seconds = every_seconds
        self._reported: dict[ServerKey, datetime] = {}
        self._waiting: dict[ServerKey, datetime] = {}
        self._due_at = 0.0
        self._backoff = Backoff(min(_FIRST_WAIT, every_seconds), _LONGEST_WAIT)

    @property
    def has_pending(self) -> bool:
        """Say whether there is more to be reported right now."""
        return bool(self._waiting) and time.monotonic() >= self._due_at

    def report_now(self) -> None:
        """Report at the next turn, whenever the last report was."""
        self._due_at = 0.0

    def run_once(self) -> None:
        """Report the next batch, where it is time. A table that takes none is asked again later; nothing is forgotten.

        Raises:
            EdgeError: when HAProxy does not answer.
        """
        if time.monotonic() < self._due_at:
            return
        if not self._waiting:
            self._waiting = self._news()
        batch = dict(islice(self._waiting.items(), BATCH))
        try:
            if batch:
                self._report(batch)
        except StoreUnavailableError as away:
            logger.warning("activity could not be reported, and is reported later: %s", away)
            self._due_at = time.monotonic() + self._backoff.next_delay()
            return
        self._backoff.reset()
        self._reported |= batch
        for server in batch:
            del self._waiting[server]
        if not self._waiting:
            self._due_at = time.monotonic() + self._every_seconds

    def seen(self) -> dict[ServerKey, datetime]:
        """Return when a person last did something with each server, of those seen in the last hours."""
        idle = self._runtime.idle_seconds("servers", self._edge.activity_seconds)
        now = self._clock()
        return {
            server_from_activity_key(tracked): now - timedelta(seconds=seconds) for tracked, seconds in idle.items()
        }

    def _news(self) -> dict[ServerKey, datetime]:
        seen = self.seen()
        self._reported = {server: at for server, at in self._reported.items() if server in seen}
        return {
            server: at
            for server, at in seen.items()
            if server not in self._reported or at > self._reported[server] + IS_NEWS_AFTER
        }
