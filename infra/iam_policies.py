"""What each function may do, and nothing else: docs/cloud.md has the same as a table, and a test compares the two."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from infra.stacks.cluster import ClusterStack
from infra.stacks.state import StateStack

_KIND = "?" * 32  # the digest of a kind of task definition, so that no other hub's family begins alike
_TABLE = (
    "GetItem",
    "BatchGetItem",
    "Query",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "BatchWriteItem",
    "ConditionCheckItem",
)
_BALANCER_READS = ("DescribeRules", "DescribeTargetGroups", "DescribeTargetHealth", "DescribeTags")
_BALANCER_GROUPS = (
    "CreateTargetGroup",
    "DeleteTargetGroup",
    "ModifyTargetGroupAttributes",
    "RegisterTargets",
    "DeregisterTargets",
    "AddTags",
)


# Why rights name what they do by a pattern, by what they name.
WILDCARD_REASONS = {
    r"^Resource::\*$": "ECS's lists and (de)registrations, and ELB's descriptions, know no resources",
    r"/index/\*$": "The table's two indexes",
    r":task-definition/hubless-[a-z0-9-]+-\?{32}-\*$": "A definition is named by a digest of what it says; no other hub's begins so",
    r":task/[^*]+/\*$": "ECS names tasks; the cluster is the hub's own",
    r"/(launches|definitions)/hubless-[a-z0-9-]+/\*$": "Objects are named by launches and by kinds of definitions",
    r":access-point/\*$": "It is tagged while it is made, and has no name before",
    r":targetgroup/hl-\*$": "A group is named by a digest of its launch",
    r":listener-rule/.*/\*$": "ELB names rules; the load balancer is the hub's own",
}


@dataclass(frozen=True)
class GrantTargets:
    """What the statements name."""

    state: StateStack
    cluster: ClusterStack
    queues: Sequence[str]  # ARNs
    listener: str = ""  # the load balancer's, where that is the edge
    balancer: str = ""  # and its full name
    instance: str = ""  # the economy edge's, where that is

    @property
    def hub(self) -> str:
        return self.state.stage.hub

    def arn(self, service: str, rest: str) -> str:
        """Return the ARN of what is *rest* of *service*, in the account and region of the hub."""
        stack = Stack.of(self.cluster)
        return f"arn:{stack.partition}:{service}:{stack.region}:{stack.account}:{rest}"

    def parameter(self, secret: str) -> str:
        """Return the ARN by which SSM hands on what Secrets Manager holds under a name."""
        return self.arn("ssm", f"parameter/aws/reference/secretsmanager/{secret}")


def allow(
    actions: Sequence[str], *resources: str, service: str = "", where: Mapping[str, Any] | None = None
) -> iam.PolicyStatement:
    """Return a statement that holds *where* the conditions do; *service* is put before each action."""
    named = [f"{service}:{action}" if service else action for action in actions]
    return iam.PolicyStatement(actions=named, resources=list(resources), conditions=where)


def shared_statements(targets: GrantTargets) -> list[iam.PolicyStatement]:
    """Return what all three may do: any of them may bring a server to its end, and wake what leads to it."""
    state, cluster = targets.state, targets.cluster
    launches = state.launches.arn_for_objects(f"launches/{targets.hub}/*")
    in_cluster = {"ArnEquals": {"ecs:cluster": cluster.cluster.cluster_arn}}
    statements = [
        allow(_TABLE, state.table.table_arn, service="dynamodb"),
        allow(["Query"], f"{state.table.table_arn}/index/*", service="dynamodb"),
        allow(["SendMessage", "GetQueueAttributes"], *targets.queues, service="sqs"),
        allow(["ssm:GetParameters"], targets.parameter(state.secrets.secret_name)),
        allow(["secretsmanager:GetSecretValue"], state.secrets.secret_arn),
        allow(
            ["DescribeTasks", "StopTask"],
            targets.arn("ecs", f"task/{cluster.cluster.cluster_name}/*"),
            service="ecs",
            where=in_cluster,
        ),
        allow(["s3:DeleteObject"], launches),
        allow_listing(targets, "launches"),
    ]
    if targets.instance:
        statements.append(allow(["StartInstances"], targets.instance, service="ec2"))
    if targets.listener:
        statements += _balancer_statements(targets)
    return statements


def api_statements(targets: GrantTargets) -> list[iam.PolicyStatement]:
    """Return what the API may do beside."""
    front = targets.state.front
    return [
        allow(["ssm:GetParameters"], targets.parameter(front.secret_name)),
        allow(["secretsmanager:GetSecretValue"], front.secret_arn),
    ]


def spawn_statements(targets: GrantTargets) -> list[iam.PolicyStatement]:
    """Return what it takes beside to start a server. What its event source mappings need, the CDK grants with them."""
    state, cluster = targets.state, targets.cluster
    in_cluster = {"ArnEquals": {"ecs:cluster": cluster.cluster.cluster_arn}}
    to_ecs = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    made_by_run = {"StringEquals": {"ecs:CreateAction": ["RunTask", "RegisterTaskDefinition"]}}
    statements = [
        allow(
            ["RunTask"], targets.arn("ecs", f"task-definition/{targets.hub}-{_KIND}-*"), service="ecs", where=in_cluster
        ),
        allow(
            ["TagResource"],
            targets.arn("ecs", f"task/{cluster.cluster.cluster_name}/*"),
            targets.arn("ecs", f"task-definition/{targets.hub}-{_KIND}-*"),
            service="ecs",
            where=made_by_run,
        ),
        # Neither knows resources: a definition runs only by a role that may be passed, in a cluster that RunTask may use.
        allow(["RegisterTaskDefinition", "ListTaskDefinitions"], "*", service="ecs"),
        allow(["iam:PassRole"], cluster.task_role.role_arn, cluster.execution_role.role_arn, where=to_ecs),
        allow(
            ["s3:PutObject"],
            state.launches.arn_for_objects(f"launches/{targets.hub}/*"),
            state.launches.arn_for_objects(f"definitions/{targets.hub}/*"),
        ),
    ]
    if cluster.file_system:
        made = {"StringEquals": {"elasticfilesystem:CreateAction": "CreateAccessPoint"}}
        statements += [
            allow(["CreateAccessPoint"], cluster.file_system.file_system_arn, service="elasticfilesystem"),
            allow(
                ["TagResource"],
                targets.arn("elasticfilesystem", "access-point/*"),
                cluster.file_system.file_system_arn,
                service="elasticfilesystem",
                where=made,
            ),
        ]
    return statements


def reaper_statements(targets: GrantTargets) -> list[iam.PolicyStatement]:
    """Return what it takes beside to find and remove what nobody pays attention to."""
    cluster = targets.cluster
    definitions = targets.state.launches.arn_for_objects(f"definitions/{targets.hub}/*")
    return [
        allow(["ListTasks"], "*", service="ecs", where={"ArnEquals": {"ecs:cluster": cluster.cluster.cluster_arn}}),
        # None of these knows resources, but the last.
        allow(["ListTaskDefinitions", "ListTaskDefinitionFamilies", "DeregisterTaskDefinition"], "*", service="ecs"),
        allow(["DeleteTaskDefinitions"], targets.arn("ecs", f"task-definition/{targets.hub}-{_KIND}-*"), service="ecs"),
        allow(["PutObject", "DeleteObject"], definitions, service="s3"),
        allow_listing(targets, "definitions"),
        *([allow(["StopInstances"], targets.instance, service="ec2")] if targets.instance else []),
    ]


def allow_listing(targets: GrantTargets, folder: str) -> iam.PolicyStatement:
    """Return the right to list a folder of the bucket."""
    mine = {"StringLike": {"s3:prefix": f"{folder}/{targets.hub}/*"}}
    return allow(["s3:ListBucket"], targets.state.launches.bucket_arn, where=mine)


def _balancer_statements(targets: GrantTargets) -> list[iam.PolicyStatement]:
    service = "elasticloadbalancing"
    groups = targets.arn(service, "targetgroup/hl-*")
    return [
        allow(_BALANCER_READS, "*", service=service),  # none of them knows resources
        allow(["CreateRule"], targets.listener, service=service),
        allow(["DeleteRule", "AddTags"], targets.arn(service, f"listener-rule/{targets.balancer}/*"), service=service),
        allow(_BALANCER_GROUPS, groups, service=service),
    ]
