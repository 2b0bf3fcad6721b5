"""The edge `alb`: a load balancer with a rule and a target group for each server, which the hub writes (ADR 13)."""

import json
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as balancers
from constructs import Construct

from infra.constructs.edge import (
    HTTPS_PORT,
    ORIGIN,
    SECURITY_HEADERS,
    TLS_POLICY,
    Edge,
    allow_cloudfront_ingress,
    allow_internet_ingress,
    http_only,
    immutable_security_group,
    server_timeouts,
)
from infra.nag_exceptions import acknowledge
from infra.stacks.cluster import ClusterStack

PORT, IDLE_SECONDS = 80, 4_000  # servers ping every 30 seconds; a request may last an hour
NOT_RUNNING, HUBS_OWN = 49_999, 50_000  # priorities after those of the hub's rules (hubless/adapters/alb/naming.py)


class AlbEdge(Construct):
    """The load balancer and its listener. The hub writes the rules."""

    def __init__(self, scope: Construct, *, cluster: ClusterStack, certificate: acm.ICertificate | None = None) -> None:
        """Create both. Browsers reach them without CloudFront if there is a *certificate* of users' hosts."""
        super().__init__(scope, "Balancer")
        self._vpc, self._is_direct, self._domain = cluster.vpc, certificate is not None, cluster.stage.settings.domain
        if certificate is None:
            allow_cloudfront_ingress(self, cluster.edge_group, PORT)
        else:
            allow_internet_ingress(self, cluster.edge_group)
        self._balancer = balancers.ApplicationLoadBalancer(
            self,
            "DirectBalancer" if self._is_direct else "Balancer",
            vpc=cluster.vpc,
            internet_facing=self._is_direct,
            vpc_subnets=ec2.SubnetSelection(
                subnets=cluster.internet_subnets if self._is_direct else cluster.edge_subnets
            ),
            security_group=immutable_security_group(self, cluster.edge_group),
            idle_timeout=Duration.seconds(IDLE_SECONDS),
            drop_invalid_header_fields=True,
        )
        acknowledge(self._balancer, {"AwsSolutions-ELB2": "Access logs would hold tokens of URLs"})
        self.listener = self._internal_listener() if certificate is None else self._direct_listener(certificate)

    def _internal_listener(self) -> balancers.ApplicationListener:
        """Return the listener for CloudFront. The stack `control`, which has the API's function, adds the last rule."""
        return self._balancer.add_listener(
            "Servers",
            port=PORT,
            protocol=balancers.ApplicationProtocol.HTTP,
            open=False,
            default_action=balancers.ListenerAction.fixed_response(
                503, content_type="text/plain", message_body="The hub is being deployed"
            ),
        )

    def _direct_listener(self, certificate: acm.ICertificate) -> balancers.ApplicationListener:
        """Return the listener for browsers. It leads to servers, or to the hub's own host, and never to the API."""
        listener = self._balancer.add_listener(
            "Direct",
            port=HTTPS_PORT,
            protocol=balancers.ApplicationProtocol.HTTPS,
            certificates=[certificate],
            ssl_policy=TLS_POLICY,
            open=False,
            default_action=self._to_hub("/hub/#{path}"),
        )
        self._add_rule(
            listener,
            "NotRunning",
            NOT_RUNNING,
            ["/user/*/api/*"],
            # A program may not read what another origin answers.
            balancers.ListenerAction.fixed_response(
                424,
                content_type="application/json",
                message_body=json.dumps(
                    {"status": 424, "message": f"This server does not run. The hub is at https://{self._domain}"}
                ),
            ),
        )
        self._add_rule(listener, "HubsOwn", HUBS_OWN, ["/hub", "/hub/*"], self._to_hub("/#{path}"))
        made = listener.node.default_child
        assert isinstance(made, balancers.CfnListener)  # noqa: S101 the CDK's type is a wider one
        made.listener_attributes = [
            balancers.CfnListener.ListenerAttributeProperty(
                key=f"routing.http.response.{name.lower().replace('-', '_')}.header_value", value=text
            )
            for name, text in SECURITY_HEADERS.items()
        ]
        return listener

    @staticmethod
    def _add_rule(
        listener: balancers.ApplicationListener,
        name: str,
        priority: int,
        paths: list[str],
        action: balancers.ListenerAction,
    ) -> None:
        balancers.ApplicationListenerRule(
            listener,
            name,
            listener=listener,
            priority=priority,
            conditions=[balancers.ListenerCondition.path_patterns(paths)],
            action=action,
        )

    def _to_hub(self, path: str) -> balancers.ListenerAction:
        """Return the redirect to *path* at the hub's host, with the same query."""
        return balancers.ListenerAction.redirect(
            host=self._domain, path=path, port=str(HTTPS_PORT), protocol="HTTPS", permanent=False
        )

    def edge(self) -> Edge:
        """Return what the other stacks need of this edge."""
        facts: dict[str, Any] = {
            "uses_forwarded_host": False,
            "function_settings": {"alb_listener": self.listener.listener_arn, "alb_vpc": self._vpc.vpc_id},
            "balancer": self._balancer.load_balancer_full_name,
        }
        if self._is_direct:
            return Edge(origin=None, direct=self._balancer, **facts)
        return Edge(
            origin=origins.VpcOrigin.with_application_load_balancer(
                self._balancer,
                origin_id=ORIGIN,
                http_port=PORT,
                protocol_policy=http_only(),
                **server_timeouts(),
            ),
            listener=self.listener,
            **facts,
        )
