"""Preflight against moto: what it reads, and what it says if AWS refuses."""

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
from operations.preflight import collect
from operations.preflight.checks import Preflight, images_of
from tests.support.cloudformation import UNVERIFIED, refused

REGION = "eu-central-1"
ECR = f"123456789012.dkr.ecr.{REGION}.amazonaws.com"
SERVERS = ("ns-1.awsdns-00.com",)
# Calls that moto does not support, or answers differently.
ANSWERS = {
    "lambda.GetAccountSettings": {"AccountLimit": {"ConcurrentExecutions": 10}},
    "ssm.GetServiceSetting": {"ServiceSetting": {"SettingValue": "false"}},
    "cloudformation.DescribeStacks": {"Stacks": [{"StackName": "another", "StackStatus": "ROLLBACK_COMPLETE"}]},
    "cloudformation.GetTemplate": {"TemplateBody": {"Resources": {}}},
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
    """An account in moto. IAM denies the calls in `refused` (`service.Operation`)."""

    def __init__(self):
        self.session, self.refused = boto3.Session("AKIDEXAMPLE", "an example"), set()
        self.aws = Aws(REGION, self.session)
        self.events = self.session.events
        self.events.register("before-call", self._answer)

    def _answer(self, model, params, **_):
        name = f"{model.service_model.service_name}.{model.name}"
        if name in self.refused:
            raise ClientError(
                {"Error": {"Code": "AccessDeniedException", "Message": "You are not authorized"}}, model.name
            )
        found = ANSWERS.get(name)
        if isinstance(found, ClientError):
            raise found
        return None if found is None else (_Http(), found(params["body"]) if callable(found) else found)

    def results(self, images=(), *, create_roles=False, docker=True, **settings):
        stage = Stage("prod", StageSettings(region=REGION, **settings))
        preflight = Preflight(
            stage,
            self.aws,
            images,
            create_roles=create_roles,
            name_servers=lambda name: SERVERS,
            has_docker=lambda: docker,
            node_version=lambda: 24,
        )
        return {finding.check: finding for finding in preflight.results()}


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


def test_a_new_account_lists_all_that_is_missing(account):
    found = account.results(expected_servers=20)

    assert {check: one.level for check, one in found.items()} == {
        "credentials": Level.OK,
        "region": Level.OK,
        "Node": Level.OK,
        "CDK in eu-central-1": Level.PROBLEM,
        "stacks": Level.OK,
        "CloudFront": Level.WARNING,
        "Fargate on demand": Level.PROBLEM,
        "Lambda": Level.WARNING,
        "reservations": Level.WARNING,
        "EC2": Level.OK,
        "VPCs": Level.OK,
        "home folders": Level.OK,
        "role of ecs": Level.WARNING,
        "Docker": Level.OK,
        "VPC origins": Level.OK,
        "instance": Level.OK,
        "SSM": Level.OK,
        "spending": Level.WARNING,
    }


def test_a_prepared_account_has_no_problems(account):
    account.aws.call("ssm", "put_parameter", Name="/cdk-bootstrap/hnb659fds/version", Value="28", Type="String")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ANSWERS, "service-quotas.GetServiceQuota", {"Quota": {"Value": 1000.0}})
        found = account.results(
            expected_servers=20,
            capacity="spot-or-fargate",
            edge="alb",
            create_roles=True,
            alarm_email="ops@example.org",
        )

    assert {check for check, one in found.items() if one.level is not Level.OK} == {
        "Lambda",
        "reservations",
        "CloudFront",
    }
    assert "Fargate Spot" in found


@pytest.mark.parametrize(
    ("key", "level"), [({"Fn::GetAtt": ["OwnKey", "Arn"]}, Level.OK), (None, Level.PROBLEM), ("arn:x", Level.PROBLEM)]
)
def test_the_key_of_users_files_is_compared_with_the_deployed_one(account, monkeypatch, key, level):
    properties = {"KmsKeyId": key} if key else {}
    template = {"Resources": {"Homes": {"Type": "AWS::EFS::FileSystem", "Properties": properties}}}
    monkeypatch.setitem(ANSWERS, "cloudformation.GetTemplate", {"TemplateBody": template})

    assert account.results(kms_key="own")["home folders"].level is level


def test_a_stage_that_was_never_deployed_has_no_key_yet(account, monkeypatch):
    refused = ClientError({"Error": {"Code": "ValidationError", "Message": "does not exist"}}, "GetTemplate")
    monkeypatch.setitem(ANSWERS, "cloudformation.GetTemplate", refused)

    assert account.results(kms_key="own")["home folders"].level is Level.OK


def test_missing_permissions_are_named_and_other_checks_run(account):
    account.refused = {
        "service-quotas.GetServiceQuota",
        "cloudformation.DescribeStacks",
        "iam.GetRole",
        "ssm.GetServiceSetting",
    }

    found = account.results()

    assert (
        found["Fargate on demand"].message
        == "could not be checked: the permission servicequotas:GetServiceQuota is missing"
    )
    assert [found[check].level for check in ("Fargate on demand", "stacks", "SSM")] == [Level.WARNING] * 3


def test_credentials_without_any_permission_are_one_problem(account):
    account.refused = {"sts.GetCallerIdentity"}

    found = account.results()

    assert [(one.check, one.level) for one in found.values()] == [("credentials", Level.PROBLEM)]


def test_a_region_that_does_not_exist_ends_the_checks(account):
    stage = Stage("prod", StageSettings(region="eu-central-9"))

    found = list(Preflight(stage, Aws("eu-central-9", account.session)).results())

    assert [(one.check, one.level) for one in found] == [("credentials", Level.OK), ("region", Level.PROBLEM)]


@pytest.fixture
def refused_account(monkeypatch):
    """CloudFormation after a first deployment to an account that AWS has not verified for CloudFront."""
    events = refused("hubless-prod-account", "Tried", "AWS::CloudFront::Distribution", UNVERIFIED, others=80)
    stacks = [{"StackName": events.name, "StackStatus": "ROLLBACK_COMPLETE"}]
    monkeypatch.setitem(ANSWERS, "cloudformation.DescribeStacks", {"Stacks": stacks})
    monkeypatch.setitem(
        ANSWERS, "cloudformation.DescribeStackEvents", lambda asked: events.page(asked.get("NextToken", ""))
    )


def test_the_first_failed_resource_is_the_cause_not_what_it_cancelled(account, refused_account):
    (failed,) = [
        one.failed for one in collect.stacks(account.aws, Stage("prod", StageSettings(region=REGION))).values()
    ]

    assert (failed.name, failed.reason) == ("Tried", UNVERIFIED)


def test_a_nat_needs_an_address_besides_those_of_others(account):
    tags = [[], [], [], [], [{"Key": "hubless:hub", "Value": "hubless-prod"}]]
    for one in tags:
        of_stage = [{"ResourceType": "elastic-ip", "Tags": one}] if one else []
        account.aws.call("ec2", "allocate_address", Domain="vpc", TagSpecifications=of_stage)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ANSWERS, "service-quotas.GetServiceQuota", {"Quota": {"Value": 5.0}})
        fits = account.results(egress="nat")["public address"]
        account.aws.call("ec2", "allocate_address", Domain="vpc")
        full = account.results(egress="nat")["public address"]

    assert (fits.level, full.level) == (Level.OK, Level.PROBLEM)
    assert "public address" not in account.results()


def stacks_in_aws(monkeypatch, *names):
    found = [{"StackName": name, "StackStatus": "CREATE_COMPLETE"} for name in names]
    monkeypatch.setitem(ANSWERS, "cloudformation.DescribeStacks", {"Stacks": found})


def test_stacks_of_a_stage_with_a_longer_name_are_not_this_stages(account, monkeypatch):
    stacks_in_aws(monkeypatch, "hubless-prod-web", "hubless-prod-eu-web")

    assert set(collect.stacks(account.aws, Stage("prod", StageSettings(region=REGION)))) == {"hubless-prod-web"}


def test_the_stack_of_the_access_log_is_looked_for_in_its_region(account, monkeypatch):
    stacks_in_aws(monkeypatch, "hubless-prod-access")
    stage = Stage("prod", StageSettings(region=REGION, access_logs=True))

    assert collect.stacks(account.aws, stage)["hubless-prod-access"].region == "us-east-1"


def test_an_older_operations_failure_is_not_the_cause(account, monkeypatch):
    events = refused("hubless-prod-web", "Old", "AWS::CloudFront::Distribution", UNVERIFIED)
    events.of_stack("DELETE_IN_PROGRESS", "User Initiated").of_resource(
        "New", "AWS::EC2::VPC", "DELETE_FAILED", "in use"
    )
    events.of_stack("DELETE_FAILED")
    stacks = [{"StackName": events.name, "StackStatus": "DELETE_FAILED"}]
    monkeypatch.setitem(ANSWERS, "cloudformation.DescribeStacks", {"Stacks": stacks})
    monkeypatch.setitem(ANSWERS, "cloudformation.DescribeStackEvents", events.page())

    assert account.results()["stacks"].message.endswith("because of New (AWS::EC2::VPC): in use")


def test_the_command_explains_a_failed_deployment_in_words(account, refused_account, monkeypatch, tmp_path):
    monkeypatch.setattr(boto3, "Session", lambda: account.session)
    file = tmp_path / "hubless.toml"
    file.write_text(f'[stages.prod]\nregion = "{REGION}"\n')

    said = CliRunner().invoke(main, ["preflight", "--after-failure", "--settings", str(file)])

    assert said.exit_code == 1
    assert "AWS has not verified this account for CloudFront yet" in said.output
    assert "Open a case with AWS Support" in said.output
    assert "Fargate" not in said.output


def test_an_account_with_a_distribution_is_verified(account):
    made = account.aws.call(
        "cloudfront",
        "create_distribution",
        DistributionConfig={
            "CallerReference": "1",
            "Comment": "",
            "Enabled": False,
            "Origins": {
                "Quantity": 1,
                "Items": [
                    {"Id": "o", "DomainName": "b.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
                ],
            },
            "DefaultCacheBehavior": {"TargetOriginId": "o", "ViewerProtocolPolicy": "https-only", "MinTTL": 0},
        },
    )["Distribution"]["Id"]
    found = account.results()
    account.aws.call("cloudfront", "delete_distribution", Id=made, IfMatch="x")

    assert (found["CloudFront"].level, found["CloudFront"].message) == (Level.OK, "the account has 1 distribution")


def test_reservations_are_compared_with_the_quota(account):
    found = account.results(streams_at_once=50)

    assert (found["Lambda"].level, found["reservations"].level) == (Level.WARNING, Level.WARNING)


def test_a_zone_is_compared_with_public_dns(account):
    zone_id = account.aws.call("route53", "create_hosted_zone", Name="example.org", CallerReference="1")["HostedZone"][
        "Id"
    ].rpartition("/")[2]

    found = account.results(domain="hub.example.org", zone_id=zone_id, zone_name="example.org")
    missing = account.results(domain="hub.example.org", zone_id="Z0000000000", zone_name="example.org")

    assert found["hosted zone"].message == "public DNS does not use it: example.org is delegated to ns-1.awsdns-00.com"
    assert "no zone Z0000000000" in missing["hosted zone"].message
    assert "CDK in us-east-1" in found


def test_a_certificate_is_read_in_cloudfronts_region(account):
    found = account.results(domain="hub.example.org", certificate="arn:aws:acm:us-east-1:123456789012:certificate/abc")

    assert found["certificate"].level is Level.OK


def test_with_direct_hosts_both_certificates_are_read_each_in_its_region(moto):
    asked, account = [], Account()  # none of its clients is there yet
    account.events.register(
        "before-call.acm.DescribeCertificate", lambda request_signer, **_: asked.append(request_signer.region_name)
    )

    found = account.results(
        domain="hub.example.org",
        edge="fleet",
        direct_hosts=True,
        certificate="arn:aws:acm:us-east-1:123456789012:certificate/abc",
        direct_certificate=f"arn:aws:acm:{REGION}:123456789012:certificate/abc",
    )

    assert found["certificate"].level is found["certificate of users' hosts"].level is Level.OK
    assert asked == ["us-east-1", REGION]
    assert "VPC origins" not in found


def test_what_the_stage_has_already_needs_no_more_room(account):
    own = [{"Key": "hubless:hub", "Value": "hubless-prod"}]
    vpc = account.aws.call("ec2", "create_vpc", CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = account.aws.call("ec2", "create_subnet", VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
    for number in range(2):
        account.aws.call("elbv2", "create_load_balancer", Name=f"lb{number}", Type="network", Subnets=[subnet])
    arns = [one["LoadBalancerArn"] for one in account.aws.paginate("elbv2", "describe_load_balancers", "LoadBalancers")]
    stage = Stage("prod", StageSettings(region=REGION))
    before = collect.vpcs(account.aws, stage).used, collect.balancers(account.aws, stage, "network").used

    account.aws.call("ec2", "create_tags", Resources=[vpc], Tags=own)
    account.aws.call("elbv2", "add_tags", ResourceArns=arns[:1], Tags=own)

    after = collect.vpcs(account.aws, stage).used, collect.balancers(account.aws, stage, "network").used
    assert (before[0] - after[0], before[1], after[1]) == (1, 2, 1)
    assert collect.balancers(account.aws, stage, "application").used == 0


def test_an_image_in_ecr_is_checked(account):
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
        assert account.results(image=name, docker=False)["image"].level is level, name
        assert account.results([name])["image"].level is level, name
    assert "Docker" not in account.results(image=f"{ECR}/jupyter/base:1", docker=False)
    assert account.results(image=f"{ECR}/jupyter/base:1", docker=False, edge="fleet")["Docker"].level is Level.PROBLEM


def test_a_network_is_read_with_routes_and_endpoints(account):
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
    assert "no route to the internet" in account.results(**given)["network"].message + " ".join(
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
    found = collect.network(aws, Stage("prod", StageSettings(region=REGION, **given)))
    assert found.gateway_routes == found.internet_routes == {*public}
    assert "no VPC vpc-0" in account.results(**{**given, "vpc_id": "vpc-0123"})["network"].message


def network(account, **settings):
    stage = Stage("prod", StageSettings(region=REGION, **settings))
    preflight = Preflight(stage, account.aws, has_docker=lambda: True, node_version=lambda: 24)
    return [finding for finding in preflight.results() if finding.check == "network"]


@pytest.mark.parametrize(("said", "version"), [("v22.11.0\n", 22), ("v9.1.0\n", 9), ("", None), (None, None)])
def test_the_major_version_of_node_is_read(monkeypatch, said, version):
    monkeypatch.setattr(local_tools, "_output", lambda *command: said)

    assert local_tools.node_version() == version


def test_images_are_read_from_profiles_with_other_mistakes(tmp_path):
    file = tmp_path / "hubless.toml"
    file.write_text('[nonsense]\n[[profiles]]\nname = "a"\nimage = "x:1"\n[[profiles]]\nname = "b"\n')

    assert images_of(file) == ("x:1",)
    assert images_of(None) == ()


def test_the_command_exits_with_1_if_there_is_a_problem(account, monkeypatch, tmp_path):
    monkeypatch.setattr(boto3, "Session", lambda: account.session)
    file = tmp_path / "hubless.toml"
    file.write_text(f'[stages.prod]\nregion = "{REGION}"\nexpected_servers = 100\nimage = "quay.io/a"\n')

    said = CliRunner().invoke(main, ["preflight", "--stage", "prod", "--settings", str(file)])
    received = CliRunner().invoke(main, ["preflight", "--settings", str(file), "--json"])

    assert said.exit_code == received.exit_code == 1
    assert "problem  Fargate on demand: the quota is 6 vCPU; 100 servers of 0.5 need 50" in said.output
    assert [one["level"] for one in json.loads(received.output) if one["check"] == "Fargate on demand"] == ["problem"]
