"""Random histories of a hub in the cloud: whatever comes, in whatever order, nothing has a bad end.

They run over the functions' own handlers, DynamoDB and SQS in moto, and ECS's double with its limits, its
latency and its lists that lag. What may happen besides what users do: messages are lost, doubled and late, and so are
events, by minutes and in any order; tasks die at any moment; AWS throttles, has no capacity, does something and loses
its answer; functions die before or after any call to AWS, or another one is faster at any of them; their clocks
differ by seconds. When it is over, all that is allowed to help are two sweeps.
"""

import os
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from hypothesis import given, note, settings
from hypothesis import strategies as st

from functions.reaper import sweep as reaper
from hubless.adapters.ecs.config import Capacity
from hubless.domain.errors import HublessError
from hubless.domain.lifecycle import ACTIVE, State
from tests.support.cloud_hub import SCHEDULED, CloudHub
from tests.support.crash_points import AwsCallHooks, Crash
from tests.support.dynamodb import Contents
from tests.support.ecs import HOMES

NAMES = ("", "lab")
SERVICES = {"ecs": "ECS", "s3": "S3", "sqs": "SQS", "dynamodb": "DynamoDB", "efs": "EFS"}
THROTTLED = (
    "RunTask",
    "ListTasks",
    "DescribeTasks",
    "StopTask",
    "ListObjectsV2",
    "PutObject",
    "DeleteObject",
    "RegisterTaskDefinition",
)
LAGS = ((0, 0), (4, 3), (30, 20), (60, 45))  # seconds until ECS's lists and descriptions know of a task
HOMES_AND_SPOT = {"homes": HOMES, "capacity": Capacity.SPOT_OR_FARGATE}


class Fate(AwsCallHooks):
    """Has something happen before or after one of the next calls to AWS: to any service, by whichever function."""

    def __init__(self, clients):
        self.forget()
        super().__init__(clients)

    def forget(self):
        self._left, self._after_it, self._blow = None, False, None

    def is_to_come(self, *, calls, after, blow):
        self._left, self._after_it, self._blow = calls, after, blow

    def _before(self, model, **_):
        if self._left is not None:
            self._left -= 1
            if self._left <= 0 and not self._after_it:
                self._strike(model)

    def _after(self, model, **_):
        if self._left is not None and self._left <= 0:
            self._strike(model)

    def _strike(self, model):
        blow = self._blow
        self.forget()
        blow(model)


class History(CloudHub):
    def __init__(self, places, steps=()):
        lag, describe_lag = LAGS[len(steps) % len(LAGS)]
        super().__init__(*places, lag=lag, describe_lag=describe_lag, **HOMES_AND_SPOT)
        self.fate, self.events, self.exits = Fate(self.aws()), [], {}

    def live(self, steps):
        for step, number in steps:
            self.live_through(step, number)

    def live_through(self, step, number):
        try:
            STEPS[step](self, number)
        except Crash:
            self.forget()
        except HublessError:
            pass  # callers get the error or retry; schedules and events have no caller

    # --- what users do ---

    def start(self, number):
        self.spawning.start(self.alice, NAMES[number % 2])

    def stop(self, number):
        server = self.server(NAMES[number % 2])
        if server is not None and server.state in ACTIVE:
            self.stopping.request_until_done(server)

    # --- what the queue does ---

    def deliver(self, _number):
        self.sqs.show()
        self.handle_next()

    def deliver_again(self, _number):
        """What was done is not deleted: the function's answer came too late."""
        kept, self.sqs.delete = self.sqs.delete, lambda _record: None
        try:
            self.handle_next()
        finally:
            self.sqs.delete = kept

    def lose_message(self, number):
        """The function that wrote the state died before it sent the message."""
        if waiting := self.sqs.messages():
            waiting.pop(number % len(waiting))

    # --- what tasks do, and their events ---

    def task(self, number):
        living = [task for task in self.account.tasks.values() if task["containers"][0]["lastStatus"] != "STOPPED"]
        return living[number % len(living)] if living else None

    def task_dies(self, number):
        if task := self.task(number):
            self.exits.setdefault(self.launch_of(task), set()).add(f"exited with code {100 + number}")
            self.account.die(task["taskArn"], 100 + number)

    def task_fails_to_start(self, number):
        task = self.task(number)
        if task is not None and task["lastStatus"] in {"PROVISIONING", "PENDING"}:
            self.account.fail_to_start(task["taskArn"], f"CannotPullContainerError: {number}")

    def place_is_taken_back(self, number):
        task = self.task(number)
        if task is not None and task["capacityProviderName"] == "FARGATE_SPOT":
            self.account.interrupt(task["taskArn"])

    def launch_of(self, task):
        return self.account.environment_of(task)["HUBLESS_LAUNCH_ID"]

    def news(self):
        self.events += self.account.take_news()
        return self.events

    def tell_one(self, number):
        if news := self.news():
            self.tell(news.pop(number % len(news)))

    def tell_first(self, _number):
        self.tell_one(0)

    def tell_twice(self, number):
        if news := self.news():
            self.tell(news[number % len(news)])

    def lose_event(self, number):
        if news := self.news():
            news.pop(number % len(news))

    def servers_speak(self, _number):
        self.speak()

    # --- what AWS does ---

    def throttle(self, number):
        self.account.refuse(THROTTLED[number % len(THROTTLED)], times=1 + number // 50)

    def capacity(self, number):
        how = (None, "failure", "exception", "RESOURCE:ENI")[number % 4]
        for provider in (("FARGATE_SPOT",), ("FARGATE",), ("FARGATE", "FARGATE_SPOT"))[number // 4 % 3]:
            self.account.full.pop(provider, None)
            if how:
                self.account.full[provider] = how

    def lose_answer(self, number):
        """AWS does what it is asked at one of the next calls, and its answer is lost."""

        def lose(model):
            raise ReadTimeoutError(endpoint_url=model.service_model.service_name)

        self.fate.is_to_come(calls=1 + number % 20, after=True, blow=lose)

    def refuse_once(self, number):
        def refuse(model):
            error = {
                "Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"},
                "ResponseMetadata": {"HTTPStatusCode": 400},
            }
            raise ClientError(error, model.name)

        self.fate.is_to_come(calls=1 + number % 20, after=False, blow=refuse)

    # --- what functions do ---

    def die(self, number):
        """Crash the process that makes one of the next calls, before it or after it."""

        def die(_model):
            raise Crash

        self.fate.is_to_come(calls=1 + number // 2 % 24, after=bool(number % 2), blow=die)

    def meanwhile(self, number):
        """At one of the next calls somebody else takes a step."""
        step = _QUICK[number % len(_QUICK)]
        calls, after = 1 + number // len(_QUICK) % 12, bool(number // 50 % 2)
        self.fate.is_to_come(calls=calls, after=after, blow=lambda _model: self.live_through(step, number))

    def sweep(self, _number):
        self.sweep_once()

    def sweep_a_little(self, _number):
        reaper.handle(self, SCHEDULED, time_left=reaper.RESERVE)

    def edge_looks(self, _number):
        self.edge.look()

    def time_passes(self, number):
        self.clock.advance(timedelta(seconds=number))

    def clock_is_off(self, number):
        self.clock.skew = timedelta(seconds=number % 7 - 3)

    def go_on(self, number):
        """For a while nothing else happens than what is to: histories get somewhere."""
        for step in GOING_WELL:
            self.live_through(step, number)

    # --- the end ---

    def end(self):
        """Let nothing more go wrong; sweep twice."""
        self.fate.forget()
        self.clock.skew = timedelta()
        self.account.full.clear()
        self.account.refusals.clear()
        self.account.take_news()
        for _ in range(2):
            self.work(40)
            self.sweep_once()
            self.work(160)

    def assert_reasons_are_true(self):
        """Check that no launch is said to have died of what befell another."""
        for server in map(self.server, NAMES):
            if server is not None and server.state is State.FAILED and "exited with code 1" in server.failure:
                assert any(why in server.failure for why in self.exits.get(server.launch_id, ())), server.failure


STEPS = {
    step.__name__: step
    for step in (
        History.start,
        History.stop,
        History.deliver,
        History.deliver_again,
        History.lose_message,
        History.task_dies,
        History.task_fails_to_start,
        History.place_is_taken_back,
        History.tell_one,
        History.tell_first,
        History.tell_twice,
        History.lose_event,
        History.servers_speak,
        History.throttle,
        History.capacity,
        History.lose_answer,
        History.refuse_once,
        History.die,
        History.meanwhile,
        History.sweep,
        History.sweep_a_little,
        History.edge_looks,
        History.time_passes,
        History.clock_is_off,
        History.go_on,
    )
}
GOING_WELL = ("deliver", "time_passes", *["tell_first"] * 5, "servers_speak", "deliver", "edge_looks", "deliver")
_QUICK = ("start", "stop", "deliver", "tell_one", "servers_speak", "sweep", "task_dies", "sweep_a_little")
# What goes well is drawn more often, so that histories get somewhere.
_USUAL = (
    "start",
    "stop",
    "deliver",
    "deliver",
    "time_passes",
    "tell_one",
    "servers_speak",
    "edge_looks",
    "go_on",
    "go_on",
    "go_on",
)
_DRAWN = (*(step for step in STEPS if step != "tell_first"), *_USUAL)


def steps_from_bytes(drawn):
    """Return the steps of a history, each from two bytes."""
    return [(_DRAWN[step % len(_DRAWN)], number % 100) for step, number in zip(drawn[::2], drawn[1::2], strict=False)]


# Each takes as long as a hundred on SQLite with scripted tasks (tests/integration/test_histories.py).
NUMBER = max(1, int(os.environ.get("HISTORIES", "3000")) // 75)


@pytest.fixture(scope="module")
def clean(amazon):
    """Return the places of a hub, emptied at each call."""
    stores, sqs = amazon

    def emptied():
        Contents().clear()
        sqs.clear()
        return stores, sqs

    return emptied


@pytest.mark.timeout(max(300, 10 * NUMBER))
@given(steps=st.binary(min_size=24, max_size=120).map(steps_from_bytes))
@settings(max_examples=NUMBER, deadline=None, derandomize=True, database=None)
def test_no_history_in_the_cloud_has_a_bad_end(clean, steps):
    note(str(steps))
    history = History(clean(), steps)
    with history.fate:
        history.live(steps)
        history.end()
        history.assert_settled()
        history.assert_reasons_are_true()


def test_a_history_in_which_nothing_goes_wrong_gets_somewhere(clean):
    history = History(clean())
    history.start(94)
    history.go_on(94)
    assert history.server().state is State.READY
    assert history.account.count()["DescribeTasks"] == 0
