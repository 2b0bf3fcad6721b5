"""The IAM policies of the functions. docs/cloud.md lists the same permissions, and a test compares both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from hubless.settings.mail import MailSettings
from infra.kms_key import READ_WRITE, grant_for_volume, use_of_key
from infra.stacks.cluster import ClusterStack
from infra.stacks.state import StateStack

_KIND = "?" * 32  # digest in the family of a task definition; no family of another hub matches
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


_TO_ECS = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}

# Reasons for wildcards, by a regular expression of cdk-nag's finding.
WILDCARD_REASONS = {
    r"^Resource::\*$": "ECS's list and register actions, ELB's describe and IAM's list actions support no resources",
    r"/index/\*$": "The two indexes of the table",
    r":task-definition/hubless-[a-z0-9-]+-\?{32}-\*$": "Named by a digest; no definition of another hub matches",
    r":task/[^*]+/\*$": "ECS chooses task ids; the cluster belongs to the hub",
    r"/(launches|definitions)/hubless-[a-z0-9-]+/\*$": "Objects are named by launch ids and digests",
    r":role/hubless/[a-z0-9-]+/[a-z0-9-]+/\*$": "Roles of users; no others have this path",
    r":access-point/\*$": "It is tagged while it is created, before its id is known",
    r":targetgroup/hl-[0-9a-f]{6}-\*$": "Named by digests of the hub and of the launch; no other hub's group matches",
    r":listener-rule/.*/\*$": "ELB chooses rule ids; the load balancer belongs to the hub",
}


@dataclass(frozen=True)
class GrantTargets:
    """The resources that the statements name."""

    state: StateStack
    cluster: ClusterStack
    queues: Sequence[str]  # ARNs
    listener: str = ""  # ARN of the load balancer's listener, if edge = alb
    balancer: str = ""  # full name of the load balancer, if edge = alb
    instance: str = ""  # ARN of the edge's instance, if edge = economy
    mail: MailSettings = field(default_factory=MailSettings)
    has_spares: bool = False  # whether a profile has `warm`

    @property
    def hub(self) -> str:
        return self.state.stage.hub

    def arn(self, service: str, rest: str) -> str:
        """Return the ARN of a resource of *service*, in the account and region of the hub."""
        stack = Stack.of(self.cluster)
        return f"arn:{stack.partition}:{service}:{stack.region}:{stack.account}:{rest}"

    @property
    def roles(self) -> str:
        """Return the ARN of all roles that the hub makes for users."""
        stack = Stack.of(self.cluster)
        return f"arn:{stack.partition}:iam::{stack.account}:role{self.state.stage.role_path}*"

    def parameter(self, secret: str) -> str:
        """Return the ARN of the SSM parameter that refers to a secret of Secrets Manager."""
        return self.arn("ssm", f"parameter/aws/reference/secretsmanager/{secret}")


def allow(
    actions: Sequence[str], *resources: str, service: str = "", where: Mapping[str, Any] | None = None
) -> iam.PolicyStatement:
    """Return an allow statement. *where* are its conditions, *service* is the prefix of each action."""
    named = [f"{service}:{action}" if service else action for action in actions]
    return iam.PolicyStatement(actions=named, resources=list(resources), conditions=where)


def shared_statements(targets: GrantTargets) -> list[iam.PolicyStatement]:
    """Return the statements of all functions: each may stop a server, and start the edge's instance."""
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
    statements += use_of_key(Stack.of(cluster), state.key, READ_WRITE, "dynamodb", "secretsmanager", "sqs")
    if targets.instance:
        statements.append(allow(["StartInstances"], targets.instance, service="ec2"))
        statements += grant_for_volume(Stack.of(cluster), state.key)
    if targets.listener:
        statements += _balancer_statements(targets)
    return statements


def api_statements(targets: GrantTargets) -> list[iam.PolicyStatement]:
    """Return the further statements of api and stream."""
    front = targets.state.front
    return [
        allow(["ssm:GetParameters"], targets.parameter(front.secret_name)),
        allow(["secretsmanager:GetSecretValue"], front.secret_arn),
    ]


def mail_statements(targets: GrantTargets) -> list[iam.PolicyStatement]:
    """Return the statement of api and spawn by which they send the hub's mails, if SES does that."""
    if targets.mail.kind != "ses":
        return []
    stack = Stack.of(targets.cluster)
    region, address = targets.mail.region or stack.region, parseaddr(targets.mail.sender)[1]
    here = f"arn:{stack.partition}:ses:{region}:{stack.account}:identity"
    as_sender = {"StringEquals": {"ses:FromAddress": address}}
    return [
        allow(["SendEmail"], *(f"{here}/{one}" for one in mail_identities(address)), service="ses", where=as_sender)
    ]


def mail_identities(address: str) -> list[str]:
    """Return the identities of SES by which *address* may send: itself, its domain, and the domains above."""
    labels = address.rpartition("@")[2].split(".")
    return [address, *(".".join(labels[first:]) for first in range(max(1, len(labels) - 1)))]


def spawn_statements(targets: GrantTargets) -> list[iam.PolicyStatement]:
    """Return the further statements of spawn, which starts servers. The CDK adds those of event source mappings."""
    return [
        *_running_statements(targets),
        *([allow(["iam:PassRole"], targets.roles, where=_TO_ECS)] if targets.cluster.role_boundary else []),
        *_preparing_statements(targets),
    ]


def _running_statements(targets: GrantTargets) -> list[iam.PolicyStatement]:
    """Return the statements by which spawn starts tasks of servers, and reaper those of spares."""
    state, cluster = targets.state, targets.cluster
    definitions = targets.arn("ecs", f"task-definition/{targets.hub}-{_KIND}-*")
    in_cluster = {"ArnEquals": {"ecs:cluster": cluster.cluster.cluster_arn}}
    made_by_run = {"StringEquals": {"ecs:CreateAction": "RunTask"}}
    return [
        allow(["RunTask"], definitions, service="ecs", where=in_cluster),
        allow(
            ["TagResource"],
            targets.arn("ecs", f"task/{cluster.cluster.cluster_name}/*"),
            service="ecs",
            where=made_by_run,
        ),
        allow(["s3:PutObject"], state.launches.arn_for_objects(f"launches/{targets.hub}/*")),
    ]


def _preparing_statements(targets: GrantTargets) -> list[iam.PolicyStatement]:
    """Return the statements of spawn and reaper by which they register task definitions."""
    state, cluster = targets.state, targets.cluster
    made_here = {"StringEquals": {"ecs:CreateAction": "RegisterTaskDefinition"}}
    statements = [
        allow(
            ["TagResource"],
            targets.arn("ecs", f"task-definition/{targets.hub}-{_KIND}-*"),
            service="ecs",
            where=made_here,
        ),
        # Neither supports resources. PassRole and RunTask limit the roles and clusters that a definition can use.
        allow(["RegisterTaskDefinition", "ListTaskDefinitions"], "*", service="ecs"),
        allow(["iam:PassRole"], cluster.task_role.role_arn, cluster.execution_role.role_arn, where=_TO_ECS),
        allow(["s3:PutObject"], state.launches.arn_for_objects(f"definitions/{targets.hub}/*")),
    ]
    statements += use_of_key(Stack.of(cluster), state.key, ["GenerateDataKey"], "s3")
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
    if cluster.role_boundary:
        bounded = {"StringEquals": {"iam:PermissionsBoundary": cluster.role_boundary.managed_policy_arn}}
        own_tag = {"ForAllValues:StringEquals": {"aws:TagKeys": [state.stage.role_tag]}}
        statements += [
            allow(["CreateRole"], targets.roles, service="iam", where=bounded),
            allow(["TagRole"], targets.roles, service="iam", where=own_tag),  # CreateRole needs it for its tags
            allow(["GetRole"], targets.roles, service="iam"),
        ]
    return statements


def reaper_statements(targets: GrantTargets) -> list[iam.PolicyStatement]:
    """Return the further statements of reaper, which prepares launches and collects garbage."""
    cluster = targets.cluster
    definitions = targets.state.launches.arn_for_objects(f"definitions/{targets.hub}/*")
    return [
        allow(["ListTasks"], "*", service="ecs", where={"ArnEquals": {"ecs:cluster": cluster.cluster.cluster_arn}}),
        # ECS supports resources only for the last.
        allow(["ListTaskDefinitionFamilies", "DeregisterTaskDefinition"], "*", service="ecs"),
        allow(["DeleteTaskDefinitions"], targets.arn("ecs", f"task-definition/{targets.hub}-{_KIND}-*"), service="ecs"),
        allow(["DeleteObject"], definitions, service="s3"),
        allow_listing(targets, "definitions"),
        *(_running_statements(targets) if targets.has_spares else []),
        *_preparing_statements(targets),
        *_looks_at_homes(targets),
        *_removal_of_roles(targets),
        *([allow(["StopInstances"], targets.instance, service="ec2")] if targets.instance else []),
    ]


def _looks_at_homes(targets: GrantTargets) -> list[iam.PolicyStatement]:
    """Return the statements by which reaper lists access points, and removes those of users who are gone."""
    files = targets.cluster.file_system
    if files is None:
        return []
    of_hub = {"StringEquals": {"aws:ResourceTag/hubless:hub": targets.hub}}
    points = targets.arn("elasticfilesystem", "access-point/*")
    return [
        allow(["DescribeAccessPoints"], files.file_system_arn, service="elasticfilesystem"),
        allow(["DeleteAccessPoint"], points, service="elasticfilesystem", where=of_hub),
    ]


def _removal_of_roles(targets: GrantTargets) -> list[iam.PolicyStatement]:
    """Return the statements by which reaper removes roles of users who are gone."""
    if not targets.cluster.role_boundary:
        return []
    return [
        allow(["ListRoles"], "*", service="iam"),  # IAM supports no resources here
        allow(["DeleteRole"], targets.roles, service="iam"),
    ]


def allow_listing(targets: GrantTargets, folder: str) -> iam.PolicyStatement:
    """Return the permission to list a folder of the bucket."""
    mine = {"StringLike": {"s3:prefix": f"{folder}/{targets.hub}/*"}}
    return allow(["s3:ListBucket"], targets.state.launches.bucket_arn, where=mine)


def _balancer_statements(targets: GrantTargets) -> list[iam.PolicyStatement]:
    service = "elasticloadbalancing"
    groups = targets.arn(service, f"targetgroup/{targets.state.stage.target_groups}*")
    return [
        allow(_BALANCER_READS, "*", service=service),  # ELB supports no resources here
        allow(["CreateRule"], targets.listener, service=service),
        allow(["DeleteRule", "AddTags"], targets.arn(service, f"listener-rule/{targets.balancer}/*"), service=service),
        allow(_BALANCER_GROUPS, groups, service=service),
    ]
