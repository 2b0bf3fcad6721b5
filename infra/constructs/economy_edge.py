"""The edge `economy`: one EC2 instance with HAProxy and the agent, stopped while no server runs.

No deployment replaces the instance (ADR 23). CloudFront does not release a VPC origin that is in use, and a new
instance would cut every connection. A deployment changes a tag with the location of the code, the settings and the
installer (infra/economy). The instance reads the tag each minute, and installs new code while HAProxy runs on. It
starts with the newest image of Amazon Linux; later security updates come by `dnf` (ADR 35). A deployment that makes the
instance fails if its first boot does.
"""

import hashlib
import shutil
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from aws_cdk import CfnTag, CfnWaitCondition, CfnWaitConditionHandle, Duration, Fn, RemovalPolicy, Stack, Tags
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra.bundling import build_once
from infra.constructs.edge import (
    ORIGIN,
    Edge,
    allow_cloudfront_ingress,
    edge_location_variables,
    edge_settings_variables,
    grant_edge_table_access,
    server_timeouts,
)
from infra.kms_key import use_of_key
from infra.nag_exceptions import acknowledge, acknowledge_wildcards
from infra.paths import TOP
from infra.stacks.base import retention
from infra.stacks.cluster import EDGE_PORT, ClusterStack
from infra.stacks.state import StateStack

IMAGE = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
CODE_TAG, JOURNAL_TAG = "hubless-code", "hubless-journal"
DRAIN_SECONDS = 2  # no user is on an instance that stops, and nothing can start it meanwhile
DISK_GIB = 8  # the minimum of Amazon's image
KEEP_UNITS = ("hubless-keep.service", "hubless-keep.timer")
FIRST_BOOT_SECONDS = 1_200  # infra/economy/first-boot gives up after 720 and an attempt more
FILES = TOP / "infra" / "economy"


class EconomyEdge(Construct):
    """The instance with its role."""

    def __init__(
        self, scope: Construct, *, cluster: ClusterStack, state: StateStack, code: Path, report_interval: timedelta
    ) -> None:
        super().__init__(scope, "Economy")
        self._stage, given = cluster.stage, cluster.stage.settings
        self._disk_key = state.key.key_arn if state.key else "alias/aws/ebs"
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"), description="Of the edge")
        grant_edge_table_access(role, state)
        settings = edge_settings_variables(cluster.stage, drain_seconds=DRAIN_SECONDS, report_interval=report_interval)
        bundle = assets.Asset(self, "Code", path=str(_with_installer(code, settings, code.parent)))
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["s3:GetObject"], resources=[bundle.bucket.arn_for_objects(bundle.s3_object_key)]
            )
        )
        if given.session_manager:
            _allow_session_manager(role)
        allow_cloudfront_ingress(self, cluster.edge_group, EDGE_PORT)
        booted = CfnWaitConditionHandle(self, "FirstBoot")
        place = edge_location_variables(Stack.of(self), state.table.table_name)
        template = self._template(role, _first_boot(place, booted.ref))
        self._instance = ec2.CfnInstance(
            self,
            "Instance",
            # Always the first version, because another would replace the instance.
            launch_template=ec2.CfnInstance.LaunchTemplateSpecificationProperty(
                launch_template_id=template.ref, version="1"
            ),
            instance_type=given.instance_type,
            subnet_id=cluster.edge_subnets[0].subnet_id,
            security_group_ids=[cluster.edge_group.security_group_id],
            tags=[CfnTag(key="Name", value=f"{cluster.stage.hub}-edge")],
        )
        Tags.of(self._instance).add(CODE_TAG, bundle.s3_object_url)
        self._journal = self._journal_place(role, state)
        Tags.of(self._instance).add(JOURNAL_TAG, self._journal)
        # A wait condition is met by a request to S3. A creation policy needs CloudFormation's API, which the instance
        # could reach only by an endpoint for $7 a month.
        healthy = CfnWaitCondition(self, "Healthy", handle=booted.ref, timeout=str(FIRST_BOOT_SECONDS), count=1)
        healthy.add_dependency(self._instance)
        acknowledge(
            self._instance,
            {
                "AwsSolutions-EC28": "Detailed metrics cost half as much as this small instance",
                "AwsSolutions-EC29": "It has no state; it reads the routes from the table",
            },
        )

    def _journal_place(self, role: iam.Role, state: StateStack) -> str:
        """Return where the instance sends its journal, and allow it: to CloudWatch, or to S3 if it has no way out."""
        given = self._stage.settings
        if given.egress == "public":
            role.add_to_policy(
                iam.PolicyStatement(actions=["s3:PutObject"], resources=[state.logs.arn_for_objects("edge/*")])
            )
            # S3 wants both for objects in several parts.
            for statement in use_of_key(Stack.of(self), state.key, ("Decrypt", "GenerateDataKey"), "s3"):
                role.add_to_policy(statement)
            acknowledge_wildcards(role, {r"/edge/\*$": "Parts of the journal are named by their time"})
            return f"s3://{state.logs.bucket_name}/edge"
        group = logs.LogGroup(
            self,
            "Journal",
            retention=retention(given.log_days),
            encryption_key=state.key,
            removal_policy=RemovalPolicy.DESTROY,
        )
        group.grant_write(role)
        return group.log_group_name

    def edge(self) -> Edge:
        """Return what the other stacks need of this edge."""
        instance = self._instance
        arn = Fn.sub("arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:instance/${Id}", {"Id": instance.ref})
        made = cloudfront.CfnVpcOrigin(
            self,
            "VpcOrigin",
            vpc_origin_endpoint_config=cloudfront.CfnVpcOrigin.VpcOriginEndpointConfigProperty(
                arn=arn,
                name=f"{self._stage.hub}-edge",
                http_port=EDGE_PORT,
                https_port=443,
                origin_protocol_policy="http-only",
            ),
        )
        origin = cloudfront.VpcOrigin.from_vpc_origin_id(self, "Origin", made.attr_id)
        return Edge(
            origin=origins.VpcOrigin.with_vpc_origin(
                origin,
                origin_id=ORIGIN,
                domain_name=instance.attr_private_dns_name,
                **server_timeouts(),
                connection_timeout=Duration.seconds(2),  # a stopped instance does not answer
            ),
            uses_forwarded_host=True,
            journal=self._journal,
            function_settings={
                "economy_instance": instance.ref,
                "economy_idle_minutes": self._stage.settings.sleep_after,
            },
        )

    def _template(self, role: iam.Role, first_boot: str) -> ec2.CfnLaunchTemplate:
        profile = iam.CfnInstanceProfile(self, "Profile", roles=[role.role_name])
        disk: Any = ec2.CfnLaunchTemplate.BlockDeviceMappingProperty(
            device_name="/dev/xvda",
            ebs=ec2.CfnLaunchTemplate.EbsProperty(
                volume_size=DISK_GIB,
                volume_type="gp3",
                encrypted=True,
                kms_key_id=self._disk_key,
                delete_on_termination=True,
            ),
        )
        return ec2.CfnLaunchTemplate(
            self,
            "Template",
            launch_template_data=ec2.CfnLaunchTemplate.LaunchTemplateDataProperty(
                image_id=IMAGE,
                iam_instance_profile=ec2.CfnLaunchTemplate.IamInstanceProfileProperty(arn=profile.attr_arn),
                block_device_mappings=[disk],
                instance_initiated_shutdown_behavior="stop",
                maintenance_options=ec2.CfnLaunchTemplate.MaintenanceOptionsProperty(auto_recovery="default"),
                credit_specification=ec2.CfnLaunchTemplate.CreditSpecificationProperty(cpu_credits="unlimited"),
                metadata_options=ec2.CfnLaunchTemplate.MetadataOptionsProperty(
                    http_tokens="required", http_put_response_hop_limit=1, instance_metadata_tags="enabled"
                ),
                user_data=Fn.base64(first_boot),
            ),
        )


def _allow_session_manager(role: iam.Role) -> None:
    """Allow the agent of Systems Manager, which Amazon's image has, to open sessions for operators."""
    channels = [f"ssmmessages:{verb}{kind}Channel" for verb in ("Create", "Open") for kind in ("Control", "Data")]
    role.add_to_policy(iam.PolicyStatement(actions=["ssm:UpdateInstanceInformation", *channels], resources=["*"]))
    acknowledge_wildcards(role, {r"^Resource::\*$": "Session Manager's own actions support no resources"})


def _first_boot(place: dict[str, str], signal_url: str) -> str:
    """Return the script of the first boot: it writes the table and region, installs the code, and tells how it went."""
    written = "".join(f"{name}={value}\n" for name, value in place.items())
    files = {
        "/etc/hubless/place.env": written,
        "/opt/hubless/keep": (FILES / "keep").read_text(),
        **{f"/etc/systemd/system/{unit}": (FILES / unit).read_text() for unit in KEEP_UNITS},
    }
    return (
        "#!/bin/bash\nexec > >(tee /var/log/hubless-first-boot.log /dev/console) 2>&1\nset -u\n"
        "mkdir -p /opt/hubless /etc/hubless\n"
        + "".join(f"cat > {file} <<'END'\n{text}END\n" for file, text in files.items())
        + f"chmod 755 /opt/hubless/keep\nsignal_url='{signal_url}' port={EDGE_PORT}\n"
        + (FILES / "first-boot").read_text()
    )


def _with_installer(code: Path, settings: Mapping[str, str], into: Path) -> Path:
    """Return a folder below *into* with the edge's *code*, its installer and its *settings*."""
    written = "".join(f"{name}={value}\n" for name, value in settings.items())
    texts = [written, *(file.read_text() for file in sorted(FILES.iterdir()))]
    made = into / f"{code.name}-{hashlib.sha256(chr(0).join(texts).encode()).hexdigest()[:16]}"

    def assemble(folder: Path) -> None:
        shutil.copytree(code, folder)
        shutil.copytree(FILES, folder / "economy")
        (folder / "economy" / "edge.env").write_text(written)

    return build_once(made, assemble)
