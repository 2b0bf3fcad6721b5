"""A stage as it is deployed: its stacks say what there is, and a function of it how all of that is found."""

from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from hubless.domain.values import value
from hubless.settings.cloud import PREFIX, CloudSettings, cloud_settings
from hubless.settings.environment import EDGE_PREFIX
from hubless.settings.stage import Stage
from operations.aws import Aws, AwsCallError
from operations.errors import OperationsError

if TYPE_CHECKING:
    from hubless.bootstrap.cloud import CloudHub

CONTROL, WEB, CLUSTER = (
    "control",
    "web",
    "cluster",
)  # the stacks that hold the functions, what faces the internet, and servers
FUNCTIONS = ("api", "stream", "spawn", "reaper")


class NotDeployedError(OperationsError):
    """Raised when there is no such stack."""


@value
class Resource:
    """Something that a stack made: what the stack calls it, and what AWS does."""

    kind: str
    logical: str
    physical: str


@value
class Deployment:
    """A hub as it is deployed."""

    variables: Mapping[str, str] = field(hash=False)  # those of the api's function
    functions: Mapping[str, str] = field(default_factory=dict, hash=False)  # names by what they are: api, spawn, reaper
    dead_letters: tuple[str, ...] = ()  # the queues' addresses
    api: str = ""  # where API Gateway itself answers, which nobody but CloudFront is to ask

    @property
    def cloud(self) -> CloudSettings:
        return cloud_settings(self.variables)


def read(stage: Stage, aws: Aws) -> Deployment:
    """Return how *stage* is deployed.

    Raises:
        OperationsError: when it is not, or nobody may know.
    """
    control, web = (_resources(stage, part, aws) for part in (CONTROL, WEB))
    functions = functions_of(control)
    if "api" not in functions:
        raise OperationsError(f"The stack {stage.hub}-{CONTROL} has no function api. Deploy the stage again")
    try:
        found = aws.call("lambda", "get_function_configuration", FunctionName=functions["api"])
    except AwsCallError as error:
        raise OperationsError(f"How the stage {stage.name} finds its things could not be read: {error}") from None
    variables = found.get("Environment", {}).get("Variables", {})
    gateways = [one.physical for one in web if one.kind == "AWS::ApiGatewayV2::Api"]
    return Deployment(
        variables={
            name: text
            for name, text in variables.items()
            if name.startswith(PREFIX) and not name.startswith(EDGE_PREFIX)
        },
        functions=functions,
        dead_letters=tuple(
            one.physical for one in control if one.kind == "AWS::SQS::Queue" and one.logical.startswith("Dead")
        ),
        api=f"https://{gateways[0]}.execute-api.{aws.region}.amazonaws.com" if gateways else "",
    )


def cluster_of(stage: Stage, aws: Aws) -> str:
    """Return what ECS calls the cluster of *stage*, or nothing where there is none.

    Raises:
        OperationsError: when nobody may know.
    """
    try:
        found = _resources(stage, CLUSTER, aws)
    except NotDeployedError:
        return ""
    return next((one.physical for one in found if one.kind == "AWS::ECS::Cluster"), "")


def functions_of(resources: Iterable[Resource]) -> dict[str, str]:
    """Return the names of a stack's functions by what they are."""
    made = [one for one in resources if one.kind == "AWS::Lambda::Function"]
    return {
        kind: one.physical
        for kind in FUNCTIONS
        for one in made
        if one.logical.startswith(f"{kind.capitalize()}Function")
    }


def _resources(stage: Stage, part: str, aws: Aws) -> list[Resource]:
    stack = f"{stage.hub}-{part}"
    try:
        found = aws.paginate("cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=stack)
    except AwsCallError as error:
        if error.error_code == "ValidationError":
            raise NotDeployedError(
                f"The stage {stage.name} is not deployed in {aws.region} of this account: there is no stack {stack}. "
                f"`cdk deploy` makes it; AWS_PROFILE chooses another account"
            ) from None
        raise OperationsError(f"Whether the stage {stage.name} is deployed could not be read: {error}") from None
    there = [
        one for one in found if one.get("ResourceStatus") != "DELETE_COMPLETE"
    ]  # a stack that is half deleted tells of both
    return [Resource(one["ResourceType"], one["LogicalResourceId"], one.get("PhysicalResourceId", "")) for one in there]


def open_hub(stage: Stage, file: Path | None, deployment: Deployment | None = None) -> "CloudHub":
    """Return the hub of *stage* as its functions have it, reached with the operator's own credentials.

    Raises:
        OperationsError: when the stage is not deployed.
        SettingsError: when *file* is wrong.
    """
    from hubless.bootstrap import cloud as bootstrap  # noqa: PLC0415 only where a hub is opened

    region = stage.settings.region
    return bootstrap.assemble((deployment or read(stage, Aws(region))).cloud, region, file)
