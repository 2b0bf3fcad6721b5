"""A stage: one hub in an AWS account, as `[stages.NAME]` of hubless.toml describes it. `cdk deploy` makes it."""

import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from hubless.domain import names
from hubless.domain.origins import is_domain
from hubless.domain.values import value
from hubless.settings.loading import DEFAULT_FILE, parse_toml, read_section, read_text
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
CERTIFICATES_REGION = "us-east-1"  # CloudFront takes certificates and web ACLs from there alone
_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_ZONE = re.compile(r"Z[A-Z0-9]{4,31}")
_CERTIFICATE = re.compile(rf"arn:aws:acm:{CERTIFICATES_REGION}:[0-9]{{12}}:certificate/[0-9a-f-]+")
_ZONE_NAME = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9][a-z]")
_VPC, _SUBNET = re.compile(r"vpc-[0-9a-f]+"), re.compile(r"subnet-[0-9a-f]+")
_LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 180, 365, 731)  # what CloudWatch Logs allows, up to two years
_TOP_LABELS = 2  # a name that somebody can own
_NETWORK_SIZES = range(16, 23)  # a VPC's largest; the smallest that holds four subnets of a class's size


def _matching(pattern: re.Pattern[str], allowed: str, *, needed: bool = False) -> SettingType:
    def read(given: Any) -> str:
        if (given or needed) and not pattern.fullmatch(TEXT.read(given)):
            raise ValueError
        return TEXT.read(given)  # type: ignore[no-any-return]

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


def _given(kind: SettingType, allowed: str) -> SettingType:
    """Return *kind* without its word for "no limit": Fargate needs a size."""

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
    """One of `[stages]`: a hub in AWS. A hub on one machine takes no notice of it."""

    region: str = setting(
        None, _matching(_REGION, 'a region such as "eu-central-1"', needed=True), "Where everything but CloudFront is"
    )
    account: str = setting(
        "", _matching(_ACCOUNT, "an account's twelve digits"), "The account; empty for that of who deploys"
    )
    domain: str = setting(
        "",
        SettingType('a name such as "hub.example.org", or ""', _domain),
        "What browsers call the hub; empty for a name of CloudFront's",
    )
    zone_id: str = setting(
        "",
        _matching(_ZONE, 'a hosted zone\'s id such as "Z0123456789"'),
        "The Route 53 zone of `domain`, in which its records and its certificate's are made",
    )
    zone_name: str = setting(
        "",
        SettingType('a name such as "example.org", or ""', _domain),
        "The name of that zone; empty for `domain` itself",
    )
    certificate: str = setting(
        "",
        _matching(_CERTIFICATE, f"the ARN of a certificate in {CERTIFICATES_REGION}"),
        "A certificate for `domain` (and `*.domain`) where no zone is given; records are then yours to make",
    )
    subdomains: bool = setting(
        True, FLAG, "Whether each user has an origin of their own, `NAME.domain`; without a domain there is one for all"
    )
    edge: str = setting(
        "economy",
        choice("economy", "fleet", "alb"),
        "What leads to servers: one instance that sleeps when no server runs, HAProxy in several zones, or a load balancer (100 servers)",
    )
    instance_type: str = setting("t4g.nano", _GRAVITON, "The instance of `economy`")
    sleep_after: int = setting(
        10, count(2, 1440), "Minutes without a server after which the instance of `economy` is stopped"
    )
    fleet_least: int = setting(2, count(1, 50), "Edges of `fleet` that run all the time")
    fleet_most: int = setting(6, count(1, 50), "Edges of `fleet` at most")
    websocket_timeout: timedelta = setting(
        "48h",
        WEBSOCKET_TIMEOUT,
        "How long a WebSocket may stay silent before an edge of `economy` or `fleet` closes it",
    )
    network: str = setting(
        "10.64.0.0/16",
        SettingType('a private network from /16 to /22 such as "10.64.0.0/16"', _network),
        "Addresses of the VPC that is made",
    )
    vpc_id: str = setting(
        "",
        _matching(_VPC, 'a VPC\'s id such as "vpc-0123abcd"'),
        "A VPC that is there already, with `zones`, `public_subnets` and `private_subnets`",
    )
    zones: tuple[str, ...] = setting(
        [],
        _all_matching(_ZONE_NAME, 'a list of zones such as "eu-central-1a"'),
        "Availability zones: those of the subnets in their order, or of the VPC that is made; empty for its first two",
    )
    public_subnets: tuple[str, ...] = setting(
        [],
        _all_matching(_SUBNET, "a list of subnets' ids"),
        "Its subnets with a way to the internet, one in each zone: where servers run",
    )
    private_subnets: tuple[str, ...] = setting(
        [],
        _all_matching(_SUBNET, "a list of subnets' ids"),
        "Its subnets without one, with endpoints for DynamoDB and S3: where edges run",
    )
    image: str = setting(
        "", TEXT, "The image of profiles that name none; empty for images/singleuser, which the deployment builds"
    )
    architecture: str = setting("ARM64", choice("X86_64", "ARM64"), "What servers' images are made for")
    cpus: float = setting(
        0.5, _given(CPUS, "a number of processors such as 0.5 or 2"), "Processors of profiles that name none"
    )
    memory: int = setting("2G", _given(SIZE, 'a size such as "512M" or "2G"'), "Memory of profiles that name none")
    capacity: str = setting("fargate", choice("fargate", "spot", "spot-or-fargate"), "On what servers run")
    homes: bool = setting(True, FLAG, "Whether users' files are kept, on EFS; without, they go with the server")
    expected_servers: int = setting(20, count(1, 100_000), "Servers at once that quotas are checked for")
    snap_start: bool = setting(
        False, FLAG, "Whether the api's function starts from a snapshot: sooner, for some $2 a month"
    )
    front_turn: int = setting(
        0, count(0), "Raised by one to have CloudFront read anew what only it says to the API (docs/cloud.md)"
    )
    streams_at_once: int = setting(
        0,
        count(0),
        "Starts that scripts may follow at once, kept apart from all else as Lambda's reserved concurrency; 0 for as many as the account has",
    )
    waf: bool = setting(
        False,
        FLAG,
        "Whether AWS WAF limits how often one address may try to log in, for $6 a month and 60 cents a million requests",
    )
    waf_rate: int = setting(300, count(10, 20_000_000), "Log-ins that one address may try in five minutes")
    alarm_email: str = setting("", _matching(_EMAIL, "an e-mail address"), "Who is told of alarms")
    monthly_budget: int = setting(
        0, count(0), "Dollars a month from 80 % of which that address is told of the spend; 0 for no limit"
    )
    keep_data: bool = setting(True, FLAG, "Whether `cdk destroy` leaves the table, the users' files and the secrets")
    log_days: int = setting(
        30, SettingType(f"one of {', '.join(map(str, _LOG_DAYS))}", _log_days), "Days for which logs are kept"
    )


@value
class Stage:
    """A stage with its name."""

    name: str
    settings: StageSettings

    @property
    def hub(self) -> str:
        """Return what tells this hub's things from another's in the account."""
        return f"hubless-{self.name}"

    @property
    def has_subdomains(self) -> bool:
        """Say whether each user has an origin of their own."""
        return bool(self.settings.domain) and self.settings.subdomains

    def is_in_zone(self) -> bool:
        """Say whether the domain is the zone or lies in it."""
        zone = self.settings.zone_name or self.settings.domain
        return self.settings.domain == zone or self.settings.domain.endswith(f".{zone}")


def load_stage(file: Path | None, name: str = "") -> Stage:
    """Return the stage of that *name*; without one, the only one of *file*.

    Raises:
        SettingsError: naming the file and the key that is missing, unknown or wrong, and what is allowed.
    """
    return _chosen(load_stages(file), name, str(file or DEFAULT_FILE))


def load_stages(file: Path | None) -> dict[str, Stage]:
    """Return the stages of *file* by name.

    Raises:
        SettingsError: naming the file and the key that is missing, unknown or wrong, and what is allowed.
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
            f"{source} has no [{SECTION}.NAME], which says what to deploy: docs/deploy.md has one to begin with"
        )
    if name not in stages and (name or len(stages) > 1):
        asked = f"has no [{SECTION}.{name}]" if name else "has several stages"
        raise SettingsError(f"{source} {asked}: choose one of {', '.join(sorted(stages))}")
    return stages[name] if name else next(iter(stages.values()))


def _stage(name: str, table: Any) -> Stage:
    where = f"{SECTION}.{name}"
    if not names.is_hub_name(f"hubless-{name}"):
        raise SettingsError(f"{where}: a stage's name has 1 to 24 of a-z, 0-9 and single hyphens")
    stage = Stage(name, read_section(StageSettings, table, where))
    for wrong, why in _contradictions(stage):
        if wrong:
            raise SettingsError(f"{where}{why}")
    return stage


def _contradictions(stage: Stage) -> list[tuple[bool, str]]:
    """Return what does not go together, each with why."""
    given = stage.settings
    own_vpc, own_subnets = (
        (given.zones, given.public_subnets, given.private_subnets),
        given.public_subnets + given.private_subnets,
    )
    return [
        (
            bool(given.zone_id or given.certificate) and not given.domain,
            ".domain is missing: a zone or a certificate is for a domain",
        ),
        (
            bool(given.domain) and not (given.zone_id or given.certificate),
            ".domain needs zone_id, the Route 53 zone in which its records are made, or certificate, one that you have",
        ),
        (
            bool(given.zone_id and given.certificate),
            ".certificate is made by itself where zone_id is given: leave one of them out",
        ),
        (bool(given.zone_name) and not given.zone_id, ".zone_name has a meaning only with zone_id"),
        (
            bool(given.zone_id) and not stage.is_in_zone(),
            f'.domain "{given.domain}" does not lie in the zone "{given.zone_name}"',
        ),
        (
            stage.has_subdomains and not is_domain(given.domain),
            f'.domain "{given.domain}" leaves no room for hosts below it: choose a shorter one, or subdomains = false',
        ),
        (
            given.fleet_least > given.fleet_most,
            f".fleet_least is {given.fleet_least}, more than fleet_most, which is {given.fleet_most}",
        ),
        (
            bool(given.vpc_id) != bool(own_subnets),
            ".vpc_id, zones, public_subnets and private_subnets belong together: give all or none",
        ),
        (
            bool(given.vpc_id) and len({len(part) for part in own_vpc}) != 1,
            ".zones, public_subnets and private_subnets must have as many entries as each other: one a zone",
        ),
        (
            bool(given.zones) and len(given.zones) < 2 and given.edge != "economy",  # noqa: PLR2004 zones
            f'.zones must be two at least where edge is "{given.edge}"',
        ),
        (bool(given.monthly_budget) and not given.alarm_email, ".monthly_budget needs alarm_email: who is told"),
    ]
