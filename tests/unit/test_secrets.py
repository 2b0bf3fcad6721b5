"""The hub's secrets in SSM, through botocore's Stubber."""

import json

import botocore.session
import pytest
from botocore.stub import Stubber

from hubless.adapters.ssm.secrets import SsmSecrets
from hubless.domain.errors import StoreUnavailableError

SECRETS = {"key": "k" * 40, "CULLER_TOKEN": "a culler's token"}


class Clients:
    def __init__(self):
        session = botocore.session.Session()
        session.set_credentials("AKIDEXAMPLE", "an example")
        self.ssm = session.create_client("ssm", region_name="eu-central-1")


@pytest.fixture(scope="module")
def clients():
    return Clients()


@pytest.fixture
def asked(clients):
    with Stubber(clients.ssm) as stub:
        yield stub
        stub.assert_no_pending_responses()


def holds(stub, text):
    stub.add_response("get_parameter", {"Parameter": {"Value": text}}, {"Name": "/hub", "WithDecryption": True})


def test_the_parameter_is_read_once_and_not_before_it_is_needed(clients, asked):
    secrets = SsmSecrets("/hub", clients)
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

    with pytest.raises(StoreUnavailableError, match="The parameter /hub must hold a JSON object of texts") as told:
        SsmSecrets("/hub", clients)["key"]
    assert "hunter2" not in str(told.value)
    assert told.value.__cause__ is None


def test_a_parameter_that_cannot_be_read_is_named_with_the_reason(clients, asked):
    asked.add_client_error("get_parameter", "ParameterNotFound")

    with pytest.raises(StoreUnavailableError, match="/hub cannot be read: ParameterNotFound"):
        SsmSecrets("/hub", clients)["key"]
