"""The synthesized stacks of three stages, compared with the code and the documents."""

import inspect
import json
import re
import shutil
import subprocess
from dataclasses import fields
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from functions.api.app import ROUTERS
from hubless.adapters.alb.naming import family_of, name_of
from hubless.adapters.dynamodb import keys, table
from hubless.adapters.dynamodb.table import SCHEMA, TTL
from hubless.domain import trusted_headers as names
from hubless.domain.names import url_name
from hubless.settings import SettingsError
from hubless.settings.cloud import CloudSettings, cloud_settings
from hubless.settings.edge import EdgeSettings
from hubless.settings.stage import load_stage
from infra.bundling import BUNDLE_SPECS
from infra.constructs.edge import ACTIVITY_ATTRIBUTE
from infra.constructs.viewer_request import viewer_request_source
from infra.reservations import handler as reservations
from infra.reservations.handler import REAPER, SPAWN
from infra.stacks.control import MAX_CONCURRENCY
from infra.stacks.web import FRONT_HEADER
from operations.preflight.evaluate import RESERVED_CONCURRENCY
from tests.infra.synthesis import linted, plain, rights_of, synthesized
from tests.support import cloudfront
from tests.unit.simulation.test_flood import BURST, RATE

TOP = Path(__file__).parents[2]
MOUNT = {"elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"}
OWN_ROLES = "arn:<AWS::Partition>:iam::<AWS::AccountId>:role/hubless/hubless-fleet/eu-west-1/*"
REGIONS = {"prod": "eu-central-1", "fleet": "eu-west-1", "alb": "us-east-1"}
FUNCTIONS = {"Api": "api", "Stream": "stream", "Spawn": "spawn", "Reaper": "reaper"}
SETTINGS = """
[login]
kind = "shared-password"
[[services]]
name = "reports"
token_env = "REPORTS_TOKEN"
[culling]
users = { ada = { idle_after = "90s" } }
"""


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    return str(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="module")
def stage(tmp_path_factory, bundles):
    folder = str(tmp_path_factory.mktemp("stages"))
    return lambda name: synthesized(name, SETTINGS, folder, bundles)


every_stage = pytest.mark.parametrize("name", list(REGIONS))


# --- order ---


@every_stage
def test_what_a_new_account_may_not_do_comes_before_what_stays(stage, name):
    made = json.loads((stage(name).folder / "manifest.json").read_text())["artifacts"]
    after = {one: set(about.get("dependencies", ())) for one, about in made.items()}

    def before(one):
        return after.get(one, set()).union(*map(before, after.get(one, ())))

    stacks = {one for one, about in made.items() if about["type"] == "aws:cloudformation:stack"}
    first = f"hubless-{name}-account"
    assert {one for one in stacks if first not in before(one)} == {first}
    assert not before(first) & stacks


@every_stage
def test_a_stages_stacks_are_in_its_regions(stage, name):
    made = json.loads((stage(name).folder / "manifest.json").read_text())["artifacts"].values()
    read = load_stage(stage(name).folder.parent / "hubless.toml", name)

    regions = {one["environment"].rpartition("/")[2] for one in made if one["type"] == "aws:cloudformation:stack"}

    assert regions == set(read.regions)


@every_stage
def test_the_tried_distribution_serves_nobody_and_goes_with_its_stack(stage, name):
    (tried,) = stage(name).templates["account"]["Resources"].values()

    assert (tried["Type"], tried["Properties"]["DistributionConfig"]["Enabled"]) == (
        "AWS::CloudFront::Distribution",
        False,
    )
    assert tried.get("DeletionPolicy", "Delete") == "Delete"
    assert "Aliases" not in tried["Properties"]["DistributionConfig"]


# --- linters ---


@every_stage
def test_each_finding_of_cdk_nag_has_a_reason(stage, name):
    unexplained = []
    for rule, path in stage(name).findings:
        finding = rule.partition("[")[2].removesuffix("]")
        reasons = [why for where, why in stage(name).reasons.items() if path.startswith(where + "/")]
        if not finding or not any(re.search(pattern, finding) for why in reasons for pattern in why):
            unexplained.append((rule, path))

    assert unexplained == []


def test_each_reason_has_a_finding_of_cdk_nag(stage):
    found = [rule.partition("[")[2].removesuffix("]") for name in REGIONS for rule, _ in stage(name).findings]
    patterns = {pattern for name in REGIONS for why in stage(name).reasons.values() for pattern in why}

    assert [pattern for pattern in sorted(patterns) if not any(re.search(pattern, finding) for finding in found)] == []


@every_stage
def test_cfn_lint_finds_nothing(stage, name):
    assert linted(stage(name), REGIONS[name]) == []


@every_stage
def test_synth_looks_nothing_up_in_the_account(stage, name):
    manifest = json.loads((stage(name).folder / "manifest.json").read_text())

    assert not manifest.get("missing")


# --- adapters and settings ---


def test_the_table_has_the_adapters_schema(stage):
    table = stage("prod").one("AWS::DynamoDB::Table")

    def by_name(given):
        return sorted(given, key=lambda one: json.dumps(one, sort_keys=True))

    assert table["KeySchema"] == SCHEMA["KeySchema"]
    assert by_name(table["AttributeDefinitions"]) == by_name(SCHEMA["AttributeDefinitions"])
    assert by_name(table["GlobalSecondaryIndexes"]) == by_name(SCHEMA["GlobalSecondaryIndexes"])
    assert table["TimeToLiveSpecification"] == {"AttributeName": TTL, "Enabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


@every_stage
def test_functions_get_the_settings_that_they_read(stage, name):
    for kind in FUNCTIONS:
        variables = stage(name).named("AWS::Lambda::Function", f"{kind}Function")["Environment"]["Variables"]
        received = cloud_settings(
            {"AWS_REGION": REGIONS[name], **{key: _made(text) for key, text in variables.items()}}
        )

        assert received.hub == f"hubless-{name}"
        assert bool(received.front) == (kind in {"Api", "Stream"})
        assert received.subdomains == (name == "prod")
        assert bool(received.economy_instance) == (name == "prod")
        assert bool(received.alb_listener) == (name == "alb")
        assert bool(received.file_system) == (name != "alb")
        assert bool(received.role_boundary) == (name == "fleet")


def _made(text):
    """Return what a deployment would make of a text with references in it."""
    if text.endswith("RoleBoundary>"):
        return "arn:aws:iam::123456789012:policy/made"  # a reference to a policy is its ARN
    return text if text.startswith("/") or "<" not in text else re.sub(r"<[^>]*>", "made", text)


@pytest.mark.parametrize("name", ["prod", "fleet"])
def test_edges_get_the_settings_that_they_read(stage, name):
    received = EdgeSettings.from_environment(
        {"HUBLESS_EDGE_TABLE": "t"} | {key: _made(text) for key, text in _edge_variables(stage(name)).items()}
    )

    assert received.region == REGIONS[name]
    assert received.domain == ("hub.example.org" if name == "prod" else "")
    assert (received.host_header, received.api, received.port) == ("x-hubless-host", "", 8080)
    assert received.activity_seconds == 30  # as the shortest idle limit in the settings needs it
    assert received.websocket_timeout_seconds == (3_600 if name == "fleet" else 172_800)
    assert received.connections_per_address == (9_000 if name == "fleet" else 4_000)


def _edge_variables(synthesis):
    definitions = synthesis.all("AWS::ECS::TaskDefinition")
    if definitions:
        ((container,),) = [one["ContainerDefinitions"] for one in definitions.values()]
        return {pair["Name"]: pair["Value"] for pair in container["Environment"]}
    script = synthesis.one("AWS::EC2::LaunchTemplate")["LaunchTemplateData"]["UserData"]
    lines = script.partition("place.env <<'END'\n")[2].partition("END\n")[0].splitlines()
    (received,) = synthesis.folder.glob("asset.*/economy/edge.env")
    return dict(line.split("=", 1) for line in [*lines, *received.read_text().splitlines()])


def test_functions_are_called_only_by_their_aliases(stage):
    control = json.dumps(
        [
            stage("prod").all(kind, "control")
            for kind in (
                "AWS::Lambda::EventSourceMapping",
                "AWS::Events::Rule",
                "AWS::ApiGatewayV2::Integration",
                "AWS::ApiGateway::Method",
                "AWS::Lambda::Permission",
            )
        ]
    )

    assert set(re.findall(r"<(\w+(?:Alias|Function))\b[^>]*>", control)) == {f"{kind}Alias" for kind in FUNCTIONS}


def test_a_changed_setting_publishes_a_version_of_each_function(stage, tmp_path, bundles):
    before = stage("prod").templates["control"]["Resources"]
    changed = synthesized("prod", SETTINGS + "\n[servers]\nnamed_limit = 1\n", str(tmp_path), bundles, False).templates[
        "control"
    ]["Resources"]

    assert len(versions_in(changed) - versions_in(before)) == len(FUNCTIONS)


def versions_in(resources):
    return {name for name, one in resources.items() if one["Type"] == "AWS::Lambda::Version"}


def test_queues_and_their_mappings_fit_the_functions(stage):
    queues = {name[:-8]: one for name, one in stage("prod").all("AWS::SQS::Queue").items()}
    mappings = {one["EventSourceArn"]: one for one in stage("prod").all("AWS::Lambda::EventSourceMapping").values()}
    spawn = stage("prod").named("AWS::Lambda::Function", "SpawnFunction")

    assert set(queues) == {"Queue", "Launches", "Dead"}
    for name, batch in (("Queue", 10), ("Launches", 1)):
        assert queues[name]["VisibilityTimeout"] >= 6 * spawn["Timeout"]
        assert queues[name]["RedrivePolicy"] == {"deadLetterTargetArn": "<Dead.Arn>", "maxReceiveCount": 1000}
        mapping = mappings[f"<{name}.Arn>"]
        assert (mapping["BatchSize"], mapping["FunctionResponseTypes"]) == (batch, ["ReportBatchItemFailures"])
        assert mapping["ScalingConfig"] == {"MaximumConcurrency": 20}


def test_the_schedule_calls_reaper_and_task_events_call_spawn(stage):
    minute, tasks = (stage("prod").named("AWS::Events::Rule", name) for name in ("Minute", "Tasks"))

    assert minute["ScheduleExpression"] == "rate(1 minute)"
    assert [target["Arn"] for target in minute["Targets"]] == ["<ReaperAlias>"]
    assert tasks["EventPattern"] == {
        "source": ["aws.ecs"],
        "detail-type": ["ECS Task State Change"],
        "detail": {"clusterArn": ["<cluster.Cluster.Arn>"], "startedBy": ["hubless/hubless-prod"]},
    }
    assert tasks["Targets"][0]["DeadLetterConfig"] == {"Arn": "<Dead.Arn>"}


def test_readers_of_a_new_state_are_deployed_before_its_writer(stage):
    aliases = {
        name: one.get("DependsOn", [])
        for template in stage("prod").templates.values()
        for name, one in template["Resources"].items()
        if one["Type"] == "AWS::Lambda::Alias"
    }
    (spawn,) = (name for name in aliases if name.startswith("Spawn"))

    assert len(aliases) == len(FUNCTIONS)
    assert sorted(aliases.pop(spawn)) == sorted(aliases)


# --- permissions ---

TABLE = (
    "dynamodb:BatchGetItem dynamodb:BatchWriteItem dynamodb:ConditionCheckItem dynamodb:DeleteItem dynamodb:GetItem "
    "dynamodb:PutItem dynamodb:Query dynamodb:UpdateItem"
)
OF_REGION = "arn:<AWS::Partition>:{}:eu-central-1:<AWS::AccountId>:{}"
DEFINITION = OF_REGION.format("ecs", "task-definition/hubless-prod-????????????????????????????????-*")
TASK = OF_REGION.format("ecs", "task/<cluster.Cluster>/*")
INSTANCE = OF_REGION.format("ec2", "instance/<web.EconomyInstance>")
IN_CLUSTER = "ecs:cluster <cluster.Cluster.Arn>"
LAUNCHES, DEFINITIONS = (f"<state.Launches.Arn>/{folder}/hubless-prod/*" for folder in ("launches", "definitions"))


def parameter(secret):
    return OF_REGION.format("ssm", f"parameter/aws/reference/secretsmanager/<state.{secret}>")


EVERYONE = {
    (TABLE, "<state.Table.Arn>", ""),
    ("dynamodb:Query", "<state.Table.Arn>/index/*", ""),
    ("ec2:StartInstances", INSTANCE, ""),
    ("ecs:DescribeTasks ecs:StopTask", TASK, IN_CLUSTER),
    ("s3:DeleteObject", LAUNCHES, ""),
    ("s3:ListBucket", "<state.Launches.Arn>", "s3:prefix launches/hubless-prod/*"),
    ("secretsmanager:GetSecretValue", "<state.Secrets>", ""),
    ("sqs:GetQueueAttributes sqs:SendMessage", "<Launches.Arn> <Queue.Arn>", ""),
    ("ssm:GetParameters", parameter("Secrets"), ""),
}
FRONT = {("secretsmanager:GetSecretValue", "<state.Front>", ""), ("ssm:GetParameters", parameter("Front"), "")}
BY = "kms:ViaService {}.eu-central-1.amazonaws.com"
OWN_KEY = "<state.OwnKey.Arn>"
READ_WRITE = "kms:Decrypt kms:DescribeKey kms:Encrypt kms:GenerateDataKey kms:ReEncryptFrom kms:ReEncryptTo"
STORES = " ".join(f"{one}.eu-central-1.amazonaws.com" for one in ("dynamodb", "secretsmanager", "sqs"))
KEY_RIGHTS = {
    (READ_WRITE, OWN_KEY, f"kms:ViaService {STORES}"),
    ("kms:Decrypt kms:DescribeKey", OWN_KEY, BY.format("ec2")),
    ("kms:CreateGrant", OWN_KEY, f"kms:GrantIsForAWSResource true; {BY.format('ec2')}"),
}
KEY_RIGHTS_OF = {
    # The CDK gives the second to whoever receives messages of an encrypted queue.
    "SpawnRole": {("kms:GenerateDataKey", OWN_KEY, BY.format("s3")), ("kms:Decrypt", OWN_KEY, "")},
    "ReaperRole": {("kms:GenerateDataKey", OWN_KEY, BY.format("s3"))},
}
FEED = "sqs:ChangeMessageVisibility sqs:DeleteMessage sqs:GetQueueAttributes sqs:GetQueueUrl sqs:ReceiveMessage"
PREPARING = {
    ("ecs:TagResource", DEFINITION, "ecs:CreateAction RegisterTaskDefinition"),
    ("ecs:ListTaskDefinitions ecs:RegisterTaskDefinition", "*", ""),
    (
        "iam:PassRole",
        "<cluster.ExecutionRole.Arn> <cluster.TaskRole.Arn>",
        "iam:PassedToService ecs-tasks.amazonaws.com",
    ),
    ("s3:PutObject", DEFINITIONS, ""),
    ("elasticfilesystem:CreateAccessPoint", "<cluster.Homes.Arn>", ""),
    (
        "elasticfilesystem:TagResource",
        f"<cluster.Homes.Arn> {OF_REGION.format('elasticfilesystem', 'access-point/*')}",
        "elasticfilesystem:CreateAction CreateAccessPoint",
    ),
}
RIGHTS = {
    "ApiRole": FRONT,
    "StreamRole": FRONT,
    "SpawnRole": {
        *PREPARING,
        ("ecs:RunTask", DEFINITION, IN_CLUSTER),
        ("ecs:TagResource", TASK, "ecs:CreateAction RunTask"),
        ("s3:PutObject", LAUNCHES, ""),
        (FEED, "<Launches.Arn>", ""),
        (FEED, "<Queue.Arn>", ""),
    },
    "ReaperRole": {
        ("ec2:StopInstances", INSTANCE, ""),
        ("ecs:ListTasks", "*", IN_CLUSTER),
        *PREPARING,
        ("ecs:DeregisterTaskDefinition ecs:ListTaskDefinitionFamilies", "*", ""),
        ("ecs:DeleteTaskDefinitions", DEFINITION, ""),
        ("elasticfilesystem:DescribeAccessPoints", "<cluster.Homes.Arn>", ""),
        (
            "elasticfilesystem:DeleteAccessPoint",
            OF_REGION.format("elasticfilesystem", "access-point/*"),
            "aws:ResourceTag/hubless:hub hubless-prod",
        ),
        ("s3:DeleteObject", DEFINITIONS, ""),
        ("s3:ListBucket", "<state.Launches.Arn>", "s3:prefix definitions/hubless-prod/*"),
    },
}


@pytest.mark.parametrize("role", list(RIGHTS))
def test_a_function_has_these_permissions_and_no_others(stage, role):
    log = {("logs:CreateLogStream logs:PutLogEvents", f"<{role.removesuffix('Role')}Log.Arn>", "")}

    granted = {right for right in rights_of(stage("prod"), role) if "kms:" not in right[0]}
    assert granted == EVERYONE | RIGHTS[role] | log


def test_with_alb_functions_may_write_rules_and_start_no_instance(stage):
    granted = [
        right
        for right in rights_of(stage("alb"), "SpawnRole")
        if right[0].startswith(("elasticload", "ec2:", "elasticfile"))
    ]
    balancer = "arn:<AWS::Partition>:elasticloadbalancing:us-east-1:<AWS::AccountId>:"

    assert {resource for _, resource, _ in granted} == {
        "*",
        "<web.BalancerServers>",
        f"{balancer}targetgroup/{family_of('hubless-alb')}*",
        f"{balancer}listener-rule/<web.Balancer.LoadBalancerFullName>/*",
    }
    assert {actions for actions, resource, _ in granted if resource == "*"} == {
        " ".join(f"elasticloadbalancing:Describe{what}" for what in ("Rules", "Tags", "TargetGroups", "TargetHealth"))
    }


@every_stage
def test_the_permissions_of_functions_are_documented(stage, name):
    text = (TOP / "docs/cloud.md").read_text().partition("## Rights")[2].partition("\n## ")[0]
    documented = set(re.findall(r"`(?:[a-z0-9]+:)?([A-Z][A-Za-z]+)`", text)) | {
        "CreateLogStream",
        "PutLogEvents",
        "GetQueueUrl",
    }
    granted = {
        action.partition(":")[2]
        for role in RIGHTS
        for actions, _, _ in rights_of(stage(name), role)
        for action in actions.split()
    }

    assert granted <= documented


@every_stage
def test_a_server_has_no_permissions_and_its_execution_role_few(stage, name):
    assert rights_of(stage(name), "TaskRole", "cluster") == []
    actions = {action for given, _, _ in rights_of(stage(name), "ExecutionRole", "cluster") for action in given.split()}
    pulling = {
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetAuthorizationToken",
        "ecr:GetDownloadUrlForLayer",
    }
    caching = {"ecr:BatchImportUpstreamImage", "ecr:CreateRepository"}  # behind a NAT

    always = {"logs:CreateLogStream", "logs:PutLogEvents", "s3:GetObject", "s3:GetBucketLocation"}
    assert actions == always | pulling | (caching if name == "alb" else {"kms:Decrypt"})


@pytest.mark.parametrize(("name", "role"), [("prod", "EconomyRole"), ("fleet", "FleetTaskRole")])
def test_an_edge_may_use_only_its_partitions_and_write_activity(stage, name, role):
    granted = set(rights_of(stage(name), role, "web"))
    code = {right for right in granted if right[0] == "s3:GetObject"}
    journal = {
        ("s3:PutObject", "<state.Logs.Arn>/edge/*", ""),
        ("kms:Decrypt kms:GenerateDataKey", KEYS[name], f"kms:ViaService s3.{REGIONS[name]}.amazonaws.com"),
    }

    region, key = REGIONS[name], KEYS[name]
    assert granted - code == (journal if name == "prod" else set()) | {
        (READ_WRITE, key, f"kms:ViaService dynamodb.{region}.amazonaws.com"),
        ("dynamodb:GetItem dynamodb:Query", "<state.Table.Arn>", "dynamodb:LeadingKeys CHANGES ROUTES SEQUENCE"),
        ("dynamodb:DeleteItem dynamodb:PutItem", "<state.Table.Arn>", "dynamodb:LeadingKeys EDGES"),
        (
            "dynamodb:UpdateItem",
            "<state.Table.Arn>",
            (
                "dynamodb:LeadingKeys USER#*; dynamodb:Attributes pk server_activity sk; "
                "dynamodb:ReturnValues NONE UPDATED_NEW UPDATED_OLD"
            ),
        ),
    }
    assert len(code) == (name == "prod")
    assert all("*" not in resource for _, resource, _ in code)


def test_the_partitions_of_an_edge_are_those_of_its_adapter():
    assert {keys.route("/user/a/").pk, keys.change(1).pk, keys.SEQUENCE.pk} == {"ROUTES", "CHANGES", "SEQUENCE"}
    assert keys.edge("e").pk == "EDGES"
    assert keys.seen("u").pk == "USER#u"


def test_no_other_item_has_the_attribute_that_an_edge_may_write():
    models = {model for model in vars(table).values() if isinstance(model, type) and issubclass(model, table.Item)}
    holders = {model for model in models for name in model.get_attributes() if name == ACTIVITY_ATTRIBUTE}

    assert holders == {table.Seen}
    assert table.Seen.server_activity.attr_name == ACTIVITY_ATTRIBUTE


@every_stage
def test_templates_hold_no_secret(stage, name):
    for part, template in stage(name).templates.items():
        text = json.dumps(template)
        resolved = re.findall(r"\{\{resolve:secretsmanager:", text)
        # CloudFront has no other way to get the secret that it sends.
        assert bool(resolved) == (part == "web"), part
        exported = {
            output["Export"]["Name"].partition("ExportsOutput")[2]
            for output in template.get("Outputs", {}).values()
            if "Export" in output
        }
        assert all(name.startswith(("RefSecrets", "RefFront")) for name in exported)  # exports block changes


# --- network ---


@every_stage
def test_only_edges_reach_servers_and_only_servers_reach_files(stage, name):
    rules = stage(name).all("AWS::EC2::SecurityGroupIngress", "cluster").values()
    reached = {(one["GroupId"], one["SourceSecurityGroupId"], one["FromPort"], one["ToPort"]) for one in rules}
    files = {("<HomesGroup.GroupId>", "<ServerGroup.GroupId>", 2049, 2049)} if name != "alb" else set()

    assert reached == {("<ServerGroup.GroupId>", "<EdgeGroup.GroupId>", 8888, 8888)} | files
    for group in stage(name).all("AWS::EC2::SecurityGroup").values():
        assert not group.get("SecurityGroupIngress"), group


@every_stage
def test_no_function_is_in_the_network_of_servers(stage, name):
    functions = stage(name).all("AWS::Lambda::Function").values()
    assert len(functions) > 2
    assert not any("VpcConfig" in one for one in functions)


@every_stage
def test_only_cloudfront_reaches_the_edge(stage, name):
    rules = list(stage(name).all("AWS::EC2::SecurityGroupIngress", "web").values())

    by_list = [
        one
        for one in rules
        if one.get("SourcePrefixListId") == "<CloudFrontNetworks.PrefixLists.0.PrefixListId>"
        or "CloudFrontNetworks" in one.get("SourcePrefixListId", "")
    ]
    others = [one for one in rules if one not in by_list]
    assert len(by_list) == 1
    assert [one["SourceSecurityGroupId"] for one in others] == (
        ["<FleetBalancerGroup.GroupId>"] if name == "fleet" else []
    )
    for one in stage(name).all("AWS::ElasticLoadBalancingV2::LoadBalancer").values():
        assert one["Scheme"] == "internal"


def test_the_economy_edge_has_no_public_address_and_is_never_replaced(stage):
    instance = stage("prod").one("AWS::EC2::Instance")
    template = stage("prod").one("AWS::EC2::LaunchTemplate")["LaunchTemplateData"]

    assert instance["SubnetId"].startswith("<cluster.Vpcedge")
    assert instance["LaunchTemplate"]["Version"] == "1"
    assert template["ImageId"].startswith("resolve:ssm:")  # asked for when an instance is made, and never again
    assert template["MetadataOptions"]["HttpTokens"] == "required"
    assert "NetworkInterfaces" not in template
    tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
    assert tags["hubless-journal"] == "s3://<state.Logs>/edge"  # there is no way to CloudWatch
    assert "hubless-code" in tags
    assert stage("prod").all("AWS::EC2::NatGateway") == {}


def test_the_deployment_waits_for_the_economy_edge_and_hears_of_it_by_s3(stage):
    waiting = stage("prod").one("AWS::CloudFormation::WaitCondition", "web")
    script = stage("prod").one("AWS::EC2::LaunchTemplate")["LaunchTemplateData"]["UserData"]
    (resource,) = [
        one
        for one in stage("prod").templates["web"]["Resources"].values()
        if one["Type"] == "AWS::CloudFormation::WaitCondition"
    ]
    (instance,) = stage("prod").all("AWS::EC2::Instance")

    assert (waiting["Handle"], waiting["Count"]) == ("<EconomyFirstBoot>", 1)
    assert resource["DependsOn"] == [instance]
    # A presigned address of S3 (the network has an endpoint for it), not CloudFormation's API (it has none).
    assert "signal_url='<EconomyFirstBoot>'" in script
    assert "cfn-signal" not in script
    assert len(script) < 16_384  # EC2's limit of user data
    given_up = int(re.search(r"HUBLESS_FIRST_BOOT_SECONDS:-(\d+)", script)[1])
    assert int(waiting["Timeout"]) >= given_up + 240 + 90 + 60  # an attempt, its health check and its telling


def test_new_code_for_the_economy_edge_changes_only_a_tag(stage, tmp_path, bundles, monkeypatch):
    import infra.deployment

    real = infra.deployment.bundle

    def other_edge(function, **how):
        made = real(function, **how)
        if function != "edge":
            return made
        copied = tmp_path / "edge"
        shutil.copytree(made, copied)
        (copied / "edge_proxy" / "new.py").write_text("# newer\n")
        return copied

    monkeypatch.setattr(infra.deployment, "bundle", other_edge)
    made = synthesized("prod", SETTINGS, str(tmp_path / "stages"), bundles, False).templates
    after, before = made["web"]["Resources"], stage("prod").templates["web"]["Resources"]
    different = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}

    assert {after[name]["Type"] for name in different} == {"AWS::EC2::Instance"} or {
        after[name]["Type"] for name in different
    } == {"AWS::EC2::Instance", "AWS::IAM::Policy"}
    (instance,) = [name for name in different if after[name]["Type"] == "AWS::EC2::Instance"]
    changed = {
        key
        for key in after[instance]["Properties"]
        if after[instance]["Properties"][key] != before[instance]["Properties"][key]
    }
    assert changed == {"Tags"}
    assert made["control"] == stage("prod").templates["control"]  # and no function has a new version


def test_flow_logs_record_what_was_refused_or_everything(stage):
    recorded = {name: [one["TrafficType"] for one in stage(name).all("AWS::EC2::FlowLog").values()] for name in REGIONS}

    assert recorded == {"prod": ["REJECT"], "fleet": [], "alb": ["ALL"]}  # fleet has its owner's VPC


# --- CloudFront ---


@pytest.fixture(scope="module")
def web(stage):
    return lambda name: stage(name).one("AWS::CloudFront::Distribution", "web")["DistributionConfig"]


@every_stage
def test_each_path_has_its_origin(web, name):
    config = web(name)
    leads = {one["PathPattern"]: one["TargetOriginId"] for one in config["CacheBehaviors"]}

    assert config["DefaultCacheBehavior"]["TargetOriginId"] == "api"
    assert leads == {
        "/hub/static/*": "api",
        "/hub/api/users/*/progress": "stream",
        "/user/*": "edge",
        "/services/*": "edge",
    }


@every_stage
def test_cloudfront_sends_a_slow_request_to_a_server_once(web, name):
    (edge,) = [one for one in web(name)["Origins"] if one["Id"] == "edge"]

    assert edge["ConnectionAttempts"] == 1
    assert edge["VpcOriginConfig"]["OriginReadTimeout"] == 120


@every_stage
def test_cloudfront_caches_static_files_and_no_errors(web, name):
    disabled = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"  # CachingDisabled
    config = web(name)
    kept = [one["PathPattern"] for one in config["CacheBehaviors"] if one["CachePolicyId"] != disabled]

    assert kept == ["/hub/static/*"]
    assert config["DefaultCacheBehavior"]["CachePolicyId"] == disabled
    assert {(one["ErrorCode"], one["ErrorCachingMinTTL"]) for one in config["CustomErrorResponses"]} == {
        (code, 0) for code in (400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504)
    }


@every_stage
def test_the_viewers_host_reaches_servers(web, name):
    (to_servers,) = [one for one in web(name)["CacheBehaviors"] if one["PathPattern"] == "/user/*"]
    all_viewer, but_host = "216adef6-5c7f-47e4-b989-5492eafa07d3", "b689b0a8-53d0-40ab-baf2-68738e2966ac"

    # HAProxy gets the host from CloudFront, so the API, which stands in for it, gets no host that it refuses.
    assert to_servers["OriginRequestPolicyId"] == (all_viewer if name == "alb" else but_host)
    assert len(to_servers["AllowedMethods"]) == 7


@every_stage
def test_only_the_api_origins_get_the_front_secret(web, name):
    origins = {one["Id"]: one for one in web(name)["Origins"]}

    assert set(origins) == {"api", "stream", "edge"}
    for origin in ("api", "stream"):
        (header,) = origins[origin]["OriginCustomHeaders"]
        assert header["HeaderName"] == "x-hubless-front"
        assert "resolve:secretsmanager" in header["HeaderValue"]
        assert origins[origin]["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"
    assert "OriginCustomHeaders" not in origins["edge"]
    assert "VpcOriginConfig" in origins["edge"]


def test_domain_names_and_certificates_are_the_stages(web, stage):
    assert web("prod")["Aliases"] == ["hub.example.org", "*.hub.example.org"]
    assert web("alb")["Aliases"] == ["jupyter.example.edu"]
    assert "Aliases" not in web("fleet")
    records = {one["Name"] for one in stage("prod").all("AWS::Route53::RecordSet").values()}
    assert records == {"hub.example.org.", "*.hub.example.org."}
    assert stage("prod").one("AWS::CertificateManager::Certificate")["SubjectAlternativeNames"] == ["*.hub.example.org"]
    assert not stage("alb").all("AWS::Route53::RecordSet")


def test_the_streams_method_streams(stage):
    integration = stage("prod").one("AWS::ApiGateway::Method")["Integration"]

    assert integration["ResponseTransferMode"] == "STREAM"
    assert integration["Uri"].endswith("/response-streaming-invocations")
    wrapper = stage("prod").named("AWS::Lambda::Function", "StreamFunction")["Environment"]["Variables"][
        "AWS_LAMBDA_EXEC_WRAPPER"
    ]
    assert (TOP / wrapper.removeprefix("/var/task/")).stat().st_mode & 0o111
    assert wrapper.split("/")[3:5] == BUNDLE_SPECS["api"].packages[1].split("/")
    assert (
        stage("prod").named("AWS::Lambda::Function", "StreamFunction")["Handler"]
        == "functions.api.stream.handler.handler"
    )


@pytest.mark.parametrize(("name", "streams"), [("prod", "50"), ("fleet", "0")])
def test_the_deployment_reserves_concurrency_for_three_functions(stage, name, streams):
    made = stage(name).one("Custom::Reservations")

    assert set(made["Names"]) == {"reaper", "spawn", "stream"}
    assert made["Streams"] == streams
    functions = stage(name).all("AWS::Lambda::Function", "control").values()
    assert not [one for one in functions if "ReservedConcurrentExecutions" in one], "a new account could not deploy"


def test_spawn_reserves_enough_for_both_queues_and_task_events():
    assert 2 * MAX_CONCURRENCY + 10 <= SPAWN
    assert RESERVED_CONCURRENCY == SPAWN + REAPER


def test_the_code_that_reserves_fits_into_a_template(stage):
    code = stage("prod").named("AWS::Lambda::Function", "ReservationsFunction")["Code"]["ZipFile"]

    assert code == Path(reservations.__file__).read_text()
    assert len(code) <= 4096


@every_stage
def test_the_streams_stage_throttles_all_methods(stage, name):
    (settings,) = stage(name).one("AWS::ApiGateway::Stage")["MethodSettings"]

    assert settings == {
        "HttpMethod": "*",
        "ResourcePath": "/*",
        "ThrottlingRateLimit": RATE,
        "ThrottlingBurstLimit": BURST,
    }


def test_reservations_may_change_the_concurrency_of_three_functions(stage):
    rights = {actions for actions, _, _ in rights_of(stage("prod"), "ReservationsRole")}

    assert rights == {
        "lambda:DeleteFunctionConcurrency lambda:GetFunctionConcurrency lambda:PutFunctionConcurrency",
        "lambda:GetAccountSettings",
        "logs:CreateLogStream logs:PutLogEvents",
    }


def test_with_alb_requests_without_a_rule_go_to_the_api(stage):
    last = stage("alb").one("AWS::ElasticLoadBalancingV2::ListenerRule")

    assert last["Priority"] == 50_000
    assert last["Conditions"][0]["PathPatternConfig"]["Values"] == ["/*"]
    (idle,) = [
        one["Value"]
        for one in stage("alb").one("AWS::ElasticLoadBalancingV2::LoadBalancer")["LoadBalancerAttributes"]
        if one["Key"] == "idle_timeout.timeout_seconds"
    ]
    assert int(idle) >= 300


def test_waf_limits_logins_if_the_stage_says_so(stage):
    logins, token_requests = stage("prod").one("AWS::WAFv2::WebACL")["Rules"]

    assert logins["Statement"]["RateBasedStatement"]["Limit"] == 1000
    assert token_requests["Statement"]["RateBasedStatement"]["Limit"] == 10_000
    assert "WebACLId" in stage("prod").one("AWS::CloudFront::Distribution", "web")["DistributionConfig"]
    assert not stage("fleet").all("AWS::WAFv2::WebACL")


def test_waf_counts_each_request_that_may_carry_a_password(stage):
    rule, more = stage("prod").one("AWS::WAFv2::WebACL")["Rules"]
    counts = rule["Statement"]["RateBasedStatement"]["ScopeDownStatement"]
    asks_for_tokens = more["Statement"]["RateBasedStatement"]["ScopeDownStatement"]
    guarded = {
        route.path.replace("{name:segment}", "al%69ce")
        for router in ROUTERS
        for route in router.routes
        if "POST" in route.methods
        and re.search("in_(new_)?password_pool|by_password|page.sign_up", inspect.getsource(route.endpoint))
    }
    guarded.discard("/hub/api/authorizations/token")  # JupyterHub's old one, which takes none
    guarded = {path for path in guarded if "/people" not in path}  # an admin's: nobody guesses there
    assert {"/hub/login", "/hub/sign-up", "/hub/api/users/al%69ce/tokens"} <= guarded
    guarded |= {"/hub/forgot-password", "/hub/second-factor"}  # mails to others, and guesses at codes
    assert [path for path in sorted(guarded) if not _matches(counts, "POST", path)] == []
    reads = [("GET", path) for path in guarded]  # a class of 300 opens the page at once
    for method, path in [*reads, ("POST", "/hub/api/users/alice/server")]:
        assert not _matches(counts, method, path)
    begins = [("GET", "/hub/oauth_login"), ("GET", "/hub/lti/login"), ("POST", "/hub/lti/login")]  # each is stored
    assert all(_matches(counts, *request) for request in begins)
    assert _matches(asks_for_tokens, "POST", "/hub/api/oauth2/token")
    assert not _matches(asks_for_tokens, "POST", "/hub/login")


def _matches(statement, method, path):
    """Say whether AWS WAF's statement matches the request."""
    ((kind, inner),) = statement.items()
    if kind in {"OrStatement", "AndStatement"}:
        return {"OrStatement": any, "AndStatement": all}[kind](
            _matches(one, method, path) for one in inner["Statements"]
        )
    ((part, _),) = inner["FieldToMatch"].items()
    text = {"UriPath": path, "Method": method}[part]
    if inner["TextTransformations"][0]["Type"] == "URL_DECODE":
        text = unquote(text)
    wanted = inner["SearchString"]
    return {"STARTS_WITH": text.startswith, "ENDS_WITH": text.endswith, "EXACTLY": text.__eq__}[
        inner["PositionalConstraint"]
    ](wanted)


# --- access logs ---

# The path too: GET /hub/api/authorizations/token/TOKEN is JupyterHub's.
MAY_HOLD_SECRETS = re.compile(r"query|cookie|referer|header|authorizer|user-?agent|uri|path$", re.IGNORECASE)


def test_cloudfronts_access_log_has_no_paths_queries_and_cookies(stage):
    delivery = stage("prod").one("AWS::Logs::Delivery", "access")
    source = stage("prod").one("AWS::Logs::DeliverySource", "access")

    assert {"c-ip", "cs-method", "cache-behavior-path-pattern", "sc-status"} <= set(delivery["RecordFields"])
    left = [one for one in delivery["RecordFields"] if MAY_HOLD_SECRETS.search(one.replace("x-host-header", ""))]
    assert left == []
    assert source["LogType"] == "ACCESS_LOGS"
    assert source["ResourceArn"].endswith(":distribution/<web.Distribution>")
    assert delivery["DeliverySourceName"] == source["Name"]


def test_cloudfronts_access_log_may_write_to_the_bucket_from_us_east_1(stage):
    stacks = json.loads((stage("prod").folder / "manifest.json").read_text())["artifacts"]
    destination = stage("prod").one("AWS::Logs::DeliveryDestination", "access")
    allowed = [
        one
        for policy in stage("prod").all("AWS::S3::BucketPolicy", "state").values()
        for one in policy["PolicyDocument"]["Statement"]
        if one.get("Sid") == "CloudFrontsAccessLog"
    ]

    assert stacks["hubless-prod-access"]["environment"].endswith("/us-east-1")
    assert destination["DestinationResourceArn"] == "<state.Logs.Arn>"
    (statement,) = allowed
    assert statement["Resource"] == "<Logs.Arn>/AWSLogs/<AWS::AccountId>/*"
    assert ":us-east-1:" in statement["Condition"]["ArnLike"]["aws:SourceArn"]


def test_api_gateways_access_log_has_no_paths_and_queries(stage):
    settings = stage("prod").one("AWS::ApiGatewayV2::Stage")["AccessLogSettings"]

    assert settings["DestinationArn"] == "<ApiAccess.Arn>"
    variables = set(json.loads(settings["Format"]).values())
    assert {"$context.identity.sourceIp", "$context.httpMethod", "$context.status"} <= variables
    assert not any(MAY_HOLD_SECRETS.search(one) for one in variables)


def test_edges_log_who_reached_which_server_if_the_stage_says_so(stage):
    told = {name: _edge_variables(stage(name))["HUBLESS_EDGE_ACCESS_LOG"] for name in ("prod", "fleet")}

    assert told == {"prod": "true", "fleet": "false"}


@pytest.mark.parametrize("name", ["fleet", "alb"])
def test_without_access_logs_there_are_none(stage, name):
    assert "access" not in stage(name).templates
    assert "AccessLogSettings" not in stage(name).one("AWS::ApiGatewayV2::Stage")
    assert "CloudFrontsAccessLog" not in json.dumps(stage(name).templates["state"])


# --- the KMS key ---

KEYS = {
    "prod": "<state.OwnKey.Arn>",
    "fleet": "arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d-4e5f-6789-abcd-ef0123456789",
}
WITHOUT_A_KEY = {
    "AWS::Lambda::Function": "variables and code hold no secret, and have Lambda's own key",
    "AWS::Lambda::EventSourceMapping": "the key is for filters, and there are none",
    "AWS::ECS::Cluster": "a test of its own: it takes the key's id",
    "AWS::EC2::Instance": "the launch template has the disk",
    "AWS::ECS::Service": "the cluster has the key of its disks; no volume is attached",
}


def test_all_that_can_be_encrypted_has_the_stages_key(stage):
    for name, key in KEYS.items():
        for part, template in stage(name).templates.items():
            for logical, one in template["Resources"].items():
                if takes_a_key(one["Type"]) and one["Type"] not in WITHOUT_A_KEY:
                    properties = json.dumps(plain(one["Properties"]))
                    here = key.replace("<state.", "<") if part == "state" else key
                    assert here in properties, f"{part}: {one['Type']} {logical}"


def test_fargate_encrypts_disks_with_the_stages_key(stage):
    ids = {name: stage(name).one("AWS::ECS::Cluster")["Configuration"]["ManagedStorageConfiguration"] for name in KEYS}

    assert ids == {
        "prod": {"FargateEphemeralStorageKmsKeyId": "<state.OwnKey>"},
        "fleet": {"FargateEphemeralStorageKmsKeyId": "0a1b2c3d-4e5f-6789-abcd-ef0123456789"},
    }
    assert "Configuration" not in stage("alb").one("AWS::ECS::Cluster")


def takes_a_key(kind):
    """Say whether a resource of this kind has a property for a KMS key, according to CloudFormation's schemas."""
    if kind.startswith("Custom::"):
        return False
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    return any("kms" in name.lower() for name in property_names(schema))


def property_names(schema):
    if isinstance(schema, dict):
        for key, inner in schema.items():
            if key == "properties":
                yield from inner
            yield from property_names(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from property_names(inner)


def test_each_kind_without_a_key_is_one_that_could_have_one(stage):
    kinds = {
        one["Type"] for name in KEYS for part in stage(name).templates.values() for one in part["Resources"].values()
    }

    assert {kind for kind in kinds if takes_a_key(kind)} >= set(WITHOUT_A_KEY)
    assert len({kind for kind in kinds if takes_a_key(kind)} - set(WITHOUT_A_KEY)) >= 8


def test_without_kms_key_a_stage_uses_aws_own_keys(stage):
    kinds = {"AWS::KMS::Key", "AWS::KMS::Alias"}

    assert not any(stage("alb").all(kind) for kind in kinds)
    assert "KMSMasterKeyId" not in json.dumps(stage("alb").templates)
    assert not any("kms:" in right[0] for role in RIGHTS for right in rights_of(stage("alb"), role))


def test_services_use_the_own_key_for_this_hub_only(stage):
    key = stage("prod").one("AWS::KMS::Key")
    used = {
        one["Principal"]["Service"]: json.dumps(one["Condition"])
        for one in key["KeyPolicy"]["Statement"]
        if "Service" in one["Principal"]
    }

    assert key["EnableKeyRotation"] is True
    assert set(used) == {
        "logs.eu-central-1.amazonaws.com",
        "delivery.logs.amazonaws.com",
        "cloudwatch.amazonaws.com",
        "events.amazonaws.com",
        "fargate.amazonaws.com",
    }
    assert all("<AWS::AccountId>" in condition for condition in used.values()), used
    assert "log-group:hubless-prod-*" in used["logs.eu-central-1.amazonaws.com"]
    assert "hubless-prod-cluster-*" in used["fargate.amazonaws.com"]
    assert "us-east-1" in used["delivery.logs.amazonaws.com"]  # where CloudFront's deliveries are


def test_the_names_of_log_groups_are_those_of_the_keys_policy(stage):
    for name in REGIONS:
        for group in stage(name).all("AWS::Logs::LogGroup").values():
            assert "LogGroupName" not in group  # CloudFormation's names begin with the stack's, and so with the hub's


def test_the_policy_for_a_key_of_ones_own_is_documented(stage):
    text = (TOP / "docs/review.md").read_text().partition("```json\n")[2].partition("```")[0]
    documented = json.loads(text.replace("HUB", "hubless-prod").replace("REGION", "eu-central-1"))
    made = json.dumps(stage("prod").one("AWS::KMS::Key")["KeyPolicy"]["Statement"][1:])

    assert documented == json.loads(made.replace("<AWS::AccountId>", "ACCOUNT").replace("<AWS::Partition>", "aws"))


@pytest.mark.parametrize("role", list(RIGHTS))
def test_a_function_uses_the_key_through_services_only(stage, role):
    granted = {right for right in rights_of(stage("prod"), role) if "kms:" in right[0]}

    assert granted == KEY_RIGHTS | KEY_RIGHTS_OF.get(role, set())


# --- data and monitoring ---


def test_destroy_keeps_data_if_the_stage_says_so(stage):
    kept = ("AWS::DynamoDB::Table", "AWS::EFS::FileSystem", "AWS::SecretsManager::Secret")
    for name, policy in (("prod", "Retain"), ("alb", "Delete")):
        for template in stage(name).templates.values():
            for one in template["Resources"].values():
                if one["Type"] in kept:
                    assert (one["DeletionPolicy"], one["UpdateReplacePolicy"]) == (policy, policy), one["Type"]
    assert stage("prod").one("AWS::DynamoDB::Table")["DeletionProtectionEnabled"] is True
    assert stage("alb").one("AWS::DynamoDB::Table")["DeletionProtectionEnabled"] is False


@every_stage
def test_the_state_is_protected_from_deletion_if_the_stage_keeps_its_data(stage, name):
    stacks = json.loads((stage(name).folder / "manifest.json").read_text())["artifacts"]
    protected = {one for one, what in stacks.items() if what.get("properties", {}).get("terminationProtection")}

    assert protected == (set() if name == "alb" else {f"hubless-{name}-state"})


def test_files_are_encrypted_and_need_an_access_point_and_tls(stage):
    homes = stage("prod").one("AWS::EFS::FileSystem")
    allowed, denied, *more = homes["FileSystemPolicy"]["Statement"]

    assert homes["Encrypted"] is True
    assert more == [], more
    assert allowed["Principal"] == {"AWS": "<TaskRole.Arn>"}
    assert set(allowed["Action"]) == {"elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"}  # not as root
    assert "elasticfilesystem:AccessPointArn" in json.dumps(allowed["Condition"])
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_with_task_roles_a_role_mounts_the_access_point_of_its_tag_alone(stage):
    allowed, denied = stage("fleet").one("AWS::EFS::FileSystem")["FileSystemPolicy"]["Statement"]

    assert (allowed["Effect"], allowed["Principal"]) == ("Allow", {"AWS": "*"})
    assert set(allowed["Action"]) == MOUNT
    assert allowed["Condition"] == {
        "Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"},
        "ArnLike": {"aws:PrincipalArn": OWN_ROLES},
        "StringEquals": {"elasticfilesystem:AccessPointArn": "${aws:PrincipalTag/hubless-access-point}"},
    }
    assert (denied["Effect"], denied["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_the_boundary_of_users_roles_denies_all_but_the_mount(stage):
    allowed, denied = stage("fleet").one("AWS::IAM::ManagedPolicy")["PolicyDocument"]["Statement"]

    assert (allowed["Effect"], set(allowed["Action"]), allowed["Resource"]) == ("Allow", MOUNT, "<Homes.Arn>")
    assert (denied["Effect"], set(denied["NotAction"]), denied["Resource"]) == ("Deny", MOUNT, "*")
    assert not stage("prod").all("AWS::IAM::ManagedPolicy")


@pytest.mark.parametrize(
    ("role", "own"),
    [
        ("ApiRole", set()),
        ("StreamRole", set()),
        ("SpawnRole", {("iam:PassRole", "iam:PassedToService ecs-tasks.amazonaws.com")}),
        ("ReaperRole", {("iam:DeleteRole", "")}),
    ],
)
def test_functions_make_users_roles_within_their_path_and_boundary(stage, role, own):
    granted = {right for right in rights_of(stage("fleet"), role) if right[0].startswith("iam:")}

    making = {
        ("iam:CreateRole", "iam:PermissionsBoundary <cluster.RoleBoundary>"),
        ("iam:TagRole", "aws:TagKeys hubless-access-point"),
        ("iam:GetRole", ""),
    }
    of_path = {(action, where) for action, resource, where in granted if resource == OWN_ROLES}
    assert of_path == (own | making if own else set())
    others = {(action, resource) for action, resource, _ in granted if resource != OWN_ROLES}
    shared = {("iam:PassRole", "<cluster.ExecutionRole.Arn> <cluster.TaskRole.Arn>")} if own else set()
    assert others == shared | ({("iam:ListRoles", "*")} if role == "ReaperRole" else set())


@every_stage
def test_alarms_say_what_to_do_and_send_mail_if_there_is_an_address(stage, name):
    alarms = stage(name).all("AWS::CloudWatch::Alarm")

    alarms = {name[:-8]: one for name, one in alarms.items() if not name.startswith("FleetService")}  # its scaling
    assert set(alarms) == {"DeadLetters", "FailedSpawns", "Orphans", "NoSweep", "ApiErrors"} | (
        {"EdgeRefused"} if name == "prod" else {"ServerLogs"}  # the others name images
    )
    for alarm in alarms.values():
        assert alarm["AlarmDescription"].startswith(f"hubless-{name}: ")
        assert bool(alarm.get("AlarmActions")) == (name == "prod")
    for policy in stage(name).all("AWS::SNS::TopicPolicy").values():
        allowed = [one["Principal"] for one in policy["PolicyDocument"]["Statement"] if one["Effect"] == "Allow"]
        assert allowed == [{"Service": "cloudwatch.amazonaws.com"}]
    assert len(stage(name).all("AWS::CloudWatch::Dashboard")) == 1
    assert len(stage(name).all("AWS::Budgets::Budget")) == (name == "prod")


@every_stage
def test_functions_get_a_limit_of_active_servers_unless_settings_name_one(stage, name):
    for kind in FUNCTIONS:
        variables = stage(name).named("AWS::Lambda::Function", f"{kind}Function")["Environment"]["Variables"]
        assert variables["HUBLESS_ACTIVE_LIMIT"] == "100"


def test_the_functions_of_one_hub_may_change_no_other_hubs_target_groups(stage):
    groups = {
        resource
        for role in ("ApiRole", "SpawnRole", "ReaperRole")
        for _, resource, _ in rights_of(stage("alb"), role)
        if "targetgroup/" in resource
    }
    (group,) = {resource.rpartition("targetgroup/")[2] for resource in groups}

    def may(hub):
        return fnmatch(name_of(hub, "/user/maria/", "l1"), group)

    assert may("hubless-alb")
    assert not any(may(other) for other in ("hubless-al", "hubless-alb2", "hubless-prod", "hubless"))


# --- the CloudFront Function, in Node ---

# What Chromium sends to open a WebSocket.
WEBSOCKET_HANDSHAKE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-extensions": "permessage-deflate; client_max_window_bits",
}

RUN = """
const cf = { createRequestOriginGroup: (group) => { received.group = group; } };
const received = {};
%s
received.request = handler(%s);
console.log(JSON.stringify(received));
"""


def ask(source, method="GET", uri="/user/maria/lab", headers=None, cookies=None):
    sent = {"host": "maria.hub.example.org", **(headers or {})}
    event = {
        "viewer": {"ip": "203.0.113.9"},
        "request": {
            "method": method,
            "uri": uri,
            "querystring": {},
            "headers": {name: {"value": content} for name, content in cloudfront.visible(sent).items()},
            "cookies": {name: {"value": value} for name, value in (cookies or {}).items()},
        },
    }
    program = RUN % (re.sub(r"^import .*$", "", source, flags=re.MULTILINE), json.dumps(event))
    return json.loads(subprocess.run(["node", "-e", program], check=True, capture_output=True, text=True).stdout)


def test_trusted_headers_of_viewers_are_replaced():
    lies = {
        "x-hubless-path": "/hub/admin",
        "x-hubless-host": "hub.example.org",
        "x-hubless-address": "127.0.0.1",
        "x-hubless-front": "guess",
        "cloudfront-forwarded-proto": "http",
    }
    headers = ask(viewer_request_source(), uri="/hub/api/users/a%2Fb", headers=lies)["request"]["headers"]

    assert {name: one["value"] for name, one in headers.items()} == {
        "host": "maria.hub.example.org",
        "x-hubless-path": "/hub/api/users/a%2Fb",
        "x-hubless-host": "maria.hub.example.org",
        "x-hubless-address": "203.0.113.9",
    }


@pytest.mark.parametrize("name", ["a+b", "a@b.org", "x(1),[y]", "it's*!~$&=:", "zoë", "%41", "ann smith", "maria"])
def test_names_in_paths_get_the_spelling_that_servers_know(name):
    prefix = f"/user/{url_name(name)}/"
    for spelled in (url_name(name), quote(name, safe=""), quote(name, safe="!$&'()*+,;=:@[]~"), url_name(name).lower()):
        if unquote(spelled) != name:
            continue
        asked = ask(viewer_request_source(), uri=f"/user/{spelled}/lab/a+b%2C,c%40")["request"]
        assert asked["uri"] == f"{prefix}lab/a+b%2C,c%40"
        assert asked["headers"]["x-hubless-path"]["value"] == asked["uri"]


@pytest.mark.parametrize(
    "uri", ["/", "/hub/user/a+b/", "/user/a+b", "/user/%ff/lab", "/user/%zz/lab", "/user//a+b/", "/a+b/c/d"]
)
def test_other_paths_keep_their_spelling(uri):
    assert ask(viewer_request_source(), uri=uri)["request"]["uri"] == uri


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_the_api_answers_reads_that_no_edge_answers(method):
    assert ask(viewer_request_source(edge="edge", api="api"), method)["group"] == {
        "originIds": [{"originId": "edge"}, {"originId": "api"}],
        "failoverCriteria": {"statusCodes": [503]},  # not 502 or 504: the request would run again
    }


@pytest.mark.parametrize(
    ("method", "headers"), [("POST", {}), ("PUT", {}), ("DELETE", {}), ("PATCH", {}), ("GET", WEBSOCKET_HANDSHAKE)]
)
def test_writes_and_websockets_are_never_repeated(method, headers):
    assert "group" not in ask(viewer_request_source(edge="edge", api="api"), method, headers=headers)


def test_the_function_leaves_read_only_and_hidden_headers_alone():
    sent = {"content-length": "2", "via": "2.0 somewhere", **WEBSOCKET_HANDSHAKE}

    headers = ask(viewer_request_source(edge="edge", api="api"), "POST", headers=sent)["request"]["headers"]

    assert {name: one["value"] for name, one in headers.items() if name in cloudfront.READ_ONLY} == {
        "host": "maria.hub.example.org",
        "content-length": "2",
        "via": "2.0 somewhere",
    }
    assert set(cloudfront.visible(headers)) == set(headers)  # CloudFront answers 502 if a function adds a hidden one


def test_with_alb_the_login_cookie_is_removed():
    cookies = {"__Host-jupyterhub-hub-login": "secret", "_xsrf": "x"}

    assert ask(viewer_request_source(strips_login=True), cookies=cookies)["request"]["cookies"] == {
        "_xsrf": {"value": "x"}
    }
    assert set(ask(viewer_request_source(edge="edge", api="api"), cookies=cookies)["request"]["cookies"]) == set(
        cookies
    )


def test_the_viewer_request_function_sets_the_trusted_headers():
    received = {names.PATH_HEADER, names.HOST_HEADER, names.ADDRESS_HEADER}

    headers = ask(viewer_request_source(), headers={names.FRONT_HEADER: "guess"})["request"]["headers"]

    assert set(headers) == {"host", *received}
    assert FRONT_HEADER == names.FRONT_HEADER
    assert all(name.startswith(names.HEADER_PREFIX) for name in (*received, names.FRONT_HEADER))


# --- refused settings ---


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            '[login]\nkind = "shared-password"\npassword = "for all"',
            "login.password is a secret, and this file is deployed",
        ),
        ('[[services]]\nname = "a"\ntoken = "0123456789"', "services.a.token is a secret"),
        ('[mail]\npassword = "0123456789"', "mail.password is a secret"),
        ("[hub]\nsubdomains = true", "remove hub.subdomains from [hub]"),
        ('[hub]\npublic_url = "https://a.example.org"', "remove hub.public_url from [hub]"),
        ("[hub]\ncolour = 1", "hub.colour is not a setting"),
    ],
)
def test_settings_that_must_not_be_deployed_are_refused(tmp_path, settings, message):
    with pytest.raises(SettingsError) as refused:
        synthesized("prod", settings, str(tmp_path), str(tmp_path))

    assert message in str(refused.value)
    assert "hubless.toml: " in str(refused.value)


def test_the_deployment_sets_every_variable_of_the_functions(stage):
    received = {
        name
        for kind in FUNCTIONS
        for name in stage("prod").named("AWS::Lambda::Function", f"{kind}Function")["Environment"]["Variables"]
    }

    assert {f"HUBLESS_{one.name.upper()}" for one in fields(CloudSettings)} <= received


def test_the_functions_that_send_mails_may_do_so_as_one_sender(stage, tmp_path, bundles):
    mail = '[mail]\nkind = "ses"\nsender = "Hub <hub@mail.example.org>"\nregion = "eu-west-1"\n'
    made = synthesized("alb", SETTINGS + mail, str(tmp_path), bundles, False)
    identity = "arn:<AWS::Partition>:ses:eu-west-1:<AWS::AccountId>:identity"
    for role, may in {"ApiRole": True, "SpawnRole": True, "StreamRole": False, "ReaperRole": False}.items():
        (*found,) = (right for right in rights_of(made, role) if right[0].startswith("ses:"))
        named = {resource for _, some, _ in found for resource in some.split()}
        assert bool(found) == may
        assert not may or named == {
            f"{identity}/{one}" for one in ("hub@mail.example.org", "mail.example.org", "example.org")
        }
        assert all("hub@mail.example.org" in str(condition) for *_, condition in found)
        assert not any(right[0].startswith("ses:") for right in rights_of(stage("alb"), role))
