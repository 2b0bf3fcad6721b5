"""Read a deployed stage: its resources from CloudFormation, and its settings from the variables of a function."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from hubless.domain.errors import HublessError
from hubless.domain.values import value
from hubless.settings.cloud import PREFIX, CloudSettings, cloud_settings
from hubless.settings.environment import EDGE_PREFIX
from hubless.settings.stage import Stage
from operations.aws import Aws, AwsCallError, refusal_behind
from operations.errors import OperationsError

if TYPE_CHECKING:
    from hubless.bootstrap.cloud import CloudHub

CONTROL, WEB, CLUSTER, STATE = (
    "control",
    "web",
    "cluster",
    "state",
)  # stacks: functions, CloudFront and edges, servers, data
HUB_TAG = "hubless:hub"  # infra/stacks/base.py
STACKS = ("account", "certificates", STATE, CLUSTER, WEB, CONTROL, "access", "watch")  # infra/stacks
FUNCTIONS = ("api", "stream", "spawn", "reaper")


class NotDeployedError(OperationsError):
    """Raised when a stack does not exist."""


@value
class Resource:
    """A resource of a stack: its type, its logical id in the template, and its physical id."""

    type: str
    logical_id: str
    physical_id: str


@value
class Deployment:
    """A deployed hub."""

    variables: Mapping[str, str] = field(hash=False)  # of the function api
    functions: Mapping[str, str] = field(
        default_factory=dict, hash=False
    )  # names of Lambda functions by api, spawn, reaper
    dead_letters: tuple[str, ...] = ()  # URLs of queues
    api: str = ""  # URL of API Gateway, which must answer CloudFront alone

    @property
    def cloud(self) -> CloudSettings:
        return cloud_settings(self.variables)


def read(stage: Stage, aws: Aws) -> Deployment:
    """Return what is deployed of *stage*.

    Raises:
        OperationsError: if it is not deployed, or AWS does not answer.
    """
    control, web = (_resources(stage, part, aws) for part in (CONTROL, WEB))
    functions = function_names(control)
    if "api" not in functions:
        raise OperationsError(f"The stack {stage.hub}-{CONTROL} has no function api. Deploy the stage again")
    try:
        found = aws.call("lambda", "get_function_configuration", FunctionName=functions["api"])
    except AwsCallError as error:
        raise OperationsError(
            f"Cannot read the variables of the function api of the stage {stage.name}: {error}"
        ) from None
    variables = found.get("Environment", {}).get("Variables", {})
    gateways = [one.physical_id for one in web if one.type == "AWS::ApiGatewayV2::Api"]
    return Deployment(
        variables={
            name: text
            for name, text in variables.items()
            if name.startswith(PREFIX) and not name.startswith(EDGE_PREFIX)
        },
        functions=functions,
        dead_letters=tuple(
            one.physical_id for one in control if one.type == "AWS::SQS::Queue" and one.logical_id.startswith("Dead")
        ),
        api=f"https://{gateways[0]}.execute-api.{aws.region}.amazonaws.com" if gateways else "",
    )


def cluster_of(stage: Stage, aws: Aws) -> str:
    """Return the name of the ECS cluster of *stage*. An empty string if there is none.

    Raises:
        OperationsError: if AWS does not answer.
    """
    try:
        found = _resources(stage, CLUSTER, aws)
    except NotDeployedError:
        return ""
    return next((one.physical_id for one in found if one.type == "AWS::ECS::Cluster"), "")


def function_names(resources: Iterable[Resource]) -> dict[str, str]:
    """Return the names of Lambda functions by api, stream, spawn and reaper."""
    made = [one for one in resources if one.type == "AWS::Lambda::Function"]
    return {
        kind: one.physical_id
        for kind in FUNCTIONS
        for one in made
        if one.logical_id.startswith(f"{kind.capitalize()}Function")
    }


def _resources(stage: Stage, part: str, aws: Aws) -> list[Resource]:
    stack = f"{stage.hub}-{part}"
    try:
        found = aws.paginate("cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=stack)
    except AwsCallError as error:
        if error.error_code == "ValidationError":
            raise NotDeployedError(
                f"The stage {stage.name} is not deployed in {aws.region} of this account: there is no stack {stack}. "
                "Deploy it with `make deploy`, or choose another account with AWS_PROFILE"
            ) from None
        raise OperationsError(f"Cannot read whether the stage {stage.name} is deployed: {error}") from None
    existing = [
        one for one in found if one.get("ResourceStatus") != "DELETE_COMPLETE"
    ]  # a stack whose deletion failed lists both
    return [
        Resource(one["ResourceType"], one["LogicalResourceId"], one.get("PhysicalResourceId", "")) for one in existing
    ]


def open_hub(stage: Stage, file: Path | None, deployment: Deployment | None = None) -> "CloudHub":
    """Return the hub of *stage* with the settings of its functions and the operator's own credentials.

    Raises:
        OperationsError: if the stage is not deployed.
        SettingsError: if *file* is wrong.
    """
    from hubless.bootstrap import cloud as bootstrap  # noqa: PLC0415 only commands that open a hub need it

    region = stage.settings.region
    return bootstrap.assemble((deployment or read(stage, Aws(region))).cloud, region, file)


@contextmanager
def refusals_explained(stage: Stage) -> Iterator[None]:
    """Say what AWS refuses an operator who uses the stores of *stage*: their own errors speak of functions' roles.

    Raises:
        OperationsError: in place of an error that AWS caused and the operator can change.
    """
    try:
        yield
    except OperationsError:
        raise
    except HublessError as error:
        if (refusal := refusal_behind(error)) is None:
            raise
        raise OperationsError(f"The stage {stage.name} cannot be used: {refusal}") from error
