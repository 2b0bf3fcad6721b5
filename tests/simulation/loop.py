"""Simulated time: events in their order, and processes of plain blocking code of which one runs at a time.

A process is a thread that holds the only baton. `sleep` gives it back until the time has come, so the rest of the
world goes on meanwhile; between two sleeps nothing else happens. Runs with the same seed are the same.
"""

import heapq
import itertools
import threading
from datetime import timedelta


class Loop:
    """Time, for a clock that services look at (with the reader's skew) and one that is right."""

    def __init__(self, clock):
        self.clock, self.right = clock, _Right(clock)
        self.seconds = 0.0  # since the beginning
        self._start = clock.now()
        self._steps, self._numbers = [], itertools.count()
        self._idle, self._all = [], []
        self._back = _shut()
        self._running, self._raised = None, None

    def at(self, seconds, step):
        """Take *step* at that time; steps do not sleep."""
        heapq.heappush(self._steps, (max(seconds, self.seconds), next(self._numbers), step))

    def after(self, seconds, step):
        self.at(self.seconds + seconds, step)

    def every(self, seconds, step):
        """Take *step* again and again, from now on."""

        def turn():
            step()
            self.after(seconds, turn)

        self.after(0, turn)

    def start(self, work, *, skew=0.0):
        """Run *work* as a process from now on; the clock that it sees is wrong by *skew* seconds."""
        worker = self._idle.pop() if self._idle else self._another()
        worker.work, worker.skew = work, timedelta(seconds=skew)
        self.after(0, lambda: self._resume(worker))

    def sleep(self, seconds):
        """Let the calling process wait; where none calls (a test's own hand), no time passes."""
        worker = self._running
        if worker is None:
            return
        self.after(seconds, lambda: self._resume(worker))
        self._back.release()
        worker.go.acquire()
        if worker.is_over:
            raise _Over

    def run(self, is_done, limit):
        """Let time pass until *is_done* says so, looked at after each step, or the limit (seconds) is reached."""
        while self._steps and not is_done():
            at, _, step = heapq.heappop(self._steps)
            if at > limit:
                self.seconds = limit
                return
            self.seconds = at
            self.clock.advance(self._start + timedelta(seconds=at) - self.right.now())
            step()
            if self._raised is not None:
                raise self._raised

    def close(self):
        """End the threads; work that sleeps is given up."""
        for worker in self._all:
            worker.is_over = True
            worker.go.release()
        for worker in self._all:
            worker.thread.join(10)

    def _resume(self, worker):
        self._running, self.clock.skew = worker, worker.skew
        worker.go.release()
        self._back.acquire()
        self._running, self.clock.skew = None, timedelta()

    def _another(self):
        worker = _Worker()
        worker.thread = threading.Thread(target=self._work, args=(worker,), daemon=True)
        worker.thread.start()
        self._all.append(worker)
        return worker

    def _work(self, worker):
        while True:
            worker.go.acquire()
            if worker.is_over:
                return
            try:
                worker.work()
            except _Over:
                return
            except BaseException as error:
                self._raised = error
            if worker.is_over:
                return
            self._idle.append(worker)
            self._back.release()


class _Over(BaseException):
    """Raised in work that sleeps when the simulation ends."""


class _Worker:
    def __init__(self):
        self.go, self.is_over = _shut(), False
        self.work = self.thread = self.skew = None


def _shut():
    """Return a lock that is held: it opens once for each release."""
    lock = threading.Lock()
    lock.acquire()
    return lock


class _Right:
    """The right time, for every reader."""

    def __init__(self, clock):
        self._clock = clock

    def now(self):
        return self._clock.now() - self._clock.skew
