"""The checks of `hubless preflight`, in the order in which an operator would fix the problems."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from functools import partial
from pathlib import Path
from typing import Any

from hubless.domain.values import value
from hubless.settings import read_text
from hubless.settings.loading import parse_toml
from hubless.settings.stage import Stage
from operations import local_tools
from operations.aws import Aws, AwsCallError
from operations.check_results import CheckResult, has_problem, problem, warning
from operations.preflight import collect, evaluate
from operations.spare_needs import SpareNeeds

ROLES = {"ecs": "AWSServiceRoleForECS", "elasticloadbalancing": "AWSServiceRoleForElasticLoadBalancing"}
PERMISSIONS = "docs/operations.md"


def images_of(file: Path | None) -> tuple[str, ...]:
    """Return the images of the profiles in *file*, whether its other settings are valid or not."""
    profiles = parse_toml(read_text(file)).get("profiles", [])
    named = [one.get("image") for one in profiles if isinstance(one, dict)] if isinstance(profiles, list) else []
    return tuple(name for name in named if isinstance(name, str) and name)


@value
class Preflight:
    """Checks an account before *stage* is deployed to it."""

    stage: Stage
    aws: Aws
    images: tuple[str, ...] = ()  # of the profiles
    spares: SpareNeeds = field(default_factory=SpareNeeds)  # of the profiles
    create_roles: bool = False
    name_servers: Callable[[str], tuple[str, ...] | None] = field(default=local_tools.name_servers)
    has_docker: Callable[[], bool] = field(default=local_tools.has_docker)
    node_version: Callable[[], int | None] = field(default=local_tools.node_version)

    def results(self) -> Iterator[CheckResult]:
        """Run the checks one by one. Without credentials or region no other check can run."""
        for check in (self._credentials, self._region):
            found = list(check())
            yield from found
            if has_problem(found):
                return
        for check in (
            self._cdk,
            self._stacks,
            self._distributions,
            self._quotas,
            self._roles,
            self._names,
            self._images,
            self._network,
            self._edge,
            self._parameters,
            self._spending,
        ):
            yield from check()

    def _credentials(self) -> Iterator[CheckResult]:
        try:
            yield evaluate.identity(collect.identity(self.aws), self.stage)
        except AwsCallError as error:
            yield problem("credentials", str(error), "No other check can run without credentials")

    def _region(self) -> Iterator[CheckResult]:
        has_services = collect.has_services(self.aws)
        yield from self._run(
            "region", lambda: evaluate.region(collect.regions(self.aws), self.stage, has_services=has_services)
        )

    def _cdk(self) -> Iterator[CheckResult]:
        yield evaluate.node(self.node_version())
        for region in self.stage.regions:
            yield from self._run(f"CDK in {region}", partial(self._bootstrap, region))

    def _bootstrap(self, region: str) -> CheckResult:
        version = collect.bootstrap_version(self.aws, region)
        return evaluate.bootstrap(version, region, self.stage.settings.account or "ACCOUNT")

    def _stacks(self) -> Iterator[CheckResult]:
        yield from self._run("stacks", lambda: evaluate.stacks(collect.stacks(self.aws, self.stage)))

    def failures(self) -> Iterator[CheckResult]:
        """Say why the last deployment failed, from the events of its stacks."""
        yield from self._run("stacks", lambda: evaluate.last_failures(collect.stacks(self.aws, self.stage)))

    def _distributions(self) -> Iterator[CheckResult]:
        yield from self._run("CloudFront", lambda: evaluate.distributions(collect.distributions(self.aws)))

    def _quotas(self) -> Iterator[CheckResult]:
        aws, stage, settings, spares = self.aws, self.stage, self.stage.settings, self.spares
        if settings.capacity != "spot":
            yield from self._quota(
                "Fargate on demand",
                lambda given: evaluate.fargate(given, stage, spares, spot=False),
                "fargate",
                "L-3032A538",
            )
        if settings.capacity != "fargate":
            yield from self._quota(
                "Fargate Spot", lambda given: evaluate.fargate(given, stage, spares, spot=True), "fargate", "L-36FBB829"
            )
        yield from self._run("Lambda", self._concurrency)
        if settings.edge == "economy":
            needs, name = evaluate.INSTANCE_VCPUS, evaluate.STANDARD_INSTANCES
            yield from self._quota("EC2", lambda given: evaluate.room("EC2", given, needs, name), "ec2", "L-1216C47A")
        if settings.edge != "economy":
            kind = "application" if settings.edge == "alb" else "network"
            yield from self._run(
                "load balancers",
                lambda: evaluate.room(
                    "load balancers",
                    collect.balancers(aws, stage, kind),
                    1,
                    f"{kind.capitalize()} Load Balancers per Region",
                ),
            )
        if not settings.vpc_id:
            yield from self._run("VPCs", lambda: evaluate.room("VPCs", collect.vpcs(aws, stage), 1, "VPCs per Region"))
            if settings.egress == "nat":
                yield from self._run(
                    "public address",
                    lambda: evaluate.room("public address", collect.addresses(aws, stage), 1, "EC2-VPC Elastic IPs"),
                )
        if settings.homes:
            yield from self._run("home folders", lambda: evaluate.homes(stage, collect.homes_key(aws, stage)))

    def _concurrency(self) -> list[CheckResult]:
        quota = collect.concurrency(self.aws)
        return [evaluate.functions(quota, self.stage), evaluate.reservations(quota, self.stage)]

    def _quota(
        self, check: str, rule: Callable[[evaluate.Quota], CheckResult], service: str, code: str
    ) -> Iterator[CheckResult]:
        yield from self._run(check, lambda: rule(evaluate.Quota(collect.quota(self.aws, service, code))))

    def _roles(self) -> Iterator[CheckResult]:
        for service, name in ROLES.items():
            if service == "ecs" or self.stage.settings.edge != "economy":
                yield from self._run(f"role of {service}", partial(self._role, service, name))

    def _role(self, service: str, name: str) -> CheckResult:
        exists = collect.has_service_role(self.aws, name)
        if not exists and self.create_roles:
            collect.create_service_role(self.aws, service)
            exists = True
        return evaluate.service_role(service, exists=exists)

    def _names(self) -> Iterator[CheckResult]:
        aws, settings = self.aws, self.stage.settings
        for check, key, wanted in evaluate.certificates(self.stage):
            arn = getattr(settings, key)
            yield from self._run(check, partial(self._certificate, check, key, wanted, arn))
        if settings.zone_id:
            yield from self._run(
                "hosted zone", lambda: evaluate.zone(collect.zone(aws, settings.zone_id, self.name_servers), self.stage)
            )

    def _certificate(self, check: str, key: str, wanted: Sequence[str], arn: str) -> CheckResult:
        return evaluate.certificate(collect.certificate(self.aws, arn), self.stage, check=check, key=key, wanted=wanted)

    def _images(self) -> Iterator[CheckResult]:
        settings = self.stage.settings
        for name in dict.fromkeys(filter(None, (settings.image, *self.images))):
            yield from self._run("image", partial(self._image, name))
        if not settings.image or settings.edge == "fleet":
            yield evaluate.docker(works=self.has_docker())

    def _image(self, name: str) -> CheckResult:
        return evaluate.image(name, found=collect.has_image(self.aws, name))

    def _network(self) -> Iterator[CheckResult]:
        if self.stage.settings.vpc_id:
            yield from self._run("network", lambda: evaluate.network(collect.network(self.aws, self.stage), self.stage))

    def _edge(self) -> Iterator[CheckResult]:
        aws, settings = self.aws, self.stage.settings
        if not self.stage.has_direct_hosts:
            yield from self._run("VPC origins", lambda: evaluate.origins(collect.zone_ids(aws), self.stage))
        if settings.edge == "economy":
            yield from self._run(
                "instance", lambda: evaluate.instance(collect.offered(aws, settings.instance_type), self.stage)
            )

    def _parameters(self) -> Iterator[CheckResult]:
        yield from self._run(
            "SSM", lambda: evaluate.throughput(self.stage, is_high=collect.has_high_throughput(self.aws))
        )

    def _spending(self) -> Iterator[CheckResult]:
        if self.spares.count:
            yield evaluate.spares(self.spares, self.stage)
        yield evaluate.spending(self.stage)
        yield from evaluate.server_logs(self.stage, self.images)

    def _run(self, check: str, run: Callable[[], Any]) -> Iterator[CheckResult]:
        """Yield the results of *run*, or a warning if AWS refused: the CDK may deploy with other permissions."""
        try:
            found = run()
        except AwsCallError as error:
            action = (
                f"{PERMISSIONS} lists the permissions that preflight needs" if error.missing_permission else "Try again"
            )
            yield warning(check, f"could not be checked: {error}", action)
            return
        yield from found if isinstance(found, list) else [found]
