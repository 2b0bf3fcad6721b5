"""Settings of a hub in AWS: names and addresses of its resources, without secrets, in environment variables.

The deployment writes the variables (`to_environment`) and the functions read them (`cloud_settings`).
"""

import re
from collections.abc import Mapping, MutableMapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from hubless.domain import names
from hubless.domain.bounds import MAX_SECRET_LENGTH
from hubless.domain.login_proxies import PREFIX as LOGIN_HEADER_PREFIX
from hubless.domain.profiles import Profile
from hubless.domain.tokens import sha256
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
from hubless.settings.profiles import WITH_HOMES, ProfileSettings, profiles_of, require_no_spares
from hubless.settings.reading import named
from hubless.settings.types import (
    CPUS,
    NAME,
    SIZE,
    SOME,
    TEXT,
    TEXTS,
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


def _caches(given: Any) -> Any:
    return TEXTS.read(given) if all(all(one.partition("=")) for one in given) else _some_of(None)


_BOUNDARY = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:policy/.+")
_CACHES = SettingType("a list of REGISTRY=ADDRESS", _caches)
_SOME = of_text(SOME, listed, "one or more strings with commas between them")
_CPUS = SettingType("a number of CPUs such as 0.5 or 2", lambda given: _some_of(CPUS.read(float(given))))
_MEMORY = SettingType('a size such as "512M" or "2G"', lambda given: _some_of(SIZE.read(given)))
_HUB_NAME = SettingType("1 to 32 of a-z, 0-9 and single hyphens, beginning with a letter", _hub_name)
# Fargate needs longer than a local process. A task that ends is reported at once: these limits are for lost events.
# Each hour of a server costs money there, so one that nobody uses stops, unless the settings say "never".
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "servers": {"launch_timeout": "10m", "start_timeout": "3m", "stop_timeout": "3m"},
    "culling": {"idle_after": "1h", "max_age": "3d"},
}


@value(kw_only=True)
class CloudSettings:
    """The resources that the hub uses."""

    url: str = setting(None, WEB_ORIGIN, "The hub's address, for browsers and servers")
    hub: str = setting("hubless", _HUB_NAME, "The hub's name, which distinguishes its resources in the account")
    subdomains: bool = setting(
        "false", FLAG_TEXT, "Whether each user and each service has a subdomain of the hub's host"
    )
    table: str = setting(None, NAME, "The DynamoDB table")
    queue: str = setting(None, NAME, "The URL of the SQS queue")
    launches_queue: str = setting("", TEXT, "The URL of a separate queue for launches; empty: one queue for everything")
    secrets: str = setting(None, NAME, "The SSM parameter with the hub's secrets")
    front: str = setting(
        "",
        TEXT,
        "The SSM parameter with the secret that CloudFront sends to the API; empty: the API accepts all requests",
    )
    cluster: str = setting(None, NAME, "The ECS cluster")
    image: str = setting(None, NAME, "The image of profiles that name none")
    image_caches: tuple[str, ...] = setting(
        "",
        of_text(_CACHES, listed, "REGISTRY=ADDRESS, or several with commas between them"),
        "Registries that ECR caches, as `REGISTRY=ADDRESS`: images of REGISTRY are pulled from ADDRESS",
    )
    bucket: str = setting(None, NAME, "The S3 bucket for the secrets of launches")
    bucket_key: str = setting("", TEXT, "The KMS key of that bucket; empty for S3's own")
    execution_role: str = setting(None, NAME, "The role with which ECS starts tasks")
    task_role: str = setting(None, NAME, "The role of servers, which has no permissions")
    subnets: tuple[str, ...] = setting(None, _SOME, "The subnets of servers")
    security_groups: tuple[str, ...] = setting(None, _SOME, "The security groups of servers")
    log_group: str = setting("", TEXT, "The log group of servers; empty: what they write is not kept")
    own_image: bool = setting(
        "false", FLAG_TEXT, "Whether the image is images/singleuser, which has no entrypoint before the server"
    )
    public_addresses: bool = setting(
        "false", FLAG_TEXT, "Whether servers have public IP addresses: needed without a NAT"
    )
    capacity: str = setting("fargate", choice("fargate", "spot", "spot-or-fargate"), "The capacity that servers run on")
    architecture: str = setting("X86_64", choice("X86_64", "ARM64"), "The CPU architecture of their images")
    cpus: float = setting("0.5", _CPUS, "CPUs of profiles that name none")
    memory: int = setting("2G", _MEMORY, "Memory of profiles that name none")
    file_system: str = setting("", TEXT, "The EFS file system of users' files; empty: files are lost with the server")
    role_boundary: str = setting(
        "",
        TEXT,
        "The permissions boundary of users' own roles, with which servers mount their files; empty: they share"
        " HUBLESS_TASK_ROLE",
    )
    alb_listener: str = setting(
        "", TEXT, "The load balancer's listener, if the edge is a load balancer; empty for HAProxy"
    )
    alb_vpc: str = setting("", TEXT, "The VPC of servers, if the edge is a load balancer")
    alb_rules: int = setting(
        "100", of_text(count(1), int, "an integer of at least 1"), "The maximum number of its rules"
    )
    active_limit: int = setting(
        "0",
        of_text(count(0), int, "an integer of at least 0"),
        "`active_limit` if `[servers]` does not set it; 0 for no limit",
    )
    economy_instance: str = setting(
        "", TEXT, "The EC2 instance of the edge that the hub stops while it is idle; empty: the edge always runs"
    )
    economy_idle_minutes: int = setting(
        "10",
        of_text(count(1), int, "an integer of at least 1"),
        "The minutes for which nothing needs the edge before the hub stops it",
    )
    log_level: str = setting("info", choice("debug", "info", "warning", "error"), "The lowest level that is logged")


@value
class Runtime:
    """What Lambda itself provides."""

    region: str
    settings_file: Path | None = field(default=None)
    api: str = ""  # host and port of the Lambda runtime API


def runtime(environ: Mapping[str, str] = ENVIRON) -> Runtime:
    """Return the region, the settings file in the function's bundle if there is one, and the runtime API."""
    beside = Path(environ.get("LAMBDA_TASK_ROOT", ".")) / DEFAULT_FILE
    return Runtime(
        environ.get("AWS_REGION", ""), beside if beside.exists() else None, environ.get("AWS_LAMBDA_RUNTIME_API", "")
    )


def trace(trace_id: str, environ: MutableMapping[str, str] = ENVIRON) -> None:
    """Set the X-Ray trace of the invocation for libraries, as Lambda's own runtime client does."""
    environ["_X_AMZN_TRACE_ID"] = trace_id


def load(cloud: CloudSettings, file: Path | None, secrets: Mapping[str, str]) -> Settings:
    """Return the hub's settings in the cloud, from *file* and from *secrets*, which may not be in the file.

    Raises:
        SettingsError: as `loading.load` does.
    """
    source = str(file or DEFAULT_FILE)
    told = {
        "hub": {"public_url": cloud.url, "subdomains": cloud.subdomains},
        "servers": {**DEFAULTS["servers"], "active_limit": cloud.active_limit},
    }
    _refuse_plugin(parse_toml(read_text(file)), source)
    read = parse(read_text(file), Path(), {}, source=source, secrets=secrets, defaults={**DEFAULTS, **told})
    if cloud.file_system:
        require_no_spares(read.profiles, WITH_HOMES)
    return replace(read, hub=replace(read.hub, public_url=read.hub.public_url or cloud.url))


def profiles_in(file: Path | None) -> tuple[Profile, ...]:
    """Return the profiles in *file*, whether its other settings are valid or not.

    Raises:
        SettingsError: naming the key of a profile that is wrong.
    """
    source = str(file or DEFAULT_FILE)
    try:
        return profiles_of(named(ProfileSettings, parse_toml(read_text(file)).get("profiles", []), "profiles"), {})
    except SettingsError as error:
        raise SettingsError(f"{source}: {error}") from None


def check_for_deployment(file: Path | None) -> Settings:
    """Return the hub's settings in *file* and check that it has no secrets: it is deployed with the functions' code.

    Raises:
        SettingsError: as `load` does, and naming a secret in the file.
    """
    toml = parse_toml(read_text(file))
    source = str(file or DEFAULT_FILE)
    _refuse_plugin(toml, source)
    hub = toml.get("hub", {})
    for key in ("public_url", "subdomains"):
        if isinstance(hub, dict) and key in hub:
            raise SettingsError(f"{source}: remove hub.{key} from [hub]: the stage sets it (domain, subdomains)")
    for where in _secrets_in(toml):
        raise SettingsError(
            f"{source}: {where} is a secret, and this file is deployed: move it to the stage's secret (docs/deploy.md)"
        )
    checked = parse(read_text(file), Path(), {}, source=source, secrets=_AnySecret(), defaults=DEFAULTS)
    if checked.login.auth_state_to_servers:
        raise SettingsError(f"{source}: remove login.auth_state_to_servers: in AWS servers get nothing of auth_state")
    for proxy in checked.login_proxies:
        if proxy.needs_trusted_network:
            raise SettingsError(
                f"{source}: login_proxies.{proxy.name}: a bare name counts on one machine only, because nothing in AWS"
                ' says which proxy sent it. Take a proxy that signs what it says: kind = "jwt"'
            )
        if not proxy.is_kept_from_servers:
            raise SettingsError(
                f'{source}: login_proxies.{proxy.name}.header is "{proxy.header}", but in AWS it must begin with'
                f' "{LOGIN_HEADER_PREFIX}": edges remove those headers from requests to servers'
            )
    return checked


def _refuse_plugin(toml: Mapping[str, Any], source: str) -> None:
    """Refuse a class of JupyterHub: it keeps what it knows in memory and in files, and a function has neither.

    Raises:
        SettingsError: saying what to do instead.
    """
    if toml.get("plugin"):
        raise SettingsError(
            f"{source}: [plugin] works on one machine only, not in AWS's functions: remove it, and name who logs people"
            " in by [[providers]] (docs/login-plugins.md)"
        )


class _AnySecret(dict[str, str]):
    """Has a different secret for every name: the deployment's own secrets are unknown at synthesis."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return sha256(name)[:MAX_SECRET_LENGTH]

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ARG002 every name has a secret
        return self[name]


def _secrets_in(toml: Mapping[str, Any]) -> list[str]:
    login = toml.get("login", {})
    found = [f"login.{key}" for key in ("password", "admin_password") if isinstance(login, dict) and login.get(key)]
    mail = toml.get("mail", {})
    found += ["mail.password"] if isinstance(mail, dict) and mail.get("password") else []
    return found + [
        f"{section}.{entry.get('name')}.{key}"
        for section, key in (("services", "token"), ("join_codes", "code"), ("providers", "client_secret"))
        for entry in _tables_in(toml.get(section))
        if entry.get(key)
    ]


def _tables_in(given: Any) -> list[dict[str, Any]]:
    return [entry for entry in given if isinstance(entry, dict)] if isinstance(given, list) else []


def cloud_settings(environ: Mapping[str, str] = ENVIRON) -> CloudSettings:
    """Return the settings in the environment.

    Raises:
        SettingsError: naming the variable that is missing or wrong.
    """
    read = from_environment(CloudSettings, environ, PREFIX, others=(EDGE_PREFIX,))
    if bool(read.alb_listener) != bool(read.alb_vpc):
        raise SettingsError("HUBLESS_ALB_LISTENER and HUBLESS_ALB_VPC belong together: set both or neither")
    if read.role_boundary and not read.file_system:
        raise SettingsError("HUBLESS_ROLE_BOUNDARY needs HUBLESS_FILE_SYSTEM: users' roles mount it")
    if read.role_boundary and not _BOUNDARY.fullmatch(read.role_boundary):
        raise SettingsError("HUBLESS_ROLE_BOUNDARY must be the ARN of a policy of IAM")
    if read.alb_listener and read.economy_instance:
        raise SettingsError("HUBLESS_ALB_LISTENER and HUBLESS_ECONOMY_INSTANCE are two edges: set only one of them")
    return read


def to_environment(cloud: CloudSettings) -> dict[str, str]:
    """Return *cloud* as environment variables: the inverse of `cloud_settings`."""
    return as_environment(cloud, PREFIX)
