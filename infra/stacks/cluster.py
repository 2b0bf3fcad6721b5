"""The stack `cluster`: network, ECS cluster, roles and home folders of users' servers."""

import re
from collections.abc import Sequence
from typing import Any

from aws_cdk import RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_efs as efs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from hubless.settings.stage import Stage
from infra.kms_key import use_of_key
from infra.nag_exceptions import acknowledge, acknowledge_wildcards
from infra.paths import IMAGES
from infra.stacks.base import HubStack, retention
from infra.stacks.state import StateStack

SERVER_PORT, EDGE_PORT, NFS_PORT = 8888, 8080, 2049
MOUNT = ("elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite")  # not as root
SERVERS, EDGES, GATEWAYS = "servers", "edge", "nat"  # names of subnets
_ECR = re.compile(r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/(?P<repository>[^:@]+)")
FLOW_LOGS = {"refused": ec2.FlowLogTrafficType.REJECT, "all": ec2.FlowLogTrafficType.ALL}
PLATFORMS = {"ARM64": assets.Platform.LINUX_ARM64, "X86_64": assets.Platform.LINUX_AMD64}


class ClusterStack(HubStack):
    """The network and the ECS cluster. *images* are those of the profiles."""

    def __init__(
        self, scope: Construct, stage: Stage, *, state: StateStack, images: tuple[str, ...] = (), **more: Any
    ) -> None:
        super().__init__(scope, "cluster", stage, description="hubless: where users' servers run", **more)
        self._state = state
        # Servers of images/singleuser cannot get around the limit of their output (docs/cloud.md).
        self.has_own_images_only = not stage.settings.image and not images
        self.vpc = self._vpc()
        self.edge_subnets = self._subnets(EDGES)
        self.server_subnets = self._subnets(SERVERS)
        # Those with an internet gateway: of servers, or, with a NAT, of the NAT.
        self.internet_subnets = self._subnets(GATEWAYS if stage.settings.egress == "nat" else SERVERS)
        # Behind a NAT, or on the network's own way out, a public address would only cost.
        self.has_public_addresses = stage.settings.egress == "public"
        self.image_caches = self._image_caches(images)
        # Only edges reach servers. Servers cannot reach each other, because no group allows itself.
        self.edge_group = self._group("EdgeGroup", "Edges, reached by CloudFront", outbound=True)
        self.server_group = self._group("ServerGroup", "Servers of users, reached by edges", outbound=True)
        self.server_group.add_ingress_rule(self.edge_group, ec2.Port.tcp(SERVER_PORT), "edges to servers")
        self.cluster = self._cluster()
        self.log_group = self._log_group()
        self.task_role = iam.Role(
            self,
            "TaskRole",
            assumed_by=self._ecs(),
            description="Of users' servers: it may do nothing",
        )
        self.execution_role = self._execution_role()
        self.image = self._image(images)
        self.file_system = self._file_system() if stage.settings.homes else None
        # What the hub gives to each user's role; None if servers share a role.
        self.role_boundary = self._role_boundary(self.file_system) if self.file_system else None

    def _log_group(self) -> logs.LogGroup | None:
        """Return the log group of servers, if the stage keeps what they write."""
        given = self.stage.settings
        if not given.server_logs:
            return None
        return logs.LogGroup(
            self,
            "ServerLogs",
            retention=retention(given.log_days),
            encryption_key=self._state.key,
            removal_policy=RemovalPolicy.DESTROY,
        )

    def _vpc(self) -> ec2.IVpc:
        given = self.stage.settings
        if given.vpc_id:
            return ec2.Vpc.from_vpc_attributes(
                self,
                "Vpc",
                vpc_id=given.vpc_id,
                availability_zones=list(given.zones),
                public_subnet_ids=list(given.public_subnets),
                isolated_subnet_ids=list(given.private_subnets),
            )
        vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(given.network),
            max_azs=len(self.availability_zones),
            nat_gateways=1 if given.egress == "nat" else 0,
            restrict_default_security_group=False,
            subnet_configuration=self._subnet_configuration(),
            gateway_endpoints={
                "DynamoDb": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.DYNAMODB),
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
            },
        )
        vpc.add_flow_log(
            "Refused",
            destination=ec2.FlowLogDestination.to_s3(self._state.logs, "network"),
            traffic_type=FLOW_LOGS[given.flow_logs],
        )
        return vpc

    def _subnet_configuration(self) -> list[ec2.SubnetConfiguration]:
        """Return the subnets of the new VPC. Another `egress` changes their routes, not their addresses."""
        if self.stage.settings.egress == "nat":
            through_nat = ec2.SubnetType.PRIVATE_WITH_EGRESS
            return [
                ec2.SubnetConfiguration(name=SERVERS, subnet_type=through_nat),
                ec2.SubnetConfiguration(name=EDGES, subnet_type=through_nat, cidr_mask=26),
                ec2.SubnetConfiguration(
                    name=GATEWAYS, subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=27, map_public_ip_on_launch=False
                ),
            ]
        return [
            ec2.SubnetConfiguration(name=SERVERS, subnet_type=ec2.SubnetType.PUBLIC, map_public_ip_on_launch=False),
            ec2.SubnetConfiguration(name=EDGES, subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=26),
        ]

    def _subnets(self, name: str) -> Sequence[ec2.ISubnet]:
        """Return the subnets of edges, servers or gateways, in the new VPC or in the given one."""
        if self.stage.settings.vpc_id:
            return self.vpc.isolated_subnets if name == EDGES else self.vpc.public_subnets
        return self.vpc.select_subnets(subnet_group_name=name).subnets

    def _image_caches(self, named: tuple[str, ...]) -> dict[str, str]:
        """Return the addresses of caches in ECR, by registry, and make them: for images that come by way of a NAT.

        ECR keeps layers in S3, which the network reaches without the NAT. *named* are the images of profiles.
        """
        if self.has_public_addresses:
            return {}
        used = {image.partition("/")[0] for image in (self.stage.settings.image, *named)}
        found = {registry: prefix for registry, prefix in self.stage.cache_prefixes.items() if registry in used}
        for registry, prefix in found.items():
            ecr.CfnPullThroughCacheRule(
                self, f"Cache-{prefix}", ecr_repository_prefix=prefix, upstream_registry_url=registry
            )
        home = f"{self.account}.dkr.ecr.{self.region}.{self.url_suffix}"
        return {registry: f"{home}/{prefix}" for registry, prefix in found.items()}

    def _group(self, name: str, meaning: str, *, outbound: bool) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(self, name, vpc=self.vpc, description=meaning, allow_all_outbound=outbound)

    def _cluster(self) -> ecs.Cluster:
        cluster = ecs.Cluster(self, "Cluster", vpc=self.vpc, enable_fargate_capacity_providers=True)
        if self._state.key_id:
            made = cluster.node.default_child
            assert isinstance(made, ecs.CfnCluster)  # noqa: S101 the CDK's type is a wider one
            made.configuration = ecs.CfnCluster.ClusterConfigurationProperty(
                managed_storage_configuration=ecs.CfnCluster.ManagedStorageConfigurationProperty(
                    fargate_ephemeral_storage_kms_key_id=self._state.key_id
                )
            )
        acknowledge(
            cluster,
            {"AwsSolutions-ECS4": "Container Insights costs more than the hub, which has its own metrics"},
        )
        return cluster

    def _ecs(self) -> iam.ServicePrincipal:
        """Return the principal of ECS, limited to tasks of this account."""
        return iam.ServicePrincipal(
            "ecs-tasks.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": self.account}}
        )

    def _execution_role(self) -> iam.Role:
        """Return the role with which ECS reads a server's variables, pulls its image and writes its log."""
        role = iam.Role(
            self,
            "ExecutionRole",
            assumed_by=self._ecs(),
            description="By which ECS starts users' servers",
        )
        bucket = self._state.launches
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["s3:GetObject"], resources=[bucket.arn_for_objects(f"launches/{self.stage.hub}/*")]
            )
        )
        role.add_to_policy(iam.PolicyStatement(actions=["s3:GetBucketLocation"], resources=[bucket.bucket_arn]))
        for statement in use_of_key(self, self._state.key, ["Decrypt"], "s3"):
            role.add_to_policy(statement)
        if self.log_group:
            self.log_group.grant_write(role)
        acknowledge_wildcards(
            role,
            {
                r"/launches/hubless-[a-z0-9-]+/\*$": "Objects are named by launch ids",
                r"^Resource::\*$": "ecr:GetAuthorizationToken supports no resources",
            },
        )
        return role

    def _image(self, named: tuple[str, ...]) -> str:
        """Return the default image. The execution role may pull it and those of the profiles (*named*)."""
        given = self.stage.settings
        repositories = {found for image in (given.image, *named) if (found := self._repository(image))}
        image = given.image
        if not image:
            built = assets.DockerImageAsset(
                self, "Image", directory=str(IMAGES / "singleuser"), platform=PLATFORMS[given.architecture]
            )
            repositories.add(built.repository.repository_arn)
            image = built.image_uri
        cached = [
            f"arn:{self.partition}:ecr:{self.region}:{self.account}:repository/{address.partition('/')[2]}/*"
            for address in self.image_caches.values()
        ]
        if cached:
            # The first pull of an image makes its repository.
            self.execution_role.add_to_policy(
                iam.PolicyStatement(actions=["ecr:BatchImportUpstreamImage", "ecr:CreateRepository"], resources=cached)
            )
            repositories.update(cached)
            acknowledge_wildcards(
                self.execution_role,
                {r":repository/[a-z0-9-]+/\*$": "The repositories of a cache are named by the images that servers use"},
            )
        if repositories:
            self.execution_role.add_to_policy(
                iam.PolicyStatement(
                    actions=["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"],
                    resources=sorted(repositories),
                )
            )
            self.execution_role.add_to_policy(
                iam.PolicyStatement(actions=["ecr:GetAuthorizationToken"], resources=["*"])
            )
        return image

    def _repository(self, image: str) -> str:
        """Return the ARN of the ECR repository of *image*. An empty string if it is in another registry."""
        if (found := _ECR.match(image)) is None:
            return ""
        return f"arn:{self.partition}:ecr:{found['region']}:{found['account']}:repository/{found['repository']}"

    def _file_system(self) -> efs.FileSystem:
        """Return the file system of home folders. The hub creates an access point for each user at the first spawn."""
        group = self._group("HomesGroup", "Files of users, reached by servers", outbound=False)
        group.add_ingress_rule(self.server_group, ec2.Port.tcp(NFS_PORT), "servers to their files")
        return efs.FileSystem(
            self,
            "Homes",
            vpc=self.vpc,
            vpc_subnets=ec2.SubnetSelection(subnets=self.edge_subnets),
            security_group=group,
            encrypted=True,
            kms_key=self._state.key,
            throughput_mode=efs.ThroughputMode.ELASTIC,
            lifecycle_policy=efs.LifecyclePolicy.AFTER_30_DAYS,
            out_of_infrequent_access_policy=efs.OutOfInfrequentAccessPolicy.AFTER_1_ACCESS,
            enable_automatic_backups=self.stage.settings.keep_data,
            # The policy below denies it. Without this flag the CDK adds statements that allow everything.
            allow_anonymous_access=True,
            removal_policy=self.data_removal_policy,
            file_system_policy=iam.PolicyDocument(statements=self._mount_statements()),
        )

    def _mount_statements(self) -> list[iam.PolicyStatement]:
        """Return the policy of the file system: servers mount it by an access point and TLS, nobody else."""
        return [
            self._users_mounts() if self.stage.settings.task_roles else self._shared_mounts(),
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["*"],
                conditions={"Bool": {"aws:SecureTransport": "false"}},
            ),
        ]

    def _shared_mounts(self) -> iam.PolicyStatement:
        """Return what lets the role of all servers mount any access point."""
        access_points = f"arn:{self.partition}:elasticfilesystem:{self.region}:{self.account}:access-point/*"
        return iam.PolicyStatement(
            principals=[iam.ArnPrincipal(self.task_role.role_arn)],
            actions=list(MOUNT),
            conditions={
                "Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"},
                "StringLike": {"elasticfilesystem:AccessPointArn": access_points},
            },
        )

    def _users_mounts(self) -> iam.PolicyStatement:
        """Return what lets each user's role mount the access point of its tag.

        The principal has no wildcards, and the account as principal would ask for a policy of the role's own as well:
        so the conditions name the roles.
        """
        roles = f"arn:{self.partition}:iam::{self.account}:role{self.stage.role_path}*"
        return iam.PolicyStatement(
            principals=[iam.AnyPrincipal()],
            actions=list(MOUNT),
            conditions={
                "Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"},
                "ArnLike": {"aws:PrincipalArn": roles},
                "StringEquals": {"elasticfilesystem:AccessPointArn": f"${{aws:PrincipalTag/{self.stage.role_tag}}}"},
            },
        )

    def _role_boundary(self, file_system: efs.FileSystem) -> iam.ManagedPolicy | None:
        """Return the permissions boundary of users' roles, if there are any: it leaves them the mount and no more."""
        if not self.stage.settings.task_roles:
            return None
        return iam.ManagedPolicy(
            self,
            "RoleBoundary",
            description="The most that the role of a user's servers may do",
            statements=[
                iam.PolicyStatement(actions=list(MOUNT), resources=[file_system.file_system_arn]),
                # Policies of other resources that name a session are not limited by what a boundary does not mention.
                iam.PolicyStatement(effect=iam.Effect.DENY, not_actions=list(MOUNT), resources=["*"]),
            ],
        )
