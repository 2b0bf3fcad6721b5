"""A hub in AWS from an operator's shell: users, tokens and the first admin, on moto."""

import json
from dataclasses import replace

import botocore.session
import pytest
from click.testing import CliRunner

from embedded.cli import main
from hubless.domain.errors import NotFoundError
from hubless.domain.tokens import sha256
from hubless.settings.cloud import written
from hubless.settings.stage import load_stage
from operations import deployed
from operations.aws import Aws
from operations.errors import OperationsError
from tests.dynamodb import REGION, in_new_table, moto
from tests.unit.test_cloud_settings import CLOUD

STAGES = f'[stages.prod]\nregion = "{REGION}"\n[[services]]\nname = "grader"\ntoken_env = "GRADER_TOKEN"\n'
PARAMETER = "/hubless-prod/deployment"


@pytest.fixture(scope="module")
def database():
    with moto() as made, pytest.MonkeyPatch.context() as patch:
        one = botocore.session.get_session()  # reads AWS's models once: that is most of what a command does here
        patch.setattr(botocore.session, "get_session", lambda *_: one)
        yield made


@pytest.fixture
def aws(database):
    stores, made = in_new_table(database), Aws(REGION)
    yield made
    stores.close()
    made.call("ssm", "delete_parameters", Names=[PARAMETER, "/hub/secrets"])


@pytest.fixture
def shell(aws, tmp_path):
    (tmp_path / "hubless.toml").write_text(STAGES)
    told = {"variables": written(replace(CLOUD, table="hubless"))}
    secrets = {"key": "k" * 40, "GRADER_TOKEN": "a-graders-token"}
    for name, holds in ((PARAMETER, told), ("/hub/secrets", secrets)):
        aws.call("ssm", "put_parameter", Name=name, Value=json.dumps(holds), Type="String")

    def run(*words, typed=None):
        return CliRunner().invoke(main, [*words, "--stage", "prod", "--settings", str(tmp_path / "hubless.toml")], input=typed)

    run.hub = deployed.open_hub(load_stage(tmp_path / "hubless.toml"), tmp_path / "hubless.toml")
    return run


def test_the_first_admin_gets_a_link_of_the_hubs_address_that_opens_once(shell):
    answer = shell("admin", "ada")

    assert answer.exit_code == 0, answer.output
    address, _, key = answer.output.split()[-1].partition("/hub/set-password?key=")
    assert address == CLOUD.url
    assert shell.hub.accounts.use_link(key, "a password of ada's").admin
    assert shell.hub.accounts.user_of_link(key) is None


def test_who_is_there_already_becomes_an_admin_and_keeps_the_password(shell):
    shell("user", "add", "ada", "--password-stdin", typed="a password of ada's\n")

    answer = shell("admin", "ada")

    assert answer.output == "ada is an admin, with the password of before.\n"
    assert shell.hub.accounts.find("ada").admin


def test_users_are_added_listed_and_removed_from_afar(shell):
    shell("user", "add", "ada", "--admin")
    shell("user", "add", "bob")

    assert shell("user", "remove", "bob").output == "bob is removed; the files stay.\n"
    assert [line.split()[:2] for line in shell("user", "list").output.splitlines()] == [["ada", "admin"]]


def test_a_token_is_one_of_the_hub_in_aws(shell):
    shell("admin", "ada")

    secret = shell("token", "ada", "--note", "doctor", "--expires-in", "1h").output.strip()

    assert shell.hub.token_store.find(sha256(secret)).note == "doctor"


def test_a_link_is_of_no_use_in_a_hub_on_this_machine(shell, tmp_path):
    shell("admin", "ada")

    answer = CliRunner().invoke(main, ["user", "list", "--data", str(tmp_path / "data")])

    assert answer.exit_code == 1
    assert "There is no hub in" in answer.output
    with pytest.raises(NotFoundError):
        shell.hub.accounts.find("somebody")


def test_a_stage_that_is_not_deployed_is_said_to_be_so(aws, tmp_path):
    (tmp_path / "hubless.toml").write_text(STAGES)

    answer = CliRunner().invoke(main, ["admin", "ada", "--stage", "prod", "--settings", str(tmp_path / "hubless.toml")])

    assert answer.exit_code == 1
    assert "The stage prod is not deployed in eu-central-1 of this account: there is no parameter /hubless-prod/deployment" in answer.output


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"variables": []}', '{"variables": {}, "dead_letters": "x"}'])
def test_a_parameter_that_tells_of_no_deployment_is_named(text):
    with pytest.raises(OperationsError, match=f"The parameter {PARAMETER} does not tell of a deployment"):
        deployed.parse(text, PARAMETER)


def test_without_credentials_the_command_says_how_to_log_in(database, monkeypatch, tmp_path):
    monkeypatch.setattr(botocore.session, "get_session", lambda *_: botocore.session.Session())
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "hubless.toml").write_text(STAGES)

    answer = CliRunner().invoke(main, ["admin", "ada", "--stage", "prod", "--settings", str(tmp_path / "hubless.toml")])

    assert answer.exit_code == 1
    assert "There are no credentials of AWS here" in answer.output
