"""Whom the doctor visits: a hub at an address, or a stage that is deployed."""

import time
from collections.abc import Callable
from dataclasses import field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from hubless.domain.lifecycle import ACTIVE
from hubless.domain.values import value
from hubless.settings.stage import Stage
from hubless.settings.types import WEB_ORIGIN
from operations import deployed_stage
from operations.aws import Aws
from operations.check_results import warning
from operations.doctor import endpoint_checks
from operations.doctor.aws_checks import AwsChecks
from operations.doctor.hub_client import HubClient
from operations.doctor.smoke_test import SmokeTest
from operations.doctor.steps import Step, Steps

if TYPE_CHECKING:
    from hubless.bootstrap.cloud import CloudHub
    from hubless.domain.routes import EdgeReport


@value(eq=False)
class DoctorRun:
    """One look at one hub; *inside* is there where AWS can be asked about it."""

    client: HubClient
    inside: AwsChecks | None = None
    gateway: str = ""  # where API Gateway itself answers
    done: list[Step] = field(default_factory=list)

    def look(self, report: Callable[[Step], None], *, profile: str = "", patience: float = 300.0) -> None:
        """Do all steps and report each as it ends; they are in `done` too, however it ends."""

        def noted(step: Step) -> None:
            self.done.append(step)
            report(step)

        steps, client = Steps(noted, time.monotonic), self.client
        reached = steps.run("name", lambda: endpoint_checks.name(client.url)) and steps.run(
            "TLS", lambda: endpoint_checks.certificate(client.url, now())
        )
        answers = reached and steps.run("API", lambda: endpoint_checks.api(client))
        if answers:
            for check, look in (
                ("health", endpoint_checks.health),
                ("login page", endpoint_checks.login),
                ("static files", endpoint_checks.static),
            ):
                steps.run(check, lambda look=look: look(client))  # type: ignore[misc]
        if self.gateway:
            steps.run("front door", lambda: endpoint_checks.direct(HubClient(self.gateway)))
        if self.inside:
            self.inside.look(steps)
        if not client.token:
            steps.record(
                warning(
                    "trial",
                    "no server was started, as there is no token",
                    "Name the variable that holds an admin's: --token-env",
                )
            )
        elif answers and steps.run("token", lambda: endpoint_checks.token(client)):
            SmokeTest(client=client, profile=profile, patience=patience).run(steps)


def for_url(url: str, token: str) -> DoctorRun:
    """Return the visit to the hub at *url*.

    Raises:
        SettingsError: when that is no address.
    """
    return DoctorRun(HubClient(WEB_ORIGIN.value(url, "--url"), token))


def for_stage(stage: Stage, file: Path | None, token: str, aws: Aws | None = None) -> DoctorRun:
    """Return the visit to the hub that is deployed as *stage*.

    Raises:
        OperationsError: when it is not deployed.
    """
    aws = aws or Aws(stage.settings.region)
    deployment = deployed_stage.read(stage, aws)
    hub = deployed_stage.open_hub(stage, file, deployment)
    client = HubClient(hub.settings.hub.public_url or deployment.cloud.url, token)
    return DoctorRun(client, AwsChecks(stage, deployment, aws, lambda: _edges(hub), now), deployment.api)


def _edges(hub: "CloudHub") -> "tuple[list[EdgeReport], int, int]":
    routes = hub.routes
    return list(routes.reports()), routes.sequence(), hub.servers.count(ACTIVE)


def now() -> datetime:
    """Return the present instant."""
    return datetime.fromtimestamp(time.time(), UTC)
