"""The child that does the work between requests: the queue, launches under way, sweeps; with the functions' own handlers."""

import json
import logging
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from edge_proxy.signals import on_signals
from embedded import ipc
from embedded.ipc import Channel, ChildConfig
from functions.reaper import sweep as reaper
from functions.spawn import dispatch as spawn
from hubless.bootstrap import machine
from hubless.bootstrap.machine import MachineHub
from hubless.domain import messages
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.lifecycle import ACTIVE, PENDING
from hubless.ports.queue import Received
from hubless.settings import Settings

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.04
CHECK_SECONDS = 3.0  # how often running servers are looked at
AWAY_SECONDS = 1.0  # how long to wait when the store does not answer
THREADS = 4  # launches at once; one that takes long does not hold up the others
BATCH = 10
VISIBLE_AFTER = timedelta(seconds=30)


class Worker:
    """Runs the handlers whenever there is something to do."""

    def __init__(self, hub: MachineHub, settings: Settings) -> None:
        self._hub = hub
        self._sweep_every = settings.culling.sweep_every.total_seconds()
        self._stop_limit = settings.servers.stop_timeout.total_seconds() + 5
        hub.launching, hub.reaping  # noqa: B018 made before there are threads, so that all have the same ones
        self._changed = hub.watcher()
        self._pending = 1  # how many servers were under way at the last look
        self._waiting = 1  # how many messages there were
        self._checked_at = 0.0
        self._leaving = threading.Event()
        self._stop_servers = threading.Event()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="launch")

    def leave(self) -> None:
        """Have `run` return after the step that it is at."""
        self._leaving.set()

    def stop_servers(self) -> None:
        """Have `run` end all servers, and then return."""
        self._stop_servers.set()

    def run(self) -> None:
        """Work until told to leave."""
        sweeps = threading.Thread(target=self._sweep, name="sweeps", daemon=True)
        sweeps.start()
        while not self._leaving.wait(POLL_SECONDS) and not self._stop_servers.is_set():
            self._guarded_turn()
        if self._stop_servers.is_set():
            self._end_servers()
        self._leaving.set()
        self._pool.shutdown(wait=True)

    def _guarded_turn(self) -> None:
        try:
            self._turn()
        except StoreUnavailableError as away:
            logger.error("the store does not answer, work waits: %s", away)  # noqa: TRY400 no bug
            self._leaving.wait(AWAY_SECONDS)

    def _turn(self) -> None:
        if self._changed() or self._pending or self._waiting:
            self._receive()
            self._pending = spawn.handle(self._hub, {"detail-type": spawn.RECONCILE_PENDING})["pending"]
        if time.monotonic() - self._checked_at >= CHECK_SECONDS:
            spawn.handle(self._hub, {"detail-type": spawn.RECONCILE_RUNNING})
            self._checked_at = time.monotonic()

    def _receive(self) -> None:
        received = self._hub.queue.receive(BATCH, VISIBLE_AFTER, self._hub.clock.now())
        for one in received:
            self._pool.submit(self._carry_out, one)
        # What was put back comes again by the clock and not by a change.
        self._waiting = self._hub.queue.depth()

    def _carry_out(self, one: Received) -> None:
        record = {
            "messageId": one.receipt,
            "receiptHandle": one.receipt,
            "body": json.dumps(messages.encode(one.message)),
            "attributes": {"ApproximateReceiveCount": str(one.attempts)},
        }
        try:
            if not spawn.handle(self._hub, {"Records": [record]})["batchItemFailures"]:
                self._hub.queue.delete(one.receipt)
        except StoreUnavailableError as away:
            logger.error("a message waits for the store: %s", away)  # noqa: TRY400 no bug; it comes again by itself

    def _sweep(self) -> None:
        while not self._leaving.is_set():
            try:
                reaper.handle(self._hub, {"detail-type": "Scheduled Event"})
            except StoreUnavailableError as away:
                logger.error("no sweep, the store does not answer: %s", away)  # noqa: TRY400 no bug
            except Exception:
                logger.exception("the sweep failed and is tried again")
            self._leaving.wait(self._sweep_every)

    def _end_servers(self) -> None:
        for server in self._hub.servers.in_states(ACTIVE):
            self._hub.stopping.request_until_done(server)
        give_up_at = time.monotonic() + self._stop_limit
        while self._hub.servers.count(PENDING) and time.monotonic() < give_up_at:
            self._guarded_turn()
            time.sleep(POLL_SECONDS)


def run(line: Channel, _order: ChildConfig, settings: Settings) -> None:
    """Work until the supervisor says so or is gone."""
    hub = machine.build(settings)
    worker = Worker(hub, settings)

    def heard(word: str | None) -> None:
        if word == ipc.STOP_SERVERS:
            worker.stop_servers()
        elif word is None:
            worker.leave()

    on_signals((signal.SIGTERM,), worker.leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ipc.listen(line, heard)
    link = hub.accounts.first_admin_link() if hub.has_passwords else None
    line.send_event(ipc.READY, facts={"first_admin_link": link} if link else {})
    worker.run()


if __name__ == "__main__":
    ipc.main(run)
