"""A Lambda function of the hub: its bundle, role and log group, and versions behind an alias."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra import iam_policies
from infra.nag_exceptions import acknowledge, acknowledge_wildcards
from infra.stacks.base import retention

ALIAS = "live"
_ARCHITECTURES = {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}


@dataclass(frozen=True)
class Target:
    """The platform of functions, and whether their modules are compiled for it."""

    architecture: str = "arm64"
    python: str = "3.13"
    is_compiled: bool = True


@dataclass(frozen=True)
class FunctionSpec:
    """The configuration of one function."""

    name: str
    code: Path
    handler: str
    memory_mib: int
    seconds: int
    target: Target
    log_days: int
    key: kms.IKey | None = None  # of the log
    snap_start: bool = False


class HubFunction(Construct):
    """A function and the alias by which it is called.

    A deployment publishes a version, and then moves the alias. Running invocations finish with their code.
    """

    def __init__(
        self,
        scope: Construct,
        spec: FunctionSpec,
        *,
        variables: Mapping[str, str],
        statements: Sequence[iam.PolicyStatement],
    ) -> None:
        super().__init__(scope, spec.name.capitalize())
        log_group = logs.LogGroup(
            self,
            "Log",
            retention=retention(spec.log_days),
            encryption_key=spec.key,
            removal_policy=RemovalPolicy.DESTROY,
        )
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"Of the function {spec.name}",
            inline_policies={"hub": iam.PolicyDocument(statements=list(statements))},
        )
        log_group.grant_write(role)
        more: dict[str, Any] = {"snap_start": lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS} if spec.snap_start else {}
        self.function = lambda_.Function(
            self,
            "Function",
            description=f"hubless: {spec.name}",
            code=lambda_.Code.from_asset(str(spec.code)),
            handler=spec.handler,
            runtime=lambda_.Runtime(
                f"python{spec.target.python}", lambda_.RuntimeFamily.PYTHON, supports_snap_start=True
            ),
            architecture=_ARCHITECTURES[spec.target.architecture],
            memory_size=spec.memory_mib,
            timeout=Duration.seconds(spec.seconds),
            environment=dict(variables),
            role=role,
            log_group=log_group,
            current_version_options=lambda_.VersionOptions(removal_policy=RemovalPolicy.RETAIN),
            **more,
        )
        self.alias = lambda_.Alias(self, "Alias", alias_name=ALIAS, version=self.function.current_version)
        acknowledge_wildcards(role, iam_policies.WILDCARD_REASONS)
        acknowledge(self, {"AwsSolutions-L1": "The Python version that the wheels of uv.lock were tested with"})
