"""What facts of an account mean for a stage: pure, each fact as somebody read it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

from hubless.domain.values import value
from hubless.settings.stage import CERTIFICATES_REGION, Stage
from operations.check_results import CheckResult, ok, problem, warning

LEAST_BOOTSTRAP = 6  # what the stacks of today's CDK ask for
OWN_CONCURRENCY = 30  # twenty launches at once, and some for pages
UNRESERVED_CONCURRENCY = 100  # which Lambda keeps for the functions that have none of their own
LEAST_NODE = 22
LAMBDA_BY_DEFAULT = 1000
INSTANCE_VCPUS = 2  # of every small Graviton instance
EFS_ACCESS_POINTS = 10_000
SSM_READS = 40  # a second, and each environment that starts is one
FLEET_VCPUS = 0.25
OWN_ZONES = 2  # the first of the region, where a deploy makes the VPC
ZONES_WITHOUT_ORIGINS = frozenset({"use1-az3", "usw1-az2", "apne1-az3", "apne2-az1", "cac1-az3"})

QUOTAS_LINK = "https://console.aws.amazon.com/servicequotas/home"
ORIGINS_LINK = "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-vpc-origins.html"
CERTIFICATE_LINK = (
    "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cnames-and-https-requirements.html"
)
BOOTSTRAP_LINK = "https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-env.html"
ROLE_LINK = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using-service-linked-roles.html"
REGION_LINK = "https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html"
ZONE_LINK = "https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/domain-name-servers-glue-records.html"
THROUGHPUT_LINK = "https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-throughput.html"


@value
class Identity:
    """Who asks AWS."""

    account: str
    arn: str


@value
class Quota:
    """How much of something an account may have, and has."""

    allowed: float
    used: float = 0


@value
class Certificate:
    """A certificate of ACM."""

    status: str
    covers: tuple[str, ...]


@value
class Zone:
    """A hosted zone, and who answers for its name in the internet: None where that could not be asked."""

    name: str
    is_private: bool
    servers: tuple[str, ...]
    answering: tuple[str, ...] | None


@value
class Network:
    """A VPC with what there is of the stage's subnets."""

    exists: bool
    zones: Mapping[str, str] = field(default_factory=dict, hash=False)  # by subnet, of this VPC
    to_the_internet: frozenset[str] = frozenset()  # subnets that have a route there
    to_services: Mapping[str, frozenset[str]] = field(default_factory=dict, hash=False)  # by subnet: dynamodb, s3


def identity(facts: Identity, stage: Stage) -> CheckResult:
    """Say in which account the stage would be."""
    wanted = stage.settings.account
    if wanted and facts.account != wanted:
        return problem(
            "credentials",
            f"they are of the account {facts.account}, but the stage {stage.name} is for {wanted}",
            f"Choose the right profile: AWS_PROFILE=…; or change stages.{stage.name}.account",
        )
    return ok("credentials", f"account {facts.account}, as {facts.arn.rpartition(':')[2]}")


def region(states: Mapping[str, str], stage: Stage, *, has_services: bool) -> CheckResult:
    """Say whether the region can be used; *states* are those of opting in, by region."""
    name = stage.settings.region
    if name not in states:
        return problem(
            "region",
            f"there is no region {name}",
            f"Change stages.{stage.name}.region: {', '.join(sorted(states))}",
            REGION_LINK,
        )
    if states[name] == "not-opted-in":
        return problem(
            "region",
            f"{name} is not enabled in this account",
            f"Enable it: aws account enable-region --region-name {name}",
            REGION_LINK,
        )
    if not has_services:
        return problem(
            "region", f"{name} has not all services that a hub needs", f"Change stages.{stage.name}.region", REGION_LINK
        )
    return ok("region", f"{name} is enabled")


def fargate(quota: Quota, stage: Stage, *, spot: bool) -> CheckResult:
    """Say whether all servers that are expected may run at once."""
    settings, check = stage.settings, f"Fargate {'Spot' if spot else 'on demand'}"
    servers = settings.expected_servers * settings.cpus
    edges = settings.fleet_least * FLEET_VCPUS if settings.edge == "fleet" and not spot else 0
    needed = servers + edges + quota.used
    said = f"{_number(quota.allowed)} vCPU are allowed; {settings.expected_servers} servers of {_number(settings.cpus)} need {_number(servers)}"
    if needed <= quota.allowed:
        return ok(check, said)
    name = "Fargate Spot vCPU resource count" if spot else "Fargate On-Demand vCPU resource count"
    first = int((quota.allowed - edges - quota.used) // settings.cpus)
    return problem(
        check,
        f"{said}{f' and edges {_number(edges)}' if edges else ''}: no more than {max(first, 0)} would start",
        f'Ask for {_number(needed)} or more of "{name}" (Service Quotas, AWS Fargate, {settings.region}); it takes hours to days. '
        f"Or lower stages.{stage.name}.expected_servers",
        QUOTAS_LINK,
    )


def functions(quota: Quota, stage: Stage) -> CheckResult:
    """Say whether Lambda runs as many functions at once as a class makes it."""
    said = f"Lambda runs {_number(quota.allowed)} functions at once in this account"
    if quota.allowed >= OWN_CONCURRENCY:
        return ok("Lambda", said)
    return warning(
        "Lambda",
        f"{said}: when {stage.settings.expected_servers} people come at once, some are answered with errors",
        'Ask for 1,000 of "Concurrent executions" (Service Quotas, AWS Lambda); new accounts begin with 10',
        QUOTAS_LINK,
    )


def streams(quota: Quota, stage: Stage) -> list[CheckResult]:
    """Say whether the function that streams can be given what the stage keeps for it; nothing where that is nothing."""
    wanted, free = stage.settings.streams_at_once, max(int(quota.allowed) - UNRESERVED_CONCURRENCY, 0)
    if wanted <= free:
        return (
            [ok("streams", f"{wanted} of {_number(quota.allowed)} functions at once are kept for them")]
            if wanted
            else []
        )
    where = f"stages.{stage.name}.streams_at_once"
    lower = f"Set {where} to {free} or less" if free else f"Set {where} = 0, so that they share what there is"
    return [
        problem(
            "streams",
            f"{wanted} functions at once cannot be kept for them: of {_number(quota.allowed)}, Lambda leaves {UNRESERVED_CONCURRENCY} to all others",
            f'{lower}, or ask for more "Concurrent executions" (Service Quotas, AWS Lambda)',
            QUOTAS_LINK,
        )
    ]


def room(check: str, quota: Quota, needs: int, name: str) -> CheckResult:
    """Say whether there is room for *needs* more of what AWS calls *name*."""
    said = f"{_number(quota.used)} of {_number(quota.allowed)} are there"
    if quota.used + needs <= quota.allowed:
        return ok(check, said)
    return problem(
        check,
        f"{said}: there is no room for {needs} more",
        f'Ask for more of "{name}", or remove what nobody needs',
        QUOTAS_LINK,
    )


def homes(stage: Stage) -> CheckResult:
    """Say whether each who has files can have an access point."""
    if stage.settings.expected_servers > EFS_ACCESS_POINTS:
        return warning(
            "home folders",
            f"a file system has at most {EFS_ACCESS_POINTS:,} access points, one a user",
            f"Let stages of no more than {EFS_ACCESS_POINTS:,} users share the work",
        )
    return ok("home folders", f"one file system has room for {EFS_ACCESS_POINTS:,} users")


def certificate(facts: Certificate | None, stage: Stage) -> CheckResult:
    """Say whether CloudFront can show the stage's certificate for its names."""
    check, wanted = "certificate", names_of(stage)
    if facts is None:
        return problem(
            check,
            "there is none of that ARN in this account",
            f"Change stages.{stage.name}.certificate",
            CERTIFICATE_LINK,
        )
    if facts.status != "ISSUED":
        return problem(
            check,
            f"it is not issued: {facts.status}",
            f"Make the records that ACM names for it, and wait: aws acm describe-certificate --region {CERTIFICATES_REGION} "
            f"--certificate-arn {stage.settings.certificate}",
            CERTIFICATE_LINK,
        )
    missing = [name for name in wanted if not covers(facts.covers, name)]
    if missing:
        return problem(
            check,
            f"it is for {', '.join(facts.covers)}, but not for {' and '.join(missing)}",
            f"Ask ACM in {CERTIFICATES_REGION} for one that holds {' and '.join(wanted)}",
            CERTIFICATE_LINK,
        )
    return ok(check, f"issued for {' and '.join(wanted)}")


def names_of(stage: Stage) -> tuple[str, ...]:
    """Return the names by which browsers come."""
    domain = stage.settings.domain
    return (domain, f"*.{domain}") if stage.has_subdomains else (domain,)


def covers(held: Iterable[str], name: str) -> bool:
    """Say whether a certificate that holds these names is one for *name*: a star stands for one label."""
    return any(
        one == name or (one.startswith("*.") and not name.startswith("*.") and one[2:] == name.partition(".")[2])
        for one in held
    )


def zone(facts: Zone | None, stage: Stage) -> CheckResult:
    """Say whether records that are made in the stage's zone are found."""
    check, settings = "hosted zone", stage.settings
    wanted = settings.zone_name or settings.domain
    if facts is None:
        return problem(
            check,
            f"there is no {settings.zone_id} in this account",
            f"Change stages.{stage.name}.zone_id: aws route53 list-hosted-zones",
            ZONE_LINK,
        )
    if facts.name != wanted:
        return problem(
            check,
            f"{settings.zone_id} is {facts.name}, not {wanted}",
            f'Set stages.{stage.name}.zone_name = "{facts.name}", or another zone_id',
        )
    if facts.is_private:
        return problem(
            check, f"{facts.name} is private: browsers do not find what it holds", "Name the public zone", ZONE_LINK
        )
    if facts.answering is None:
        return warning(
            check,
            f"{facts.name}: whether the internet asks it could not be looked at",
            f"See that `nslookup -type=NS {facts.name}` names {facts.servers[0]}",
        )
    if not set(facts.answering) & set(facts.servers):
        return problem(
            check,
            f"nobody asks it: {facts.name} is answered for by {', '.join(facts.answering) or 'nobody'}",
            f"Where {facts.name} is registered (or in the zone above it), name these servers: {', '.join(facts.servers)}",
            ZONE_LINK,
        )
    return ok(check, f"{facts.name} answers for the domain")


def service_role(service: str, *, exists: bool) -> CheckResult:
    """Say whether AWS may act for the account in *service*."""
    if exists:
        return ok(f"role of {service}", "there")
    return warning(
        f"role of {service}",
        "its service-linked role is missing; AWS makes it at the first use, which may fail once",
        f"Make it now: hubless preflight --create-roles, or aws iam create-service-linked-role --aws-service-name {service}.amazonaws.com",
        ROLE_LINK,
    )


def bootstrap(version: int | None, place: str, account: str) -> CheckResult:
    """Say whether CDK can deploy to a region."""
    check, do = f"CDK in {place}", f"Run: npx cdk bootstrap aws://{account}/{place}"
    if version is None:
        return problem(check, "it was never bootstrapped", do, BOOTSTRAP_LINK)
    if version < LEAST_BOOTSTRAP:
        return problem(
            check, f"it was bootstrapped with version {version}, and {LEAST_BOOTSTRAP} is needed", do, BOOTSTRAP_LINK
        )
    return ok(check, f"bootstrapped, version {version}")


def stacks(states: Mapping[str, str]) -> CheckResult:
    """Say whether an earlier deploy left something in the way."""
    broken = {
        name: state for name, state in states.items() if state == "ROLLBACK_COMPLETE" or state.endswith("_FAILED")
    }
    busy = {name: state for name, state in states.items() if state.endswith("_IN_PROGRESS")}
    if broken:
        name, state = next(iter(broken.items()))
        do = f"See why in its events; then delete it: aws cloudformation delete-stack --stack-name {name}"
        return problem(
            "stacks",
            f"{name} is in {state}",
            do
            if state != "UPDATE_ROLLBACK_FAILED"
            else f"aws cloudformation continue-update-rollback --stack-name {name}",
        )
    if busy:
        name, state = next(iter(busy.items()))
        return problem("stacks", f"{name} is in {state}", "Wait until that deploy has ended")
    return ok("stacks", f"{len(states)} are there" if states else "none are there yet")


def network(facts: Network, stage: Stage) -> list[CheckResult]:
    """Say whether the VPC that is given can hold servers and edges."""
    given, check = stage.settings, "network"
    where = f"stages.{stage.name}"
    if not facts.exists:
        return [problem(check, f"there is no {given.vpc_id} in {given.region}", f"Change {where}.vpc_id")]
    wrong = [*_subnets(facts, stage), *_ways(facts, stage)]
    if len({facts.zones.get(one) for one in given.public_subnets} - {None}) < 2:  # noqa: PLR2004 zones
        wrong.append(
            warning(
                check,
                "all servers are in one zone: none start while that is away",
                f"Name subnets of two zones in {where}",
            )
        )
    return wrong or [ok(check, f"{given.vpc_id} with {len(facts.zones)} subnets")]


def _subnets(facts: Network, stage: Stage) -> list[CheckResult]:
    given, wrong = stage.settings, []
    for kind in ("public_subnets", "private_subnets"):
        for subnet, expected in zip(getattr(given, kind), given.zones, strict=False):
            found = facts.zones.get(subnet)
            if found is None:
                wrong.append(
                    problem("network", f"{subnet} is not in {given.vpc_id}", f"Change stages.{stage.name}.{kind}")
                )
            elif found != expected:
                wrong.append(
                    problem(
                        "network",
                        f"{subnet} is in {found}, not in {expected}",
                        f"Put stages.{stage.name}.{kind} in the order of zones",
                    )
                )
    return wrong


def _ways(facts: Network, stage: Stage) -> list[CheckResult]:
    given = stage.settings
    shut = [one for one in given.public_subnets if one in facts.zones and one not in facts.to_the_internet]
    lacking = {
        one: {"dynamodb", "s3"} - facts.to_services.get(one, frozenset())
        for one in given.private_subnets
        if one in facts.zones
    }
    return [
        *(
            problem(
                "network",
                f"{subnet} has no way to the internet: servers could not reach the hub",
                "Add a route to an internet gateway",
            )
            for subnet in shut
        ),
        *(
            problem(
                "network",
                f"{subnet} has no gateway endpoint of {' and '.join(sorted(missing))}: edges could not read routes",
                f"aws ec2 create-vpc-endpoint --vpc-id {given.vpc_id} --service-name com.amazonaws.{given.region}.{min(missing)} --route-table-ids …",
            )
            for subnet, missing in lacking.items()
            if missing
        ),
    ]


def origins(zone_ids: Mapping[str, str], stage: Stage) -> CheckResult:
    """Say whether CloudFront reaches into the zones in which edges are; *zone_ids* are by the zones' names."""
    used = stage.settings.zones or sorted(zone_ids)[:OWN_ZONES]
    shut = [name for name in used if zone_ids.get(name) in ZONES_WITHOUT_ORIGINS]
    if not shut:
        return ok("VPC origins", f"CloudFront reaches into {', '.join(used)}")
    others = [name for name in sorted(zone_ids) if zone_ids[name] not in ZONES_WITHOUT_ORIGINS]
    return problem(
        "VPC origins",
        f"CloudFront does not reach into {', '.join(shut)} ({', '.join(zone_ids[name] for name in shut)}), where edges would be",
        _other_zones(others, stage),
        ORIGINS_LINK,
    )


def _other_zones(reached: Sequence[str], stage: Stage) -> str:
    where = f"stages.{stage.name}"
    if stage.settings.vpc_id:
        return f"Name subnets of {where}.vpc_id in other zones: {', '.join(reached)}"
    if len(reached) < (1 if stage.settings.edge == "economy" else OWN_ZONES):
        return f"Change {where}.region, or its edge to economy, which can be in one zone: CloudFront reaches into {', '.join(reached) or 'none'} here"
    quoted = ", ".join(f'"{name}"' for name in reached[:OWN_ZONES])
    return f"Set {where}.zones = [{quoted}]; CloudFront reaches into {', '.join(reached)}"


def instance(offered: Iterable[str], stage: Stage) -> CheckResult:
    """Say whether the edge's instance can be had; *offered* are the zones that have its type."""
    kind, zones = stage.settings.instance_type, sorted(offered)
    wanted = [zone for zone in stage.settings.zones if zone not in zones]
    if not zones or (wanted and len(wanted) == len(stage.settings.zones)):
        return problem(
            "instance",
            f"there is no {kind} in {', '.join(wanted) or stage.settings.region}",
            f"Choose another stages.{stage.name}.instance_type, such as t4g.micro",
        )
    return ok("instance", f"{kind} is in {', '.join(zones)}")


def image(name: str, *, found: bool | None) -> CheckResult:
    """Say whether servers' image is there; None where it is not in ECR and so not looked for."""
    if found is None:
        return ok("image", f"{name} is in another registry and was not looked for")
    if not found:
        return problem(
            "image",
            f"{name} is not there",
            "Push it, or change the name: a tag that was never pushed looks like this too",
        )
    return ok("image", f"{name} is there")


def docker(*, works: bool) -> CheckResult:
    """Say whether images can be built."""
    if works:
        return ok("Docker", "runs, so that images can be built")
    return problem(
        "Docker",
        "images are to be built and no Docker answers here",
        "Start Docker; or set `image` to one that is in a registry (and edge other than fleet)",
    )


def node(version: int | None) -> CheckResult:
    """Say whether the CDK's command line runs here."""
    if version is not None and version >= LEAST_NODE:
        return ok("Node", f"{version} runs the CDK")
    said = "there is none here" if version is None else f"{version} is here, which the CDK does not support any more"
    return warning(
        "Node", f"{said}: `make deploy` needs it", f"Install Node {LEAST_NODE} or newer: https://nodejs.org/en/download"
    )


def throughput(stage: Stage, *, is_high: bool) -> CheckResult:
    """Say whether many functions that start at once can all read the hub's secrets."""
    if is_high:
        return ok("SSM", "higher throughput is on")
    said = f"parameters are read {SSM_READS} times a second at most"
    if stage.settings.expected_servers <= SSM_READS:
        return ok("SSM", said)
    return warning(
        "SSM",
        f"{said}, and a class of {stage.settings.expected_servers} starts more functions at once",
        "Turn higher throughput on: aws ssm update-service-setting --setting-id /ssm/parameter-store/high-throughput-enabled --setting-value true",
        THROUGHPUT_LINK,
    )


def _number(number: float) -> str:
    return f"{number:g}"
