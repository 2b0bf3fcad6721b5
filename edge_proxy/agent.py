"""The agent: keeps HAProxy's map equal to the route table, and reports what it applied and which servers were active.

While the table cannot be read, HAProxy serves the routes that it has, and the agent retries. After a minute without the
table the edge reports itself unhealthy: by then a task's address may belong to another task.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from edge_proxy.access_log import AccessLog
from edge_proxy.activity import ActivityReporter, Report
from edge_proxy.backoff import Backoff
from edge_proxy.errors import EdgeError, SilentError, UnreachableError
from edge_proxy.haproxy_binary import HAProxyBinary, find_haproxy
from edge_proxy.haproxy_config import LOADED, STATE, EdgeConfiguration, map_key, map_value
from edge_proxy.haproxy_process import HAProxyProcess
from edge_proxy.host_resolver import HostResolver
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.routes import EdgeReport, RouteChange, ServerKey
from hubless.ports.routes import RouteStore

logger = logging.getLogger(__name__)
CHANGES = 500  # read at once
MAX_BACKOFF_SECONDS = 10.0  # between two attempts to read the table
UNHEALTHY_AFTER_SECONDS = 60.0  # without the table, or with a map that differs from it
FULL_RELOAD_AFTER_SECONDS = (
    30.0  # without the table: one that was restored from a backup may count its changes from 0 again
)
SILENT_SECONDS = 10.0  # after which a HAProxy that takes commands and answers none is replaced


class Agent:
    """Feeds one HAProxy. It keeps no route table itself: 100,000 routes cost only HAProxy's memory."""

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
        sleep: Callable[[Sequence[int]], object] | None = None,
        heartbeat_seconds: float = 2.0,
        activity_seconds: float = 30.0,
        resolver: HostResolver | None = None,
        haproxy: HAProxyBinary | None = None,
        max_backoff_seconds: float = MAX_BACKOFF_SECONDS,
        full_reload_after_seconds: float = FULL_RELOAD_AFTER_SECONDS,
        unhealthy_after_seconds: float = UNHEALTHY_AFTER_SECONDS,
    ) -> None:
        """Create the agent; it starts nothing and reads nothing yet.

        Args:
            configuration: what HAProxy needs to know.
            routes: the route table.
            edge_id: the name under which this edge reports; two edges must not share one.
            clock: returns the time that reports bear.
            changed: a cheap test of whether the table may have changed; without it each poll reads the table.
            report_activity: takes the last activity of servers, a batch at a time.
            poll_seconds: seconds between two polls.
            sleep: sleeps until the next poll in place of `poll_seconds`, or until one of these descriptors is readable;
                whoever stops the agent must end the sleep.
            heartbeat_seconds: seconds between two reports while nothing changes. Routing counts an edge as lost after
                10 seconds without a report, so this must be less than half of that.
            activity_seconds: seconds between two reports of activity.
            resolver: resolves the host names of routes.
            haproxy: HAProxy's program; without it, the one that is installed.
            max_backoff_seconds: the most seconds between two attempts to read the table.
            full_reload_after_seconds: seconds without the table after which the agent reads all routes again.
            unhealthy_after_seconds: seconds without the table after which the edge is unhealthy.
        """
        self._edge = configuration
        self._routes = routes
        self._edge_id = edge_id
        self._clock = clock
        self._changed = changed or (lambda: True)
        self._poll_seconds = poll_seconds
        self._sleep = sleep
        self._heartbeat_seconds = heartbeat_seconds
        self._full_reload_after = full_reload_after_seconds
        self._unhealthy_after = unhealthy_after_seconds
        self._resolver = resolver or HostResolver()
        self._haproxy = HAProxyProcess(configuration, haproxy or find_haproxy())
        self._access_log = AccessLog(configuration.run_folder) if configuration.access_log else None
        self._activity = report_activity and ActivityReporter(
            configuration,
            self._haproxy.runtime,
            report_activity,
            clock=clock,
            interval_seconds=activity_seconds,
            held=self._haproxy.held_servers,
        )
        self._applied: int | None = None  # the newest change in the map; None: load all routes next
        self._reported: int | None = None  # the newest change that the last report names
        self._reported_at = 0.0
        self._is_leaving = False
        self._is_unhealthy = False  # because its routes are old
        self._must_replace = False  # a HAProxy that cannot be spoken to
        self._silent_since: float | None = None  # since when HAProxy has answered nothing
        self._table_lost_at: float | None = None
        self._outdated_since: float | None = None  # since when the map is out of date
        self._poll_at = self._repair_at = self._report_at = 0.0  # not before
        self._poll_backoff, self._repair_backoff = (
            Backoff(min(poll_seconds, max_backoff_seconds), max_backoff_seconds) for _ in range(2)
        )
        self._report_backoff = Backoff(
            min(poll_seconds, max_backoff_seconds), min(heartbeat_seconds, max_backoff_seconds)
        )

    @property
    def haproxy_pid(self) -> int | None:
        """Return the process id of HAProxy."""
        return self._haproxy.pid

    def start(self) -> None:
        """Start HAProxy, or adopt the one that an earlier agent left running, and load the routes.

        If the table cannot be read yet, HAProxy sends everything to the API until `run` has loaded the routes.

        Raises:
            EdgeError: when HAProxy cannot start; the message says why.
        """
        self._edge.run_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._access_log is not None:
            self._access_log.start()
        adopted = self._haproxy.start()
        if adopted:
            logger.info("adopted the running HAProxy, process %s", self._haproxy.pid)
        self._poll_table()

    def run(self, stop: threading.Event) -> None:
        """Follow the table until *stop* is set."""
        while not stop.is_set():
            pause = self._pause()
            if self._sleep is not None and pause:
                self._sleep(self._haproxy.ends)
            else:
                stop.wait(pause)
            if not stop.is_set():
                self.run_once()

    def run_once(self) -> None:
        """Do what is due: replace a HAProxy that died or cannot be spoken to, apply changes, report."""
        if time.monotonic() < self._repair_at:
            return
        try:
            self._ensure_haproxy_runs()
            self._check_age()
            self._poll_table()
            self._apply_changed_hosts()
            if self._activity is not None and self._table_lost_at is None:
                self._activity.run_once()
            self._repair_backoff.reset()
            self._silent_since = None
        except EdgeError as error:
            self._note_silence(error)
            self._applied = None
            self._mark_outdated()
            delay = self._repair_backoff.next_delay()
            self._repair_at = time.monotonic() + delay
            logger.error("cannot update HAProxy, retry in %.1f seconds: %s", delay, error)  # noqa: TRY400 no bug

    def drain(self, seconds: float, cut_short: threading.Event) -> None:
        """Leave in order: turn unhealthy for the load balancer, deregister, then serve on for *seconds*.

        Setting *cut_short* ends this sooner. Call `close` next.
        """
        end = time.monotonic() + seconds
        self._is_leaving = True
        try:
            self._set_health(is_up=False)
        except EdgeError as error:
            logger.warning("cannot turn this edge unhealthy, the load balancer may still send requests: %s", error)
        self._deregister()
        if self._activity is not None:
            self._activity.report_now()
        while (left := end - time.monotonic()) > 0 and not cut_short.wait(min(left, self._pause())):
            self.run_once()

    def close(self) -> None:
        """End HAProxy in order, and deregister, so that no launch waits for this edge."""
        self._haproxy.close()
        if self._access_log is not None:
            self._access_log.close()
        self._deregister()

    def _pause(self) -> float:
        """Return the seconds until something is due."""
        is_backing_off = self._table_lost_at is not None or time.monotonic() < self._repair_at
        is_busy = self._activity is not None and self._activity.has_pending
        return 0 if is_busy and not is_backing_off else self._poll_seconds

    def _deregister(self) -> None:
        try:
            self._routes.forget_edge(self._edge_id)
        except StoreUnavailableError as error:
            logger.warning("cannot deregister edge %s, launches may wait 10 seconds for it: %s", self._edge_id, error)

    def _ensure_haproxy_runs(self) -> None:
        if not self._haproxy.is_alive():
            logger.warning("HAProxy died, restarting it; haproxy.log in %s may say why", self._edge.run_folder)
        elif self._must_replace:
            logger.error("HAProxy, process %s, cannot be spoken to: the edge replaces it", self._haproxy.pid)
        else:
            return
        self._applied = None
        self._haproxy.start()
        self._must_replace, self._silent_since = False, None

    def _note_silence(self, error: EdgeError) -> None:
        """Decide by *error* whether to replace HAProxy: not for one late answer, which a busy machine explains."""
        now = time.monotonic()
        if isinstance(error, SilentError):
            self._silent_since = now if self._silent_since is None else self._silent_since
            self._must_replace |= now - self._silent_since >= SILENT_SECONDS
        else:
            self._silent_since = None
            self._must_replace |= isinstance(error, UnreachableError)

    def _mark_outdated(self) -> None:
        if self._outdated_since is None:
            self._outdated_since = time.monotonic()

    def _check_age(self) -> None:
        """Turn unhealthy once the routes have been old for too long; HAProxy still serves what is sent to it."""
        if self._is_unhealthy or self._outdated_since is None:
            return
        age = time.monotonic() - self._outdated_since
        if age < self._unhealthy_after:
            return
        self._set_health(is_up=False)
        self._is_unhealthy, self._applied = True, None
        logger.error("routes are %.0f seconds old: edge %s is unhealthy until it reloads them", age, self._edge_id)

    def _poll_table(self) -> None:
        """Apply what changed in the table, unless reading it failed a moment ago."""
        now = time.monotonic()
        if now < self._poll_at:
            return
        if self._table_lost_at is not None and now - self._table_lost_at >= self._full_reload_after:
            self._applied = None
        try:
            self._sync()
        except StoreUnavailableError as error:
            if self._table_lost_at is None:
                self._table_lost_at = now
                logger.error("cannot read the route table, HAProxy keeps its routes: %s", error)  # noqa: TRY400 no bug
            self._mark_outdated()
            self._poll_at = time.monotonic() + self._poll_backoff.next_delay()
            return
        self._outdated_since = None
        if self._table_lost_at is not None:
            logger.info("the route table is readable again after %.0f seconds", time.monotonic() - self._table_lost_at)
            self._table_lost_at = None
        self._poll_backoff.reset()

    def _sync(self) -> None:
        if self._applied is None:
            self._load_all()
        elif self._changed() or self._is_report_due() or self._table_lost_at is not None:
            while self._apply_next(self._applied):
                self._report()
        self._report()

    def _apply_next(self, after: int) -> bool:
        """Apply the next changes, and say whether there are more."""
        changes = self._routes.changes_since(after, CHANGES)
        if changes is None:
            self._load_all()
            return False
        for change in changes:
            self._apply(change)
            self._applied = change.sequence
        return len(changes) == CHANGES

    def _apply(self, change: RouteChange) -> None:
        if change.address is None:
            self._resolver.forget(change.prefix)
            address = None
        else:
            address = self._resolver.resolve(change.prefix, change.address, change.server)
        self._write_entry(change.prefix, address, change.server)

    def _write_entry(self, prefix: str, address: str | None, server: ServerKey | None) -> None:
        if address is None:  # also when its host does not resolve: the old address must not serve on
            self._haproxy.runtime.remove(self._edge.map_file, self._key(prefix))
        else:
            self._haproxy.runtime.set(self._edge.map_file, self._key(prefix), map_value(address, server))

    def _key(self, prefix: str) -> str:
        return map_key(prefix, self._edge.domain)

    def _apply_changed_hosts(self) -> None:
        for route in self._resolver.changed_routes():
            self._write_entry(route.prefix, route.address, route.server)

    def _load_all(self) -> None:
        """Replace the whole map. Changes made meanwhile come again through the log; applying one twice does no harm."""
        sequence = self._routes.sequence()
        count = self._haproxy.runtime.replace(self._edge.map_file, self._entries())
        self._set_health(is_up=not self._is_leaving)
        self._applied, self._is_unhealthy = sequence, False
        logger.info("loaded all %s routes into HAProxy", count)

    def _entries(self) -> Iterator[tuple[str, str]]:
        self._resolver.clear()
        for route in self._routes.all():
            if (address := self._resolver.resolve(route.prefix, route.address, route.server)) is not None:
                yield self._key(route.prefix), map_value(address, route.server)

    def _set_health(self, *, is_up: bool) -> None:
        if self._edge.health_path:
            self._haproxy.runtime.set_server_state(STATE, LOADED, is_up=is_up)

    def _is_report_due(self) -> bool:
        """Say whether something applied is not reported yet, or the last report is older than a heartbeat."""
        now = time.monotonic()
        is_news = self._applied != self._reported or now - self._reported_at >= self._heartbeat_seconds
        return is_news and now >= self._report_at and not self._is_leaving  # an edge that leaves has deregistered

    def _report(self) -> None:
        """Report what is applied, if due. The agent follows a table that it can read but not write to."""
        if not self._is_report_due():
            return
        self._haproxy.runtime.pid()  # raises: a process that hangs serves no route, whatever it applied before
        try:
            self._routes.report(EdgeReport(self._edge_id, self._applied or 0, self._clock()))
        except StoreUnavailableError as error:
            if not self._report_at:
                logger.warning(
                    "edge %s cannot report its routes and retries; launches do not wait for it: %s",
                    self._edge_id,
                    error,
                )
            self._report_at = time.monotonic() + self._report_backoff.next_delay()
            return
        self._report_backoff.reset()
        self._report_at = 0.0
        self._reported, self._reported_at = self._applied, time.monotonic()
