"""The edge's machine and its desired state: the same promises in each adapter."""

from datetime import timedelta
from types import SimpleNamespace

import boto3
import pytest

from hubless.adapters.always_on_edge import AlwaysOnEdge
from hubless.adapters.aws import Clients
from hubless.adapters.ec2.machine import Ec2Machine
from hubless.domain.edges import INITIAL_STATE, DesiredEdgeState, EdgePower
from hubless.domain.errors import (
    EdgeCapacityError,
    EdgeUnavailableError,
    RetryLaterError,
    StoreConflictError,
)
from tests.doubles.ec2 import INSTANCE, Ec2, serve
from tests.support.builders import NOW
from tests.support.concurrency import MANY, concurrently
from tests.support.fakes import SleepyMachine, StoppedClock

UP, ASLEEP = (
    DesiredEdgeState(EdgePower.RUNNING, NOW),
    DesiredEdgeState(EdgePower.STOPPED, NOW + timedelta(microseconds=1)),
)


@pytest.fixture(scope="module")
def ec2():
    """EC2, and the clients that ask it: making one takes a third of a second."""
    double = Ec2()
    with serve(double) as url:
        session = boto3.Session("test", "test")
        yield double, Clients("eu-central-1", session, endpoint_url=url, attempts=1)


@pytest.fixture(params=["fake", "ec2"])
def place(request):
    """A machine that runs, and a way to let it arrive where it is on its way to."""
    if request.param == "fake":
        clock = StoppedClock(NOW)
        machine = SleepyMachine(SimpleNamespace(forget_edge=lambda _: None), clock)
        return machine, lambda: clock.advance(timedelta(minutes=1))
    double, clients = request.getfixturevalue("ec2")
    double.state, double.refuses = "running", None
    return Ec2Machine(INSTANCE, clients), double.arrive


# --- the machine ---


def test_a_machine_starts_and_stops_and_says_whether_it_did(place):
    machine, arrive = place
    assert machine.can_stop
    assert machine.start() is False
    assert [machine.stop(), machine.stop()] == [True, False]
    arrive()
    assert machine.stop() is False
    assert [machine.start(), machine.start()] == [True, False]
    arrive()
    assert [machine.start(), machine.stop()] == [False, True]


def test_a_starting_or_stopping_machine_is_retried_later(place):
    machine, arrive = place
    machine.stop()
    with pytest.raises(RetryLaterError):
        machine.start()
    arrive()
    machine.start()
    with pytest.raises(RetryLaterError):
        machine.stop()
    arrive()
    assert machine.stop() is True


@pytest.mark.parametrize(
    "code",
    [
        "RequestLimitExceeded",
        "Unavailable",
        "InternalError",
        "ServiceUnavailable",
    ],
)
def test_a_temporary_refusal_of_ec2_is_retried_later(ec2, code):
    double, clients = ec2
    double.refuses = code
    for call in (Ec2Machine(INSTANCE, clients).start, Ec2Machine(INSTANCE, clients).stop):
        with pytest.raises(RetryLaterError, match=f"{INSTANCE} now .{code}."):
            call()


@pytest.mark.parametrize("code", ["InsufficientInstanceCapacity", "InsufficientHostCapacity"])
def test_missing_capacity_is_reported_with_what_to_do(ec2, code):
    double, clients = ec2
    double.refuses = code
    with pytest.raises(EdgeCapacityError, match=f"no capacity for the instance {INSTANCE} .{code}.*another zone"):
        Ec2Machine(INSTANCE, clients).start()


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("UnauthorizedOperation", "grant it access to the instance"),
        ("InvalidInstanceID.Malformed", "HUBLESS_ECONOMY_INSTANCE"),
        ("UnsupportedOperation", ""),
    ],
)
def test_a_permanent_refusal_is_reported_with_what_to_do(ec2, code, remedy):
    double, clients = ec2
    double.refuses = code
    with pytest.raises(EdgeUnavailableError, match=rf"{code}.*{remedy}"):
        Ec2Machine(INSTANCE, clients).start()


def test_a_missing_instance_is_named(ec2):
    double, clients = ec2
    double.refuses = None
    with pytest.raises(EdgeUnavailableError, match="i-0gone"):
        Ec2Machine("i-0gone", clients).start()


def test_an_unreachable_ec2_is_retried_later():
    machine = Ec2Machine(INSTANCE, SimpleNamespace(ec2=_Unreachable()))
    with pytest.raises(RetryLaterError, match="Cannot reach"):
        machine.stop()


class _Unreachable:
    def stop_instances(self, **_):
        from botocore.exceptions import EndpointConnectionError

        raise EndpointConnectionError(endpoint_url="https://ec2")


def test_an_always_on_edge_does_nothing():
    never = AlwaysOnEdge()
    assert (never.can_stop, never.start(), never.stop()) == (False, False, False)


# --- desired state ---


def test_the_desired_state_is_running_at_first(stores):
    assert stores.desired_edge_state.read() == INITIAL_STATE


def test_the_desired_state_is_the_last_written_one(stores):
    for before, after in ((INITIAL_STATE, UP), (UP, ASLEEP), (ASLEEP, UP)):
        stores.desired_edge_state.write(before, after)
        assert stores.desired_edge_state.read() == after


@pytest.mark.parametrize("there", [INITIAL_STATE, UP])
@pytest.mark.parametrize(
    "before",
    [
        INITIAL_STATE,
        UP,
        DesiredEdgeState(EdgePower.IDLE, NOW),
        DesiredEdgeState(EdgePower.RUNNING, NOW + timedelta(microseconds=1)),
    ],
)
def test_a_write_after_another_is_a_conflict(stores, there, before):
    if there != INITIAL_STATE:
        stores.desired_edge_state.write(INITIAL_STATE, there)
    if before == there:
        return
    with pytest.raises(StoreConflictError):
        stores.desired_edge_state.write(before, ASLEEP)
    assert stores.desired_edge_state.read() == there


def test_of_eight_concurrent_writes_one_succeeds(stores):
    def act(number):
        try:
            stores.desired_edge_state.write(
                INITIAL_STATE, DesiredEdgeState(EdgePower.RUNNING, NOW + timedelta(seconds=number))
            )
        except StoreConflictError:
            return False
        return True

    assert sorted(concurrently(act)) == [False] * (MANY - 1) + [True]
