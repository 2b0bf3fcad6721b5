"""Reports which servers people used: what HAProxy saw, in batches, and only what is new."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from itertools import islice

from edge_proxy.activity_rules import SERVERS, SOCKETS
from edge_proxy.backoff import Backoff
from edge_proxy.haproxy_config import EdgeConfiguration, server_from_activity_key
from edge_proxy.runtime_api import RuntimeApi
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.routes import ServerKey

logger = logging.getLogger(__name__)
BATCH = 25  # writes in a row; then the agent looks after routes again
NEW_AFTER = timedelta(seconds=1)  # HAProxy dates one and the same request differently by less than this
_FIRST_DELAY, _LONGEST_DELAY = 1.0, 60.0  # seconds
Report = Callable[[Mapping[ServerKey, datetime]], None]


class ActivityReporter:
    """Reports servers that were active since the last report. It costs as much as was seen, not as much as exists."""

    def __init__(
        self,
        configuration: EdgeConfiguration,
        runtime: RuntimeApi,
        report: Report,
        *,
        clock: Callable[[], datetime],
        interval_seconds: float,
        held: Callable[[], Iterable[str]] = list,
    ) -> None:
        """Create the reporter. *held* returns the keys of servers whose WebSockets a replaced HAProxy holds open."""
        self._held = held
        self._edge = configuration
        self._runtime = runtime
        self._report = report
        self._clock = clock
        self._interval_seconds = interval_seconds
        self._reported: dict[ServerKey, datetime] = {}
        self._pending: dict[ServerKey, datetime] = {}
        self._due_at = 0.0
        self._backoff = Backoff(min(_FIRST_DELAY, interval_seconds), _LONGEST_DELAY)

    @property
    def has_pending(self) -> bool:
        """Say whether the next batch is due now."""
        return bool(self._pending) and time.monotonic() >= self._due_at

    def report_now(self) -> None:
        """Make the next report due now."""
        self._due_at = 0.0

    def run_once(self) -> None:
        """Report the next batch, if due. If the store refuses it, retry later; nothing is lost.

        Raises:
            EdgeError: when HAProxy does not answer.
        """
        if time.monotonic() < self._due_at:
            return
        if not self._pending:
            self._pending = self._unreported()
        batch = dict(islice(self._pending.items(), BATCH))
        try:
            if batch:
                self._report(batch)
        except StoreUnavailableError as error:
            delay = self._backoff.next_delay()
            self._due_at = time.monotonic() + delay
            logger.warning(
                "cannot report activity of %s servers, retry in %.0f seconds: %s", len(self._pending), delay, error
            )
            return
        self._backoff.reset()
        self._reported |= batch
        for server in batch:
            del self._pending[server]
        if not self._pending:
            self._due_at = time.monotonic() + self._interval_seconds

    def last_seen(self) -> dict[ServerKey, datetime]:
        """Return when a person last used each server that HAProxy still remembers (two hours by default).

        A server with an open WebSocket that nothing else can judge is in use now: HAProxy does not see what passes.
        """
        idle = self._runtime.idle_seconds(SERVERS, self._edge.activity_seconds)
        idle |= dict.fromkeys([*self._runtime.connected(SOCKETS), *self._held()], 0.0)
        now = self._clock()
        return {server_from_activity_key(key): now - timedelta(seconds=seconds) for key, seconds in idle.items()}

    def _unreported(self) -> dict[ServerKey, datetime]:
        seen = self.last_seen()
        self._reported = {server: at for server, at in self._reported.items() if server in seen}
        return {
            server: at
            for server, at in seen.items()
            if server not in self._reported or at > self._reported[server] + NEW_AFTER
        }
