"""The agent: follows the route table and keeps HAProxy's map equal to it, reports what it applied and who was active.

Whatever becomes of the table, HAProxy serves on what it knows, and the agent goes on asking. An edge that has not known the
table for a while says that it is unhealthy, as addresses are another's in the end; where there is a healthy one, that is asked.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime

from edge_proxy.activity import ActivityReporter, Report
from edge_proxy.backoff import Backoff
from edge_proxy.errors import EdgeError
from edge_proxy.haproxy_binary import find_haproxy
from edge_proxy.haproxy_config import LOADED, STATE, EdgeConfiguration, map_key, map_value
from edge_proxy.haproxy_process import HAProxyProcess
from edge_proxy.host_resolver import HostResolver
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.routes import EdgeReport, RouteChange, ServerKey
from hubless.ports.routes import RouteStore

logger = logging.getLogger(__name__)
CHANGES = 500  # read at once
MAX_BACKOFF_SECONDS = 10.0  # seconds between two tries where the table is away
UNHEALTHY_AFTER_SECONDS = 60.0  # seconds without the table, or without the map being equal to it
FULL_RELOAD_AFTER_SECONDS = 30.0  # seconds away: a table that was brought back from a backup may count its changes anew


class Agent:
    """Feeds one HAProxy. It keeps no table of its own: 100,000 routes cost HAProxy's memory only."""

    def __init__(
        self,
        configuration: EdgeConfiguration,
        routes: RouteStore,
        *,
        edge_id: str,
        clock: Callable[[], datetime],
        changed: Callable[[], bool] | None = None,
        report_activity: Report | None = None,
        poll_seconds: float = 0.05,
        heartbeat_seconds: float = 2.0,
        activity_seconds: float = 30.0,
        resolver: HostResolver | None = None,
        max_backoff_seconds: float = MAX_BACKOFF_SECONDS,
        full_reload_after_seconds: float = FULL_RELOAD_AFTER_SECONDS,
        unhealthy_after_seconds: float = UNHEALTHY_AFTER_SECONDS,
    ) -> None:
        """Prepare; nothing is started or asked.

        Args:
            edge_id: under which this edge reports; no two at once may have the same.
            changed: a cheap test of whether the table may have changed; without one it is asked at every poll.
            report_activity: takes who was active when, a batch at a time.
            poll_seconds: how long it rests between two looks.
            heartbeat_seconds: how often it says that it lives while nothing changes; less than half of what routing
                waits before it calls an edge lost.
            activity_seconds: how often activity is reported.
            names: looks up hosts that routes name.
            max_backoff_seconds: the most seconds between two tries while the table is away.
            full_reload_after_seconds: how many seconds away make the table a new one, to be read whole.
            unhealthy_after_seconds: how many seconds without the table make the edge unhealthy.
        """
        self._edge = configuration
        self._routes = routes
        self._edge_id = edge_id
        self._clock = clock
        self._changed = changed or (lambda: True)
        self._poll_seconds = poll_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._reload_after = full_reload_after_seconds
        self._doubt_after = unhealthy_after_seconds
        self._resolver = resolver or HostResolver()
        self._haproxy = HAProxyProcess(configuration, find_haproxy())
        self._activity = report_activity and ActivityReporter(
            configuration, self._haproxy.runtime, report_activity, clock=clock, every_seconds=activity_seconds
        )
        self._sequence: int | None = None  # what is applied; None: the map is to be loaded whole
        self._told: int | None = None  # what was reported
        self._told_at = 0.0
        self._is_leaving = False
        self._is_doubtful = False  # whether it says so
        self._away_since: float | None = None  # the table
        self._behind_since: float | None = None  # the map, for whatever reason
        self._ask_at = self._mend_at = self._report_at = 0.0  # not before
        self._asking, self._mending = (
            Backoff(min(poll_seconds, max_backoff_seconds), max_backoff_seconds) for _ in range(2)
        )
        self._reporting = Backoff(min(poll_seconds, max_backoff_seconds), min(heartbeat_seconds, max_backoff_seconds))

    @property
    def haproxy_pid(self) -> int | None:
        """Return the process id of HAProxy."""
        return self._haproxy.pid

    def start(self) -> None:
        """Start HAProxy, or take over the one that an earlier agent left, and load the routes.

        Where they cannot be read yet, HAProxy sends everything to the API, and whoever runs the agent goes on trying.

        Raises:
            EdgeError: saying why it cannot.
        """
        self._edge.run_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        adopted = self._haproxy.start()
        if adopted:
            logger.info("took over the running HAProxy %s", self._haproxy.pid)
        self._poll_table()

    def run(self, stop: threading.Event) -> None:
        """Follow the table until *stop* is set."""
        while not stop.wait(self._rest()):
            self.run_once()

    def run_once(self) -> None:
        """Do what is due: keep HAProxy alive, apply changes, report."""
        if time.monotonic() < self._mend_at:
            return
        try:
            self._keep_alive()
            self._doubt()
            self._poll_table()
            self._follow_names()
            if self._activity is not None and self._away_since is None:
                self._activity.run_once()
            self._mending.reset()
        except EdgeError as error:
            logger.error("edge: %s", error)  # noqa: TRY400 no bug
            self._sequence = None
            self._fall_behind()
            self._mend_at = time.monotonic() + self._mending.next_delay()

    def drain(self, seconds: float, cut_short: threading.Event) -> None:
        """Leave in order: a load balancer is told first, then routing; connections are kept for *seconds*.

        Meanwhile whoever is still sent here is served as ever. *cut_short* ends it sooner; `close` comes next.
        """
        end = time.monotonic() + seconds
        self._is_leaving = True
        try:
            self._tell_health(is_up=False)
        except EdgeError as error:
            logger.warning("the load balancer could not be told: %s", error)
        self._sign_off()
        if self._activity is not None:
            self._activity.report_now()
        while (left := end - time.monotonic()) > 0 and not cut_short.wait(min(left, self._rest())):
            self.run_once()

    def close(self) -> None:
        """End HAProxy in order and be forgotten, so that no launch waits for this edge."""
        self._haproxy.close()
        self._sign_off()

    def _rest(self) -> float:
        """Return how many seconds nothing is to be done."""
        is_held_up = self._away_since is not None or time.monotonic() < self._mend_at
        is_busy = self._activity is not None and self._activity.has_pending
        return 0 if is_busy and not is_held_up else self._poll_seconds

    def _sign_off(self) -> None:
        try:
            self._routes.forget_edge(self._edge_id)
        except StoreUnavailableError as away:
            logger.warning("this edge could not be signed off: %s", away)

    def _keep_alive(self) -> None:
        if not self._haproxy.is_alive():
            logger.warning("HAProxy died and is started again")
            self._sequence = None
            self._haproxy.start()

    def _fall_behind(self) -> None:
        if self._behind_since is None:
            self._behind_since = time.monotonic()

    def _doubt(self) -> None:
        """Say that the edge is unhealthy once its routes have been old for long; they serve on, for who is sent here."""
        if self._is_doubtful or self._behind_since is None:
            return
        behind = time.monotonic() - self._behind_since
        if behind < self._doubt_after:
            return
        self._tell_health(is_up=False)
        self._is_doubtful, self._sequence = True, None
        logger.error(
            "the routes are as they were %.0f seconds ago: this edge is unhealthy until they are loaded", behind
        )

    def _poll_table(self) -> None:
        """Follow the table unless it was away a moment ago."""
        now = time.monotonic()
        if now < self._ask_at:
            return
        if self._away_since is not None and now - self._away_since >= self._reload_after:
            self._sequence = None
        try:
            self._follow()
        except StoreUnavailableError as away:
            if self._away_since is None:
                self._away_since = now
                logger.error("the route table cannot be read, routes stay as they are: %s", away)  # noqa: TRY400 no bug
            self._fall_behind()
            self._ask_at = time.monotonic() + self._asking.next_delay()
            return
        self._behind_since = None
        if self._away_since is not None:
            logger.info("the route table is back after %.0f seconds", time.monotonic() - self._away_since)
            self._away_since = None
        self._asking.reset()

    def _follow(self) -> None:
        if self._sequence is None:
            self._load()
        elif self._changed() or self._is_report_due() or self._away_since is not None:
            while self._apply():
                self._report()
        self._report()

    def _apply(self) -> bool:
        """Apply the next changes, and say whether more are there."""
        assert self._sequence is not None  # noqa: S101 `_follow` has looked
        changes = self._routes.changes_since(self._sequence, CHANGES)
        if changes is None:
            self._load()
            return False
        for change in changes:
            self._apply_one(change)
            self._sequence = change.sequence
        return len(changes) == CHANGES

    def _apply_one(self, change: RouteChange) -> None:
        if change.address is None:
            self._resolver.forget(change.prefix)
            address = None
        else:
            address = self._resolver.resolve(change.prefix, change.address, change.server)
        self._lead(change.prefix, address, change.server)

    def _lead(self, prefix: str, address: str | None, server: ServerKey | None) -> None:
        if address is None:  # also when its host leads nowhere: where the prefix led before, it must not lead on
            self._haproxy.runtime.remove(self._edge.map_file, self._key(prefix))
        else:
            self._haproxy.runtime.set(self._edge.map_file, self._key(prefix), map_value(address, server))

    def _key(self, prefix: str) -> str:
        return map_key(prefix, self._edge.domain)

    def _follow_names(self) -> None:
        for named in self._resolver.changed_routes():
            self._lead(named.prefix, named.address, named.server)

    def _load(self) -> None:
        """Swap the whole map. Changes made while it is read come again through the log: applying twice is no harm."""
        sequence = self._routes.sequence()
        count = self._haproxy.runtime.replace(self._edge.map_file, self._entries())
        self._tell_health(is_up=not self._is_leaving)
        self._sequence, self._is_doubtful = sequence, False
        logger.info("%s routes loaded", count)

    def _entries(self) -> Iterator[tuple[str, str]]:
        self._resolver.clear()
        for route in self._routes.all():
            if (address := self._resolver.resolve(route.prefix, route.address, route.server)) is not None:
                yield self._key(route.prefix), map_value(address, route.server)

    def _tell_health(self, *, is_up: bool) -> None:
        if self._edge.health_path:
            self._haproxy.runtime.set_server_state(STATE, LOADED, is_up=is_up)

    def _is_report_due(self) -> bool:
        """Say whether something was applied that was not told, or the last word is a while ago."""
        now = time.monotonic()
        is_news = self._sequence != self._told or now - self._told_at >= self._heartbeat_seconds
        return is_news and now >= self._report_at and not self._is_leaving  # who leaves was signed off

    def _report(self) -> None:
        """Report where it is due. A table that takes no report is followed on: it may be read though nobody may write."""
        if not self._is_report_due():
            return
        try:
            self._routes.report(EdgeReport(self._edge_id, self._sequence or 0, self._clock()))
        except StoreUnavailableError as away:
            if not self._report_at:
                logger.warning("what is applied could not be reported, and is reported later: %s", away)
            self._report_at = time.monotonic() + self._reporting.next_delay()
            return
        self._reporting.reset()
        self._report_at = 0.0
        self._told, self._told_at = self._sequence, time.monotonic()
