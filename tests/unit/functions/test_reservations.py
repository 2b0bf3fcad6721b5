"""Reserved concurrency: what is reserved of an account, and by which calls."""

import sys
from types import SimpleNamespace

import boto3
import pytest
from botocore.stub import Stubber

from infra.reservations import handler
from infra.reservations.handler import UNRESERVED, reserve, shares
from tests.doubles.lambda_concurrency import Concurrency, RefusedError

NAMES = {"reaper": "r", "spawn": "s", "stream": "t"}


@pytest.mark.parametrize(
    ("limit", "streams", "reserved"),
    [
        (1_000, 0, {"r": 2, "s": 50, "t": 200}),
        (1_000, 500, {"r": 2, "s": 50, "t": 500}),
        (1_000, 950, {"r": 2, "s": 50, "t": 848}),
        (5_000, 0, {"r": 2, "s": 50, "t": 1_000}),
        (200, 0, {"r": 2, "s": 50, "t": 40}),
        (160, 0, {"r": 2, "s": 50, "t": 8}),
        (152, 0, {"r": 2, "s": 50}),
        (151, 0, {}),
        (100, 0, {}),
        (50, 0, {}),
        (10, 0, {}),
        (10, 50, {}),
    ],
)
def test_reservations_are_in_proportion_and_aws_takes_them(limit, streams, reserved):
    account = Concurrency(limit)

    reserve(account, NAMES, streams)

    assert account.reserved == reserved
    assert account.unreserved >= min(UNRESERVED, limit)


def test_what_others_have_reserved_is_left_to_them():
    account = Concurrency(1_000, elsewhere=800)

    reserve(account, NAMES, 0)

    assert account.reserved == {"r": 2, "s": 50, "t": 48}


@pytest.mark.parametrize(("before", "after"), [(0, 500), (500, 0), (848, 100), (100, 848)])
def test_a_later_deployment_reserves_anew(before, after):
    account = Concurrency(1_000)
    reserve(account, NAMES, before)

    assert reserve(account, NAMES, after)["stream"] == account.reserved["t"] == (after or 200)


def test_a_reservation_ends_where_the_account_has_less_now():
    account = Concurrency(1_000)
    reserve(account, NAMES, 0)
    account.limit, account.reserved = 300, {"r": 2, "s": 50, "t": 10}

    reserve(account, NAMES, 0)
    assert account.reserved == {"r": 2, "s": 50, "t": 60}

    account.limit = 100
    reserve(account, NAMES, 0)
    assert account.reserved == {}


def test_no_function_is_ever_switched_off():
    """With a reservation of 0 a function never runs."""
    assert all(count for limit in range(1, 400) for count in shares(limit, limit - UNRESERVED, 0).values())


def test_the_double_refuses_what_aws_refuses():
    with pytest.raises(RefusedError, match=r"below its minimum value of \[10\]"):
        Concurrency(10).put_function_concurrency(FunctionName="r", ReservedConcurrentExecutions=1)
    with pytest.raises(RefusedError, match=r"below its minimum value of \[100\]"):
        Concurrency(1_000).put_function_concurrency(FunctionName="r", ReservedConcurrentExecutions=901)


# --- as CloudFormation and Lambda have it ---


@pytest.fixture
def answers(monkeypatch):
    """What CloudFormation is told."""
    told = []

    def send(event, context, status, data, physical_id):
        told.append((status, data["Told"], physical_id))

    monkeypatch.setitem(sys.modules, "cfnresponse", SimpleNamespace(SUCCESS="SUCCESS", send=send))
    return told


@pytest.fixture
def aws(monkeypatch):
    """Lambda's client as boto3 has it, with answers of our own: it checks names and types."""
    client = boto3.client("lambda", region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="s")
    monkeypatch.setattr(handler.boto3, "client", lambda service: client)
    with Stubber(client) as stub:
        yield stub


def event(kind):
    return {"RequestType": kind, "ResourceProperties": {"Names": NAMES, "Streams": "0", "Versions": {"spawn": "7"}}}


def test_a_deployment_reserves_and_says_what(aws, answers):
    aws.add_response(
        "get_account_settings",
        {"AccountLimit": {"ConcurrentExecutions": 1_000, "UnreservedConcurrentExecutions": 998}},
    )
    for name, has in (("r", {"ReservedConcurrentExecutions": 2}), ("s", {}), ("t", {})):
        aws.add_response("get_function_concurrency", has, {"FunctionName": name})
    for name, count in (("r", 2), ("s", 50), ("t", 200)):
        asked = {"FunctionName": name, "ReservedConcurrentExecutions": count}
        aws.add_response("put_function_concurrency", {"ReservedConcurrentExecutions": count}, asked)

    handler.handler(event("Create"), None)

    aws.assert_no_pending_responses()
    assert answers == [("SUCCESS", "reaper 2, spawn 50, stream 200", "reservations")]


def test_no_reservation_fails_a_deployment(aws, answers):
    aws.add_client_error("get_account_settings", "AccessDeniedException", "not allowed")

    handler.handler(event("Update"), None)

    ((status, told, _),) = answers
    assert status == "SUCCESS"
    assert "not allowed" in told


def test_a_removed_hub_calls_nothing(aws, answers):
    handler.handler(event("Delete"), None)

    assert [status for status, _, _ in answers] == ["SUCCESS"]
