"""Run the doctor on a hub at an address, or on a deployed stage."""

import time
from collections.abc import Callable
from dataclasses import field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hubless.domain.lifecycle import ACTIVE
from hubless.domain.values import value
from hubless.services.name_checks import GLANCE
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
    """One run of the doctor. *aws_checks* is None for a hub outside AWS."""

    client: HubClient
    aws_checks: AwsChecks | None = None
    gateway: str = ""  # URL of API Gateway
    done: list[Step] = field(default_factory=list)

    def run(self, report: Callable[[Step], None], *, profile: str = "", timeout_seconds: float = 300.0) -> None:
        """Run all steps, and report each when it ends. `done` holds them too, also after an error."""

        def record(step: Step) -> None:
            self.done.append(step)
            report(step)

        steps, client = Steps(record, time.monotonic), self.client
        reached = steps.run("name", lambda: endpoint_checks.name(client.url)) and steps.run(
            "TLS", lambda: endpoint_checks.certificate(client.url, now())
        )
        answers = reached and steps.run("API", lambda: endpoint_checks.api(client))
        if answers:
            for check, run in (
                ("health", endpoint_checks.health),
                ("login page", endpoint_checks.login),
                ("static files", endpoint_checks.static),
            ):
                steps.run(check, partial(run, client))
        if self.gateway:
            steps.run("direct access", lambda: endpoint_checks.direct(HubClient(self.gateway)))
        if self.aws_checks:
            self.aws_checks.run(steps)
        if not client.token:
            steps.record(
                warning(
                    "smoke test",
                    "skipped, because there is no token",
                    "Name the variable with an admin's token: --token-env",
                )
            )
        elif answers and steps.run("token", lambda: endpoint_checks.token(client)):
            SmokeTest(client=client, profile=profile, timeout_seconds=timeout_seconds).run(steps)


def for_url(url: str, token: str) -> DoctorRun:
    """Return the run for the hub at *url*.

    Raises:
        SettingsError: if *url* is not an address.
    """
    return DoctorRun(HubClient(WEB_ORIGIN.value(url, "--url"), token))


def for_stage(stage: Stage, file: Path | None, token: str, aws: Aws | None = None) -> DoctorRun:
    """Return the run for the deployed *stage*.

    Raises:
        OperationsError: if it is not deployed.
    """
    aws = aws or Aws(stage.settings.region)
    deployment = deployed_stage.read(stage, aws)
    hub = deployed_stage.open_hub(stage, file, deployment)
    client = HubClient(hub.settings.hub.public_url or deployment.cloud.url, token)
    checks = AwsChecks(
        stage,
        deployment,
        aws,
        lambda: _edges(hub),
        lambda: hub.name_checks.glance(GLANCE),
        now,
        hub.spares.store.all,
        {profile.name: profile.warmth.wanted(now()) for profile in hub.settings.profiles},
    )
    return DoctorRun(client, checks, deployment.api)


def _edges(hub: "CloudHub") -> "tuple[list[EdgeReport], int, int]":
    routes = hub.routes
    return list(routes.reports()), routes.sequence(), hub.servers.count(ACTIVE)


def now() -> datetime:
    """Return the current time."""
    return datetime.fromtimestamp(time.time(), UTC)
