from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain import lifecycle
from hubless.domain.lifecycle import MAX_START_STEPS, Deadlines, StartStep, State
from hubless.domain.start_steps import launched_at, shown_steps
from tests.support.builders import NOW, a_server

DEADLINES = Deadlines()
WAITING, LAUNCHING, JUPYTER, OPENING = (
    "Waiting for a free slot",
    "Launching the server",
    "Waiting for Jupyter to answer",
    "Opening the way to the server",
)


def at(seconds):
    return NOW + timedelta(seconds=seconds)


def requested(server=None, *, seconds=0):
    return lifecycle.requested(
        server or a_server(), launch_id="l1", profile="p", user_options={}, now=at(seconds), deadlines=DEADLINES
    )


def launched(seconds=3):
    return lifecycle.launched(requested(), task="t", now=at(seconds), deadlines=DEADLINES)


def starting(seconds=10):
    return lifecycle.addressed(launched(), address="1.1.1.1:1", now=at(seconds), deadlines=DEADLINES)


def told(server):
    return [
        (step.sentence, None if step.took is None else step.took.total_seconds(), step.is_now)
        for step in shown_steps(server)
    ]


def test_a_start_that_waits_has_all_steps_before_it():
    assert told(requested()) == [
        (WAITING, None, True),
        (LAUNCHING, None, False),
        (JUPYTER, None, False),
        (OPENING, None, False),
    ]


def test_steps_that_are_over_have_their_times():
    assert told(starting()) == [
        (WAITING, 3.0, False),
        (LAUNCHING, 7.0, False),
        (JUPYTER, None, True),
        (OPENING, None, False),
    ]
    assert launched_at(starting()) == at(3)


def test_a_server_that_has_reported_waits_for_its_route():
    server = replace(starting(), last_activity_at=at(14))
    assert told(server)[2:] == [(JUPYTER, 4.0, False), (OPENING, None, True)]
    assert lifecycle.progress(server) == (80, OPENING)
    early = replace(starting(), last_activity_at=at(5))  # before the address of its task came
    assert told(early)[2:] == [(JUPYTER, 0.0, False), (OPENING, None, True)]


def test_a_report_of_an_earlier_launch_is_none_of_this_one():
    server = replace(starting(), last_activity_at=at(-5))
    assert told(server)[2:] == [(JUPYTER, None, True), (OPENING, None, False)]


def test_a_launch_that_was_prepared_waits_twice():
    server = lifecycle.unprepared(requested(), now=at(1), deadlines=DEADLINES)
    assert told(server)[:2] == [(WAITING, 1.0, False), ("Waiting for the server to be set up", None, True)]
    server = lifecycle.prepared(server, now=at(31), deadlines=DEADLINES)
    assert [step[1] for step in told(server)[:3]] == [1.0, 30.0, None]


def test_a_clock_that_was_set_back_makes_no_step_negative():
    assert told(launched(seconds=-9))[0] == (WAITING, 0.0, False)


def test_a_record_of_an_older_function_shows_its_present_state():
    server = replace(starting(), start_steps=())
    assert told(server) == [(JUPYTER, None, True), (OPENING, None, False)]
    assert shown_steps(server)[0].began_at == server.entered_at
    assert launched_at(server) is None


def test_a_new_start_forgets_the_steps_of_the_last_one():
    ready = lifecycle.answered(starting(), now=at(20), deadlines=DEADLINES)
    assert [step.state for step in ready.start_steps] == ["requested", "launching", "starting", "ready"]
    stopping = lifecycle.stopping(ready, now=at(30), deadlines=DEADLINES)
    assert stopping.start_steps == ready.start_steps
    stopped = lifecycle.ended(stopping, now=at(31), deadlines=DEADLINES)
    assert requested(stopped, seconds=40).start_steps == (StartStep(State.REQUESTED, at(40)),)


def test_a_launch_that_is_prepared_again_and_again_keeps_few_steps():
    server = requested()
    for _ in range(MAX_START_STEPS):
        server = lifecycle.unprepared(server, now=at(1), deadlines=DEADLINES)
        server = lifecycle.prepared(server, now=at(2), deadlines=DEADLINES)
    assert len(server.start_steps) == MAX_START_STEPS
    assert sum(step.is_now for step in shown_steps(server)) == 1


@pytest.mark.parametrize("state", [State.STOPPED, State.READY, State.STOPPING, State.FAILED])
def test_a_server_that_does_not_start_has_no_steps(state):
    assert shown_steps(a_server(state=state)) == []
