"""Random histories of a hub whose launches get spares: as in `test_histories.py`, with tasks that wait and ask."""

import os
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from hubless.domain.errors import CapacityUnavailableError, NotFoundError, StoreConflictError
from hubless.domain.lifecycle import ACTIVE, PENDING
from hubless.domain.profiles import Profile
from hubless.domain.spares import PAUSE_AFTER_FAILURE, Warmth
from hubless.ports.launcher import TaskEvent, TaskStopped
from tests.integration.test_histories import STEPS, History, forget_all
from tests.support.fakes import SparesInMemory
from tests.support.sqlite import InMemory

OFFERS = (Profile("lab", warmth=Warmth(1)), Profile("lab", warmth=Warmth(2)), Profile("lab", image="r:2"))
HISTORIES = int(os.environ.get("HISTORIES", "3000")) // 100


class Warm(History):
    def __init__(self, database=None):
        super().__init__(database, profiles=OFFERS[:1], spare_store=SparesInMemory)
        self.became = {}  # the launch that each spare's task has become the server of

    def event_of(self, task, status):
        spare_id, slash, _ = task.partition("/")
        return TaskEvent(task, "", spare_id, status) if slash else super().event_of(task, status)

    def launch_of(self, task):
        return self.became.get(task.partition("/")[0], task)

    def ask(self, number):
        """A task that waits asks for its launch, also one that has asked before and got no answer."""
        waiting = [task for task in self.running_tasks() if "/" in task and task.partition("/")[0] not in self.became]
        if waiting:
            spare_id = waiting[number % len(waiting)].partition("/")[0]
            with suppress(NotFoundError):
                environment = self.spare_questions.answer(spare_id)
                if environment is not None and number % 3:  # else the answer is lost
                    self.became[spare_id] = environment["LAUNCH"]

    def change_settings(self, number):
        offered = {"lab": OFFERS[number % len(OFFERS)]}
        self.spare_keeping = replace(self.spare_keeping, profiles=offered)
        self.launching = replace(self.launching, profiles=offered)
        self.reaping = replace(self.reaping, profiles=offered, spares=self.spare_keeping, launching=self.launching)

    def claim_somewhere(self, number):
        """Let things go well until a spare waits, and deliver a message then."""
        for step in ("sweeps", "task_runs", "ask", "start", "deliver_one"):
            self.live_through(step, number)

    def work(self):
        for turn in range(6):
            for number in range(len(self.running_tasks())):
                with suppress(CapacityUnavailableError, StoreConflictError):
                    self.ask(3 * number + turn)
            super().work()

    def end(self):
        super().end()
        self.clock.advance(PAUSE_AFTER_FAILURE)
        for _ in range(4):
            self.reaping.sweep()
            self.work()
            self.clock.advance(timedelta(minutes=2))
            self.edge.look()

    def assert_settled(self):
        active, spares = self.servers.in_states(ACTIVE), self.spares.store.all()
        launches = {server.launch_id for server in active}
        free = [spare for spare in spares if spare.is_free]
        assert not self.servers.in_states(PENDING)
        assert {task.task for task in self.launcher.tasks()} == {s.task for s in active} | {s.task for s in free}
        assert {claim.launch_id for claim in self.spares.store.claims.values()} <= launches
        assert len(free) == self.spare_keeping.profiles["lab"].warmth.count
        assert all(spare.can_be_claimed for spare in free)
        assert len(set(self.became.values())) == len(self.became), "a launch ran in two spares"
        assert {route.launch_id for route in self.routes.all()} == launches
        assert len(set(self.launches())) == len(self.launches())

    def assert_reasons_are_true(self):
        """Check that no launch is said to have died of what befell another's task."""
        own = {self.launch_of(task): why for task, why in self.exits.items()}
        for server in self.servers.of_owners([self.alice.id]):
            if server.failure and "exited" in server.failure and server.launch_id in own:
                assert server.failure == f"The server {own[server.launch_id]}"


Warm.STEPS = STEPS | {step.__name__: step for step in (Warm.ask, Warm.change_settings, Warm.claim_somewhere)}
DRAWN = (*Warm.STEPS, *["claim_somewhere", "ask", "task_runs", "speak", "sweeps", "deliver_one"] * 3)


def steps_from_bytes(drawn):
    return [(DRAWN[step % len(DRAWN)], number % 100) for step, number in zip(drawn[::2], drawn[1::2], strict=False)]


@pytest.fixture(scope="module")
def database():
    """One for all histories, as there."""
    return InMemory()


@given(steps=st.binary(min_size=24, max_size=100).map(steps_from_bytes))
@settings(max_examples=HISTORIES, deadline=None, derandomize=True, database=None)
def test_no_history_with_spares_has_a_bad_end(database, steps):
    note(str(steps))
    history = Warm(database)
    try:
        history.live(steps)
        history.end()
        history.assert_settled()
        history.assert_reasons_are_true()
    finally:
        forget_all(database)


def test_a_history_in_which_nothing_goes_wrong_claims_a_spare():
    history = Warm()
    history.live([("claim_somewhere", 2), ("ask", 1), ("speak", 0), ("edge_looks", 0), ("deliver_one", 0)])
    history.live([("edge_looks", 0), ("deliver_one", 0)])
    (server,) = history.servers.in_states(ACTIVE)
    assert (server.state, history.became) == ("ready", {server.task.partition("/")[0]: server.launch_id})
    assert not isinstance(history.launcher.describe(server.task), TaskStopped)
