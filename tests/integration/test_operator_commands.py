"""`hubless admin`, `user` and `token` with a deployed stage, on moto."""

import json
from dataclasses import replace
from types import SimpleNamespace

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from click.testing import CliRunner

from embedded.cli import main
from hubless.adapters.archive_file import write as write_archive
from hubless.domain.tokens import sha256
from hubless.settings.cloud import to_environment
from hubless.settings.stage import load_stage
from operations import deployed_stage
from operations.aws import Aws
from operations.errors import OperationsError
from tests.support.builders import NOW
from tests.support.dynamodb import REGION, in_new_table, moto
from tests.support.moving import a_hub
from tests.unit.test_cloud_settings import CLOUD

STAGES = f'[stages.prod]\nregion = "{REGION}"\n[[services]]\nname = "grader"\ntoken_env = "GRADER_TOKEN"\n'
OF_CONTROL = [
    ("AWS::Lambda::Function", "ApiFunctionCE271BD4", "hubless-prod-control-Api-1"),
    ("AWS::Lambda::Alias", "ApiAlias12345678", "hubless-prod-control-Api-1:live"),
    ("AWS::Lambda::Function", "ReaperFunction12345678", "hubless-prod-control-Reaper-1"),
    ("AWS::SQS::Queue", "Dead12345678", "https://sqs/1/dead"),
    ("AWS::SQS::Queue", "Queue12345678", "https://sqs/1/hub"),
]
OF_WEB = [("AWS::ApiGatewayV2::Api", "Api12345678", "abc123")]


class Stacks:
    """The answers of CloudFormation and Lambda that operators need; moto would need more packages."""

    def __init__(self, session):
        self.made, self.variables = {}, {}
        session.events.register("before-call", self._answer)

    def deploy(self, **variables):
        self.made = {"hubless-prod-control": OF_CONTROL, "hubless-prod-web": OF_WEB}
        self.variables = variables

    def _answer(self, model, params, **_):
        answer = getattr(self, f"_{model.name}", None)
        return answer(params) if answer else None

    def _ListStackResources(self, params):
        stack = params["body"]["StackName"]
        if stack not in self.made:
            return SimpleNamespace(status_code=400), {
                "Error": {"Code": "ValidationError", "Message": f"Stack with id {stack} does not exist"}
            }
        names = ("ResourceType", "LogicalResourceId", "PhysicalResourceId")
        return SimpleNamespace(status_code=200), {
            "StackResourceSummaries": [dict(zip(names, one, strict=True)) for one in self.made[stack]]
        }

    def _GetFunctionConfiguration(self, params):
        assert params["url_path"].endswith("/hubless-prod-control-Api-1/configuration")
        return SimpleNamespace(status_code=200), {"Environment": {"Variables": self.variables}}


@pytest.fixture(scope="module")
def database():
    with moto() as made, pytest.MonkeyPatch.context() as patch:
        one = boto3.Session()  # reads AWS's models once: that is most of what a command does here
        patch.setattr(boto3, "Session", lambda: one)
        yield made


@pytest.fixture(scope="module")
def stacks(database):
    return Stacks(boto3.Session())


@pytest.fixture
def aws(database, stacks):
    stores, made = in_new_table(database), Aws(REGION)
    stacks.made = {}
    yield made
    stores.close()
    made.call("ssm", "delete_parameters", Names=["/hub/secrets"])


@pytest.fixture
def shell(aws, stacks, tmp_path):
    (tmp_path / "hubless.toml").write_text(STAGES)
    stacks.deploy(**to_environment(replace(CLOUD, table="hubless")), PYTHONHASHSEED="0", HUBLESS_EDGE_PORT="1")
    secrets = {"key": "k" * 40, "GRADER_TOKEN": "a-graders-token"}
    aws.call("ssm", "put_parameter", Name="/hub/secrets", Value=json.dumps(secrets), Type="String")

    def run(*words):
        return CliRunner().invoke(main, [*words, "--stage", "prod", "--settings", str(tmp_path / "hubless.toml")])

    run.hub = deployed_stage.open_hub(load_stage(tmp_path / "hubless.toml"), tmp_path / "hubless.toml")
    return run


@pytest.fixture
def refuse(monkeypatch):
    """Have AWS refuse an operation from now on."""

    def refuse(operation, code, message=""):
        send = BaseClient._make_api_call

        def _make_api_call(client, name, arguments):
            if name == operation:
                raise ClientError({"Error": {"Code": code, "Message": message}}, name)
            return send(client, name, arguments)

        monkeypatch.setattr(BaseClient, "_make_api_call", _make_api_call)

    return refuse


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "old.jsonl"
    write_archive(a_hub(), path, NOW)
    return path


def test_the_first_admin_gets_a_one_time_link_at_the_hubs_address(shell):
    answer = shell("admin", "ada")

    assert answer.exit_code == 0, answer.output
    address, _, key = answer.output.split()[-1].partition("/hub/set-password?key=")
    assert address == CLOUD.url
    assert shell.hub.accounts.use_link(key, "a password of ada's").admin
    assert shell.hub.accounts.user_of_link(key) is None


def test_an_existing_user_becomes_admin_and_keeps_the_password(shell):
    shell.hub.accounts.add("ada")
    shell.hub.accounts.set_password("ada", "a password of ada's")

    answer = shell("admin", "ada", "--promote")

    assert answer.output == "ada is an admin and keeps the password.\n"
    assert shell.hub.accounts.find("ada").admin


def test_users_of_a_stage_are_added_listed_and_removed(shell):
    shell("user", "add", "ada", "--admin")
    shell.hub.accounts.add("bob")

    assert shell("user", "remove", "bob").output == "Removed bob. The files stay.\n"
    assert [line.split()[:2] for line in shell("user", "list").output.splitlines()] == [["ada", "admin"]]


def test_a_token_is_stored_in_the_stage(shell):
    shell.hub.accounts.add("ada")

    secret = shell("token", "ada", "--note", "doctor", "--expires-in", "1h").output.strip()

    assert shell.hub.token_store.find(sha256(secret)).note == "doctor"


def test_a_stage_that_is_not_deployed_is_an_error(aws, tmp_path):
    (tmp_path / "hubless.toml").write_text(STAGES)

    answer = CliRunner().invoke(main, ["admin", "ada", "--stage", "prod", "--settings", str(tmp_path / "hubless.toml")])

    assert answer.exit_code == 1
    assert (
        "The stage prod is not deployed in eu-central-1 of this account: there is no stack hubless-prod-control"
        in answer.output
    )


def test_resources_are_found_by_type_and_logical_id(shell, aws, tmp_path):
    found = deployed_stage.read(load_stage(tmp_path / "hubless.toml"), aws)

    assert found.functions == {"api": "hubless-prod-control-Api-1", "reaper": "hubless-prod-control-Reaper-1"}
    assert found.dead_letters == ("https://sqs/1/dead",)
    assert found.api == f"https://abc123.execute-api.{REGION}.amazonaws.com"
    assert found.cloud == replace(CLOUD, table="hubless")


def test_a_stack_without_functions_must_be_deployed_again(shell, stacks, aws, tmp_path):
    stacks.made["hubless-prod-control"] = OF_CONTROL[3:]

    with pytest.raises(OperationsError, match="has no function api"):
        deployed_stage.read(load_stage(tmp_path / "hubless.toml"), aws)


def test_without_credentials_the_command_says_how_to_log_in(database, monkeypatch, tmp_path):
    monkeypatch.setattr(boto3, "Session", boto3.session.Session)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "hubless.toml").write_text(STAGES)

    answer = CliRunner().invoke(main, ["admin", "ada", "--stage", "prod", "--settings", str(tmp_path / "hubless.toml")])

    assert answer.exit_code == 1
    assert "No AWS credentials found" in answer.output


WITHOUT_SERVICES = STAGES.partition("[[services]]")[0]
NO_DECRYPT = "User: ada is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:1"
OTHER_KEY = "The ciphertext refers to a customer master key that does not exist"


@pytest.mark.parametrize(
    ("answered", "meaning"),
    [
        (("AccessDeniedException", ""), "the permission ssm:GetParameters is missing"),
        (("AccessDeniedException", NO_DECRYPT), "the permission kms:Decrypt is missing"),
        (("AccessDeniedException", OTHER_KEY), "the permission kms:Decrypt is missing"),
        (("ExpiredTokenException", ""), "your AWS credentials have expired. Log in again, as with `aws sso login`"),
    ],
)
def test_without_the_hubs_key_an_import_ends_before_its_plan(shell, refuse, archive, answered, meaning):
    archive.with_name("hubless.toml").write_text(WITHOUT_SERVICES)  # whose tokens are read before
    refuse("GetParameters", *answered)

    answer = shell("import", str(archive), "--yes")

    assert (answer.exit_code, answer.output) == (1, f"hubless: The stage prod cannot be used: {meaning}\n")


def test_an_export_without_secrets_needs_no_key(shell, refuse, tmp_path):
    (tmp_path / "hubless.toml").write_text(WITHOUT_SERVICES)
    refuse("GetParameters", "AccessDeniedException")

    assert shell("export", str(tmp_path / "a.jsonl")).exit_code == 1
    assert not (tmp_path / "a.jsonl").exists()
    assert shell("export", str(tmp_path / "a.jsonl"), "--without-secrets").exit_code == 0


@pytest.mark.parametrize(
    ("answered", "meaning"),
    [
        (("AccessDeniedException", ""), "the permission dynamodb:Query is missing"),
        (("AccessDeniedException", NO_DECRYPT), "the permission kms:Decrypt is missing"),
        (("UnrecognizedClientException", ""), "AWS does not know your credentials"),
        (("ResourceNotFoundException", ""), "its table is gone. Bring it back from a backup (docs/deploy.md)"),
    ],
)
def test_a_refusal_of_the_table_is_one_sentence(shell, refuse, archive, answered, meaning):
    refuse("Query", *answered)

    answer = shell("import", str(archive), "--report")

    assert answer.exit_code == 1
    assert answer.output.startswith(f"hubless: The stage prod cannot be used: {meaning}")
    assert "role" not in answer.output


def test_what_an_operator_cannot_change_is_said_as_it_is(shell, refuse, archive):
    refuse("Query", "InternalServerError")

    answer = shell("import", str(archive), "--report")

    assert answer.output == (
        "hubless: DynamoDB refused a request to the table hubless (InternalServerError). DynamoDB failed; try again.\n"
    )


def test_an_import_that_breaks_off_says_that_another_goes_on(shell, refuse, archive):
    refuse("TransactWriteItems", "AccessDeniedException", NO_DECRYPT.replace("kms:Decrypt", "dynamodb:PutItem"))

    answer = shell("import", str(archive), "--yes")

    assert answer.exit_code == 1
    assert answer.output.endswith(
        "The import broke off. What it wrote before stays. Import again, and it goes on from there.\n"
        "hubless: The stage prod cannot be used: the permission dynamodb:PutItem is missing\n"
    )
