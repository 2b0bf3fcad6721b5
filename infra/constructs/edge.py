"""What every kind of edge offers the rest of the deployment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as balancers
from aws_cdk import aws_iam as iam
from aws_cdk import custom_resources as custom
from constructs import Construct

from hubless.settings.stage import Stage
from infra.nag_exceptions import acknowledge
from infra.stacks.cluster import EDGE_PORT

ORIGIN, READ_SECONDS, KEEPALIVE_SECONDS = "edge", 60, 60
ACTIVITY_SECONDS = 300  # as often as JupyterHub's servers tell it; each report is a write for each server in use


@dataclass(frozen=True)
class Edge:
    """An edge: the origin of users' servers, and what the functions are told of it."""

    origin: cloudfront.IOrigin
    uses_forwarded_host: bool  # by a header of the front's; otherwise CloudFront hands the viewer's Host on
    function_settings: Mapping[str, Any] = field(default_factory=dict)  # what functions are told, by setting
    balancer: str = ""  # the load balancer's own name for itself, where rules of its listeners are the hub's to write
    listener: balancers.IApplicationListener | None = None  # where what has no route is to lead to the API


def allow_cloudfront_ingress(scope: Construct, group: ec2.ISecurityGroup, port: int) -> None:
    """Let CloudFront, and nobody else, reach *port* of *group*.

    The list of its networks has another id in each region; it is asked for at the deployment, as synth looks nothing up.
    """
    call = custom.AwsSdkCall(
        service="EC2",
        action="describeManagedPrefixLists",
        parameters={
            "Filters": [{"Name": "prefix-list-name", "Values": ["com.amazonaws.global.cloudfront.origin-facing"]}]
        },
        physical_resource_id=custom.PhysicalResourceId.of("cloudfront-origin-facing"),
        output_paths=["PrefixLists.0.PrefixListId"],
    )
    found = custom.AwsCustomResource(
        scope,
        "CloudFrontNetworks",
        on_update=call,
        policy=custom.AwsCustomResourcePolicy.from_sdk_calls(resources=custom.AwsCustomResourcePolicy.ANY_RESOURCE),
        install_latest_aws_sdk=False,
    )
    acknowledge(found, {"AwsSolutions-IAM5[Resource::*]": "ec2:DescribeManagedPrefixLists knows no resources"})
    ec2.CfnSecurityGroupIngress(
        scope,
        "CloudFrontIn",
        group_id=group.security_group_id,
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        source_prefix_list_id=found.get_response_field("PrefixLists.0.PrefixListId"),
        description="CloudFront to edges",
    )


def immutable_security_group(scope: Construct, group: ec2.ISecurityGroup) -> ec2.ISecurityGroup:
    """Return *group*, to which no construct adds rules of its own: it belongs to another stack, and its rules are in plain sight."""
    return ec2.SecurityGroup.from_security_group_id(scope, "EdgeGroup", group.security_group_id, mutable=False)


def http_only() -> cloudfront.OriginProtocolPolicy:
    """Return how CloudFront asks an edge: its way there is AWS's own network, and edges hold no certificate."""
    return cloudfront.OriginProtocolPolicy.HTTP_ONLY


def edge_location_variables(stack: Stack, table: str) -> dict[str, str]:
    """Return what only a deployment knows of what an edge is told."""
    return {"HUBLESS_EDGE_TABLE": table, "HUBLESS_EDGE_REGION": stack.region}


def edge_settings_variables(stage: Stage, *, drain_seconds: int) -> dict[str, str]:
    """Return what else every HAProxy edge behind CloudFront is told: a domain where each user has a host below it."""
    return {
        "HUBLESS_EDGE_HOST_HEADER": "x-hubless-host",
        "HUBLESS_EDGE_DOMAIN": stage.settings.domain if stage.has_subdomains else "",
        "HUBLESS_EDGE_PORT": str(EDGE_PORT),
        "HUBLESS_EDGE_ACTIVITY_SECONDS": str(ACTIVITY_SECONDS),
        "HUBLESS_EDGE_DRAIN_SECONDS": str(drain_seconds),
        "HUBLESS_EDGE_WEBSOCKET_TIMEOUT_SECONDS": f"{stage.settings.websocket_timeout.total_seconds():.0f}",
    }


def grant_edge_table_access(role: iam.Role, table: str) -> None:
    """Let an edge read routes, report itself and note who is at work: it speaks with everybody, and knows no tokens or people.

    The leading key of what it may touch is the partition (hubless/adapters/dynamodb/keys.py).
    """

    def allow(actions: Sequence[str], where: Mapping[str, Mapping[str, Any]]) -> None:
        role.add_to_policy(
            iam.PolicyStatement(
                actions=[f"dynamodb:{action}" for action in actions], resources=[table], conditions=where
            )
        )

    allow(
        ["GetItem", "Query"], {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["ROUTES", "CHANGES", "SEQUENCE"]}}
    )
    allow(["PutItem", "DeleteItem"], {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["EDGES"]}})
    allow(
        ["UpdateItem"],
        {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["USER#*"]},
            "ForAllValues:StringEquals": {"dynamodb:Attributes": ["pk", "sk", "servers"]},
            "StringEqualsIfExists": {"dynamodb:ReturnValues": ["NONE", "UPDATED_OLD", "UPDATED_NEW"]},
        },
    )
