from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from hubless.domain import lifecycle
from hubless.domain.errors import IllegalTransitionError
from hubless.domain.lifecycle import ACTIVE, INACTIVE, TRANSITIONS, Deadlines, Event, Server, State

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
LIMITS = Deadlines()


def a_server(**facts):
    return Server(**{"id": "s1", "owner_id": "u1", "name": "", "created_at": NOW, "entered_at": NOW} | facts)


def started(state):
    """Return a server that went through all states before *state*."""
    server = lifecycle.requested(a_server(), launch_id="l1", profile="p", user_options={}, now=NOW, deadlines=LIMITS)
    steps = {
        State.LAUNCHING: lambda s: lifecycle.launched(s, task="t1", now=NOW, deadlines=LIMITS),
        State.STARTING: lambda s: lifecycle.addressed(s, address="127.0.0.1:9", now=NOW, deadlines=LIMITS),
        State.READY: lambda s: lifecycle.answered(s, now=NOW, deadlines=LIMITS),
    }
    for reached, step in steps.items():
        if server.state is state:
            return server
        server = step(server)
        assert server.state is reached
    return server


@pytest.mark.parametrize(("state", "event"), [*product(State, Event)])
def test_each_state_and_event_is_in_the_table_or_refused(state, event):
    if (state, event) in TRANSITIONS:
        assert lifecycle.after(state, event) is TRANSITIONS[state, event]
        return

    with pytest.raises(IllegalTransitionError) as refused:
        lifecycle.after(state, event)

    assert state.value in str(refused.value)


def test_every_state_is_active_or_inactive_and_none_is_both():
    assert set(State) == ACTIVE | INACTIVE
    assert not ACTIVE & INACTIVE


def test_every_pending_state_has_a_deadline():
    resting = {State.STOPPED, State.FAILED, State.READY}

    assert {s for s in State if LIMITS.of(s, NOW) is None} == resting


@pytest.mark.parametrize("state", [State.REQUESTED, State.LAUNCHING, State.STARTING, State.READY])
def test_every_active_state_can_stop(state):
    out = lifecycle.stopping(started(state), now=NOW, deadlines=LIMITS)

    assert lifecycle.ended(out, now=NOW, deadlines=LIMITS).state is State.STOPPED


def test_a_failure_ends_in_failed_and_keeps_reason_and_log():
    out = lifecycle.stopping(
        started(State.STARTING), now=NOW, deadlines=LIMITS, failure="exited with code 1", log_tail=("boom",)
    )

    failed = lifecycle.ended(out, now=NOW, deadlines=LIMITS)

    assert (failed.state, failed.failure, failed.log_tail) == (State.FAILED, "exited with code 1", ("boom",))
    assert failed.task is None


def test_a_new_launch_starts_without_data_of_the_last_one():
    out = lifecycle.stopping(started(State.READY), now=NOW, deadlines=LIMITS, failure="it died", log_tail=("x",))
    failed = lifecycle.ended(out, now=NOW, deadlines=LIMITS)

    again = lifecycle.requested(failed, launch_id="l2", profile="p", user_options={}, now=NOW, deadlines=LIMITS)

    assert (again.launch_id, again.failure, again.log_tail, again.started_at) == ("l2", None, (), None)


def test_every_transition_increments_the_revision():
    revisions = [started(s).revision for s in (State.REQUESTED, State.LAUNCHING, State.STARTING, State.READY)]

    assert revisions == [1, 2, 3, 4]


def test_a_server_is_overdue_at_its_deadline_and_not_before():
    server = started(State.STARTING)

    assert not lifecycle.is_overdue(server, NOW + LIMITS.starting - timedelta(microseconds=1))
    assert lifecycle.is_overdue(server, NOW + LIMITS.starting)
