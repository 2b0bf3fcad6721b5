"""Preflight against moto: what it reads, and that nothing that is refused is a stack trace."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner
from moto import mock_aws

from embedded.cli import main
from hubless.settings.stage import Stage, StageSettings
from operations import local_tools
from operations.aws import Aws
from operations.check_results import Level
from operations.preflight.checks import Preflight, images_of

REGION = "eu-central-1"
ECR = f"123456789012.dkr.ecr.{REGION}.amazonaws.com"
SERVERS = ("ns-1.awsdns-00.com",)
# What moto does not answer, or not by boto3's names.
ANSWERS = {
    "lambda.GetAccountSettings": {"AccountLimit": {"ConcurrentExecutions": 10}},
    "ssm.GetServiceSetting": {"ServiceSetting": {"SettingValue": "false"}},
    "cloudformation.DescribeStacks": {"Stacks": [{"StackName": "another", "StackStatus": "ROLLBACK_COMPLETE"}]},
    "service-quotas.GetServiceQuota": {"Quota": {"Value": 6.0}},
    "acm.DescribeCertificate": {
        "Certificate": {
            "Status": "ISSUED",
            "DomainName": "hub.example.org",
            "SubjectAlternativeNames": ["*.hub.example.org"],
        }
    },
}


class Account:
    """An account in moto. What is in *refused* is denied, by service and operation."""

    def __init__(self):
        self.session, self.refused = boto3.Session("AKIDEXAMPLE", "an example"), set()
        self.aws = Aws(REGION, self.session)
        self.events = self.session.events
        self.events.register("before-call", self._answer)

    def _answer(self, model, **_):
        name = f"{model.service_model.service_name}.{model.name}"
        if name in self.refused:
            raise ClientError(
                {"Error": {"Code": "AccessDeniedException", "Message": "You are not authorized"}}, model.name
            )
        return (_Http(), ANSWERS[name]) if name in ANSWERS else None

    def look(self, images=(), *, create_roles=False, docker=True, **settings):
        stage = Stage("prod", StageSettings(region=REGION, **settings))
        looked = Preflight(
            stage,
            self.aws,
            images,
            create_roles=create_roles,
            answering=lambda name: SERVERS,
            has_docker=lambda: docker,
            node_version=lambda: 24,
        )
        return {finding.check: finding for finding in looked.results()}


class _Http:
    status_code = 200


@pytest.fixture(scope="module")
def moto():
    with mock_aws():
        yield Account()


@pytest.fixture
def account(moto):
    moto.refused.clear()
    return moto


def test_a_new_account_is_told_all_that_it_lacks(account):
    found = account.look(expected_servers=20)

    assert {check: one.level for check, one in found.items()} == {
        "credentials": Level.OK,
        "region": Level.OK,
        "Node": Level.OK,
        "CDK in eu-central-1": Level.PROBLEM,
        "stacks": Level.OK,
        "Fargate on demand": Level.PROBLEM,
        "Lambda": Level.WARNING,
        "EC2": Level.OK,
        "VPCs": Level.OK,
        "home folders": Level.OK,
        "role of ecs": Level.WARNING,
        "Docker": Level.OK,
        "VPC origins": Level.OK,
        "instance": Level.OK,
        "SSM": Level.OK,
    }


def test_an_account_that_is_prepared_is_well(account):
    account.aws.call("ssm", "put_parameter", Name="/cdk-bootstrap/hnb659fds/version", Value="28", Type="String")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ANSWERS, "service-quotas.GetServiceQuota", {"Quota": {"Value": 1000.0}})
        found = account.look(expected_servers=20, capacity="spot-or-fargate", edge="alb", create_roles=True)

    assert {check for check, one in found.items() if one.level is not Level.OK} == {"Lambda"}
    assert "Fargate Spot" in found


def test_without_the_rights_it_says_which_are_missing_and_goes_on(account):
    account.refused = {
        "service-quotas.GetServiceQuota",
        "cloudformation.DescribeStacks",
        "iam.GetRole",
        "ssm.GetServiceSetting",
    }

    found = account.look()

    assert found["Fargate on demand"].message == "could not look: the right servicequotas:GetServiceQuota is missing"
    assert [found[check].level for check in ("Fargate on demand", "stacks", "SSM")] == [Level.WARNING] * 3


def test_an_account_that_may_nothing_is_one_sentence(account):
    account.refused = {"sts.GetCallerIdentity"}

    found = account.look()

    assert [(one.check, one.level) for one in found.values()] == [("credentials", Level.PROBLEM)]


def test_a_region_that_is_not_there_ends_it(account):
    stage = Stage("prod", StageSettings(region="eu-central-9"))

    found = list(Preflight(stage, Aws("eu-central-9", account.session)).results())

    assert [(one.check, one.level) for one in found] == [("credentials", Level.OK), ("region", Level.PROBLEM)]


def test_what_is_kept_for_streams_is_held_to_what_the_account_has(account):
    found = account.look(streams_at_once=50)

    assert (found["Lambda"].level, found["streams"].level) == (Level.WARNING, Level.PROBLEM)


def test_a_zone_is_looked_up_with_those_who_answer_for_it(account):
    zone_id = account.aws.call("route53", "create_hosted_zone", Name="example.org", CallerReference="1")["HostedZone"][
        "Id"
    ].rpartition("/")[2]

    found = account.look(domain="hub.example.org", zone_id=zone_id, zone_name="example.org")
    missing = account.look(domain="hub.example.org", zone_id="Z0000000000", zone_name="example.org")

    assert found["hosted zone"].message == "nobody asks it: example.org is answered for by ns-1.awsdns-00.com"
    assert "there is no Z0000000000" in missing["hosted zone"].message
    assert "CDK in us-east-1" in found


def test_a_certificate_is_read_where_cloudfront_takes_it_from(account):
    found = account.look(domain="hub.example.org", certificate="arn:aws:acm:us-east-1:123456789012:certificate/abc")

    assert found["certificate"].level is Level.OK


def test_an_image_of_ecr_is_looked_for(account):
    account.aws.call("ecr", "create_repository", repositoryName="jupyter/base")
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"digest": "sha256:" + "0" * 64},
            "layers": [],
        }
    )
    account.aws.call("ecr", "put_image", repositoryName="jupyter/base", imageManifest=manifest, imageTag="1")

    for name, level in (
        (f"{ECR}/jupyter/base:1", Level.OK),
        (f"{ECR}/jupyter/base:2", Level.PROBLEM),
        (f"{ECR}/none", Level.PROBLEM),
        ("quay.io/jupyter/base-notebook:1", Level.OK),
    ):
        assert account.look(image=name, docker=False)["image"].level is level, name
        assert account.look([name])["image"].level is level, name
    assert "Docker" not in account.look(image=f"{ECR}/jupyter/base:1", docker=False)
    assert account.look(image=f"{ECR}/jupyter/base:1", docker=False, edge="fleet")["Docker"].level is Level.PROBLEM


def test_a_network_is_read_with_its_ways(account):
    aws = account.aws
    vpc = aws.call("ec2", "create_vpc", CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    public, private = (
        [
            aws.call(
                "ec2",
                "create_subnet",
                VpcId=vpc,
                CidrBlock=f"10.9.{start + n}.0/24",
                AvailabilityZone=f"{REGION}{'ab'[n]}",
            )["Subnet"]["SubnetId"]
            for n in (0, 1)
        ]
        for start in (0, 10)
    )
    given = {
        "vpc_id": vpc,
        "zones": (f"{REGION}a", f"{REGION}b"),
        "public_subnets": tuple(public),
        "private_subnets": tuple(private),
    }
    assert "no way to the internet" in account.look(**given)["network"].message + " ".join(
        one.message for one in network(account, **given)
    )

    gateway = aws.call("ec2", "create_internet_gateway")["InternetGateway"]["InternetGatewayId"]
    aws.call("ec2", "attach_internet_gateway", InternetGatewayId=gateway, VpcId=vpc)
    table = aws.call("ec2", "create_route_table", VpcId=vpc)["RouteTable"]["RouteTableId"]
    aws.call("ec2", "create_route", RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    for subnet in public:
        aws.call("ec2", "associate_route_table", RouteTableId=table, SubnetId=subnet)
    main_table = next(
        one["RouteTableId"]
        for one in aws.paginate(
            "ec2", "describe_route_tables", "RouteTables", Filters=[{"Name": "vpc-id", "Values": [vpc]}]
        )
        if one["RouteTableId"] != table
    )
    for service in ("s3", "dynamodb"):
        aws.call(
            "ec2",
            "create_vpc_endpoint",
            VpcId=vpc,
            ServiceName=f"com.amazonaws.{REGION}.{service}",
            RouteTableIds=[main_table],
        )

    assert [one.level for one in network(account, **given)] == [Level.OK]
    assert "there is no vpc-0" in account.look(**{**given, "vpc_id": "vpc-0123"})["network"].message


def network(account, **settings):
    stage = Stage("prod", StageSettings(region=REGION, **settings))
    looked = Preflight(stage, account.aws, has_docker=lambda: True, node_version=lambda: 24)
    return [finding for finding in looked.results() if finding.check == "network"]


@pytest.mark.parametrize(("said", "version"), [("v22.11.0\n", 22), ("v9.1.0\n", 9), ("", None), (None, None)])
def test_the_version_of_node_is_its_first_number(monkeypatch, said, version):
    monkeypatch.setattr(local_tools, "_said", lambda *command: said)

    assert local_tools.node_version() == version


def test_images_are_read_from_profiles_whatever_else_is_wrong(tmp_path):
    file = tmp_path / "hubless.toml"
    file.write_text('[nonsense]\n[[profiles]]\nname = "a"\nimage = "x:1"\n[[profiles]]\nname = "b"\n')

    assert images_of(file) == ("x:1",)
    assert images_of(None) == ()


def test_the_command_leaves_with_1_where_something_would_fail(account, monkeypatch, tmp_path):
    monkeypatch.setattr(boto3, "Session", lambda: account.session)
    file = tmp_path / "hubless.toml"
    file.write_text(f'[stages.prod]\nregion = "{REGION}"\nexpected_servers = 100\nimage = "quay.io/a"\n')

    said = CliRunner().invoke(main, ["preflight", "--stage", "prod", "--settings", str(file)])
    told = CliRunner().invoke(main, ["preflight", "--settings", str(file), "--json"])

    assert said.exit_code == told.exit_code == 1
    assert "problem  Fargate on demand: 6 vCPU are allowed; 100 servers of 0.5 need 50" in said.output
    assert [one["level"] for one in json.loads(told.output) if one["check"] == "Fargate on demand"] == ["problem"]
