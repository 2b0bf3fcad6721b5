"""What the three kinds of edge have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as balancers
from aws_cdk import aws_iam as iam
from aws_cdk import custom_resources as custom
from constructs import Construct

from hubless.settings.stage import Stage
from infra.kms_key import READ_WRITE, use_of_key
from infra.nag_exceptions import acknowledge
from infra.stacks.cluster import EDGE_PORT
from infra.stacks.state import StateStack

FORWARDED_HOST = "x-hubless-host"  # in which CloudFront tells the edge the browser's Host
ORIGIN, READ_SECONDS, KEEPALIVE_SECONDS = "edge", 60, 60
HTTPS_PORT, HSTS_SECONDS = 443, 31_536_000
# What CloudFront adds to answers, and without it the edge (edge_proxy/haproxy_config.py has the same).
SECURITY_HEADERS = {
    "Strict-Transport-Security": f"max-age={HSTS_SECONDS}; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
}
TLS_POLICY = balancers.SslPolicy.RECOMMENDED_TLS  # TLS 1.2 and 1.3
# CloudFront's longest without a quota of one's own: large notebooks and first imports of extensions take a minute.
SERVER_READ_SECONDS = 120
# The interval of activity reports, if no idle limit is short. Each costs a write per server in use.
LONGEST_REPORT_INTERVAL = timedelta(minutes=5)
ACTIVITY_ATTRIBUTE = "server_activity"  # no other item has one of this name (hubless/adapters/dynamodb/table.py)


def server_timeouts() -> dict[str, Any]:
    """Return the time-outs of an origin of users' servers.

    One attempt only: by default CloudFront sends a GET that gets no answer in time up to three times, and a slow
    request would run three times in the server.
    """
    return {
        "read_timeout": Duration.seconds(SERVER_READ_SECONDS),
        "keepalive_timeout": Duration.seconds(KEEPALIVE_SECONDS),
        "connection_attempts": 1,
    }


@dataclass(frozen=True)
class Edge:
    """An edge: CloudFront's origin of users' servers, and the settings of the functions for it."""

    origin: cloudfront.IOrigin | None  # None: browsers reach users' hosts by the balancer
    uses_forwarded_host: bool  # from a trusted header; otherwise CloudFront forwards the viewer's Host
    function_settings: Mapping[str, Any] = field(default_factory=dict)  # by name
    journal: str = ""  # where an instance's log is: a folder in S3, or a log group
    balancer: str = ""  # full name of the load balancer, if the hub writes rules
    listener: balancers.IApplicationListener | None = None  # needs a last rule that forwards to the API
    direct: balancers.ILoadBalancerV2 | None = None  # the balancer that browsers reach


def allow_cloudfront_ingress(scope: Construct, group: ec2.ISecurityGroup, port: int) -> None:
    """Allow only CloudFront to reach *port* of *group*.

    The id of its prefix list differs by region. A custom resource reads it during the deployment, without a lookup.
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
    acknowledge(found, {"AwsSolutions-IAM5[Resource::*]": "ec2:DescribeManagedPrefixLists supports no resources"})
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


def allow_internet_ingress(scope: Construct, group: ec2.ISecurityGroup) -> None:
    """Allow everybody to reach HTTPS of *group*. Port 80 stays closed: browsers know the hub's hosts by HTTPS alone."""
    rule = ec2.CfnSecurityGroupIngress(
        scope,
        "InternetIn",
        group_id=group.security_group_id,
        ip_protocol="tcp",
        from_port=HTTPS_PORT,
        to_port=HTTPS_PORT,
        cidr_ip="0.0.0.0/0",
        description="browsers to users' hosts",
    )
    acknowledge(rule, {"AwsSolutions-EC23": "Browsers reach users' hosts without CloudFront (direct_hosts)"})


def immutable_security_group(scope: Construct, group: ec2.ISecurityGroup) -> ec2.ISecurityGroup:
    """Return *group* as immutable, so that no construct adds rules: it belongs to another stack."""
    return ec2.SecurityGroup.from_security_group_id(scope, "EdgeGroup", group.security_group_id, mutable=False)


def http_only() -> cloudfront.OriginProtocolPolicy:
    """Return CloudFront's protocol to an edge. The path is AWS's own network, and edges have no certificate."""
    return cloudfront.OriginProtocolPolicy.HTTP_ONLY


def edge_location_variables(stack: Stack, table: str) -> dict[str, str]:
    """Return the variables of an edge that only the deployment knows."""
    return {"HUBLESS_EDGE_TABLE": table, "HUBLESS_EDGE_REGION": stack.region}


def edge_settings_variables(stage: Stage, *, drain_seconds: int, report_interval: timedelta) -> dict[str, str]:
    """Return the other variables of every HAProxy edge: the domain, if users have subdomains."""
    in_front = (
        {"HUBLESS_EDGE_DIRECT": "true"} if stage.has_direct_hosts else {"HUBLESS_EDGE_HOST_HEADER": FORWARDED_HOST}
    )
    return in_front | {
        "HUBLESS_EDGE_DOMAIN": stage.settings.domain if stage.has_subdomains else "",
        "HUBLESS_EDGE_PORT": str(EDGE_PORT),
        "HUBLESS_EDGE_ACCESS_LOG": str(stage.settings.access_logs).lower(),
        "HUBLESS_EDGE_CONNECTIONS_PER_ADDRESS": str(stage.settings.connections_per_address),
        "HUBLESS_EDGE_ACTIVITY_SECONDS": f"{report_interval.total_seconds():.0f}",
        "HUBLESS_EDGE_DRAIN_SECONDS": str(drain_seconds),
        "HUBLESS_EDGE_WEBSOCKET_TIMEOUT_SECONDS": f"{stage.settings.websocket_timeout.total_seconds():.0f}",
    }


def grant_edge_table_access(role: iam.Role, state: StateStack) -> None:
    """Allow an edge to read routes, and to write its reports and when servers were last active.

    It can read neither tokens nor users.

    The leading key is the table's partition key (hubless/adapters/dynamodb/keys.py).
    """

    def allow(actions: Sequence[str], where: Mapping[str, Mapping[str, Any]]) -> None:
        role.add_to_policy(
            iam.PolicyStatement(
                actions=[f"dynamodb:{action}" for action in actions],
                resources=[state.table.table_arn],
                conditions=where,
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
            "ForAllValues:StringEquals": {"dynamodb:Attributes": ["pk", "sk", ACTIVITY_ATTRIBUTE]},
            "StringEqualsIfExists": {"dynamodb:ReturnValues": ["NONE", "UPDATED_OLD", "UPDATED_NEW"]},
        },
    )
    for statement in use_of_key(Stack.of(role), state.key, READ_WRITE, "dynamodb"):
        role.add_to_policy(statement)
