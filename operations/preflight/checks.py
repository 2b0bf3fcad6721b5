"""The checks of a stage, in the order in which one would mend what they find."""

from collections.abc import Callable, Iterator
from dataclasses import field
from pathlib import Path
from typing import Any

from hubless.domain.values import value
from hubless.settings import read_text
from hubless.settings.loading import parse_toml
from hubless.settings.stage import CERTIFICATES_REGION, Stage
from operations import local_tools
from operations.aws import Aws, AwsCallError
from operations.check_results import CheckResult, has_problem, problem, warning
from operations.preflight import collect, evaluate

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
    answering: Callable[[str], tuple[str, ...] | None] = field(default=local_tools.name_servers)
    has_docker: Callable[[], bool] = field(default=local_tools.has_docker)
    node_version: Callable[[], int | None] = field(default=local_tools.node_version)

    def results(self) -> Iterator[CheckResult]:
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

    def _credentials(self) -> Iterator[CheckResult]:
        try:
            yield evaluate.identity(collect.identity(self.aws), self.stage)
        except AwsCallError as error:
            yield problem("credentials", str(error), "Without them nothing can be looked at")

    def _region(self) -> Iterator[CheckResult]:
        has_services = collect.has_services(self.aws)
        yield from self._seen(
            "region", lambda: evaluate.region(collect.regions(self.aws), self.stage, has_services=has_services)
        )

    def _cdk(self) -> Iterator[CheckResult]:
        yield evaluate.node(self.node_version())
        settings = self.stage.settings
        places = [settings.region]
        if settings.zone_id or settings.waf:  # certificates and web ACLs of CloudFront are made there
            places.append(CERTIFICATES_REGION)
        for place in dict.fromkeys(places):
            yield from self._seen(
                f"CDK in {place}",
                lambda place=place: evaluate.bootstrap(
                    collect.bootstrap_version(self.aws, place), place, settings.account or "ACCOUNT"
                ),  # type: ignore[misc]
            )

    def _stacks(self) -> Iterator[CheckResult]:
        yield from self._seen("stacks", lambda: evaluate.stacks(collect.stacks(self.aws, self.stage)))

    def _quotas(self) -> Iterator[CheckResult]:
        aws, stage, settings = self.aws, self.stage, self.stage.settings
        if settings.capacity != "spot":
            yield from self._quota(
                "Fargate on demand", lambda given: evaluate.fargate(given, stage, spot=False), "fargate", "L-3032A538"
            )
        if settings.capacity != "fargate":
            yield from self._quota(
                "Fargate Spot", lambda given: evaluate.fargate(given, stage, spot=True), "fargate", "L-36FBB829"
            )
        yield from self._seen("Lambda", self._concurrency)
        if settings.edge == "economy":
            name = "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"
            yield from self._quota(
                "EC2", lambda given: evaluate.room("EC2", given, evaluate.INSTANCE_VCPUS, name), "ec2", "L-1216C47A"
            )
        if settings.edge != "economy":
            kind = "application" if settings.edge == "alb" else "network"
            yield from self._seen(
                "load balancers",
                lambda: evaluate.room(
                    "load balancers", collect.balancers(aws, kind), 1, f"{kind.capitalize()} Load Balancers per Region"
                ),
            )
        if not settings.vpc_id:
            yield from self._seen("VPCs", lambda: evaluate.room("VPCs", collect.vpcs(aws), 1, "VPCs per Region"))
        if settings.homes:
            yield evaluate.homes(stage)

    def _concurrency(self) -> list[CheckResult]:
        quota = collect.concurrency(self.aws)
        return [evaluate.functions(quota, self.stage), *evaluate.streams(quota, self.stage)]

    def _quota(
        self, check: str, judge: Callable[[evaluate.Quota], CheckResult], service: str, code: str
    ) -> Iterator[CheckResult]:
        yield from self._seen(check, lambda: judge(evaluate.Quota(collect.quota(self.aws, service, code))))

    def _roles(self) -> Iterator[CheckResult]:
        for service, name in ROLES.items():
            if service == "ecs" or self.stage.settings.edge != "economy":
                yield from self._seen(
                    f"role of {service}",
                    lambda service=service, name=name: self._role(service, name),  # type: ignore[misc]
                )

    def _role(self, service: str, name: str) -> CheckResult:
        exists = collect.has_service_role(self.aws, name)
        if not exists and self.create_roles:
            collect.create_service_role(self.aws, service)
            exists = True
        return evaluate.service_role(service, exists=exists)

    def _names(self) -> Iterator[CheckResult]:
        aws, settings = self.aws, self.stage.settings
        if settings.certificate:
            yield from self._seen(
                "certificate", lambda: evaluate.certificate(collect.certificate(aws, settings.certificate), self.stage)
            )
        if settings.zone_id:
            yield from self._seen(
                "hosted zone", lambda: evaluate.zone(collect.zone(aws, settings.zone_id, self.answering), self.stage)
            )

    def _images(self) -> Iterator[CheckResult]:
        settings = self.stage.settings
        for name in dict.fromkeys(filter(None, (settings.image, *self.images))):
            yield from self._seen(
                "image",
                lambda name=name: evaluate.image(name, found=collect.has_image(self.aws, name)),  # type: ignore[misc]
            )
        if not settings.image or settings.edge == "fleet":
            yield evaluate.docker(works=self.has_docker())

    def _network(self) -> Iterator[CheckResult]:
        if self.stage.settings.vpc_id:
            yield from self._seen(
                "network", lambda: evaluate.network(collect.network(self.aws, self.stage), self.stage)
            )

    def _edge(self) -> Iterator[CheckResult]:
        aws, settings = self.aws, self.stage.settings
        yield from self._seen("VPC origins", lambda: evaluate.origins(collect.zone_ids(aws), self.stage))
        if settings.edge == "economy":
            yield from self._seen(
                "instance", lambda: evaluate.instance(collect.offered(aws, settings.instance_type), self.stage)
            )

    def _parameters(self) -> Iterator[CheckResult]:
        yield from self._seen(
            "SSM", lambda: evaluate.throughput(self.stage, is_high=collect.has_high_throughput(self.aws))
        )

    def _seen(self, check: str, judge: Callable[[], Any]) -> Iterator[CheckResult]:
        """Give what *judge* finds, or that it could not look: a right that is missing here may be there where CDK deploys."""
        try:
            found = judge()
        except AwsCallError as error:
            do = f"{RIGHTS} has the rights that preflight needs" if error.missing_permission else "Try again"
            yield warning(check, f"could not look: {error}", do)
            return
        yield from found if isinstance(found, list) else [found]
