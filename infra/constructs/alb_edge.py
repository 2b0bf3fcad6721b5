"""The edge `alb`: a load balancer with a rule and a target group for each server, which the hub writes (ADR 13)."""

from aws_cdk import Duration
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as balancers
from constructs import Construct

from infra.constructs.edge import (
    ORIGIN,
    Edge,
    allow_cloudfront_ingress,
    http_only,
    immutable_security_group,
    server_timeouts,
)
from infra.nag_exceptions import acknowledge
from infra.stacks.cluster import ClusterStack

PORT, IDLE_SECONDS = 80, 4_000  # servers ping every 30 seconds; a request may last an hour


class AlbEdge(Construct):
    """The load balancer and its listener. The hub writes the rules."""

    def __init__(self, scope: Construct, *, cluster: ClusterStack) -> None:
        super().__init__(scope, "Balancer")
        self._vpc = cluster.vpc
        allow_cloudfront_ingress(self, cluster.edge_group, PORT)
        self._balancer = balancers.ApplicationLoadBalancer(
            self,
            "Balancer",
            vpc=cluster.vpc,
            internet_facing=False,
            vpc_subnets=ec2.SubnetSelection(subnets=cluster.edge_subnets),
            security_group=immutable_security_group(self, cluster.edge_group),
            idle_timeout=Duration.seconds(IDLE_SECONDS),
            drop_invalid_header_fields=True,
        )
        acknowledge(self._balancer, {"AwsSolutions-ELB2": "Access logs would hold tokens of URLs"})
        # The stack `control`, which has the API's function, adds the last rule.
        self.listener = self._balancer.add_listener(
            "Servers",
            port=PORT,
            protocol=balancers.ApplicationProtocol.HTTP,
            open=False,
            default_action=balancers.ListenerAction.fixed_response(
                503, content_type="text/plain", message_body="The hub is being deployed"
            ),
        )

    def edge(self) -> Edge:
        """Return what the other stacks need of this edge."""
        return Edge(
            origin=origins.VpcOrigin.with_application_load_balancer(
                self._balancer,
                origin_id=ORIGIN,
                http_port=PORT,
                protocol_policy=http_only(),
                **server_timeouts(),
            ),
            uses_forwarded_host=False,
            function_settings={"alb_listener": self.listener.listener_arn, "alb_vpc": self._vpc.vpc_id},
            balancer=self._balancer.load_balancer_full_name,
            listener=self.listener,
        )
