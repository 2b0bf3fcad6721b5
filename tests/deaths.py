"""Deaths of a process before and after each call to AWS that it makes, each of them lived through.

What is watched is done once. Where a call has left something new behind, the process is forked: the child dies there, as
far as the code under test can tell, and what comes after its death is its test; the parent goes on as if nothing were.
Nobody lists the calls, so none is forgotten, and what leads to a death is not done again for each.

A death before a call leaves what the call before it left, and one after a call that only reads does too. Deaths that leave
the same behind have the same future: one of them is lived through.
"""

import contextlib
import hashlib
import os
import pickle
import signal
import traceback
from collections import Counter

READS = ("Get", "BatchGet", "Query", "Describe", "List")


class Death(BaseException):
    """The process dies: nothing catches this."""


class AtCalls:
    """Is told of each call of *clients*, before it is sent and after it was answered, for as long as it is entered."""

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


class Deaths(AtCalls):
    """Watches clients of botocore.

    Args:
        left_behind: returns all that outlives the process.
        then: what comes after a death, and whatever must be true in the end.
    """

    def __init__(self, clients, left_behind, then):
        super().__init__(clients)
        self._left_behind, self._then = left_behind, then
        self.calls, self.lived, self._failures = Counter(), 0, []
        self._seen, self._acts, self._is_first, self._told = set(), 0, True, None

    def act(self, step):
        """Have a function take *step*, and die over it wherever it calls."""
        self._acts, self._is_first = self._acts + 1, True
        with self:
            try:
                return step()
            except Death:
                return self._go_on()  # does not return: this is the child

    def assert_none_ended_badly(self):
        assert self.lived, "nothing was ever called"
        told = "\n\n".join(self._failures[:3])
        assert not self._failures, f"{len(self._failures)} of {self.lived} deaths ended badly:\n\n{told}"

    def _before(self, model, **_):
        self.calls[model.service_model.service_name, model.name] += 1
        if self._is_first:
            self._is_first = False
            self._die_if_new(model, "before")

    def _after(self, model, **_):
        if not model.name.startswith(READS):
            self._die_if_new(model, "after")

    def _die_if_new(self, model, when):
        left = hashlib.sha256(repr((self._acts, self._left_behind())).encode()).digest()
        if left not in self._seen:
            self._seen.add(left)
            self.lived += 1
            if failure := self._fork():
                self._failures.append(
                    f"death {when} call {self.calls.total()}, {model.name}, in act {self._acts}:\n{failure}"
                )

    def _fork(self):
        reader, writer = os.pipe()
        if child := os.fork():
            os.close(writer)
            with os.fdopen(reader, "rb") as told:
                said = told.read()
            os.waitpid(child, 0)
            return pickle.loads(said) if said else "nothing more was heard"
        signal.setitimer(signal.ITIMER_REAL, 0)  # the parent's
        os.close(reader)
        self._told = writer
        self.__exit__()
        raise Death

    def _go_on(self):
        failure = ""
        try:
            self._then()
        except BaseException:
            failure = traceback.format_exc()
        with contextlib.suppress(BaseException), os.fdopen(self._told, "wb") as told:
            pickle.dump(failure, told)
        os._exit(0)
