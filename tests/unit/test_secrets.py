"""The hub's secrets in SSM, through botocore's Stubber."""

import json

import boto3
import pytest
from botocore.stub import Stubber

from hubless.adapters.ssm.parameters import SsmParameters
from hubless.adapters.ssm.secrets import SsmSecrets
from hubless.domain.errors import StoreUnavailableError

SECRETS = {"key": "k" * 40, "CULLER_TOKEN": "a culler's token"}


class Clients:
    def __init__(self):
        session = boto3.Session("AKIDEXAMPLE", "an example")
        self.ssm = session.client("ssm", region_name="eu-central-1")


@pytest.fixture(scope="module")
def clients():
    return Clients()


@pytest.fixture
def asked(clients):
    with Stubber(clients.ssm) as stub:
        yield stub
        stub.assert_no_pending_responses()


def holds(stub, text):
    known = {"Name": "/hub", "ARN": "arn:aws:ssm:eu-central-1:1:parameter/hub", "Value": text}
    stub.add_response("get_parameters", {"Parameters": [known]}, {"Names": ["/hub"], "WithDecryption": True})


def secrets_of(clients):
    return SsmSecrets("/hub", SsmParameters(("/hub",), clients))


def test_the_parameter_is_read_once_and_not_before_it_is_needed(clients, asked):
    secrets = secrets_of(clients)
    holds(asked, json.dumps(SECRETS))

    assert secrets["key"] == "k" * 40
    assert secrets.get("CULLER_TOKEN") == "a culler's token"
    assert "OTHER" not in secrets
    assert sorted(secrets) == sorted(SECRETS)
    assert len(secrets) == 2
    assert "culler" not in repr(secrets)


@pytest.mark.parametrize("text", ["not JSON, but hunter2", '["hunter2"]', '{"key": 1}', "null"])
def test_a_parameter_that_holds_something_else_is_named_and_not_shown(clients, asked, text):
    holds(asked, text)

    with pytest.raises(StoreUnavailableError, match="The parameter /hub must hold a JSON object of texts") as received:
        secrets_of(clients)["key"]
    assert "hunter2" not in str(received.value)
    assert received.value.__cause__ is None


def test_a_parameter_that_cannot_be_read_is_named_with_the_reason(clients, asked):
    asked.add_client_error("get_parameters", "AccessDeniedException")

    with pytest.raises(StoreUnavailableError, match="Cannot read the parameters /hub from SSM: AccessDeniedException"):
        secrets_of(clients)["key"]


def test_a_parameter_that_is_not_there_is_named(clients, asked):
    asked.add_response("get_parameters", {"Parameters": [], "InvalidParameters": ["/hub"]})

    with pytest.raises(StoreUnavailableError, match="SSM has no parameter /hub"):
        secrets_of(clients)["key"]


def test_a_parameter_that_was_missing_is_asked_for_again(clients, asked):
    parameters = SsmParameters(("/hub", "/front"), clients)
    there = {"Name": "/hub", "Value": "one"}
    asked.add_response("get_parameters", {"Parameters": [there], "InvalidParameters": ["/front"]})
    asked.add_response("get_parameters", {"Parameters": [there, {"Name": "/front", "Value": "two"}]})

    with pytest.raises(StoreUnavailableError, match="SSM has no parameter /front"):
        parameters.text("/front")
    assert (parameters.text("/front"), parameters.text("/hub")) == ("two", "one")


@pytest.mark.parametrize("name", ["/hub", "/hub:3", "arn:aws:ssm:eu-central-1:1:parameter/hub"])
def test_all_parameters_are_read_in_one_call_by_whatever_they_are_called(clients, asked, name):
    other = "/aws/reference/secretsmanager/front"
    known = {"Name": "/hub", "ARN": "arn:aws:ssm:eu-central-1:1:parameter/hub", "Selector": ":3", "Value": "one"}
    reference = {"Name": other, "Value": "two"}
    asked.add_response(
        "get_parameters", {"Parameters": [reference, known]}, {"Names": [name, other], "WithDecryption": True}
    )

    parameters = SsmParameters((name, other), clients)

    assert (parameters.text(name), parameters.text(other)) == ("one", "two")
    assert "one" not in repr(parameters)
