"""Whom the doctor visits: a hub at an address, or a stage that is deployed."""

import time
from collections.abc import Callable
from dataclasses import field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from hubless.domain.server import ACTIVE
from hubless.domain.values import value
from hubless.settings.kinds import WEB_ORIGIN
from hubless.settings.stage import Stage
from operations import deployed
from operations.aws import Aws
from operations.doctor import outside
from operations.doctor.inside import Inside
from operations.doctor.steps import Step, Steps
from operations.doctor.trial import Trial
from operations.doctor.web import Web
from operations.findings import warning

if TYPE_CHECKING:
    from hubless.bootstrap.cloud import CloudHub
    from hubless.domain.routes import EdgeReport


@value(eq=False)
class Visit:
    """One look at one hub; *inside* is there where AWS can be asked about it."""

    web: Web
    inside: Inside | None = None
    gateway: str = ""  # where API Gateway itself answers
    done: list[Step] = field(default_factory=list)

    def look(self, report: Callable[[Step], None], *, profile: str = "", patience: float = 300.0) -> None:
        """Do all steps and report each as it ends; they are in `done` too, however it ends."""

        def noted(step: Step) -> None:
            self.done.append(step)
            report(step)

        steps, web = Steps(noted, time.monotonic), self.web
        reached = steps.do("name", lambda: outside.name(web.url)) and steps.do(
            "TLS", lambda: outside.certificate(web.url, now())
        )
        answers = reached and steps.do("API", lambda: outside.api(web))
        if answers:
            for check, look in (
                ("health", outside.health),
                ("login page", outside.login),
                ("static files", outside.static),
            ):
                steps.do(check, lambda look=look: look(web))  # type: ignore[misc]
        if self.gateway:
            steps.do("front door", lambda: outside.direct(Web(self.gateway)))
        if self.inside:
            self.inside.look(steps)
        if not web.token:
            steps.tell(
                warning(
                    "trial",
                    "no server was started, as there is no token",
                    "Name the variable that holds an admin's: --token-env",
                )
            )
        elif answers and steps.do("token", lambda: outside.token(web)):
            Trial(web=web, profile=profile, patience=patience).run(steps)


def of_url(url: str, token: str) -> Visit:
    """Return the visit to the hub at *url*.

    Raises:
        SettingsError: when that is no address.
    """
    return Visit(Web(WEB_ORIGIN.value(url, "--url"), token))


def of_stage(stage: Stage, file: Path | None, token: str, aws: Aws | None = None) -> Visit:
    """Return the visit to the hub that is deployed as *stage*.

    Raises:
        OperationsError: when it is not deployed.
    """
    aws = aws or Aws(stage.settings.region)
    deployment = deployed.read(stage, aws)
    hub = deployed.open_hub(stage, file, deployment)
    web = Web(hub.settings.hub.public_url or deployment.cloud.url, token)
    return Visit(web, Inside(stage, deployment, aws, lambda: _edges(hub), now), deployment.api)


def _edges(hub: "CloudHub") -> "tuple[list[EdgeReport], int, int]":
    routes = hub.routes
    return list(routes.reports()), routes.sequence(), hub.servers.count(ACTIVE)


def now() -> datetime:
    """Return the present instant."""
    return datetime.fromtimestamp(time.time(), UTC)
