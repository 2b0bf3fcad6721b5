"""Crash a process before and after each call to AWS that it makes, and let each crash play out.

The code under test runs once. Wherever a call has left something new behind, the process is forked. In the child the
code crashes there, and the test goes on with what follows a crash; the parent goes on as if nothing had happened.
Nobody lists the calls, so none is forgotten, and the steps before a crash are not repeated for each.

A crash before a call leaves what the call before it left; so does a crash after a call that only reads. Crashes that
leave the same behind have the same future, so only one of them plays out.
"""

import contextlib
import gc
import hashlib
import os
import pickle
import signal
import traceback
from collections import Counter

READS = ("Get", "BatchGet", "Query", "Describe", "List")


class Crash(BaseException):
    """End the process here: no code under test catches this."""


class AwsCallHooks:
    """Run a hook before and after each call of botocore *clients*, for as long as the context is entered."""

    def __init__(self, clients):
        self._events = [client.meta.events for client in clients]

    def __enter__(self):
        for events in self._events:
            events.register("before-call", self._before)
            events.register("after-call", self._after)
        return self

    def __exit__(self, *_):
        for events in self._events:
            events.unregister("before-call", self._before)
            events.unregister("after-call", self._after)


class CrashPoints(AwsCallHooks):
    """Fork a crash at each call of botocore *clients* that leaves something new behind.

    Args:
        left_behind: returns all that outlives the process.
        then: runs after a crash, and asserts what must be true in the end.
    """

    def __init__(self, clients, left_behind, then):
        super().__init__(clients)
        self._left_behind, self._then = left_behind, then
        self.calls, self.lived, self._failures = Counter(), 0, []
        self._seen, self._acts, self._is_first, self._told = set(), 0, True, None

    def act(self, step):
        """Run *step*, and crash wherever it calls AWS."""
        self._acts, self._is_first = self._acts + 1, True
        with self:
            try:
                return step()
            except Crash:
                return self._go_on()  # never returns: this is the child

    def assert_none_ended_badly(self):
        assert self.lived, "nothing was ever called"
        received = "\n\n".join(self._failures[:3])
        assert not self._failures, f"{len(self._failures)} of {self.lived} crashes ended badly:\n\n{received}"

    def _before(self, model, **_):
        self.calls[model.service_model.service_name, model.name] += 1
        if self._is_first:
            self._is_first = False
            self._crash_if_new(model, "before")

    def _after(self, model, **_):
        if not model.name.startswith(READS):
            self._crash_if_new(model, "after")

    def _crash_if_new(self, model, when):
        left = hashlib.sha256(repr((self._acts, self._left_behind())).encode()).digest()
        if left not in self._seen:
            self._seen.add(left)
            self.lived += 1
            if failure := self._fork():
                self._failures.append(
                    f"crash {when} call {self.calls.total()}, {model.name}, in act {self._acts}:\n{failure}"
                )

    def _fork(self):
        reader, writer = os.pipe()
        if child := os.fork():
            os.close(writer)
            with os.fdopen(reader, "rb") as received:
                said = received.read()
            os.waitpid(child, 0)
            return pickle.loads(said) if said else "it reported nothing more"
        signal.setitimer(signal.ITIMER_REAL, 0)  # the parent's
        gc.disable()  # it would touch, and so copy, all that the parent has; this process ends soon
        os.close(reader)
        self._told = writer
        self.__exit__()
        raise Crash

    def _go_on(self):
        failure = ""
        try:
            self._then()
        except BaseException:
            failure = traceback.format_exc()
        with contextlib.suppress(BaseException), os.fdopen(self._told, "wb") as received:
            pickle.dump(failure, received)
        os._exit(0)
