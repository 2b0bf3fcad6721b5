"""What a deploy left behind for operators: one SSM parameter, which says how its functions were told to find everything."""

import json
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubless.domain.values import value
from hubless.settings.cloud import CloudSettings, cloud_settings, load
from hubless.settings.stage import Stage
from operations.aws import Aws, NotAskedError
from operations.errors import OperationsError

if TYPE_CHECKING:
    from hubless.bootstrap.cloud import CloudHub


@value
class Deployment:
    """A hub as it is deployed. What is not needed to reach its table may be missing."""

    variables: Mapping[str, str] = field(hash=False)  # those of the api's function
    functions: Mapping[str, str] = field(default_factory=dict, hash=False)  # names by what they are: api, spawn, reaper
    dead_letters: tuple[str, ...] = ()  # the queues' addresses
    api: str = ""  # where API Gateway itself answers, which nobody but CloudFront is to ask

    @property
    def cloud(self) -> CloudSettings:
        return cloud_settings(self.variables)


def parameter_of(stage: Stage) -> str:
    """Return the name of the parameter that a deploy of *stage* writes."""
    return f"/{stage.hub}/deployment"


def parse(text: str, parameter: str) -> Deployment:
    """Return the deployment that *text* tells of.

    Raises:
        OperationsError: when it tells of none.
    """
    try:
        read = json.loads(text)
        return Deployment(
            variables=_texts(read["variables"]),
            functions=_texts(read.get("functions", {})),
            dead_letters=tuple(_list(read.get("dead_letters", []))),
            api=str(read.get("api", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise OperationsError(f"The parameter {parameter} does not tell of a deployment. Deploy the stage again") from None


def _texts(given: Any) -> dict[str, str]:
    return {str(name): str(one) for name, one in given.items()}


def _list(given: Any) -> list[str]:
    if not isinstance(given, list):
        raise TypeError
    return [str(one) for one in given]


def read(stage: Stage, aws: Aws) -> Deployment:
    """Return how *stage* is deployed.

    Raises:
        OperationsError: when it is not, or nobody may know.
    """
    parameter = parameter_of(stage)
    try:
        found = aws.call("ssm", "get_parameter", Name=parameter)
    except NotAskedError as error:
        if error.reason == "ParameterNotFound":
            raise OperationsError(
                f"The stage {stage.name} is not deployed in {aws.region} of this account: there is no parameter {parameter}. "
                f"`cdk deploy` makes it; AWS_PROFILE chooses another account"
            ) from None
        raise OperationsError(f"How the stage {stage.name} is deployed could not be read: {error}") from None
    return parse(found["Parameter"]["Value"], parameter)


def open_hub(stage: Stage, file: Path | None, deployment: Deployment | None = None) -> "CloudHub":
    """Return the hub of *stage* as its functions have it, reached with the operator's own credentials.

    Raises:
        OperationsError: when the stage is not deployed.
        SettingsError: when *file* is wrong.
    """
    from hubless.bootstrap import cloud as bootstrap  # noqa: PLC0415 only where a hub is opened

    region = stage.settings.region
    cloud = (deployment or read(stage, Aws(region))).cloud
    secrets = bootstrap.open_secrets(cloud, region)
    return bootstrap.CloudHub(load(cloud, file, secrets), cloud, region, secrets)
