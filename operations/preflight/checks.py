"""The checks of a stage, in the order in which one would mend what they find."""

from collections.abc import Callable, Iterator
from dataclasses import field
from pathlib import Path
from typing import Any

from hubless.domain.values import value
from hubless.settings import read_text
from hubless.settings.loading import parse_toml
from hubless.settings.stage import CERTIFICATES_REGION, Stage
from operations import machine
from operations.aws import Aws, NotAskedError
from operations.findings import Finding, has_problem, problem, warning
from operations.preflight import judging, looking

ROLES = {"ecs": "AWSServiceRoleForECS", "elasticloadbalancing": "AWSServiceRoleForElasticLoadBalancing"}
RIGHTS = "docs/operations.md"


def images_of(file: Path | None) -> tuple[str, ...]:
    """Return the images that the profiles of *file* name, whatever else is right or wrong in it."""
    profiles = parse_toml(read_text(file)).get("profiles", [])
    named = [one.get("image") for one in profiles if isinstance(one, dict)] if isinstance(profiles, list) else []
    return tuple(name for name in named if isinstance(name, str) and name)


@value
class Preflight:
    """Looks at an account before *stage* is deployed into it."""

    stage: Stage
    aws: Aws
    images: tuple[str, ...] = ()  # those that profiles name
    create_roles: bool = False
    answering: Callable[[str], tuple[str, ...] | None] = field(default=machine.answering)
    has_docker: Callable[[], bool] = field(default=machine.has_docker)
    node_version: Callable[[], int | None] = field(default=machine.node_version)

    def findings(self) -> Iterator[Finding]:
        """Look at one thing after the other; without credentials or region there is nothing else to look at."""
        for check in (self._credentials, self._region):
            found = list(check())
            yield from found
            if has_problem(found):
                return
        for check in (
            self._cdk,
            self._stacks,
            self._quotas,
            self._roles,
            self._names,
            self._images,
            self._network,
            self._edge,
            self._parameters,
        ):
            yield from check()

    def _credentials(self) -> Iterator[Finding]:
        try:
            yield judging.identity(looking.identity(self.aws), self.stage)
        except NotAskedError as error:
            yield problem("credentials", str(error), "Without them nothing can be looked at")

    def _region(self) -> Iterator[Finding]:
        has_services = looking.has_services(self.aws)
        yield from self._seen(
            "region", lambda: judging.region(looking.regions(self.aws), self.stage, has_services=has_services)
        )

    def _cdk(self) -> Iterator[Finding]:
        yield judging.node(self.node_version())
        settings = self.stage.settings
        places = [settings.region]
        if settings.zone_id or settings.waf:  # certificates and web ACLs of CloudFront are made there
            places.append(CERTIFICATES_REGION)
        for place in dict.fromkeys(places):
            yield from self._seen(
                f"CDK in {place}",
                lambda place=place: judging.bootstrap(
                    looking.bootstrap_version(self.aws, place), place, settings.account or "ACCOUNT"
                ),  # type: ignore[misc]
            )

    def _stacks(self) -> Iterator[Finding]:
        yield from self._seen("stacks", lambda: judging.stacks(looking.stacks(self.aws, self.stage)))

    def _quotas(self) -> Iterator[Finding]:
        aws, stage, settings = self.aws, self.stage, self.stage.settings
        if settings.capacity != "spot":
            yield from self._quota(
                "Fargate on demand", lambda given: judging.fargate(given, stage, spot=False), "fargate", "L-3032A538"
            )
        if settings.capacity != "fargate":
            yield from self._quota(
                "Fargate Spot", lambda given: judging.fargate(given, stage, spot=True), "fargate", "L-36FBB829"
            )
        yield from self._seen("Lambda", self._concurrency)
        if settings.edge == "economy":
            name = "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"
            yield from self._quota(
                "EC2", lambda given: judging.room("EC2", given, judging.INSTANCE_VCPUS, name), "ec2", "L-1216C47A"
            )
        if settings.edge != "economy":
            kind = "application" if settings.edge == "alb" else "network"
            yield from self._seen(
                "load balancers",
                lambda: judging.room(
                    "load balancers", looking.balancers(aws, kind), 1, f"{kind.capitalize()} Load Balancers per Region"
                ),
            )
        if not settings.vpc_id:
            yield from self._seen("VPCs", lambda: judging.room("VPCs", looking.vpcs(aws), 1, "VPCs per Region"))
        if settings.homes:
            yield judging.homes(stage)

    def _concurrency(self) -> list[Finding]:
        quota = looking.concurrency(self.aws)
        return [judging.functions(quota, self.stage), *judging.streams(quota, self.stage)]

    def _quota(
        self, check: str, judge: Callable[[judging.Quota], Finding], service: str, code: str
    ) -> Iterator[Finding]:
        yield from self._seen(check, lambda: judge(judging.Quota(looking.quota(self.aws, service, code))))

    def _roles(self) -> Iterator[Finding]:
        for service, name in ROLES.items():
            if service == "ecs" or self.stage.settings.edge != "economy":
                yield from self._seen(
                    f"role of {service}",
                    lambda service=service, name=name: self._role(service, name),  # type: ignore[misc]
                )

    def _role(self, service: str, name: str) -> Finding:
        exists = looking.has_service_role(self.aws, name)
        if not exists and self.create_roles:
            looking.create_service_role(self.aws, service)
            exists = True
        return judging.service_role(service, exists=exists)

    def _names(self) -> Iterator[Finding]:
        aws, settings = self.aws, self.stage.settings
        if settings.certificate:
            yield from self._seen(
                "certificate", lambda: judging.certificate(looking.certificate(aws, settings.certificate), self.stage)
            )
        if settings.zone_id:
            yield from self._seen(
                "hosted zone", lambda: judging.zone(looking.zone(aws, settings.zone_id, self.answering), self.stage)
            )

    def _images(self) -> Iterator[Finding]:
        settings = self.stage.settings
        for name in dict.fromkeys(filter(None, (settings.image, *self.images))):
            yield from self._seen(
                "image",
                lambda name=name: judging.image(name, found=looking.has_image(self.aws, name)),  # type: ignore[misc]
            )
        if not settings.image or settings.edge == "fleet":
            yield judging.docker(works=self.has_docker())

    def _network(self) -> Iterator[Finding]:
        if self.stage.settings.vpc_id:
            yield from self._seen("network", lambda: judging.network(looking.network(self.aws, self.stage), self.stage))

    def _edge(self) -> Iterator[Finding]:
        aws, settings = self.aws, self.stage.settings
        yield from self._seen("VPC origins", lambda: judging.origins(looking.zone_ids(aws), self.stage))
        if settings.edge == "economy":
            yield from self._seen(
                "instance", lambda: judging.instance(looking.offered(aws, settings.instance_type), self.stage)
            )

    def _parameters(self) -> Iterator[Finding]:
        yield from self._seen(
            "SSM", lambda: judging.throughput(self.stage, is_high=looking.has_high_throughput(self.aws))
        )

    def _seen(self, check: str, judge: Callable[[], Any]) -> Iterator[Finding]:
        """Give what *judge* finds, or that it could not look: a right that is missing here may be there where CDK deploys."""
        try:
            found = judge()
        except NotAskedError as error:
            do = f"{RIGHTS} has the rights that preflight needs" if error.right else "Try again"
            yield warning(check, f"could not look: {error}", do)
            return
        yield from found if isinstance(found, list) else [found]
