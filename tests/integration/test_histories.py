"""Random histories of a hub without a process: whatever comes, in whatever order, nothing has a bad end.

A history is a list of steps: what users ask, what the queue hands out (late, twice, in any order, never), what
becomes of tasks and their events (late, twice, in any order, never), crashes of the hub's functions before or
after any call, clocks that differ by seconds, launchers that refuse. When it is over, all that is allowed to help are
two sweeps.
"""

import os
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from hubless.adapters.activity_readiness import ActivityReadiness
from hubless.domain.errors import (
    CapacityUnavailableError,
    HublessError,
    LaunchFailedError,
)
from hubless.domain.lifecycle import ACTIVE
from hubless.domain.tokens import launch_secret, sha256
from hubless.ports.launcher import TaskEvent, TaskPending, TaskRunning, TaskStopped
from tests.support.sqlite import InMemory, stores_of
from tests.support.world import World

NAMES = ("", "lab")


class Crash(BaseException):
    """A function dies: nothing within it catches this."""


class Fate:
    """Counts calls of ports and has something happen at one of them: the caller dies, or another function is faster."""

    def __init__(self):
        self.forget()

    def forget(self):
        self.calls_left, self.after, self.blow = None, False, None

    def is_to_come(self, *, calls, after, blow):
        self.calls_left, self.after, self.blow = calls, after, blow

    def around(self, port):
        return Mortal(port, self)

    def comes(self, *, after):
        if self.calls_left is None:
            return
        if not after:
            self.calls_left -= 1
        if self.calls_left <= 0 and after == self.after:
            blow = self.blow
            self.forget()
            blow()


class Mortal:
    """A port at each of whose calls fate may come, before or after it."""

    def __init__(self, port, fate):
        self.__dict__.update(port=port, fate=fate)

    def __getattr__(self, name):
        part = getattr(self.port, name)
        if not callable(part):
            return part

        def call(*args, **kwargs):
            self.fate.comes(after=False)
            result = part(*args, **kwargs)
            self.fate.comes(after=True)
            return result

        return call

    def __setattr__(self, name, value):
        setattr(self.port, name, value)


class History(World):
    def __init__(self, database=None, **others):
        self.fate = Fate()
        stores = database and stores_of(database)
        super().__init__(readiness=ActivityReadiness(), around=self.fate.around, stores=stores, **others)
        self.launcher.begins_as = TaskPending()
        self.events, self.exits = [], {}
        self.edge.look()

    def live(self, steps):
        for step, number in steps:
            self.live_through(step, number)

    def live_through(self, step, number):
        with suppress(Crash, HublessError):  # callers get the error, or retry
            self.STEPS[step](self, number)

    # --- what may happen ---

    def start(self, number):
        self.spawning.start(self.alice, NAMES[number % 2])

    def stop(self, number):
        server = self.server(NAMES[number % 2])
        if server is not None and server.state in ACTIVE:
            self.stopping.request_until_done(server)

    def deliver_one(self, number):
        """Deliver any one message; after a crash it is delivered again."""
        if self.queue.sent:
            message = self.queue.sent[number % len(self.queue.sent)]
            self.launching.on_message(message)
            if message in self.queue.sent:  # another function may have been handed it too
                self.queue.sent.remove(message)

    def double_message(self, number):
        if self.queue.sent:
            self.queue.sent.append(self.queue.sent[number % len(self.queue.sent)])

    def lose_message(self, number):
        """The function that wrote the state died before it sent the message."""
        if self.queue.sent:
            self.queue.sent.pop(number % len(self.queue.sent))

    def task(self, number):
        """Return any task that is not gone."""
        living = [task for task, status in self.launcher.status.items() if not isinstance(status, TaskStopped)]
        return living[number % len(living)] if living else None

    def task_runs(self, number):
        if task := self.task(number):
            self.becomes(task, TaskRunning(f"10.0.0.{len(self.launcher.status)}:8888"))

    def task_dies(self, number):
        if task := self.task(number):
            self.exits[task] = f"exited with code {len(self.exits)}"
            self.becomes(task, TaskStopped(self.exits[task]))

    def becomes(self, task, status):
        self.launcher.status[task] = status
        self.events.append(self.event_of(task, status))

    def event_of(self, task, status):
        (launch,) = (launch for launch in self.launcher.started if launch.launch_id == task)
        return TaskEvent(task, launch.server_id, task, status)

    def tell(self, number):
        if self.events:
            self.launching.on_task_event(self.events.pop(number % len(self.events)))

    def tell_twice(self, number):
        if self.events:
            self.launching.on_task_event(self.events[number % len(self.events)])

    def lose_event(self, number):
        if self.events:
            self.events.pop(number % len(self.events))

    def speak(self, number):
        """A server that runs reports itself, as long as its token is good."""
        if running := self.running_tasks():
            launch_id = self.launch_of(running[number % len(running)])
            token = self.tokens.find(sha256(launch_secret(b"k" * 32, launch_id)))
            server = token and self.servers.get(token.server_id)
            if server:
                self.activity.report(self.alice, None, {server.name: self.clock.now()}, by_server=server.id)

    def launch_of(self, task):
        """Return the launch whose token the task has."""
        return task

    def running_tasks(self):
        return [task for task, status in self.launcher.status.items() if isinstance(status, TaskRunning)]

    def refuse(self, number):
        self.launcher.refusal = (CapacityUnavailableError("full"), LaunchFailedError("no such image"), None)[number % 3]

    def time_passes(self, number):
        self.clock.advance(timedelta(seconds=number))

    def clock_is_off(self, number):
        self.clock.skew = timedelta(seconds=number % 7 - 3)

    def die_at(self, number):
        """Crash the process that makes one of the next calls, before it or after it."""

        def die():
            raise Crash

        self.fate.is_to_come(calls=1 + number // 2 % 8, after=bool(number % 2), blow=die)

    def meanwhile(self, number):
        """At one of the next calls somebody else takes a step, and then another."""
        first, second = _QUICK[number % len(_QUICK)], ("deliver_one", "sweeps")[number // 48 % 2]
        calls, after = 1 + number // len(_QUICK) % 6, bool(number // 50 % 2)

        def be_faster():
            self.live_through(first, number)
            self.live_through(second, number + 1)

        self.fate.is_to_come(calls=calls, after=after, blow=be_faster)

    def die_delivering(self, number):
        self.die_at(number)
        self.deliver_one(number)

    def deliver_meanwhile(self, number):
        self.meanwhile(number)
        self.deliver_one(number)

    def edge_looks(self, _number):
        self.edge.look()

    def sweeps(self, _number):
        self.reaping.sweep()

    # --- the end ---

    def end(self):
        """Let nothing more go wrong; sweep twice."""
        self.fate.forget()
        self.launcher.refusal, self.clock.skew = None, timedelta()
        for _ in range(2):
            self.clock.advance(timedelta(seconds=30))
            self.edge.look()
            self.reaping.sweep()
            self.work()

    def work(self):
        """Handle messages, and let tasks run and report; deliver no event."""
        for turn in range(6):
            self.deliver_in_time()
            for task, status in self.launcher.status.items():
                if isinstance(status, TaskPending):
                    self.launcher.status[task] = TaskRunning(f"10.0.1.{turn}:8888")
            for number in range(len(self.running_tasks())):
                self.speak(number)
            self.edge.look()
            if not self.queue.sent:
                return  # nobody has anything more to do before the next sweep

    def assert_reasons_are_true(self):
        """Check that no launch is said to have died of what befell another."""
        for server in map(self.server, NAMES):
            if server is not None and server.failure and "exited" in server.failure:
                assert server.failure == f"The server {self.exits[server.launch_id]}"


STEPS = {
    step.__name__: step
    for step in (
        History.start,
        History.stop,
        History.deliver_one,
        History.double_message,
        History.lose_message,
        History.task_runs,
        History.task_dies,
        History.tell,
        History.tell_twice,
        History.lose_event,
        History.speak,
        History.refuse,
        History.time_passes,
        History.clock_is_off,
        History.die_at,
        History.meanwhile,
        History.die_delivering,
        History.deliver_meanwhile,
        History.edge_looks,
        History.sweeps,
    )
}
History.STEPS = STEPS
_QUICK = ("start", "stop", "deliver_one", "tell", "speak", "sweeps", "task_dies", "task_runs")
# What goes well is drawn more often, so that histories get somewhere.
_USUAL = ("start", "stop", "deliver_one", "deliver_one", "task_runs", "tell", "speak", "edge_looks")
_DRAWN = (*STEPS, *_USUAL)


def steps_from_bytes(drawn):
    """Return the steps of a history, each from two bytes: drawing them one by one takes as long as running them."""
    return [(_DRAWN[step % len(_DRAWN)], number % 100) for step, number in zip(drawn[::2], drawn[1::2], strict=False)]


HISTORIES = st.binary(min_size=24, max_size=100).map(steps_from_bytes)


@pytest.fixture(scope="module")
def database():
    """One for all histories: making the tables takes longer than living."""
    return InMemory()


@pytest.mark.timeout(1200)
@given(steps=HISTORIES)
@settings(max_examples=int(os.environ.get("HISTORIES", "3000")), deadline=None, derandomize=True, database=None)
def test_no_history_has_a_bad_end(database, steps):
    note(str(steps))
    history = History(database)
    try:
        history.live(steps)
        history.end()
        history.assert_settled()
        history.assert_reasons_are_true()
    finally:
        forget_all(database)


def forget_all(database):
    """Empty the tables, so that the next history finds nothing."""
    for table in ("users", "clients", "routes", "route_changes", "edges", "usage"):  # the rest goes with the users
        database.write(f"DELETE FROM {table}")


def test_a_history_in_which_nothing_goes_wrong_gets_somewhere():
    history = History()
    history.live([("start", 0), ("deliver_one", 0), ("task_runs", 0), ("tell", 0), ("speak", 0), ("edge_looks", 0)])
    history.live([("deliver_one", 0), ("edge_looks", 0), ("deliver_one", 0)])
    assert history.server().state == "ready"
