"""The edge that sleeps: called when somebody needs it, let sleep when nobody has for a while.

Whoever needs the edge calls again until it reports, so nothing depends on any one call. The sweep decides on sleep: it writes
that down, looks once more whether a server is there, and only then has the machine stopped; likewise each time that it has it
stopped again. A launch is written down before its call reads what is wanted: so either the sweep sees the launch, or the call
sees that the edge was to sleep.
"""

import logging
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
    """Has the edge up when it is needed."""

    machine: EdgeMachine
    desired_edge_state: DesiredEdgeStateStore
    servers: ServerStore
    routing: Routing
    clock: Clock
    metrics: Metrics
    idle_timeout: timedelta

    def request_start(self) -> None:
        """Have an edge that may sleep come up, where it is not up; never raises, as whoever needs it calls again."""
        if self.machine.can_stop:
            try:
                self._call()
            except HublessError as away:
                logger.warning("nobody could see whether the edge is up: %s", away)

    def start_if_down(self) -> bool:
        """Say whether an edge that may sleep is not there; then it is called."""
        if not self.machine.can_stop or self.routing.has_edge():
            return False
        self.request_start()
        return True

    def reconcile(self, *, is_needed: bool) -> None:
        """Have the edge up or let it sleep, as it is needed or not."""
        if not self.machine.can_stop:
            return
        wish, lives, now = self.desired_edge_state.read(), self.routing.has_edge(), self.clock.now()
        if is_needed:
            self._keep(wish, lives=lives)
            return
        # What was decided before is written once more, as it is: it fails where somebody has needed the edge since it was read.
        is_repeated = edges.should_stop(wish, now, lives=lives)
        other = wish if is_repeated else edges.when_unneeded(wish, now, self.idle_timeout)
        if other and self._wish(wish, other):
            self._let_sleep(other)

    def _call(self) -> None:
        wish = self.desired_edge_state.read()
        if edges.when_needed(wish, self.clock.now(), lives=False) is None:
            return  # somebody has just called, and it is too early to look again
        self._start_where_needed(wish, lives=self.routing.has_edge())

    def _keep(self, wish: DesiredEdgeState, *, lives: bool) -> None:
        if lives and (kept := edges.when_kept(wish, self.clock.now())):
            self._wish(wish, kept)
            return
        self._start_where_needed(wish, lives=lives)

    def _start_where_needed(self, wish: DesiredEdgeState, *, lives: bool) -> None:
        """Call the machine where it is to be called and nobody else does so at this moment."""
        needed = edges.when_needed(wish, self.clock.now(), lives=lives)
        if needed is not None and self._wish(wish, needed):
            self._start()

    def _let_sleep(self, wish: DesiredEdgeState) -> None:
        if wish.power is not EdgePower.STOPPED:
            return
        if self.servers.count(ACTIVE):
            self._call()  # whoever asked for a server since may have seen that the edge was up
            return
        self._stop()

    def _wish(self, before: DesiredEdgeState, after: DesiredEdgeState) -> bool:
        """Write what is wanted now, and say whether nobody was faster."""
        try:
            self.desired_edge_state.write(before, after)
        except StoreConflictError:
            return False
        return True

    def _start(self) -> None:
        try:
            if self.machine.start():
                self.metrics.count(Metric.EDGE_STARTS)
                logger.info("the edge was asleep and is started")
            else:
                logger.info("the edge's machine is on, and no edge reports yet")
        except RetryLaterError as later:
            logger.info("the edge is started a little later: %s", later)
        except EdgeCapacityError as full:
            self.metrics.count(Metric.EDGE_FAILURES)
            logger.warning("there is no room for the edge now, and nobody reaches a server until there is: %s", full)
        except HublessError as why:
            self.metrics.count(Metric.EDGE_FAILURES)
            logger.error("the edge cannot be started: %s", why)  # noqa: TRY400 a sentence, no trace

    def _stop(self) -> None:
        try:
            if self.machine.stop():
                self.metrics.count(Metric.EDGE_STOPS)
                minutes = self.idle_timeout.total_seconds() / 60
                logger.info("nothing has needed the edge for %.0f minutes: it is stopped", minutes)
        except RetryLaterError as later:
            logger.info("the edge is stopped a little later: %s", later)
        except HublessError as why:
            self.metrics.count(Metric.EDGE_FAILURES)
            logger.error("the edge cannot be stopped: %s", why)  # noqa: TRY400 a sentence, no trace
