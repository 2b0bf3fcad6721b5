"""The agent: follows the route table and keeps HAProxy's map equal to it, reports what it applied and who was active."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

from edge_proxy.configuration import EdgeConfiguration, key_of
from edge_proxy.engine import find_engine
from edge_proxy.errors import EdgeError
from edge_proxy.proxy import Proxy
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.routes import EdgeReport
from hubless.ports.routes import RouteStore

logger = logging.getLogger(__name__)
HEARTBEAT_SECONDS = 2.0
CHANGES = 500


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
        report_activity: Callable[[Mapping[str, datetime]], None] | None = None,
        poll_seconds: float = 0.05,
        activity_seconds: float = 30.0,
    ) -> None:
        self._edge = configuration
        self._routes = routes
        self._edge_id = edge_id
        self._clock = clock
        self._changed = changed or (lambda: True)
        self._report_activity = report_activity
        self._poll_seconds = poll_seconds
        self._activity_seconds = activity_seconds
        self._proxy = Proxy(configuration, find_engine())
        self._sequence: int | None = None  # what is applied; None: the map is to be loaded whole
        self._reported_at = 0.0
        self._asked_at = 0.0
        self._is_store_away = False

    @property
    def proxy_pid(self) -> int | None:
        """Return the process id of HAProxy."""
        return self._proxy.pid

    def start(self) -> None:
        """Start HAProxy, or take over the one that an earlier agent left, and load the routes.

        Raises:
            EdgeError: saying why it cannot.
            StoreUnavailableError: when the routes cannot be read.
        """
        self._edge.run_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        adopted = self._proxy.start()
        if adopted:
            logger.info("took over the running HAProxy %s", self._proxy.pid)
        self._load()

    def run(self, stop: threading.Event) -> None:
        """Follow the table until *stop* is set."""
        while not stop.wait(self._poll_seconds):
            self.turn()

    def turn(self) -> None:
        """Do what is due: keep HAProxy alive, apply changes, report."""
        try:
            self._keep_alive()
            self._follow()
            self._report_seen()
            self._is_store_away = False
        except StoreUnavailableError as away:
            # What HAProxy knows, it serves on.
            if not self._is_store_away:
                logger.error("the route table cannot be read, routes stay as they are: %s", away)  # noqa: TRY400 no bug
            self._is_store_away = True
            time.sleep(min(1.0, 20 * self._poll_seconds))
        except EdgeError as error:
            logger.error("edge: %s", error)  # noqa: TRY400 no bug
            self._sequence = None
            time.sleep(min(1.0, 20 * self._poll_seconds))

    def close(self) -> None:
        """End HAProxy in order and be forgotten, so that no launch waits for this edge."""
        self._proxy.close()
        try:
            self._routes.forget_edge(self._edge_id)
        except StoreUnavailableError as away:
            logger.warning("this edge could not be signed off: %s", away)

    def _keep_alive(self) -> None:
        if not self._proxy.is_alive():
            logger.warning("HAProxy died and is started again")
            self._sequence = None
            self._proxy.start()

    def _follow(self) -> None:
        is_due = time.monotonic() - self._reported_at >= HEARTBEAT_SECONDS
        if self._sequence is None:
            self._load()
        elif self._changed() or is_due:
            self._apply(is_due=is_due)

    def _apply(self, *, is_due: bool) -> None:
        assert self._sequence is not None  # noqa: S101 `_follow` has looked
        changes = self._routes.changes_since(self._sequence, CHANGES)
        if changes is None:
            self._load()
            return
        for change in changes:
            address = None if change.address is None else resolved(change.address)
            if address is None:  # also when its host leads nowhere: where the prefix led before, it must not lead on
                self._proxy.runtime.remove(self._edge.map_file, key_of(change.prefix))
            else:
                self._proxy.runtime.set(self._edge.map_file, key_of(change.prefix), address)
            self._sequence = change.sequence
        if changes or is_due:
            self._report()
        if len(changes) == CHANGES:
            self._apply(is_due=False)

    def _load(self) -> None:
        """Swap the whole map. Changes made while it is read come again through the log: applying twice is no harm."""
        sequence = self._routes.sequence()
        count = self._proxy.runtime.replace(self._edge.map_file, self._entries())
        self._sequence = sequence
        logger.info("%s routes loaded", count)
        self._report()

    def _entries(self) -> Iterator[tuple[str, str]]:
        for route in self._routes.all():
            if (address := resolved(route.address)) is not None:
                yield key_of(route.prefix), address

    def _report(self) -> None:
        self._routes.report(EdgeReport(self._edge_id, self._sequence or 0, self._clock()))
        self._reported_at = time.monotonic()

    def _report_seen(self) -> None:
        if self._report_activity is None or time.monotonic() - self._asked_at < self._activity_seconds:
            return
        self._asked_at = time.monotonic()
        self._report_activity(self.last_activity())

    def last_activity(self) -> dict[str, datetime]:
        """Return when a person last did something under each prefix, of those seen in the last hours."""
        idle = self._proxy.runtime.idle_seconds("servers", self._edge.activity_seconds)
        if not idle:
            return {}
        now = self._clock()
        return {
            route.prefix: now - timedelta(seconds=idle[route.address]) for route in self._routes.all() if route.address in idle
        }


def resolved(address: str) -> str | None:
    """Return *address* as ip:port, which is all that HAProxy dials; None when the host's name leads nowhere (yet)."""
    host, _, port = address.rpartition(":")
    try:
        return f"{socket.gethostbyname(host)}:{port}"
    except OSError:
        logger.warning("the address %s of a route leads nowhere", host)
        return None


