"""The stack `web`: CloudFront, the two APIs behind it, and the edge in front of servers."""

import json
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from aws_cdk import Duration, Fn, RemovalPolicy
from aws_cdk import aws_apigateway as rest
from aws_cdk import aws_apigatewayv2 as http
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_logs as logs
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from constructs import Construct

from hubless.settings.stage import Stage
from infra.constructs.alb_edge import AlbEdge
from infra.constructs.economy_edge import EconomyEdge
from infra.constructs.edge import HSTS_SECONDS, READ_SECONDS, Edge
from infra.constructs.edge import ORIGIN as EDGE
from infra.constructs.fleet_edge import FleetEdge
from infra.constructs.viewer_request import viewer_request_source
from infra.nag_exceptions import acknowledge
from infra.stacks.base import HubStack, retention
from infra.stacks.certificates import CertificatesStack, zone_of
from infra.stacks.cluster import ClusterStack
from infra.stacks.state import StateStack

API, STREAM = "api", "stream"  # origins, besides the edge
STREAM_STAGE = "live"
LAMBDA_BASIC_ROLE = "arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
NO_ACCESS_LOG = "Access logs are an option of the stage (access_logs)"
NO_STREAM_LOG = "It needs a role of the whole account; CloudFront's access log has these requests"
# API Gateway's variables. Without the path, which has a token in one of JupyterHub's older calls.
ACCESS_FORMAT = {
    "time": "$context.requestTime",
    "request": "$context.requestId",
    "address": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    "status": "$context.status",
    "bytes": "$context.responseLength",
    "milliseconds": "$context.responseLatency",
}
RATE, BURST = 1_000, 2_000  # requests a second, for a class of 2,000 that opens the hub at once
FRONT_HEADER = "x-hubless-front"
KEPT_ERRORS = (400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504)  # CloudFront caches these by default
SERVERS, SERVICES, STATIC, PROGRESS = "/user/*", "/services/*", "/hub/static/*", "/hub/api/users/*/progress"


class WebStack(HubStack):
    """CloudFront and its origins. The functions behind the APIs belong to the stack `control`."""

    def __init__(
        self,
        scope: Construct,
        stage: Stage,
        *,
        state: StateStack,
        cluster: ClusterStack,
        certificates: CertificatesStack | None,
        edge_code: Path | None,
        report_interval: timedelta,
        **more: Any,
    ) -> None:
        super().__init__(scope, "web", stage, description="hubless: what faces the internet", **more)
        self._state, self._certificates = state, certificates
        self.api = http.HttpApi(
            self, "Api", api_name=stage.hub, description=f"{stage.hub}: the hub", create_default_stage=False
        )
        # The API refuses all but CloudFront, but its address is public. Throttling limits the costs of such requests.
        throttle = http.ThrottleSettings(rate_limit=RATE, burst_limit=BURST)
        served = http.HttpStage(
            self, "ApiStage", http_api=self.api, stage_name="$default", auto_deploy=True, throttle=throttle
        )
        if stage.settings.access_logs:
            self._log_access(served)
        else:
            acknowledge(served, {"AwsSolutions-APIG1": NO_ACCESS_LOG})
        # The stack `control` adds the method. Its functions need CloudFront's name, which depends on this API.
        self.stream = rest.CfnRestApi(
            self,
            "Stream",
            name=f"{stage.hub}-stream",
            description="Answers that go on for minutes",
            endpoint_configuration=rest.CfnRestApi.EndpointConfigurationProperty(types=["REGIONAL"]),
        )
        acknowledge(self.stream, {"AwsSolutions-APIG2": "The function validates each request, as JupyterHub does"})
        self.edge = self._edge(cluster, edge_code, report_interval)
        acknowledge(
            self,
            {
                f"AwsSolutions-IAM4[Policy::{LAMBDA_BASIC_ROLE}]": "Of the CDK's function for the prefix list",
                "AwsSolutions-L1": "Of the same function",
            },
        )
        self.distribution = self._distribution()
        self._name()
        self.url = f"https://{stage.settings.domain or self.distribution.distribution_domain_name}"
        self.add_output("Url", self.url, "The hub")
        if self.edge.journal:
            self.add_output("EdgeJournal", self.edge.journal, "The log of the edge: a folder in S3, or a log group")
        self.add_output(
            "DistributionName",
            self.distribution.distribution_domain_name,
            "The target of an alias record for a domain of your own",
        )
        if self.edge.direct is not None:
            self.add_output(
                "UsersName",
                self.edge.direct.load_balancer_dns_name,
                "The target of an alias record for the hosts of users and services",
            )

    def _log_access(self, stage: http.HttpStage) -> None:
        """Have API Gateway log each request of *stage*. Most come from CloudFront, which logs the client's address."""
        group = logs.LogGroup(
            self,
            "ApiAccess",
            retention=retention(self.stage.settings.log_days),
            encryption_key=self._state.key,
            removal_policy=RemovalPolicy.DESTROY,
        )
        made = stage.node.default_child
        assert isinstance(made, http.CfnStage)  # noqa: S101 the CDK's type is a wider one
        made.access_log_settings = http.CfnStage.AccessLogSettingsProperty(
            destination_arn=group.log_group_arn, format=json.dumps(ACCESS_FORMAT)
        )

    def _edge(self, cluster: ClusterStack, code: Path | None, report_interval: timedelta) -> Edge:
        match self.stage.settings.edge:
            case "economy":
                assert code is not None  # noqa: S101 add_stacks bundles it for this edge
                return EconomyEdge(
                    self, cluster=cluster, state=self._state, code=code, report_interval=report_interval
                ).edge()
            case "fleet":
                return FleetEdge(
                    self,
                    cluster=cluster,
                    state=self._state,
                    report_interval=report_interval,
                    certificate=self._users_certificate(),
                ).edge()
            case _:
                return AlbEdge(self, cluster=cluster, certificate=self._users_certificate()).edge()

    def _users_certificate(self) -> acm.ICertificate | None:
        """Return the certificate of users' hosts in this region, if browsers reach them without CloudFront."""
        given = self.stage.settings
        if not self.stage.has_direct_hosts:
            return None
        if given.direct_certificate:
            return acm.Certificate.from_certificate_arn(self, "UsersCertificate", given.direct_certificate)
        return acm.Certificate(
            self,
            "UsersCertificate",
            domain_name=f"*.{given.domain}",
            validation=acm.CertificateValidation.from_dns(self._zone()),
        )

    def _distribution(self) -> cloudfront.Distribution:
        stage, given = self.stage, self.stage.settings
        api, stream = (
            self._origin(API, self.api.api_endpoint),
            self._origin(STREAM, self.stream_domain(), path=f"/{STREAM_STAGE}"),
        )
        to_api = self._function("Front", viewer_request_source())
        dynamic: dict[str, Any] = {
            "allowed_methods": cloudfront.AllowedMethods.ALLOW_ALL,
            "cache_policy": cloudfront.CachePolicy.CACHING_DISABLED,
            "viewer_protocol_policy": cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
            "compress": False,
            "response_headers_policy": self._headers(),
        }
        but_host = cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER
        to_servers = {}
        if self.edge.origin is not None:
            servers = cloudfront.BehaviorOptions(
                origin=self.edge.origin,
                origin_request_policy=but_host
                if self.edge.uses_forwarded_host
                else cloudfront.OriginRequestPolicy.ALL_VIEWER,
                function_associations=[self._function("EdgeFront", self._edge_front())],
                **dynamic,
            )
            to_servers = {SERVERS: servers, SERVICES: servers}
        static = cloudfront.BehaviorOptions(
            origin=api,
            cache_policy=self._static_policy(),
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
            response_headers_policy=dynamic["response_headers_policy"],
            function_associations=[to_api],
        )
        distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment=f"{stage.hub} {given.front_turn}".removesuffix(
                " 0"
            ),  # a changed comment makes CloudFront read the front secret again
            default_behavior=cloudfront.BehaviorOptions(
                origin=api, origin_request_policy=but_host, function_associations=[to_api], **dynamic
            ),
            additional_behaviors={
                STATIC: static,
                PROGRESS: cloudfront.BehaviorOptions(
                    origin=stream, origin_request_policy=but_host, function_associations=[to_api], **dynamic
                ),
                **to_servers,
            },
            domain_names=self._domain_names() or None,
            certificate=self._certificate(),
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
            http_version=cloudfront.HttpVersion.HTTP2,  # CloudFront has no WebSockets over HTTP/3
            enable_ipv6=True,
            price_class=cloudfront.PriceClass.PRICE_CLASS_100,
            web_acl_id=self._certificates.acl.attr_arn if self._certificates and self._certificates.acl else None,
            # By default CloudFront caches errors for ten seconds, and would serve one user's 403 to another.
            error_responses=[
                cloudfront.ErrorResponse(http_status=status, ttl=Duration.seconds(0)) for status in KEPT_ERRORS
            ],
        )
        acknowledge(
            distribution,
            {
                "AwsSolutions-CFR1": "The hub decides who may use it, not the country of a request",
                "AwsSolutions-CFR3": "Standard logging v2 (access_logs) writes no queries; this rule does not know it",
                "AwsSolutions-CFR2": "WAF is an option of the stage (waf); the hub itself locks out password guessing",
            }
            | (
                {}
                if given.domain
                else {"AwsSolutions-CFR4": "CloudFront's own domain has a fixed certificate and TLS policy"}
            )
            | (
                {}
                if self.edge.origin is None
                else {"AwsSolutions-CFR5": "CloudFront reaches the edge by HTTP through a VPC origin, in AWS's network"}
            ),
        )
        return distribution

    def _domain_names(self) -> list[str]:
        """Return the hosts at which CloudFront answers: the hub's, and users' unless those lead to the edge itself."""
        given = self.stage.settings
        has_users = self.stage.has_subdomains and not self.stage.has_direct_hosts
        return [name for name in (given.domain, f"*.{given.domain}" if has_users else "") if name]

    def stream_domain(self) -> str:
        """Return the domain of the REST API, whose responses last minutes."""
        return f"{self.stream.ref}.execute-api.{self.region}.{self.url_suffix}"

    def _origin(self, origin_id: str, address: str, *, path: str = "") -> origins.HttpOrigin:
        domain = (
            Fn.select(2, Fn.split("/", address)) if "://" in address or address == self.api.api_endpoint else address
        )
        return origins.HttpOrigin(
            domain,
            origin_id=origin_id,
            origin_path=path or None,
            protocol_policy=cloudfront.OriginProtocolPolicy.HTTPS_ONLY,
            origin_ssl_protocols=[cloudfront.OriginSslPolicy.TLS_V1_2],
            read_timeout=Duration.seconds(READ_SECONDS),
            # The functions refuse requests without it.
            custom_headers={FRONT_HEADER: self._state.front.secret_value_from_json("now").unsafe_unwrap()},
        )

    def _edge_front(self) -> str:
        """Return the viewer-request function for servers' paths. A load balancer forwards to the API by itself."""
        return (
            viewer_request_source(edge=EDGE, api=API)
            if self.edge.uses_forwarded_host
            else viewer_request_source(strips_login=True)
        )

    def _function(self, name: str, source: str) -> cloudfront.FunctionAssociation:
        made = cloudfront.Function(
            self, name, code=cloudfront.FunctionCode.from_inline(source), runtime=cloudfront.FunctionRuntime.JS_2_0
        )
        return cloudfront.FunctionAssociation(function=made, event_type=cloudfront.FunctionEventType.VIEWER_REQUEST)

    def _static_policy(self) -> cloudfront.CachePolicy:
        """Return the cache policy of static files. Their URLs hold a hash, so the hub lets browsers cache them."""
        return cloudfront.CachePolicy(
            self,
            "Static",
            comment="Static files, by their content's hash",
            query_string_behavior=cloudfront.CacheQueryStringBehavior.allow_list("v"),
            min_ttl=Duration.seconds(0),
            default_ttl=Duration.minutes(5),
            max_ttl=Duration.days(365),
            enable_accept_encoding_gzip=True,
            enable_accept_encoding_brotli=True,
        )

    def _headers(self) -> cloudfront.ResponseHeadersPolicy:
        """Return the headers that CloudFront adds, unless the hub or a server set them."""
        return cloudfront.ResponseHeadersPolicy(
            self,
            "Headers",
            response_headers_policy_name=f"{self.stage.hub}-{self.region}",
            comment="HTTPS only, from now on",
            security_headers_behavior=cloudfront.ResponseSecurityHeadersBehavior(
                strict_transport_security=cloudfront.ResponseHeadersStrictTransportSecurity(
                    access_control_max_age=Duration.seconds(HSTS_SECONDS),
                    include_subdomains=self.stage.has_subdomains,
                    override=False,
                ),
                content_type_options=cloudfront.ResponseHeadersContentTypeOptions(override=False),
            ),
        )

    def _certificate(self) -> acm.ICertificate | None:
        if self._certificates and self._certificates.certificate:
            return self._certificates.certificate
        given = self.stage.settings.certificate
        return acm.Certificate.from_certificate_arn(self, "Certificate", given) if given else None

    @cache  # noqa: B019 a stack lives as long as the program
    def _zone(self) -> route53.IHostedZone:
        return zone_of(self, self.stage)

    def _name(self) -> None:
        """Create the domain's DNS records if the stage has a hosted zone."""
        given = self.stage.settings
        if not given.zone_id:
            return
        zone = self._zone()
        distribution = route53.RecordTarget.from_alias(targets.CloudFrontTarget(self.distribution))
        for name, record in zip(("Hub", "Users"), self._domain_names(), strict=False):
            route53.ARecord(self, f"{name}Record", zone=zone, record_name=f"{record}.", target=distribution)
            route53.AaaaRecord(self, f"{name}Record6", zone=zone, record_name=f"{record}.", target=distribution)
        if self.edge.direct is not None:
            balancer = route53.RecordTarget.from_alias(targets.LoadBalancerTarget(self.edge.direct))
            route53.ARecord(self, "UsersRecord", zone=zone, record_name=f"*.{given.domain}.", target=balancer)
