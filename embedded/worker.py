"""The child process for queue, launches and sweeps; it calls the handlers of the Lambda functions."""

import itertools
import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

from edge_proxy.signals import on_signals
from embedded import ipc
from embedded.ipc import Channel, ChildConfig
from embedded.name_check import check_names
from functions.reaper import sweep as reaper
from functions.spawn import dispatch as spawn
from hubless.bootstrap import machine
from hubless.bootstrap.machine import MachineHub
from hubless.bootstrap.settings_at_start import note_settings
from hubless.domain import messages
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.lifecycle import ACTIVE, PENDING
from hubless.domain.stop_reasons import StopCause, StopReason
from hubless.ports.queue import Received
from hubless.settings import Settings

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.04  # between two looks while servers start or stop, or messages wait
RECONCILE_SOON_SECONDS = 3.0  # between two checks of running servers after something has changed
RECONCILE_FROZEN_SECONDS = 2.0  # the same while a server may be frozen, of which two looks that far apart are sure
RECONCILE_RUNNING_SECONDS = 60.0  # the same while nothing changes, if no sweep looks at them meanwhile
STORE_RETRY_SECONDS = 1.0
THREADS = 4  # messages at once: a slow launch does not delay the others
BATCH = 10
MEASURE_SECONDS = 60.0  # between two looks for homes that are due
MEASURE_SOON_SECONDS = 10.0  # the same after servers started or stopped
MEASURE_PAUSE_SECONDS = 0.02  # between two steps of a walk
EVERYBODY_SECONDS = 3600.0  # between two looks at everybody: the others look at users who were active lately
LOADS_SECONDS = 10.0  # between two measurements of what servers use, if somebody looks at them
UNREAD_LOADS_EVERY = 6  # of these times, if nobody has looked at them for LOADS_READ_SECONDS
LOADS_READ_SECONDS = 120.0
LOADS_PAUSE_SECONDS = 0.1  # between two steps: many servers are measured less often, and take no more time at once
KEEP_SECONDS = 10.0  # between two looks whether links by name follow users
TASKS_SECONDS = 2.0  # between two looks for files of removed users that an admin wants moved or deleted
REMOVE_PAUSE_SECONDS = 0.005  # between two steps of a deletion
WATCH_SECONDS = 2.0  # docs/settings.md names it
VISIBLE_AFTER = timedelta(seconds=30)


class Worker:
    """Calls the handlers whenever there is work."""

    def __init__(
        self,
        hub: MachineHub,
        settings: Settings,
        *,
        epoch: str = "",
        replaced: Callable[[str], None] = logger.error,
    ) -> None:
        """Create the worker; *replaced* is told why when the database is not of this run's *epoch* any more."""
        self._epoch, self._replaced = epoch, replaced
        self._hub = hub
        self._sweep_every = settings.culling.sweep_every.total_seconds()
        self._stop_limit = settings.servers.stop_timeout.total_seconds() + 5
        hub.launching, hub.reaping, hub.metrics, hub.resource_limits, hub.home_measuring, hub.home_keeping  # noqa: B018 created before the threads that share them
        self._loads = hub.load_sampler
        self._changed, self._writes = hub.watcher(), hub.write_watch()
        self._ends = hub.process_ends
        self._profiles = settings.profiles
        self._pending = 1  # servers that started or stopped at the last step
        self._queued = 1  # messages at the last step
        self._reconciled_at = self._swept_at = 0.0  # when each last looked at running servers
        self._has_moved = True  # whether servers started or stopped since the last check of running ones
        self._may_need_measuring = threading.Event()  # the same of the last look for homes that are due
        self._leaving = threading.Event()
        self._stop_servers = threading.Event()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="launch")

    def leave(self) -> None:
        """Let `run` return after its current step."""
        self._leaving.set()
        self._may_need_measuring.set()
        self._writes.wake()

    def stop_servers(self) -> None:
        """Let `run` stop all servers and return."""
        self._stop_servers.set()
        self._writes.wake()

    def run(self) -> None:
        """Work until `leave` or `stop_servers` is called."""
        sweeps = threading.Thread(target=self._sweep, name="sweeps", daemon=True)
        sweeps.start()
        for name, work in (
            ("limits", self._watch_limits), ("homes", self._measure_homes), ("preloading", self._preload),
            ("files", self._keep_homes), ("loads", self._measure_loads),
        ):  # fmt: skip
            threading.Thread(target=work, name=name, daemon=True).start()
        while not self._leaving.is_set() and not self._stop_servers.is_set():
            self._step_safely()
            self._sleep()
        if self._stop_servers.is_set():
            self._end_servers()
        self._leaving.set()
        self._pool.shutdown(wait=True)
        self._hub.metrics.flush()
        self._hub.launcher.close()

    def _preload(self) -> None:
        try:
            self._hub.launcher.preload(self._profiles)
        except OSError as error:  # servers load their packages themselves
            logger.warning("the hub cannot preload servers' packages: %s", error)

    def _sleep(self) -> None:
        """Sleep until there may be work: messages become visible, and servers become ready, without a write."""
        is_busy = self._pending or self._queued
        self._writes.sleep(POLL_SECONDS if is_busy else None, [self._ends.fileno()])

    def _step_safely(self) -> None:
        try:
            self._step()
        except StoreUnavailableError as error:
            logger.error("cannot read the store, retry in %g s: %s", STORE_RETRY_SECONDS, error)  # noqa: TRY400 no bug
            self._leaving.wait(STORE_RETRY_SECONDS)

    def _step(self) -> None:
        if has_changed := self._changed():
            self._writes.seen()
        if has_changed or self._pending or self._queued:
            self._pending = spawn.handle(self._hub, {"detail-type": spawn.RECONCILE_PENDING})["pending"]
            self._note_moves()
            self._receive()
        if self._must_check_running():
            self._ends.follow()
            spawn.handle(self._hub, {"detail-type": spawn.RECONCILE_RUNNING})
            self._reconciled_at, self._has_moved = time.monotonic(), False
            self._is_replaced()
        self._hub.metrics.flush_when_due()

    def _note_moves(self) -> None:
        if self._pending:
            self._has_moved = True
            self._may_need_measuring.set()

    def _must_check_running(self) -> bool:
        """Say whether to look at running servers: one has ended or may be frozen, or the last look is old."""
        now = time.monotonic()
        age = now - self._reconciled_at
        if self._ends.take() or min(age, now - self._swept_at) >= RECONCILE_RUNNING_SECONDS:
            return True
        if age >= RECONCILE_SOON_SECONDS and (self._has_moved or not self._ends.is_told):
            return True
        return age >= RECONCILE_FROZEN_SECONDS and self._hub.launcher.sees_freezes()

    def _receive(self) -> None:
        held = self._hub.turns.held
        for received in self._hub.queue.receive(BATCH, VISIBLE_AFTER, self._hub.clock.now(), held=held):
            self._pool.submit(self._handle, received)
        # The store does not change when a message becomes visible again, so the next step must look.
        self._queued = self._hub.queue.depth()

    def _handle(self, received: Received) -> None:
        record = {
            "messageId": received.receipt,
            "receiptHandle": received.receipt,
            "body": json.dumps(messages.encode(received.message)),
            "attributes": {"ApproximateReceiveCount": str(received.attempts)},
        }
        try:
            if not spawn.handle(self._hub, {"Records": [record]})["batchItemFailures"]:
                self._hub.queue.delete(received.receipt)
        except StoreUnavailableError as error:
            logger.error("cannot reach the store, the queue repeats a message later: %s", error)  # noqa: TRY400 no bug

    def _is_replaced(self) -> bool:
        """Say whether somebody restored the database under the hub, which then must end: its servers look unknown."""
        if not self._epoch or self._hub.epoch() == self._epoch:
            return False
        self._replaced(f"Somebody restored the database {self._hub.settings.database} while the hub ran.")
        return True

    def _sweep(self) -> None:
        while not self._leaving.is_set():
            with _trying("sweep", self._sweep_every):
                if self._is_replaced():
                    return
                reaper.handle(self._hub, {"detail-type": "Scheduled Event"})
                self._swept_at = time.monotonic()
                self._hub.give_room_back()
            with _trying("remove what launches left", self._sweep_every):
                self._hub.leftovers.remove()
                self._hub.resource_limits.remove_forgotten()
            self._leaving.wait(self._sweep_every)

    def _watch_limits(self) -> None:
        """Enforce limits until the worker leaves; servers that are stopping are still watched."""
        while not self._leaving.wait(WATCH_SECONDS):
            with _trying("look at the servers' resource limits", WATCH_SECONDS):
                self._hub.resource_limits.watch()

    def _measure_homes(self) -> None:
        """Measure homes until the worker leaves, with pauses: others need the disk too."""
        all_at = 0.0
        while not self._leaving.is_set():
            everybody = time.monotonic() >= all_at
            all_at = time.monotonic() + EVERYBODY_SECONDS if everybody else all_at
            with _trying("measure homes", MEASURE_SECONDS):
                self._walk(self._hub.home_measuring.steps(everybody=everybody), MEASURE_PAUSE_SECONDS)
            self._may_need_measuring.wait(MEASURE_SECONDS - MEASURE_SOON_SECONDS)
            self._may_need_measuring.clear()
            self._leaving.wait(MEASURE_SOON_SECONDS)  # a server that just starts has not written much yet

    def _measure_loads(self) -> None:
        """Measure what servers use until the worker leaves: seldom while nobody looks at it."""
        for number in itertools.count():
            with _trying("measure what servers use", LOADS_SECONDS):
                if number % UNREAD_LOADS_EVERY == 0 or self._hub.loads.was_read_within(LOADS_READ_SECONDS):
                    self._walk(self._loads.steps(self._hub.clock.now), LOADS_PAUSE_SECONDS)
            if self._leaving.wait(LOADS_SECONDS):
                return

    def _keep_homes(self) -> None:
        """Have links by name follow users, and do what admins want done with files of removed users."""
        keeping, due = self._hub.home_keeping, 0.0
        while not self._leaving.is_set():
            with _trying("look after homes", TASKS_SECONDS):
                if time.monotonic() >= due:
                    keeping.keep()
                    due = time.monotonic() + KEEP_SECONDS
                    self._walk(keeping.measure(), MEASURE_PAUSE_SECONDS)
                self._walk(keeping.work(), REMOVE_PAUSE_SECONDS)
            self._leaving.wait(TASKS_SECONDS)

    def _walk(self, steps: Iterator[None], pause: float) -> None:
        """Take *steps* with a *pause* in seconds after each, until the worker leaves."""
        for _ in steps:
            if self._leaving.wait(pause):
                return

    def _end_servers(self) -> None:
        for server in self._hub.servers.in_states(ACTIVE):
            self._hub.stopping.request_until_done(server, StopReason(StopCause.HUB))
        give_up_at = time.monotonic() + self._stop_limit
        while self._hub.servers.count(PENDING) and time.monotonic() < give_up_at:
            self._step_safely()
            time.sleep(POLL_SECONDS)


@contextmanager
def _trying(what: str, seconds: float) -> Iterator[None]:
    """Log why the hub cannot do *what*, which it tries again in *seconds*; a bug with its traceback."""
    try:
        yield
    except (StoreUnavailableError, OSError) as error:
        logger.error("cannot %s, retry in %g s: %s", what, seconds, error)  # noqa: TRY400 no bug
    except Exception:
        logger.exception("cannot %s, retry in %g s", what, seconds)


def run(channel: Channel, config: ChildConfig, settings: Settings) -> None:
    """Work until the supervisor ends this process, or has died."""
    hub = machine.build(settings)
    check_names(hub)
    note_settings(hub)
    hub.uptime_log.note(is_start=True)
    hub.queue.end_claims()  # a worker that was killed while it started a server: nobody waits until its claim ends
    worker = Worker(
        hub,
        settings,
        epoch=config.epoch,
        replaced=lambda why: channel.send_event(ipc.FATAL, why=why),
    )

    def on_event(event: str | None) -> None:
        if event == ipc.STOP_SERVERS:
            worker.stop_servers()
        elif event is None:
            worker.leave()

    on_signals((signal.SIGTERM,), worker.leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ipc.listen(channel, on_event)
    # A later link would end the one that the console shows, and a restarted worker prints none.
    first = hub.accounts.first_admin_link() if config.first and hub.has_passwords else None
    channel.send_event(ipc.READY, facts={"first_admin": first[0], "first_admin_link": first[1]} if first else {})
    worker.run()


if __name__ == "__main__":
    ipc.main(run)
