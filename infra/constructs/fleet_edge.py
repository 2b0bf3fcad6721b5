"""The edge `fleet`: HAProxy tasks on Fargate in several zones, behind an internal Network Load Balancer."""

from datetime import timedelta
from typing import Any

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr_assets as assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as balancers
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.constructs.edge import (
    HTTPS_PORT,
    ORIGIN,
    TLS_POLICY,
    Edge,
    allow_cloudfront_ingress,
    allow_internet_ingress,
    edge_location_variables,
    edge_settings_variables,
    grant_edge_table_access,
    http_only,
    immutable_security_group,
    server_timeouts,
)
from infra.nag_exceptions import acknowledge
from infra.paths import TOP
from infra.stacks.base import retention
from infra.stacks.cluster import EDGE_PORT, ClusterStack
from infra.stacks.state import StateStack

# Fargate's smallest task. HAProxy needs 16 MB for 10,000 routes, and at most 96 kB for a connection.
CPU, MEMORY_MIB = 256, 512
# Without CloudFront browsers' connections are the edge's, about three times as many.
DIRECT_MEMORY_MIB = 1024
DRAIN_SECONDS, STOP_SECONDS = 90, 115  # Fargate kills after 120
# Connections of one edge before another starts: three quarters of those that its memory allows (edge_proxy).
FLOWS, DIRECT_FLOWS = 2_000, 4_000
HEALTH_PATH = "/edge/health"
DOCKERFILE = "images/edge_proxy/Dockerfile"


class FleetEdge(Construct):
    """An ECS service of edges."""

    def __init__(
        self,
        scope: Construct,
        *,
        cluster: ClusterStack,
        state: StateStack,
        report_interval: timedelta,
        certificate: acm.ICertificate | None = None,
    ) -> None:
        """Create the service. Browsers reach it without CloudFront if there is a *certificate* of users' hosts."""
        super().__init__(scope, "Fleet")
        self._certificate = certificate
        self._report_interval = report_interval
        self._stage, self._cluster, self._group = (
            cluster.stage,
            cluster,
            immutable_security_group(self, cluster.edge_group),
        )
        self._balancer, group = self._balanced()
        ec2.CfnSecurityGroupIngress(
            self,
            "BalancerIn",
            group_id=self._group.security_group_id,
            ip_protocol="tcp",
            from_port=EDGE_PORT,
            to_port=EDGE_PORT,
            source_security_group_id=group.security_group_id,
            description="balancer to edges",
        )
        if certificate is None:
            allow_cloudfront_ingress(self, group, EDGE_PORT)
        else:
            allow_internet_ingress(self, group)
        service = self._service(self._definition(state))
        targets = self._listener().add_targets(
            self._name,
            port=EDGE_PORT,
            protocol=balancers.Protocol.TCP,
            **self._client_address(),
            targets=[service],
            deregistration_delay=Duration.seconds(DRAIN_SECONDS),
            health_check=balancers.HealthCheck(
                protocol=balancers.Protocol.HTTP,
                path=HEALTH_PATH,
                interval=Duration.seconds(10),
                timeout=Duration.seconds(5),
                healthy_threshold_count=2,
                unhealthy_threshold_count=2,
            ),
        )
        # A target that drains turns unhealthy. Its long connections must not be cut then.
        targets.set_attribute("target_health_state.unhealthy.connection_termination.enabled", "false")
        self._scale(service)

    def edge(self) -> Edge:
        """Return what the other stacks need of this edge."""
        if self._certificate is not None:
            return Edge(origin=None, uses_forwarded_host=False, direct=self._balancer)
        return Edge(
            origin=origins.VpcOrigin.with_network_load_balancer(
                self._balancer,
                origin_id=ORIGIN,
                http_port=EDGE_PORT,
                protocol_policy=http_only(),
                **server_timeouts(),
            ),
            uses_forwarded_host=True,
        )

    @property
    def _name(self) -> str:
        """Return the name of listener and targets.

        It differs with the balancer: a group of targets cannot move to another balancer while the first has it.
        """
        return "Edges" if self._certificate is None else "Direct"

    def _listener(self) -> balancers.NetworkListener:
        """Return where CloudFront reaches the edges, or where browsers do, by TLS."""
        if self._certificate is None:
            return self._balancer.add_listener(self._name, port=EDGE_PORT)
        return self._balancer.add_listener(
            self._name,
            port=HTTPS_PORT,
            protocol=balancers.Protocol.TLS,
            certificates=[self._certificate],
            ssl_policy=TLS_POLICY,
        )

    def _client_address(self) -> dict[str, Any]:
        """Return how edges learn the client's address: from CloudFront's header, or by PROXY protocol.

        With `preserve_client_ip` two connections of one NAT could arrive with the same ports.
        """
        return {} if self._certificate is None else {"proxy_protocol_v2": True, "preserve_client_ip": False}

    def _balanced(self) -> tuple[balancers.NetworkLoadBalancer, ec2.SecurityGroup]:
        vpc, is_direct = self._cluster.vpc, self._certificate is not None
        group = ec2.SecurityGroup(
            self,
            "BalancerGroup",
            vpc=vpc,
            description=f"Balancer of the edges, reached by {'browsers' if is_direct else 'CloudFront'}",
            allow_all_outbound=False,
        )
        group.add_egress_rule(self._group, ec2.Port.tcp(EDGE_PORT), "balancer to edges")
        balancer = balancers.NetworkLoadBalancer(
            self,
            "DirectBalancer" if is_direct else "Balancer",
            vpc=vpc,
            internet_facing=is_direct,
            vpc_subnets=ec2.SubnetSelection(
                subnets=self._cluster.internet_subnets if is_direct else self._cluster.edge_subnets
            ),
            cross_zone_enabled=True,
            security_groups=[group],
        )
        acknowledge(balancer, {"AwsSolutions-ELB2": "It logs connections at most; edges log requests (access_logs)"})
        return balancer, group

    def _definition(self, state: StateStack) -> ecs.FargateTaskDefinition:
        task_role = iam.Role(
            self, "TaskRole", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"), description="Of edges"
        )
        definition = ecs.FargateTaskDefinition(
            self,
            "Task",
            cpu=CPU,
            memory_limit_mib=MEMORY_MIB if self._certificate is None else DIRECT_MEMORY_MIB,
            task_role=task_role,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.ARM64, operating_system_family=ecs.OperatingSystemFamily.LINUX
            ),
        )
        grant_edge_table_access(task_role, state)
        image = ecs.ContainerImage.from_asset(str(TOP), file=DOCKERFILE, platform=assets.Platform.LINUX_ARM64)
        log_group = logs.LogGroup(
            self,
            "Logs",
            retention=retention(self._stage.settings.log_days),
            encryption_key=state.key,
            removal_policy=RemovalPolicy.DESTROY,
        )
        definition.add_container(
            "edge",
            image=image,
            essential=True,
            readonly_root_filesystem=True,
            environment=edge_location_variables(Stack.of(self), state.table.table_name)
            | edge_settings_variables(self._stage, drain_seconds=DRAIN_SECONDS, report_interval=self._report_interval),
            port_mappings=[ecs.PortMapping(container_port=EDGE_PORT)],
            stop_timeout=Duration.seconds(STOP_SECONDS),
            logging=ecs.LogDriver.aws_logs(stream_prefix="edge", log_group=log_group),
            linux_parameters=ecs.LinuxParameters(self, "Linux", init_process_enabled=True),
        ).add_mount_points(ecs.MountPoint(container_path="/run/hubless-edge", source_volume="run", read_only=False))
        definition.add_volume(name="run")
        acknowledge(
            definition,
            {
                "AwsSolutions-IAM5[Resource::*]": "ecr:GetAuthorizationToken supports no resources",
                "AwsSolutions-ECS2": "An edge's variables hold no secret",
            },
        )
        return definition

    def _service(self, definition: ecs.FargateTaskDefinition) -> ecs.FargateService:
        given = self._stage.settings
        scales = given.fleet_most > given.fleet_least
        return ecs.FargateService(
            self,
            "Service",
            cluster=self._cluster.cluster,
            task_definition=definition,
            # With scaling a deployment must not set the count, because it would stop the additional edges.
            desired_count=None if scales else given.fleet_least,
            # Without a NAT, public addresses are for pulling the image. The group allows only the balancer.
            assign_public_ip=self._cluster.has_public_addresses,
            vpc_subnets=ec2.SubnetSelection(subnets=self._cluster.server_subnets),
            security_groups=[self._group],
            min_healthy_percent=100,
            max_healthy_percent=200,
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            availability_zone_rebalancing=ecs.AvailabilityZoneRebalancing.ENABLED,
            health_check_grace_period=Duration.seconds(60),
        )

    def _scale(self, service: ecs.FargateService) -> None:
        given = self._stage.settings
        if given.fleet_most == given.fleet_least:
            return
        target = service.auto_scale_task_count(min_capacity=given.fleet_least, max_capacity=given.fleet_most)
        flows = (FLOWS if self._certificate is None else DIRECT_FLOWS) // len(
            self._cluster.vpc.availability_zones
        )  # the metric is per zone, and the alarm takes the maximum
        steps = [scaling.ScalingInterval(upper=flows * given.fleet_least, change=given.fleet_least)]
        steps += [
            scaling.ScalingInterval(lower=flows * (count - 1), change=count)
            for count in range(given.fleet_least + 1, given.fleet_most + 1)
        ]
        target.scale_on_metric(
            "Connections",
            metric=self._balancer.metrics.active_flow_count(period=Duration.minutes(1), statistic="Maximum"),
            adjustment_type=scaling.AdjustmentType.EXACT_CAPACITY,
            scaling_steps=steps,
            evaluation_periods=3,  # an edge that stops cuts its connections, so one quiet minute is not enough
            datapoints_to_alarm=3,
        )
