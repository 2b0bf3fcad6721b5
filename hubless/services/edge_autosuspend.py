"""Edge autosuspend: starts the edge's machine when a server needs it, and stops it when none has for a while.

Callers that need the edge repeat their call until the edge reports, so no single call matters. The sweep decides on
stops: it writes the desired state, reads once more whether a server is active, and only then stops the machine. It does
the same at each repeated stop. A launch is stored before its call reads the desired state: so either the sweep sees the
launch, or the call sees the decision to stop.
"""

import logging
from collections.abc import Callable
from datetime import timedelta

from hubless.domain import edges
from hubless.domain.edges import DesiredEdgeState, EdgePower
from hubless.domain.errors import EdgeCapacityError, HublessError, RetryLaterError, StoreConflictError
from hubless.domain.lifecycle import ACTIVE
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.edges import DesiredEdgeStateStore, EdgeMachine
from hubless.ports.metrics import Metric, Metrics
from hubless.ports.servers import ServerStore
from hubless.services.routing import Routing

logger = logging.getLogger(__name__)


@value
class EdgeAutosuspend:
    """Starts and stops the edge's machine on demand."""

    machine: EdgeMachine
    desired_edge_state: DesiredEdgeStateStore
    servers: ServerStore
    routing: Routing
    clock: Clock
    metrics: Metrics
    idle_timeout: timedelta

    def request_start(self) -> None:
        """Start the edge if it does not run; never raise, because callers repeat the call."""
        self._without_errors(self._call)

    def start_ahead(self) -> None:
        """Start the edge, or keep one that is idle, for somebody whose next request may need it; never raise.

        CloudFront sends no write and no WebSocket to the API in place of an edge that is down (ADR 30). So the pages
        before them call this. Only for callers who are logged in: a machine costs.
        """
        self._without_errors(self._call_or_keep)

    def is_down(self) -> bool:
        """Say whether the edge does not run."""
        return self.machine.can_stop and not self.routing.has_edge()

    def start_if_down(self) -> bool:
        """Say whether the edge does not run; if so, start it. Only for callers who are logged in: a machine costs."""
        is_down = self.is_down()
        if is_down:
            self.request_start()
        return is_down

    def reconcile(self, *, is_needed: bool) -> None:
        """Keep the edge running if *is_needed*; otherwise stop it after the idle timeout."""
        if not self.machine.can_stop:
            return
        desired, lives, now = self.desired_edge_state.read(), self.routing.has_edge(), self.clock.now()
        if is_needed:
            self._keep(desired, lives=lives)
            return
        # A repeated stop writes the same record again: the write fails if a caller has needed the edge since it was
        # read.
        is_repeated = edges.should_stop(desired, now, lives=lives)
        other = desired if is_repeated else edges.when_unneeded(desired, now, self.idle_timeout)
        if other and self._write(desired, other):
            self._stop_if_idle(other)

    def _call(self) -> None:
        desired = self.desired_edge_state.read()
        if edges.when_needed(desired, self.clock.now(), lives=False) is None:
            return  # another caller has just started it
        self._start_where_needed(desired, lives=self.routing.has_edge())

    def _call_or_keep(self) -> None:
        desired = self.desired_edge_state.read()
        if not edges.was_just_called(desired, self.clock.now()):
            self._keep(desired, lives=self.routing.has_edge())

    def _without_errors(self, act: Callable[[], None]) -> None:
        if self.machine.can_stop:
            try:
                act()
            except HublessError as away:
                logger.warning("cannot read whether the edge runs: %s", away)

    def _keep(self, desired: DesiredEdgeState, *, lives: bool) -> None:
        if lives and (kept := edges.when_kept(desired, self.clock.now())):
            self._write(desired, kept)
            return
        self._start_where_needed(desired, lives=lives)

    def _start_where_needed(self, desired: DesiredEdgeState, *, lives: bool) -> None:
        """Start the machine if it should run and no other caller starts it at this moment."""
        needed = edges.when_needed(desired, self.clock.now(), lives=lives)
        if needed is not None and self._write(desired, needed):
            self._start()

    def _stop_if_idle(self, desired: DesiredEdgeState) -> None:
        if desired.power is not EdgePower.STOPPED:
            return
        if self.servers.count(ACTIVE):
            self._call()  # a server was requested meanwhile, and its caller may have seen a running edge
            return
        self._stop()

    def _write(self, before: DesiredEdgeState, after: DesiredEdgeState) -> bool:
        """Write the desired state and say whether this caller was first."""
        try:
            self.desired_edge_state.write(before, after)
        except StoreConflictError:
            return False
        return True

    def _start(self) -> None:
        try:
            if self.machine.start():
                self.metrics.count(Metric.EDGE_STARTS)
                logger.info("the hub starts the idle edge")
            else:
                logger.info("the edge's machine is on, and the edge has not reported yet")
        except RetryLaterError as later:
            logger.info("the hub starts the edge a little later: %s", later)
        except EdgeCapacityError as full:
            self.metrics.count(Metric.EDGE_FAILURES)
            logger.warning("EC2 has no capacity for the edge, and users reach no server until it has: %s", full)
        except HublessError as why:
            self.metrics.count(Metric.EDGE_FAILURES)
            logger.error("cannot start the edge: %s", why)  # noqa: TRY400 a sentence, no trace

    def _stop(self) -> None:
        try:
            if self.machine.stop():
                self.metrics.count(Metric.EDGE_STOPS)
                minutes = self.idle_timeout.total_seconds() / 60
                logger.info("the hub stops the edge: nothing has needed it for %.0f minutes", minutes)
        except RetryLaterError as later:
            logger.info("the hub stops the edge a little later: %s", later)
        except HublessError as why:
            self.metrics.count(Metric.EDGE_FAILURES)
            logger.error("cannot stop the edge: %s", why)  # noqa: TRY400 a sentence, no trace
