"""The machine of an edge that sleeps, and what is wanted of it: the same promises in each adapter."""

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


def test_a_machine_goes_down_and_comes_up_and_says_whether_it_had_to(place):
    machine, arrive = place
    assert machine.can_stop
    assert machine.start() is False
    assert [machine.stop(), machine.stop()] == [True, False]
    arrive()
    assert machine.stop() is False
    assert [machine.start(), machine.start()] == [True, False]
    arrive()
    assert [machine.start(), machine.stop()] == [False, True]


def test_what_is_on_its_way_is_asked_to_turn_round_later(place):
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
def test_what_ec2_refuses_for_now_is_asked_for_later(ec2, code):
    double, clients = ec2
    double.refuses = code
    for call in (Ec2Machine(INSTANCE, clients).start, Ec2Machine(INSTANCE, clients).stop):
        with pytest.raises(RetryLaterError, match=f"{INSTANCE} now .{code}."):
            call()


@pytest.mark.parametrize("code", ["InsufficientInstanceCapacity", "InsufficientHostCapacity"])
def test_an_ec2_without_room_is_told_of_with_what_to_do(ec2, code):
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
def test_what_ec2_refuses_for_good_is_told_with_what_to_do(ec2, code, remedy):
    double, clients = ec2
    double.refuses = code
    with pytest.raises(EdgeUnavailableError, match=rf"{code}.*{remedy}"):
        Ec2Machine(INSTANCE, clients).start()


def test_an_instance_that_is_not_there_is_named(ec2):
    double, clients = ec2
    double.refuses = None
    with pytest.raises(EdgeUnavailableError, match="i-0gone"):
        Ec2Machine("i-0gone", clients).start()


def test_an_ec2_that_cannot_be_reached_is_asked_later():
    machine = Ec2Machine(INSTANCE, SimpleNamespace(ec2=_Unreachable()))
    with pytest.raises(RetryLaterError, match="Cannot reach"):
        machine.stop()


class _Unreachable:
    def stop_instances(self, **_):
        from botocore.exceptions import EndpointConnectionError

        raise EndpointConnectionError(endpoint_url="https://ec2")


def test_an_edge_that_never_sleeps_does_nothing():
    never = AlwaysOnEdge()
    assert (never.can_stop, never.start(), never.stop()) == (False, False, False)


# --- what is wanted ---


def test_before_anybody_wished_anything_it_is_wanted_up(stores):
    assert stores.desired_edge_state.read() == INITIAL_STATE


def test_a_wish_is_the_one_that_was_written_last(stores):
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
def test_who_wishes_after_another_changes_nothing(stores, there, before):
    if there != INITIAL_STATE:
        stores.desired_edge_state.write(INITIAL_STATE, there)
    if before == there:
        return
    with pytest.raises(StoreConflictError):
        stores.desired_edge_state.write(before, ASLEEP)
    assert stores.desired_edge_state.read() == there


def test_of_eight_who_wish_at_once_one_is_first(stores):
    def act(number):
        try:
            stores.desired_edge_state.write(
                INITIAL_STATE, DesiredEdgeState(EdgePower.RUNNING, NOW + timedelta(seconds=number))
            )
        except StoreConflictError:
            return False
        return True

    assert sorted(concurrently(act)) == [False] * (MANY - 1) + [True]
