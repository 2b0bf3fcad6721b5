"""The rules of `hubless preflight`: pure functions from the facts of an account to results."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace

from hubless.domain.values import value
from hubless.settings.stage import Stage
from operations.check_results import CheckResult, ok, problem, warning
from operations.cost.amounts import Amounts
from operations.cost.bill import bill
from operations.cost.demand import demand_of
from operations.cost.prices import known
from operations.spare_needs import SpareNeeds

MIN_BOOTSTRAP_VERSION = 6  # what the CDK's stacks require
HUB_CONCURRENCY = 30  # twenty concurrent launches, and some for pages
UNRESERVED_CONCURRENCY = 100  # Lambda keeps this for functions without reserved concurrency
RESERVED_CONCURRENCY = 52  # of spawn and reaper (infra/reservations/handler.py)
MIN_NODE = 22
STANDARD_INSTANCES = "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"  # AWS's name of the quota
INSTANCE_VCPUS = 2  # of each small Graviton instance
EFS_ACCESS_POINTS = 10_000
MOST_ROLES = 900  # of users, of the 1,000 that an account has by default: the hub and others need some
SSM_READS = 40  # a second (AWS's standard throughput); each cold start reads once
FLEET_VCPUS = 0.25
VPC_ZONES = 2  # a deployment creates the VPC in the first zones of the region
ZONES_WITHOUT_ORIGINS = frozenset({"use1-az3", "usw1-az2", "apne1-az3", "apne2-az1", "cac1-az3"})

NO_SPARES = SpareNeeds()

QUOTAS_LINK = "https://console.aws.amazon.com/servicequotas/home"
ORIGINS_LINK = "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-vpc-origins.html"
CERTIFICATE_LINK = (
    "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cnames-and-https-requirements.html"
)
BOOTSTRAP_LINK = "https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-env.html"
ROLE_LINK = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using-service-linked-roles.html"
IAM_QUOTAS_LINK = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"
BUDGETS_LINK = "https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-managing-costs.html"
REGION_LINK = "https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html"
ZONE_LINK = "https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/domain-name-servers-glue-records.html"
SUPPORT_LINK = "https://console.aws.amazon.com/support/home#/case/create?issueType=customer-service"
THROUGHPUT_LINK = "https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-throughput.html"


@value
class Identity:
    """The credentials' account and ARN."""

    account: str
    arn: str


@value
class Quota:
    """A quota of an account, and how much of it is used."""

    allowed: float
    used: float = 0


@value
class Certificate:
    """A certificate in ACM."""

    status: str
    names: tuple[str, ...]


@value
class Zone:
    """A hosted zone. *delegated_to* are the name servers in public DNS, None if DNS could not be asked."""

    name: str
    is_private: bool
    servers: tuple[str, ...]
    delegated_to: tuple[str, ...] | None


@value
class Network:
    """A VPC with those of the stage's subnets that exist."""

    exists: bool
    zones: Mapping[str, str] = field(default_factory=dict, hash=False)  # by subnet of this VPC
    internet_routes: frozenset[str] = frozenset()  # subnets with a route to the internet
    gateway_routes: frozenset[str] = frozenset()  # those of them that lead to an internet gateway
    endpoints: Mapping[str, frozenset[str]] = field(default_factory=dict, hash=False)  # by subnet: dynamodb, s3


@value
class FailedResource:
    """The resource at which a stack's last operation failed, and CloudFormation's reason."""

    name: str
    type: str
    reason: str


@value
class Stack:
    """A stack of the stage. *failed* is known only where the last operation failed."""

    status: str
    region: str
    failed: FailedResource | None = None


def identity(facts: Identity, stage: Stage) -> CheckResult:
    """Check the account of the credentials."""
    wanted = stage.settings.account
    if wanted and facts.account != wanted:
        return problem(
            "credentials",
            f"they belong to account {facts.account}, but the stage {stage.name} needs {wanted}",
            f"Choose another profile (AWS_PROFILE=…), or change stages.{stage.name}.account",
        )
    return ok("credentials", f"account {facts.account}, as {facts.arn.rpartition(':')[2]}")


def region(states: Mapping[str, str], stage: Stage, *, has_services: bool) -> CheckResult:
    """Check the region. *states* are the opt-in states by region."""
    name = stage.settings.region
    if name not in states:
        return problem(
            "region",
            f"the region {name} does not exist",
            f"Change stages.{stage.name}.region to one of {', '.join(sorted(states))}",
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
            "region", f"{name} lacks services that a hub needs", f"Change stages.{stage.name}.region", REGION_LINK
        )
    return ok("region", f"{name} is enabled")


def fargate(quota: Quota, stage: Stage, spares: SpareNeeds = NO_SPARES, *, spot: bool) -> CheckResult:
    """Check that the expected servers, and the *spares* that wait beside them, fit into the quota of Fargate."""
    settings, check = stage.settings, f"Fargate {'Spot' if spot else 'on demand'}"
    servers = settings.expected_servers * settings.cpus
    edges = settings.fleet_least * FLEET_VCPUS if settings.edge == "fleet" and not spot else 0
    waiting = float(spares.vcpus)
    needed = servers + edges + waiting + quota.used
    said = (
        f"the quota is {_number(quota.allowed)} vCPU; "
        f"{settings.expected_servers} servers of {_number(settings.cpus)} need {_number(servers)}"
        f"{f', {spares.count} spares {_number(waiting)}' if spares.count else ''}"
    )
    if needed <= quota.allowed:
        return ok(check, said)
    name = "Fargate Spot vCPU resource count" if spot else "Fargate On-Demand vCPU resource count"
    first = int((quota.allowed - edges - waiting - quota.used) // settings.cpus)
    return problem(
        check,
        f"{said}{f' and edges {_number(edges)}' if edges else ''}: only {max(first, 0)} would start",
        f'Request {_number(needed)} or more of "{name}" (Service Quotas, AWS Fargate, {settings.region}), '
        f"which takes hours to days; or lower stages.{stage.name}.expected_servers",
        QUOTAS_LINK,
    )


def functions(quota: Quota, stage: Stage) -> CheckResult:
    """Check that Lambda's concurrency is enough for a class."""
    said = f"this account may run {_number(quota.allowed)} executions at once"
    if quota.allowed >= HUB_CONCURRENCY:
        return ok("Lambda", said)
    return warning(
        "Lambda",
        f"{said}: if {stage.settings.expected_servers} users come at once, some get errors",
        'Request 1,000 of "Concurrent executions" (Service Quotas, AWS Lambda); new accounts have 10',
        QUOTAS_LINK,
    )


def reservations(quota: Quota, stage: Stage) -> CheckResult:
    """Check what the deployment can reserve of Lambda's concurrency: for launches, and for the streams' wish."""
    wanted = stage.settings.streams_at_once
    free = int(quota.allowed) - UNRESERVED_CONCURRENCY - RESERVED_CONCURRENCY
    of_all = (
        f"of {_number(quota.allowed)} concurrent executions, of which Lambda keeps {UNRESERVED_CONCURRENCY} unreserved"
    )
    more = 'Request 1,000 or more of "Concurrent executions" (Service Quotas, AWS Lambda), and deploy after that'
    if free < 0:
        return warning("reservations", f"none {of_all}: a flood of requests could hold up launches", more, QUOTAS_LINK)
    if wanted > free:
        return warning(
            "reservations",
            f"{free} for streams {of_all}: stages.{stage.name}.streams_at_once is {wanted}",
            f"{more}; or set it to {free} or less",
            QUOTAS_LINK,
        )
    return ok("reservations", f"{RESERVED_CONCURRENCY} for launches and sweeps {of_all}")


def room(check: str, quota: Quota, needs: int, name: str) -> CheckResult:
    """Check that a quota has room for *needs* more. *name* is AWS's name of the quota."""
    said = f"{_number(quota.used)} of {_number(quota.allowed)} are used"
    if quota.used + needs <= quota.allowed:
        return ok(check, said)
    return problem(
        check,
        f"{said}: no room for {needs} more",
        f'Request more of "{name}" (Service Quotas), or delete unused ones',
        QUOTAS_LINK,
    )


def homes(stage: Stage, deployed_key: str | None = None) -> CheckResult:
    """Check that users' files stay where they are, and that each user can have an access point.

    *deployed_key* is the `kms_key` of the file system that exists, if one does.
    """
    if deployed_key is not None and deployed_key != stage.settings.kms_key:
        return problem(
            "home folders",
            "another kms_key would replace the file system by an empty one",
            f'Set kms_key = "{deployed_key}" again, or move users\' files to a new stage (docs/deploy.md)',
        )
    if stage.settings.expected_servers > EFS_ACCESS_POINTS:
        return warning(
            "home folders",
            f"a file system has at most {EFS_ACCESS_POINTS:,} access points, one for each user",
            f"Split the users into stages of at most {EFS_ACCESS_POINTS:,}",
        )
    if stage.settings.task_roles and stage.settings.expected_servers > MOST_ROLES:
        return warning(
            "home folders",
            "an account has 1,000 IAM roles by default, and task_roles needs one for each user",
            "Ask for a higher quota of roles per account, up to 5,000, or set task_roles = false",
            IAM_QUOTAS_LINK,
        )
    return ok("home folders", f"one file system has room for {EFS_ACCESS_POINTS:,} users")


def certificates(stage: Stage) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return the certificates that the stage names: the check, the setting, and the names that it must cover."""
    given = stage.settings
    users = (f"*.{given.domain}",) if stage.has_subdomains else ()
    found: list[tuple[str, str, tuple[str, ...]]] = []
    if given.certificate:
        by_cloudfront = () if stage.has_direct_hosts else users
        found.append(("certificate", "certificate", (given.domain, *by_cloudfront)))
    if given.direct_certificate:
        found.append(("certificate of users' hosts", "direct_certificate", users))
    return found


def certificate(facts: Certificate | None, stage: Stage, *, check: str, key: str, wanted: Sequence[str]) -> CheckResult:
    """Check that the certificate of the stage's setting *key* is valid for the names *wanted*."""
    arn = str(getattr(stage.settings, key))
    region = arn.split(":")[3]
    if facts is None:
        return problem(
            check,
            "this account has no certificate of that ARN",
            f"Change stages.{stage.name}.{key}",
            CERTIFICATE_LINK,
        )
    if facts.status != "ISSUED":
        return problem(
            check,
            f"its status is {facts.status}, not ISSUED",
            f"Create the DNS records that ACM requires, and wait: aws acm describe-certificate "
            f"--region {region} --certificate-arn {arn}",
            CERTIFICATE_LINK,
        )
    missing = [name for name in wanted if not covers(facts.names, name)]
    if missing:
        return problem(
            check,
            f"it covers {', '.join(facts.names)}, but not {' and '.join(missing)}",
            f"Request one for {' and '.join(wanted)} from ACM in {region}",
            CERTIFICATE_LINK,
        )
    return ok(check, f"issued for {' and '.join(wanted)}")


def covers(held: Iterable[str], name: str) -> bool:
    """Return whether a certificate with the names *held* covers *name*. A star stands for one label (RFC 6125)."""
    return any(
        one == name or (one.startswith("*.") and not name.startswith("*.") and one[2:] == name.partition(".")[2])
        for one in held
    )


def zone(facts: Zone | None, stage: Stage) -> CheckResult:
    """Check that the stage's hosted zone is the one that public DNS asks."""
    check, settings = "hosted zone", stage.settings
    wanted = settings.zone_name or settings.domain
    if facts is None:
        return problem(
            check,
            f"this account has no zone {settings.zone_id}",
            f"Change stages.{stage.name}.zone_id; `aws route53 list-hosted-zones` lists them",
            ZONE_LINK,
        )
    if facts.name != wanted:
        return problem(
            check,
            f"{settings.zone_id} is {facts.name}, not {wanted}",
            f'Set stages.{stage.name}.zone_name = "{facts.name}", or choose another zone_id',
        )
    if facts.is_private:
        return problem(
            check,
            f"{facts.name} is a private zone, which browsers cannot resolve",
            "Choose the public zone of the domain",
            ZONE_LINK,
        )
    if facts.delegated_to is None:
        return warning(
            check,
            f"{facts.name}: could not check whether public DNS uses it",
            f"Check that `nslookup -type=NS {facts.name}` prints {facts.servers[0]}",
        )
    if not set(facts.delegated_to) & set(facts.servers):
        return problem(
            check,
            f"public DNS does not use it: {facts.name} is delegated to {', '.join(facts.delegated_to) or 'no server'}",
            f"At the registrar of {facts.name}, or in its parent zone, set the name servers {', '.join(facts.servers)}",
            ZONE_LINK,
        )
    return ok(check, f"public DNS uses {facts.name}")


def service_role(service: str, *, exists: bool) -> CheckResult:
    """Check that the service-linked role of *service* exists."""
    if exists:
        return ok(f"role of {service}", "exists")
    return warning(
        f"role of {service}",
        "the service-linked role is missing; AWS creates it at the first use, which may fail once",
        "Create it now: hubless preflight --create-roles, or "
        f"aws iam create-service-linked-role --aws-service-name {service}.amazonaws.com",
        ROLE_LINK,
    )


def bootstrap(version: int | None, region: str, account: str) -> CheckResult:
    """Check that the CDK is bootstrapped in a region."""
    check, action = f"CDK in {region}", f"Run: npx aws-cdk bootstrap aws://{account}/{region}"
    if version is None:
        return problem(check, "it is not bootstrapped", action, BOOTSTRAP_LINK)
    if version < MIN_BOOTSTRAP_VERSION:
        return problem(
            check,
            f"the bootstrap version is {version}; the stacks need {MIN_BOOTSTRAP_VERSION}",
            action,
            BOOTSTRAP_LINK,
        )
    return ok(check, f"bootstrapped, version {version}")


def stacks(found: Mapping[str, Stack]) -> CheckResult:
    """Check that no stack is in a state that blocks a deployment."""
    broken = {name: one for name, one in found.items() if one.status == "ROLLBACK_COMPLETE" or _is_stuck(one)}
    busy = {name: one for name, one in found.items() if one.status.endswith("_IN_PROGRESS")}
    if broken:
        return failed_stack(*next(iter(broken.items())))
    if busy:
        name, one = next(iter(busy.items()))
        return problem("stacks", f"{name} is {one.status}", "Wait until that deployment has ended")
    return ok("stacks", f"{len(found)} exist" if found else "none exists yet")


def failed_stack(name: str, stack: Stack) -> CheckResult:
    """Say why the last operation of a stack failed, and what to do."""
    here = f"--region {stack.region} --stack-name {name}"
    said, link, action = f"{name} is {stack.status}", "", "Read its events for the cause"
    if stack.failed:
        said += f" because of {stack.failed.name} ({stack.failed.type}): {stack.failed.reason}"
        action = "Remove the cause"
        for refusal in _REFUSALS:
            if refusal.text in stack.failed.reason:
                said, action, link = f"{said} That means: {refusal.meaning}", refusal.action, refusal.link
    match stack.status:
        case "UPDATE_ROLLBACK_FAILED":
            then = f". Then run: aws cloudformation continue-update-rollback {here}"
        case "UPDATE_ROLLBACK_COMPLETE" | "DELETE_FAILED":
            then = ". Then run the same command again"
        case _:
            then = f". Then delete the stack and deploy again: aws cloudformation delete-stack {here}"
    return problem("stacks", said, f"{action}{then}", link)


def last_failures(found: Mapping[str, Stack]) -> list[CheckResult]:
    """Say why stacks failed, also those that went back to what was before."""
    return [
        failed_stack(name, one)
        for name, one in found.items()
        if one.status in {"ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"} or _is_stuck(one)
    ] or [ok("stacks", "no stack has failed: the cause is in what the CDK printed")]


def _is_stuck(stack: Stack) -> bool:
    return stack.status.endswith("_FAILED")


@value
class _Refusal:
    """Words in a reason of CloudFormation, and what an operator can do."""

    text: str
    meaning: str
    action: str
    link: str = ""


# The texts are AWS's, as people have reported them (read on 2026-11-27).
_REFUSALS = (
    _Refusal(
        "must be verified before you can add new CloudFront resources",
        "AWS has not verified this account for CloudFront yet, as with many new accounts. It is no fault of yours.",
        "Open a case with AWS Support, which is free (Account and billing), and quote that sentence; AWS takes hours to"
        " days",
        SUPPORT_LINK,
    ),
    _Refusal(
        "more vCPU capacity than your current vCPU limit",
        "the account may not run the edge's instance.",
        f'Request more of "{STANDARD_INSTANCES}" (Service Quotas, Amazon EC2)',
        QUOTAS_LINK,
    ),
    _Refusal(
        "is being validated, and you will not be able to launch additional resources",
        "AWS still validates the account for EC2 in this region.",
        "Wait for AWS's mail, which comes within hours",
    ),
    _Refusal(
        "CNAMEs you provided are already associated",
        "another distribution, perhaps of another account, has this domain.",
        "Remove the domain there, or choose another `domain`",
        CERTIFICATE_LINK,
    ),
    _Refusal(
        "ClusterContainsTasks",
        "servers still run.",
        "Stop them: hubless empty",
    ),
)


def distributions(existing: int) -> CheckResult:
    """Check that CloudFront accepts distributions of this account. *existing* is how many it has."""
    if existing:
        return ok("CloudFront", f"the account has {existing} distribution{'' if existing == 1 else 's'}")
    return warning(
        "CloudFront",
        "the account has no distribution yet, and AWS refuses them to accounts that it has not verified. No call tells"
        " whether it would: the deployment tries first, before it makes anything that stays",
        "If the account is new, ask AWS Support today to verify it for CloudFront (Account and billing, free); it takes"
        " hours to days",
        SUPPORT_LINK,
    )


def network(facts: Network, stage: Stage) -> list[CheckResult]:
    """Check that servers and edges can run in the given VPC."""
    given, check = stage.settings, "network"
    where = f"stages.{stage.name}"
    if not facts.exists:
        return [problem(check, f"{given.region} has no VPC {given.vpc_id}", f"Change {where}.vpc_id")]
    wrong = [*_subnets(facts, stage), *_routes(facts, stage)]
    if len({facts.zones.get(one) for one in given.public_subnets} - {None}) < 2:  # noqa: PLR2004 zones
        wrong.append(
            warning(
                check,
                "all servers are in one availability zone: none can start while it is down",
                f"Set subnets of two zones in {where}",
            )
        )
    return wrong or [ok(check, f"{given.vpc_id} with {len(facts.zones)} subnets")]


def server_logs(stage: Stage, images: Iterable[str]) -> list[CheckResult]:
    """Check that no server can write without a limit. *images* are those of the profiles."""
    given = stage.settings
    named = sorted({*filter(None, (given.image, *images))})
    if not given.server_logs or not named:
        return []
    return [
        warning(
            "server logs",
            f"users of {', '.join(named)} can get around the limit of output: its entrypoint has the log open",
            f"Where you do not trust them, set stages.{stage.name}.server_logs = false, or leave out `image`:"
            " CloudWatch costs half a dollar a gigabyte",
        )
    ]


def spares(needs: SpareNeeds, stage: Stage) -> CheckResult:
    """Say what spares cost, and that a stage with homes can have none."""
    if stage.settings.homes:
        return problem(
            "spares",
            f"profiles have warm, and stages.{stage.name} has homes: a task's definition names one user's home",
            f"Set stages.{stage.name}.homes to false, or remove warm",
        )
    demand = demand_of(0, {}, stage.settings)
    kept = replace(demand, spare_hours=needs.hours, spare_vcpu_hours=needs.vcpu_hours, spare_gb_hours=needs.gb_hours)
    usd = bill(kept, known(), Amounts()).total() - bill(demand, known(), Amounts()).total()
    return ok("spares", f"up to {needs.count} tasks wait for launches, for about ${usd:.0f} a month without any user")


def spending(stage: Stage) -> CheckResult:
    """Check that somebody hears of the hub's cost and of its alarms."""
    given, where = stage.settings, f"stages.{stage.name}"
    if not given.alarm_email:
        return warning(
            "spending",
            "no mail is sent when the hub costs more than expected, or when an alarm goes off",
            f"Set {where}.alarm_email, the address that gets both (a budget of ${given.monthly_budget or 100} a month"
            " costs nothing)",
            BUDGETS_LINK,
        )
    if not given.monthly_budget:
        return ok("spending", f"{given.alarm_email} gets alarms; monthly_budget is off")
    return ok(
        "spending",
        f"{given.alarm_email} gets a mail at 80 % of ${given.monthly_budget} a month, once the tag hubless:hub is"
        " activated in Billing (docs/operations.md)",
    )


def _subnets(facts: Network, stage: Stage) -> list[CheckResult]:
    given, wrong = stage.settings, []
    for kind in ("public_subnets", "private_subnets"):
        for subnet, expected in zip(getattr(given, kind), given.zones, strict=False):
            found = facts.zones.get(subnet)
            if found is None:
                wrong.append(
                    problem(
                        "network", f"{subnet} does not belong to {given.vpc_id}", f"Change stages.{stage.name}.{kind}"
                    )
                )
            elif found != expected:
                wrong.append(
                    problem(
                        "network",
                        f"{subnet} is in {found}, not in {expected}",
                        f"List stages.{stage.name}.{kind} in the order of zones",
                    )
                )
    return wrong


def _routes(facts: Network, stage: Stage) -> list[CheckResult]:
    given = stage.settings
    # With `none` the network has a way out of another kind, such as a firewall's: its routes say too little.
    shut = [
        one
        for one in given.public_subnets
        if one in facts.zones and one not in facts.internet_routes and given.egress != "none"
    ]
    outbound_only = [
        one for one in given.public_subnets if one in facts.internet_routes and one not in facts.gateway_routes
    ]
    lacking = {
        one: {"dynamodb", "s3"} - facts.endpoints.get(one, frozenset())
        for one in given.private_subnets
        if one in facts.zones
    }
    return [
        *(
            problem(
                "network",
                f"{subnet} has no route to the internet: servers cannot reach the hub",
                "Add a route to a NAT gateway" if given.egress == "nat" else "Add a route to an internet gateway",
            )
            for subnet in shut
        ),
        *(
            problem(
                "network",
                f"{subnet} has no route to an internet gateway: browsers cannot reach the load balancer",
                f"Add that route, or set stages.{stage.name}.direct_hosts = false",
            )
            for subnet in outbound_only
            if stage.has_direct_hosts
        ),
        *(
            problem(
                "network",
                f"{subnet} has no gateway endpoint for {' and '.join(sorted(missing))}: edges cannot read routes",
                f"Run: aws ec2 create-vpc-endpoint --vpc-id {given.vpc_id} "
                f"--service-name com.amazonaws.{given.region}.{min(missing)} --route-table-ids …",
            )
            for subnet, missing in lacking.items()
            if missing
        ),
    ]


def origins(zone_ids: Mapping[str, str], stage: Stage) -> CheckResult:
    """Check that CloudFront's VPC origins exist in the zones of the edges. *zone_ids* are by zone name."""
    used = stage.settings.zones or sorted(zone_ids)[:VPC_ZONES]
    shut = [name for name in used if zone_ids.get(name) in ZONES_WITHOUT_ORIGINS]
    if not shut:
        return ok("VPC origins", f"CloudFront reaches {', '.join(used)}")
    others = [name for name in sorted(zone_ids) if zone_ids[name] not in ZONES_WITHOUT_ORIGINS]
    return problem(
        "VPC origins",
        f"CloudFront cannot reach edges in {', '.join(shut)} ({', '.join(zone_ids[name] for name in shut)})",
        _other_zones(others, stage),
        ORIGINS_LINK,
    )


def _other_zones(reached: Sequence[str], stage: Stage) -> str:
    where = f"stages.{stage.name}"
    if stage.settings.vpc_id:
        return f"Choose subnets of {where}.vpc_id in other zones: {', '.join(reached)}"
    if len(reached) < (1 if stage.settings.edge == "economy" else VPC_ZONES):
        return (
            f"Change {where}.region, or set its edge to economy, which needs one zone: "
            f"CloudFront reaches {', '.join(reached) or 'none'} here"
        )
    quoted = ", ".join(f'"{name}"' for name in reached[:VPC_ZONES])
    return f"Set {where}.zones = [{quoted}]; CloudFront reaches {', '.join(reached)}"


def instance(offered: Iterable[str], stage: Stage) -> CheckResult:
    """Check that the edge's instance type is offered. *offered* are the zones that have it."""
    kind, zones = stage.settings.instance_type, sorted(offered)
    wanted = [zone for zone in stage.settings.zones if zone not in zones]
    if not zones or (wanted and len(wanted) == len(stage.settings.zones)):
        return problem(
            "instance",
            f"AWS offers no {kind} in {', '.join(wanted) or stage.settings.region}",
            f"Choose another stages.{stage.name}.instance_type, such as t4g.micro",
        )
    return ok("instance", f"{kind} is offered in {', '.join(zones)}")


def image(name: str, *, found: bool | None) -> CheckResult:
    """Check that an image exists. *found* is None if it is not in ECR, which is not checked."""
    if found is None:
        return ok("image", f"{name} is in another registry and was not checked")
    if not found:
        return problem(
            "image",
            f"{name} does not exist",
            "Push the image with this tag, or change its name",
        )
    return ok("image", f"{name} exists")


def docker(*, works: bool) -> CheckResult:
    """Check that Docker can build images."""
    if works:
        return ok("Docker", "can build images")
    return problem(
        "Docker",
        "the deployment builds images, and no Docker answers on this machine",
        "Start Docker; or set `image` to one in a registry, and an edge other than fleet",
    )


def node(version: int | None) -> CheckResult:
    """Check that Node can run the CDK's command line."""
    if version is not None and version >= MIN_NODE:
        return ok("Node", f"version {version}")
    said = "not installed" if version is None else f"the CDK does not support version {version} any more"
    return warning(
        "Node", f"{said}: `make deploy` needs it", f"Install Node {MIN_NODE} or newer: https://nodejs.org/en/download"
    )


def throughput(stage: Stage, *, is_high: bool) -> CheckResult:
    """Check that SSM's throughput is enough for many cold starts at once."""
    if is_high:
        return ok("SSM", "higher throughput is on")
    said = f"SSM allows {SSM_READS} reads a second"
    if stage.settings.expected_servers <= SSM_READS:
        return ok("SSM", said)
    return warning(
        "SSM",
        f"{said}, and a class of {stage.settings.expected_servers} may cause more cold starts a second",
        "Turn on higher throughput: aws ssm update-service-setting "
        "--setting-id /ssm/parameter-store/high-throughput-enabled --setting-value true",
        THROUGHPUT_LINK,
    )


def _number(number: float) -> str:
    return f"{number:g}"
