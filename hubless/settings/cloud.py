"""What the infrastructure made for a hub in AWS, as its functions are told it: names and addresses, nothing secret.

Whoever deploys writes the variables (`to_environment`), the functions read them (`cloud_settings`).
"""

from collections.abc import Mapping, MutableMapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from hubless.domain import names
from hubless.domain.tokens import MAX_SECRET_LENGTH, sha256
from hubless.domain.values import value
from hubless.settings.environment import (
    EDGE_PREFIX,
    ENVIRON,
    FLAG_TEXT,
    as_environment,
    from_environment,
    listed,
    of_text,
)
from hubless.settings.loading import DEFAULT_FILE, Settings, parse, parse_toml, read_text
from hubless.settings.types import (
    CPUS,
    NAME,
    SIZE,
    SOME,
    TEXT,
    WEB_ORIGIN,
    SettingsError,
    SettingType,
    choice,
    count,
    setting,
)

PREFIX = "HUBLESS_"


def _some_of(read: Any) -> Any:
    if not read:
        raise ValueError
    return read


def _hub_name(given: Any) -> str:
    if not names.is_hub_name(given):
        raise ValueError
    return str(given)


_SOME = of_text(SOME, listed, "texts with commas between them, one at least")
_CPUS = SettingType("a number of processors such as 0.5 or 2", lambda given: _some_of(CPUS.read(float(given))))
_MEMORY = SettingType('a size such as "512M" or "2G"', lambda given: _some_of(SIZE.read(given)))
_HUB_NAME = SettingType("1 to 32 of a-z, 0-9 and single hyphens, beginning with a letter", _hub_name)
# Fargate needs longer than a process does. A task that dies says so at once: these are for news that never come.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "servers": {"launch_timeout": "10m", "start_timeout": "3m", "stop_timeout": "3m"}
}


@value(kw_only=True)
class CloudSettings:
    """Where the hub keeps things and runs servers."""

    url: str = setting(None, WEB_ORIGIN, "What browsers and servers call the hub")
    hub: str = setting("hubless", _HUB_NAME, "Tells this hub's things from another's in the same account")
    subdomains: bool = setting(
        "false", FLAG_TEXT, "Whether each user and service has a host of its own below that of the hub"
    )
    table: str = setting(None, NAME, "The DynamoDB table")
    queue: str = setting(None, NAME, "The address of the SQS queue")
    launches_queue: str = setting("", TEXT, "The queue of launches, which wait for their turns; empty: all in one")
    secrets: str = setting(None, NAME, "The SSM parameter that holds the hub's secrets")
    front: str = setting(
        "",
        TEXT,
        "The SSM parameter that holds the text by which the API knows what comes by CloudFront; empty: all may ask",
    )
    cluster: str = setting(None, NAME, "The ECS cluster")
    image: str = setting(None, NAME, "The image of profiles that name none")
    bucket: str = setting(None, NAME, "The S3 bucket in which each launch's secrets lie")
    bucket_key: str = setting("", TEXT, "The KMS key of that bucket; empty for S3's own")
    execution_role: str = setting(None, NAME, "The role by which ECS starts tasks")
    task_role: str = setting(None, NAME, "The role of the servers, which may do nothing")
    subnets: tuple[str, ...] = setting(None, _SOME, "The subnets in which servers run")
    security_groups: tuple[str, ...] = setting(None, _SOME, "The security groups of servers")
    log_group: str = setting(None, NAME, "The log group of servers")
    public_addresses: bool = setting("false", FLAG_TEXT, "Whether servers have addresses of their own: where no NAT is")
    capacity: str = setting("fargate", choice("fargate", "spot", "spot-or-fargate"), "On what servers run")
    architecture: str = setting("X86_64", choice("X86_64", "ARM64"), "What their images are made for")
    cpus: float = setting("0.5", _CPUS, "Processors of profiles that name none")
    memory: int = setting("2G", _MEMORY, "Memory of profiles that name none")
    file_system: str = setting("", TEXT, "The EFS file system of the users' files; empty: they go with the server")
    alb_listener: str = setting(
        "", TEXT, "The load balancer's listener, where that is the edge; empty where HAProxy is"
    )
    alb_vpc: str = setting("", TEXT, "The VPC of the servers, where a load balancer is the edge")
    alb_rules: int = setting(
        "100", of_text(count(1), int, "a whole number of at least 1"), "How many rules it may have"
    )
    economy_instance: str = setting(
        "", TEXT, "The EC2 instance that is the edge and sleeps while no server runs; empty: none does"
    )
    economy_idle_minutes: int = setting(
        "10",
        of_text(count(1), int, "a whole number of at least 1"),
        "For how many minutes nothing needs it before it sleeps",
    )
    log_level: str = setting("info", choice("debug", "info", "warning", "error"), "How much is logged")


@value
class Runtime:
    """What Lambda itself says."""

    region: str
    settings_file: Path | None = field(default=None)
    api: str = ""  # the host and port at which a function's own client asks for its events


def runtime(environ: Mapping[str, str] = ENVIRON) -> Runtime:
    """Return the region, and the settings file that lies beside the functions where there is one."""
    beside = Path(environ.get("LAMBDA_TASK_ROOT", ".")) / DEFAULT_FILE
    return Runtime(
        environ.get("AWS_REGION", ""), beside if beside.exists() else None, environ.get("AWS_LAMBDA_RUNTIME_API", "")
    )


def trace(trace_id: str, environ: MutableMapping[str, str] = ENVIRON) -> None:
    """Tell libraries which trace the invocation belongs to, as Lambda's own client does."""
    environ["_X_AMZN_TRACE_ID"] = trace_id


def load(cloud: CloudSettings, file: Path | None, secrets: Mapping[str, str]) -> Settings:
    """Return the hub's settings in the cloud; what may not stand in *file* is among the *secrets*.

    Raises:
        SettingsError: as `loading.load` does.
    """
    source = str(file or DEFAULT_FILE)
    told = {"hub": {"public_url": cloud.url, "subdomains": cloud.subdomains}}
    read = parse(read_text(file), Path(), {}, source=source, secrets=secrets, defaults={**DEFAULTS, **told})
    return replace(read, hub=replace(read.hub, public_url=read.hub.public_url or cloud.url))


def check_for_deployment(file: Path | None) -> Settings:
    """Return the hub's settings in *file*, which is to go with the functions' code: it may hold no secret.

    Raises:
        SettingsError: as `load` does, and naming a secret that stands in the file.
    """
    toml = parse_toml(read_text(file))
    source = str(file or DEFAULT_FILE)
    hub = toml.get("hub", {})
    for key in ("public_url", "subdomains"):
        if isinstance(hub, dict) and key in hub:
            raise SettingsError(
                f"{source}: hub.{key} is the stage's to say (domain, subdomains): leave it out of [hub]"
            )
    for where in _secrets_in(toml):
        raise SettingsError(
            f"{source}: {where} is a secret, and this file is deployed: put it into the stage's secret (docs/deploy.md)"
        )
    return parse(read_text(file), Path(), {}, source=source, secrets=_AnySecret(), defaults=DEFAULTS)


class _AnySecret(dict[str, str]):
    """Has a secret of every name, each another: those of the deployment are not known where it is described."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return sha256(name)[:MAX_SECRET_LENGTH]

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ARG002 there is always one
        return self[name]


def _secrets_in(toml: Mapping[str, Any]) -> list[str]:
    login, services = toml.get("login", {}), toml.get("services", [])
    found = [f"login.{key}" for key in ("password", "admin_password") if isinstance(login, dict) and login.get(key)]
    listed_services = (
        [service for service in services if isinstance(service, dict)] if isinstance(services, list) else []
    )
    return found + [f"services.{service.get('name')}.token" for service in listed_services if service.get("token")]


def cloud_settings(environ: Mapping[str, str] = ENVIRON) -> CloudSettings:
    """Return what the environment says.

    Raises:
        SettingsError: naming the variable that is missing or wrong.
    """
    read = from_environment(CloudSettings, environ, PREFIX, others=(EDGE_PREFIX,))
    if bool(read.alb_listener) != bool(read.alb_vpc):
        raise SettingsError("HUBLESS_ALB_LISTENER and HUBLESS_ALB_VPC belong together: give both or neither")
    if read.alb_listener and read.economy_instance:
        raise SettingsError("HUBLESS_ALB_LISTENER and HUBLESS_ECONOMY_INSTANCE are two edges: give one of them")
    return read


def to_environment(cloud: CloudSettings) -> dict[str, str]:
    """Return the variables from which `cloud_settings` reads *cloud* again."""
    return as_environment(cloud, PREFIX)
