"""Stages: a stage is one hub in an AWS account. `[stages.NAME]` of hubless.toml describes it, `cdk deploy` makes it."""

import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from hubless.adapters.alb.naming import family_of
from hubless.adapters.ecs.naming import ACCESS_POINT_TAG, role_path
from hubless.domain import names
from hubless.domain.origins import is_domain
from hubless.domain.values import value
from hubless.settings.loading import DEFAULT_FILE, parse_toml, read_text
from hubless.settings.reading import read_section
from hubless.settings.types import (
    CPUS,
    FLAG,
    SIZE,
    TABLE,
    TEXT,
    TEXTS,
    WEBSOCKET_TIMEOUT,
    SettingsError,
    SettingType,
    choice,
    count,
    setting,
)

SECTION = "stages"
CERTIFICATES_REGION = "us-east-1"  # the only region whose certificates and web ACLs CloudFront accepts
_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_ZONE = re.compile(r"Z[A-Z0-9]{4,31}")
_CERTIFICATE = re.compile(rf"arn:aws:acm:{CERTIFICATES_REGION}:[0-9]{{12}}:certificate/[0-9a-f-]+")
_REGIONAL_CERTIFICATE = re.compile(r"arn:aws:acm:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):certificate/[0-9a-f-]+")
_ZONE_NAME = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9][a-z]")
OWN_KEY = "own"  # the deployment makes the stage's KMS key
# A key of one region: Fargate takes no key of several regions.
_KEY = re.compile(
    r"arn:aws:kms:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):key/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)
_VPC, _SUBNET = re.compile(r"vpc-[0-9a-f]+"), re.compile(r"subnet-[0-9a-f]+")
_LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 180, 365, 731)  # retention periods of CloudWatch Logs, up to two years
LEAST_ACTIVE_LIMIT = 100
# Registries that ECR can cache without a password, and what ends the name of the cache's repositories.
_CACHED_REGISTRIES = {"quay.io": "quay", "public.ecr.aws": "ecr", "registry.k8s.io": "k8s"}
_TOP_LABELS = 2  # labels of the shortest domain that one can own
_NETWORK_SIZES = range(16, 23)  # from the largest VPC to the smallest with four subnets for a class


def _matching(pattern: re.Pattern[str], allowed: str, *, needed: bool = False) -> SettingType:
    def read(given: Any) -> str:
        if (given or needed) and not pattern.fullmatch(TEXT.read(given)):
            raise ValueError
        return TEXT.read(given)  # type: ignore[no-any-return]  # TEXT reads a str

    return SettingType(allowed if needed else f'{allowed}, or ""', read)


def _all_matching(pattern: re.Pattern[str], allowed: str) -> SettingType:
    def read(given: Any) -> tuple[str, ...]:
        if not all(map(pattern.fullmatch, TEXTS.read(given))) or len(set(given)) != len(given):
            raise ValueError
        return tuple(given)

    return SettingType(allowed, read)


def _domain(given: Any) -> str:
    labels = TEXT.read(given).split(".")
    if given and (len(labels) < _TOP_LABELS or not all(map(_LABEL.fullmatch, labels))):
        raise ValueError
    return str(given)


def _network(given: Any) -> str:
    network = ip_network(TEXT.read(given))
    if network.version != 4 or network.prefixlen not in _NETWORK_SIZES or not network.is_private:  # noqa: PLR2004 IPv4
        raise ValueError
    return str(network)


def _kms_key(given: Any) -> str:
    if TEXT.read(given) not in {"", OWN_KEY} and not _KEY.fullmatch(given):
        raise ValueError
    return str(given)


def _given(kind: SettingType, allowed: str) -> SettingType:
    """Return *kind* without its value for "no limit": Fargate needs a size."""

    def read(given: Any) -> Any:
        if not (size := kind.read(given)):
            raise ValueError
        return size

    return SettingType(allowed, read)


def _log_days(given: Any) -> int:
    if count(1).read(given) not in _LOG_DAYS:
        raise ValueError
    return int(given)


_GRAVITON = _matching(
    re.compile(r"[a-z]+[0-9]+g[a-z]*\.[a-z0-9]+"), 'a type of instance with Graviton such as "t4g.nano"', needed=True
)


@value(kw_only=True)
class StageSettings:
    """One of `[stages]`: a hub in AWS. A hub on one machine ignores it."""

    region: str = setting(
        None,
        _matching(_REGION, 'a region such as "eu-central-1"', needed=True),
        "The region of all resources except CloudFront",
    )
    account: str = setting(
        "", _matching(_ACCOUNT, "the 12 digits of an account"), "The account; empty for that of your credentials"
    )
    domain: str = setting(
        "",
        SettingType('a domain such as "hub.example.org", or ""', _domain),
        "The hub's domain for browsers; empty for a domain of CloudFront",
    )
    zone_id: str = setting(
        "",
        _matching(_ZONE, 'a hosted zone\'s id such as "Z0123456789"'),
        "The Route 53 zone of `domain`; the deployment adds records and a certificate",
    )
    zone_name: str = setting(
        "",
        SettingType('a domain such as "example.org", or ""', _domain),
        "The name of that zone; empty if it is `domain`",
    )
    certificate: str = setting(
        "",
        _matching(_CERTIFICATE, f"the ARN of a certificate in {CERTIFICATES_REGION}"),
        "A certificate for `domain` (and `*.domain`), instead of a zone; you make the DNS records yourself",
    )
    subdomains: bool = setting(
        True, FLAG, "Whether each user has a subdomain, `NAME.domain`; without a domain there is one host for all"
    )
    direct_hosts: bool = setting(
        False,
        FLAG,
        "Whether browsers reach the hosts of users and services by the edge's load balancer, without CloudFront; with"
        ' `edge = "fleet"` or `"alb"` (docs/edge.md)',
    )
    direct_certificate: str = setting(
        "",
        _matching(_REGIONAL_CERTIFICATE, "the ARN of a certificate in the stage's region"),
        "A certificate for `*.domain` in `region`, for `direct_hosts` without a zone",
    )
    edge: str = setting(
        "economy",
        choice("economy", "fleet", "alb"),
        "The edge: one instance that stops while no server runs, HAProxy in several zones, or a load balancer"
        " (about 95 servers)",
    )
    instance_type: str = setting("t4g.nano", _GRAVITON, "The type of the `economy` edge's instance")
    sleep_after: int = setting(10, count(2, 1440), "Minutes without a server before the `economy` edge stops")
    fleet_least: int = setting(2, count(1, 50), "Minimum number of edges of `fleet`")
    fleet_most: int = setting(6, count(1, 50), "Maximum number of edges of `fleet`")
    websocket_timeout: timedelta = setting(
        "48h",
        WEBSOCKET_TIMEOUT,
        "How long a WebSocket may stay silent before an edge of `economy` or `fleet` closes it",
    )
    connections_per_address: int = setting(
        4000,
        count(0),
        "Requests that one network address (IPv6: /64) has in progress at once at an edge of `economy` or `fleet`; 0"
        " for no limit. A class may share an address, and each browser opens about twelve",
    )
    network: str = setting(
        "10.64.0.0/16",
        SettingType('a private network from /16 to /22 such as "10.64.0.0/16"', _network),
        "IP addresses of the new VPC",
    )
    egress: str = setting(
        "public",
        choice("public", "nat", "none"),
        "How servers reach the internet: by public addresses, by a NAT gateway, or as the VPC of `vpc_id` lets them"
        " (docs/deploy.md)",
    )
    session_manager: bool = setting(
        False,
        FLAG,
        'Whether operators may open a shell on the `economy` edge by Session Manager; not with `egress = "public"`',
    )
    vpc_id: str = setting(
        "",
        _matching(_VPC, 'the id of a VPC such as "vpc-0123abcd"'),
        "An existing VPC, with `zones`, `public_subnets` and `private_subnets`",
    )
    flow_logs: str = setting(
        "refused",
        choice("refused", "all"),
        "Which connections of the new VPC its flow logs record, in the bucket of logs",
    )
    access_logs: bool = setting(
        False,
        FLAG,
        "Whether CloudFront, the HTTP API and edges log each request, without query strings and cookies"
        " (docs/review.md)",
    )
    zones: tuple[str, ...] = setting(
        [],
        _all_matching(_ZONE_NAME, 'a list of zones such as "eu-central-1a"'),
        "Availability zones of the subnets, in their order, or of the new VPC; empty for the region's first two",
    )
    public_subnets: tuple[str, ...] = setting(
        [],
        _all_matching(_SUBNET, "a list of subnets' ids"),
        "Subnets of servers, one per zone, with a route to the internet (see `egress`)",
    )
    private_subnets: tuple[str, ...] = setting(
        [],
        _all_matching(_SUBNET, "a list of subnets' ids"),
        "Subnets without one, with endpoints for DynamoDB and S3, one per zone: edges run there",
    )
    image: str = setting(
        "", TEXT, "The image of profiles that name none; empty for images/singleuser, which the deployment builds"
    )
    architecture: str = setting("ARM64", choice("X86_64", "ARM64"), "The CPU architecture of servers' images")
    cpus: float = setting(0.5, _given(CPUS, "a number of CPUs such as 0.5 or 2"), "CPUs of profiles that name none")
    memory: int = setting("2G", _given(SIZE, 'a size such as "512M" or "2G"'), "Memory of profiles that name none")
    capacity: str = setting("fargate", choice("fargate", "spot", "spot-or-fargate"), "The capacity that servers run on")
    homes: bool = setting(True, FLAG, "Whether users' files are stored on EFS; otherwise they are lost with the server")
    task_roles: bool = setting(
        False,
        FLAG,
        "Whether each user has an IAM role with which servers mount that user's files only; otherwise all servers share"
        " one (docs/review.md)",
    )
    expected_servers: int = setting(20, count(1, 100_000), "Number of active servers for which preflight checks quotas")
    snap_start: bool = setting(
        False, FLAG, "Whether Lambda starts the API from a snapshot: faster, for about $2 a month"
    )
    front_turn: int = setting(
        0, count(0), "Raise this by one so that CloudFront reads its secret for the API again (docs/cloud.md)"
    )
    streams_at_once: int = setting(
        0,
        count(0),
        "Progress streams at the same time, as reserved concurrency of their function; 0 for a fifth of the account's",
    )
    waf: bool = setting(
        False,
        FLAG,
        "Whether AWS WAF limits logins per IP address, for $7 a month and 60 cents per million requests",
    )
    waf_rate: int = setting(
        1_000,
        count(10, 20_000_000),
        "Login attempts per IP address in five minutes; a class of 300 may share an address",
    )
    alarm_email: str = setting("", _matching(_EMAIL, "an e-mail address"), "The address that gets alarms")
    monthly_budget: int = setting(
        100,
        count(0),
        "Dollars a month; at 80 % of it, or if a forecast exceeds it, AWS sends a mail to that address; 0 for none",
    )
    keep_data: bool = setting(True, FLAG, "Whether `cdk destroy` keeps the table, users' files and secrets")
    kms_key: str = setting(
        "",
        SettingType('"own", the ARN of a KMS key of one region, or ""', _kms_key),
        "The KMS key that encrypts what the stage stores; empty for AWS's own keys. Choose it before the first"
        " deployment (docs/review.md)",
    )
    server_logs: bool = setting(
        True, FLAG, "Whether CloudWatch keeps what servers write, up to 256 KiB a minute each (docs/cloud.md)"
    )
    log_days: int = setting(
        30, SettingType(f"one of {', '.join(map(str, _LOG_DAYS))}", _log_days), "Days for which AWS keeps logs"
    )


@value
class Stage:
    """A stage with its name."""

    name: str
    settings: StageSettings

    @property
    def hub(self) -> str:
        """Return the hub's name, which distinguishes its resources in the account."""
        return f"hubless-{self.name}"

    @property
    def regions(self) -> tuple[str, ...]:
        """Return the regions of the stage's stacks: its own, and us-east-1 if CloudFront takes something from there."""
        given = self.settings
        is_elsewhere = bool(given.zone_id) or given.waf or given.access_logs
        return tuple(dict.fromkeys((given.region, *((CERTIFICATES_REGION,) if is_elsewhere else ()))))

    @property
    def cache_prefixes(self) -> dict[str, str]:
        """Return what the names of a cache's repositories in ECR begin with, before a slash, by registry."""
        return {registry: f"{self.name}-{end}" for registry, end in _CACHED_REGISTRIES.items()}

    @property
    def active_limit(self) -> int:
        """Return the limit of active servers, unless the hub's settings name one."""
        return max(LEAST_ACTIVE_LIMIT, self.settings.expected_servers)

    @property
    def target_groups(self) -> str:
        """Return the beginning of the names of the hub's target groups, which no other hub's groups have."""
        return family_of(self.hub)

    @property
    def role_path(self) -> str:
        """Return the path of the roles that the hub makes for users, if the stage has `task_roles`."""
        return role_path(self.hub, self.settings.region)

    @property
    def role_tag(self) -> str:
        """Return the key of the tag with the access point that a user's role may mount."""
        return ACCESS_POINT_TAG

    @property
    def has_budget(self) -> bool:
        """Say whether AWS sends mails about the hub's cost."""
        return bool(self.settings.monthly_budget and self.settings.alarm_email)

    @property
    def has_subdomains(self) -> bool:
        """Say whether each user has a subdomain."""
        return bool(self.settings.domain) and self.settings.subdomains

    @property
    def has_direct_hosts(self) -> bool:
        """Say whether browsers reach users' hosts without CloudFront."""
        return self.settings.direct_hosts

    def has_key_in_place(self) -> bool:
        """Say whether the KMS key is in the stage's region and account, or is still to be made, or none is named."""
        found = _KEY.fullmatch(self.settings.kms_key)
        return found is None or (
            found["region"] == self.settings.region and self.settings.account in {"", found["account"]}
        )

    def is_in_zone(self) -> bool:
        """Say whether the domain is the zone's name or lies in the zone."""
        zone = self.settings.zone_name or self.settings.domain
        return self.settings.domain == zone or self.settings.domain.endswith(f".{zone}")


def load_stage(file: Path | None, name: str = "") -> Stage:
    """Return the stage of that *name*, or the only stage of *file* if *name* is empty.

    Raises:
        SettingsError: naming the file and the key that is missing, unknown or wrong, and the allowed values.
    """
    return _chosen(load_stages(file), name, str(file or DEFAULT_FILE))


def load_stages(file: Path | None) -> dict[str, Stage]:
    """Return the stages of *file* by name.

    Raises:
        SettingsError: naming the file and the key that is missing, unknown or wrong, and the allowed values.
    """
    text = read_text(file)
    try:
        tables = TABLE.value(parse_toml(text).get(SECTION, {}), SECTION)
        return {name: _stage(name, table) for name, table in tables.items()}
    except SettingsError as error:
        raise SettingsError(f"{file or DEFAULT_FILE}: {error}") from None


def _chosen(stages: Mapping[str, Stage], name: str, source: str) -> Stage:
    if not stages:
        raise SettingsError(
            f"{source} has no [{SECTION}.NAME], which says what to deploy: copy one from docs/deploy.md"
        )
    if name not in stages and (name or len(stages) > 1):
        asked = f"has no [{SECTION}.{name}]" if name else "has several stages"
        raise SettingsError(f"{source} {asked}: choose one of {', '.join(sorted(stages))}")
    return stages[name] if name else next(iter(stages.values()))


def _stage(name: str, table: Any) -> Stage:
    where = f"{SECTION}.{name}"
    if not names.is_hub_name(f"hubless-{name}"):
        raise SettingsError(f"{where}: a stage's name must have 1 to 24 of a-z, 0-9 and single hyphens")
    stage = Stage(name, read_section(StageSettings, table, where))
    for wrong, why in _contradictions(stage, table.keys()):
        if wrong:
            raise SettingsError(f"{where}{why}")
    return stage


def _contradictions(stage: Stage, named: Collection[str]) -> list[tuple[bool, str]]:
    """Return settings that contradict each other: whether they do, and the end of the error.

    *named* are the keys that the file has; the others have their defaults.
    """
    given = stage.settings
    own_vpc, own_subnets = (
        (given.zones, given.public_subnets, given.private_subnets),
        given.public_subnets + given.private_subnets,
    )
    return [
        (
            bool(given.zone_id or given.certificate) and not given.domain,
            ".domain is missing: zone_id and certificate need it",
        ),
        (
            bool(given.domain) and not (given.zone_id or given.certificate),
            ".domain needs zone_id, the Route 53 zone for its records, or certificate, an existing one",
        ),
        (
            bool(given.zone_id and given.certificate),
            ".certificate and zone_id exclude each other: with a zone the deployment makes the certificate",
        ),
        (bool(given.zone_name) and not given.zone_id, ".zone_name has an effect only with zone_id"),
        (
            bool(given.zone_id) and not stage.is_in_zone(),
            f'.domain "{given.domain}" is not in the zone "{given.zone_name}"',
        ),
        (
            not stage.has_key_in_place(),
            f".kms_key must be in the region {given.region}, and in the account that the stage names",
        ),
        (
            stage.has_subdomains and not is_domain(given.domain),
            f'.domain "{given.domain}" is too long for subdomains: choose a shorter one, or subdomains = false',
        ),
        (
            given.fleet_least > given.fleet_most,
            f".fleet_least is {given.fleet_least}, but it must be at most fleet_most, which is {given.fleet_most}",
        ),
        (
            bool(given.vpc_id) != bool(own_subnets),
            ".vpc_id, zones, public_subnets and private_subnets belong together: set all or none",
        ),
        (
            bool(given.vpc_id) and len({len(part) for part in own_vpc}) != 1,
            ".zones, public_subnets and private_subnets must have the same number of entries: one per zone",
        ),
        (
            given.egress == "none" and not given.vpc_id,
            '.egress = "none" needs vpc_id: servers must reach the hub\'s address, and a new VPC leads nowhere',
        ),
        (
            given.session_manager and (given.edge != "economy" or given.egress == "public"),
            '.session_manager needs edge = "economy", and egress = "nat" or "none": else its instance has no way out',
        ),
        (
            bool(given.zones) and len(given.zones) < 2 and given.edge != "economy",  # noqa: PLR2004 zones
            f'.zones must have at least two entries if edge is "{given.edge}"',
        ),
        (
            "flow_logs" in named and bool(given.vpc_id),
            ".flow_logs has an effect only on a new VPC: the logs of an existing one are its owner's",
        ),
        (
            given.task_roles and not given.homes,
            ".task_roles needs homes: a user's role mounts that user's files, and does nothing else",
        ),
        *_direct_contradictions(stage),
        (
            "monthly_budget" in named and bool(given.monthly_budget) and not given.alarm_email,
            ".monthly_budget needs alarm_email, which gets the mail",
        ),
    ]


def _direct_contradictions(stage: Stage) -> list[tuple[bool, str]]:
    """Return what contradicts `direct_hosts`."""
    given = stage.settings
    found = _REGIONAL_CERTIFICATE.fullmatch(given.direct_certificate)
    is_elsewhere = found is not None and (
        found["region"] != given.region or given.account not in {"", found["account"]}
    )
    return [
        (
            is_elsewhere,
            f".direct_certificate must be in the region {given.region}, and in the account that the stage names",
        ),
        (
            bool(given.direct_certificate) and not (given.direct_hosts and given.certificate),
            ".direct_certificate has an effect only with direct_hosts and certificate; a zone needs none",
        ),
        (
            given.direct_hosts and not stage.has_subdomains,
            ".direct_hosts needs domain and subdomains: without them all users share the hub's host",
        ),
        (
            given.direct_hosts and bool(given.certificate) and not given.direct_certificate,
            f".direct_hosts needs direct_certificate, a certificate for *.{given.domain} in {given.region}, or zone_id",
        ),
        (
            given.direct_hosts and given.edge == "economy",
            '.direct_hosts needs edge = "fleet" or "alb": nobody answers for an instance of "economy" that is stopped',
        ),
        (
            given.direct_hosts and bool(given.vpc_id) and given.egress != "public",
            '.direct_hosts with vpc_id needs egress = "public": its load balancer is in public_subnets',
        ),
        (
            given.direct_hosts and given.edge == "alb" and given.access_logs,
            '.access_logs and direct_hosts exclude each other with edge = "alb", whose log would hold tokens of URLs',
        ),
    ]
