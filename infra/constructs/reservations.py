"""Reserved concurrency of the hub's functions, so that a flood at one leaves others theirs (ADR 20)."""

from collections.abc import Mapping

from aws_cdk import CustomResource, Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.constructs.function import HubFunction
from infra.nag_exceptions import acknowledge
from infra.paths import TOP
from infra.stacks.base import retention

CODE = TOP / "infra" / "reservations" / "handler.py"


class Reservations(Construct):
    """A custom resource that reserves what the account allows, which the template cannot know."""

    def __init__(
        self,
        scope: Construct,
        functions: Mapping[str, HubFunction],
        *,
        streams: int,
        log_days: int,
        python: str,
        key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, "Reservations")
        log_group = logs.LogGroup(
            self,
            "Log",
            retention=retention(log_days),
            removal_policy=RemovalPolicy.DESTROY,
            encryption_key=key,
        )
        reserving = lambda_.Function(
            self,
            "Function",
            description="hubless: reserves the functions' concurrency",
            code=lambda_.Code.from_inline(CODE.read_text(encoding="utf-8")),
            handler="index.handler",
            runtime=lambda_.Runtime(f"python{python}", lambda_.RuntimeFamily.PYTHON, supports_inline_code=True),
            timeout=Duration.seconds(60),
            role=self._role(functions, log_group),
            log_group=log_group,
        )
        acknowledge(reserving, {"AwsSolutions-L1": "The Python version of the hub's functions"})
        names = {kind: function.function.function_name for kind, function in functions.items()}
        made = CustomResource(
            self,
            "Resource",
            service_token=reserving.function_arn,
            resource_type="Custom::Reservations",
            properties={
                "Names": names,
                "Streams": str(streams),
                # Each deployment that changes a function looks at the account again.
                "Versions": {kind: function.alias.version.version for kind, function in functions.items()},
            },
        )
        self.told = made.get_att_string("Told")

    def _role(self, functions: Mapping[str, HubFunction], log_group: logs.LogGroup) -> iam.Role:
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description="Of the function that reserves concurrency",
        )
        log_group.grant_write(role)
        role.add_to_policy(
            iam.PolicyStatement(
                actions=[
                    "lambda:GetFunctionConcurrency",
                    "lambda:PutFunctionConcurrency",
                    "lambda:DeleteFunctionConcurrency",
                ],
                resources=[function.function.function_arn for function in functions.values()],
            )
        )
        role.add_to_policy(iam.PolicyStatement(actions=["lambda:GetAccountSettings"], resources=["*"]))
        acknowledge(role, {"AwsSolutions-IAM5[Resource::*]": "lambda:GetAccountSettings supports no resources"})
        return role
