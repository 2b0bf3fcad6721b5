"""Loading: reads a file into `Settings`, and checks that keys are known, values allowed, and settings consistent."""

import base64
import os
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlsplit

from hubless.domain.bounds import MAX_SECRET_LENGTH
from hubless.domain.budgets import Budget
from hubless.domain.home_limits import HomeLimits
from hubless.domain.idle_policies import IdlePolicies
from hubless.domain.idleness import IdlePolicy
from hubless.domain.login_proxies import LoginProxy
from hubless.domain.lti_platforms import LtiPlatform
from hubless.domain.origins import Origins, host_in, is_domain
from hubless.domain.profiles import Profile
from hubless.domain.providers import Provider
from hubless.domain.schedules import Schedule
from hubless.domain.sign_ups import JoinCode
from hubless.domain.tokens import sha256
from hubless.domain.users import Service
from hubless.domain.values import value
from hubless.settings import types
from hubless.settings.audit import AuditSettings, checked_audit
from hubless.settings.budgets import BudgetSettings, budgets_of
from hubless.settings.environment import ENVIRON
from hubless.settings.login_proxies import LoginProxySettings, login_proxies_of
from hubless.settings.lti import LtiPlatformSettings, platform_of
from hubless.settings.mail import MailSettings, checked_mail
from hubless.settings.messages import MessagesSettings, checked_messages
from hubless.settings.passwords import PasswordsSettings
from hubless.settings.plugin import PluginSettings, with_secrets
from hubless.settings.profiles import ProfileSettings, profiles_of
from hubless.settings.providers import ProviderSettings, providers_of
from hubless.settings.reading import check_unique, did_you_mean, entries, named, read_section
from hubless.settings.schedules import ScheduleSettings, schedules_of
from hubless.settings.sections import (
    ELSEWHERE,
    LISTS,
    NAMED,
    TABLES,
    CullingSettings,
    CustomScopeSettings,
    GroupSettings,
    HubSettings,
    IdlePolicySettings,
    LoginSettings,
    RoleSettings,
    ServersSettings,
    ServiceSettings,
    TokensSettings,
)
from hubless.settings.sharing import SharingSettings
from hubless.settings.sign_up import JoinCodeSettings, SignUpSettings, check_sign_up, join_codes_of
from hubless.settings.theme import ThemeSettings, checked_theme
from hubless.settings.types import SettingsError
from hubless.settings.usage import UsageSettings, checked_usage
from hubless.settings.workloads import Workloads, WorkloadSettings, workloads_of

DEFAULT_FILE = "hubless.toml"
MIN_TOKEN_LENGTH = 8
SHARED_PASSWORD = "HUBLESS_SHARED_PASSWORD"  # noqa: S105 a variable's name
ENVIRONMENTS_OF_ROOT = Path("/var/lib/hubless/environments")
ADMIN_PASSWORD = "HUBLESS_ADMIN_PASSWORD"  # noqa: S105 a variable's name
AUTH_STATE_KEYS = "HUBLESS_AUTH_STATE_KEYS"
KEY_BYTES = 32
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OWN_VARIABLES = ("JUPYTERHUB_", "JPY_")
_SERVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]*")
_REACHED_BY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 compared, not bound
_Section = TypeVar("_Section")
_KEPT = ("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")


@value
class Settings:
    """All settings of a hub. *data* is the folder of its files."""

    data: Path
    hub: HubSettings = field(default_factory=HubSettings)
    theme: ThemeSettings = field(default_factory=ThemeSettings)
    login: LoginSettings = field(default_factory=LoginSettings)
    passwords: PasswordsSettings = field(default_factory=PasswordsSettings)
    mail: MailSettings = field(default_factory=MailSettings)
    sign_up: SignUpSettings = field(default_factory=SignUpSettings)
    budgets: tuple[Budget, ...] = ()
    join_codes: Mapping[str, JoinCode] = field(default_factory=dict, hash=False, repr=False)
    """The join codes by their hashes."""
    plugin: PluginSettings = field(default_factory=PluginSettings)
    servers: ServersSettings = field(default_factory=ServersSettings)
    culling: CullingSettings = field(default_factory=CullingSettings)
    tokens: TokensSettings = field(default_factory=TokensSettings)
    sharing: SharingSettings = field(default_factory=SharingSettings)
    usage: UsageSettings = field(default_factory=UsageSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    messages: MessagesSettings = field(default_factory=MessagesSettings)
    providers: tuple[Provider, ...] = ()
    profiles: tuple[Profile, ...] = (Profile("default"),)
    services: tuple[Service, ...] = ()
    roles: tuple[RoleSettings, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    lti_platforms: tuple[LtiPlatform, ...] = ()
    login_proxies: tuple[LoginProxy, ...] = ()
    workloads: Workloads = field(default_factory=Workloads)
    groups: Mapping[str, GroupSettings] = field(default_factory=dict, hash=False)
    custom_scopes: Mapping[str, CustomScopeSettings] = field(default_factory=dict, hash=False)
    auth_state_keys: tuple[bytes, ...] = field(default=(), repr=False)
    """Keys that seal auth_state, the newest first; without any, one is derived from the hub's own key."""
    server_environment: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The part of the hub's environment that servers get: never its secrets."""
    file: Path | None = None
    """The file that was read, if there is one."""
    run_folder: Path | None = None
    """The folder of the sockets of the hub that runs."""
    chosen_isolation: str = ""
    """The kind of isolation that `hubless up` found to work; empty before."""

    @property
    def search_path(self) -> str:
        """Return the PATH of servers."""
        return self.server_environment.get("PATH", os.defpath)

    @property
    def database(self) -> Path:
        """Return the SQLite file."""
        return self.data / "hub.sqlite"

    @property
    def epoch_file(self) -> Path:
        """Return the file that names the run whose database is there; once it exists, nobody makes another database."""
        return self.data / "epoch"

    @property
    def secret_file(self) -> Path:
        """Return the file with the hub's key."""
        return self.data / "secret"

    @property
    def launches(self) -> Path:
        """Return the folder that has one folder per launch."""
        return self.data / "servers"

    @property
    def resource_limits_file(self) -> Path:
        """Return the file in which `hubless up` writes what holds resource limits on this machine."""
        return self.data / "resource-limits.json"

    @property
    def loads_file(self) -> Path:
        """Return the file in which the worker writes what servers use now."""
        return self.data / "loads.json"

    @property
    def homes(self) -> Path:
        """Return the folder of users' files."""
        return self.data / Path(self.servers.homes or "homes").expanduser()

    @property
    def virtual_environments(self) -> Path:
        """Return the folder in which `hubless up` makes virtual environments for servers."""
        return virtual_environments(self.data, self.servers)

    @property
    def named_virtual_environment(self) -> Path | None:
        """Return the servers' virtual environment that the settings name."""
        named = self.servers.virtual_environment
        return self.data / Path(named).expanduser() if named else None

    @property
    def local_url(self) -> str:
        """Return the hub's address for programs on this machine."""
        host = _REACHED_BY.get(self.hub.host, self.hub.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.hub.port}"

    @property
    def url(self) -> str:
        """Return the hub's address for people."""
        return self.hub.public_url or self.local_url

    @property
    def idle_policies(self) -> IdlePolicies:
        """Return the idle limits of every level."""
        by_user = {name: IdlePolicy(own.idle_after, own.max_age) for name, own in self.culling.users.items()}
        profiles = {profile.name: profile for profile in self.profiles}
        return IdlePolicies(IdlePolicy(self.culling.idle_after, self.culling.max_age), by_user, profiles)

    @property
    def home_limits(self) -> HomeLimits:
        """Return the limits of homes of every level."""
        servers = self.servers
        groups = {name: one.home_limit for name, one in self.groups.items() if one.home_limit is not None}
        return HomeLimits(servers.home_limit, groups, servers.home_limits, servers.home_overrun)

    @property
    def origins(self) -> Origins:
        """Return the addresses at which browsers reach the hub, servers and services."""
        return Origins(self.hub.public_url, self.hub.subdomains)


def load(path: Path | None, data: Path, environ: Mapping[str, str] = ENVIRON) -> Settings:
    """Return the settings of the file at *path*, or the defaults if *path* is None.

    Raises:
        SettingsError: naming the file, the line or the key that is wrong, and the allowed values.
    """
    return parse(read_text(path), data, environ, source=str(path or DEFAULT_FILE))


def read_text(path: Path | None) -> str:
    """Return the text of the file at *path*, or "" if *path* is None.

    Raises:
        SettingsError: naming the file and saying why it cannot be read.
    """
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"Cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8 text") from None


def parse(
    text: str,
    data: Path,
    environ: Mapping[str, str] = ENVIRON,
    *,
    source: str = DEFAULT_FILE,
    secrets: Mapping[str, str] | None = None,
    defaults: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> Settings:
    """Return the settings in *text*.

    Args:
        text: a file's TOML text.
        data: the folder of the hub's files.
        environ: the environment, of which servers get a part.
        source: the file's name in errors.
        secrets: secrets by the name of their variable; the default is *environ*.
        defaults: defaults that differ from the usual ones, by section and key, with values as in a file.

    Raises:
        SettingsError: as `load` does.
    """
    try:
        found = _settings(
            _with(defaults, parse_toml(text)), data.absolute(), environ, environ if secrets is None else secrets
        )
        return replace(found, file=Path(source).absolute()) if text else found
    except SettingsError as error:
        raise SettingsError(f"{source}: {error}") from None


def _with(defaults: Mapping[str, Mapping[str, Any]], toml: dict[str, Any]) -> dict[str, Any]:
    """Return *toml* with *defaults* for missing keys; wrong values stay, so that a later check names them."""
    sections = {
        name: {**keys, **toml.get(name, {})} for name, keys in defaults.items() if isinstance(toml.get(name, {}), dict)
    }
    return {**toml, **sections}


def parse_toml(text: str) -> dict[str, Any]:
    """Return the TOML document *text*.

    Raises:
        SettingsError: naming the line that is wrong.
    """
    if not text:
        return {}
    import tomllib  # noqa: PLC0415 a hub without a file does not need it

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).rpartition(" (at ")
        raise SettingsError(f"{where.rstrip(')')}: {what}" if what else str(error)) from None


def _settings(toml: Mapping[str, Any], data: Path, environ: Mapping[str, str], secrets: Mapping[str, str]) -> Settings:
    for name in toml:
        if name not in TABLES | LISTS | NAMED and name not in ELSEWHERE:
            raise SettingsError(_unknown_section(name))
    read: dict[str, Any] = {name: read_section(kind, toml.get(name, {}), name) for name, kind in TABLES.items()}
    services = _listed(ServiceSettings, toml, "services")
    join_codes = join_codes_of(_listed(JoinCodeSettings, toml, "join_codes"), secrets)
    roles = _listed(RoleSettings, toml, "roles")
    _check_roles(roles, services)
    if read["plugin"].is_set:
        _check_beside_plugin(toml)
        read["login"] = replace(read["login"], kind="none")
    providers = providers_of(_listed(ProviderSettings, toml, "providers"), secrets)
    profiles = profiles_of(_listed(ProfileSettings, toml, "profiles"), read["servers"].environment)
    return Settings(
        data=data,
        hub=_hub(read["hub"]),
        theme=checked_theme(read["theme"]),
        login=_login(read["login"], secrets),
        passwords=read["passwords"],
        mail=checked_mail(read["mail"], secrets),
        sign_up=check_sign_up(read["sign_up"], join_codes, is_on=read["login"].sign_up, has_mail=read["mail"].is_on),
        join_codes=join_codes,
        budgets=budgets_of(_listed(BudgetSettings, toml, "budgets")),
        plugin=with_secrets(read["plugin"], secrets),
        servers=_servers(read["servers"]),
        culling=_culling(read["culling"]),
        tokens=read["tokens"],
        sharing=read["sharing"],
        usage=checked_usage(read["usage"], read["mail"]),
        audit=checked_audit(read["audit"]),
        messages=checked_messages(read["messages"]),
        providers=providers,
        profiles=profiles,
        services=_services(services, secrets),
        roles=roles,
        schedules=schedules_of(_listed(ScheduleSettings, toml, "schedules"), {one.name for one in profiles}),
        lti_platforms=_lti_platforms(_listed(LtiPlatformSettings, toml, "lti_platforms")),
        login_proxies=login_proxies_of(
            _listed(LoginProxySettings, toml, "login_proxies"),
            secrets,
            trusted_proxies=read["hub"].trusted_proxies,
            providers={one.name for one in providers},
        ),
        workloads=workloads_of(_listed(WorkloadSettings, toml, "workloads"), {one.name for one in services}),
        groups=entries(GroupSettings, toml.get("groups", {}), "groups"),
        custom_scopes=entries(CustomScopeSettings, toml.get("custom_scopes", {}), "custom_scopes"),
        auth_state_keys=_auth_state_keys(secrets) if read["login"].auth_state else (),
        server_environment=server_environment(environ, data, read["servers"]),
    )


def _listed(section: type[_Section], toml: Mapping[str, Any], name: str) -> tuple[_Section, ...]:
    return named(section, toml.get(name, []), name)


def _check_beside_plugin(toml: Mapping[str, Any]) -> None:
    """Refuse settings of other logins that have no effect where a class logs people in.

    Raises:
        SettingsError: naming the key.
    """
    login = toml.get("login", {})
    for key in ("password", "admin_password", "sign_up", "shared_password_opens_admins"):
        if login.get(key):
            raise SettingsError(f"login.{key} has no effect with [plugin], whose class logs people in: remove it")
    if login.get("kind", "none") != "none":
        raise SettingsError(
            f'login.kind is "{login["kind"]}", but with [plugin] the class logs people in: remove login.kind'
        )
    if toml.get("providers"):
        raise SettingsError("[plugin] and [[providers]] exclude each other: the class has a login page of its own")
    if not toml["plugin"].get("shares_accounts") and (toml.get("lti_platforms") or toml.get("login_proxies")):
        raise SettingsError(
            "[plugin] logs people in by name, beside another kind of login: whoever its class calls ada gets the"
            " account of the ada who came that way. Set plugin.shares_accounts to true if both mean the same people,"
            " or remove one of them"
        )


def server_environment(environ: Mapping[str, str], data: Path, servers: ServersSettings) -> dict[str, str]:
    """Return what servers get of *environ*, with a PATH that begins with the programs of their virtual environment."""
    kept = {key: environ[key] for key in _KEPT if key in environ}
    beside = Path(sys.prefix).parent / ".venv-servers"  # `make up` makes it beside the hub's own environment
    installed = virtual_environments(data, servers) / "current"  # `hubless up` makes it (embedded.virtual_environment)
    if servers.virtual_environment:
        environments = [data / Path(servers.virtual_environment).expanduser()]
    else:
        environments = [beside, installed.resolve()]
    folders = [str(environment / "bin") for environment in environments if (environment / "bin").is_dir()][:1]
    return kept | {"PATH": os.pathsep.join([*folders, environ.get("PATH", os.defpath)])}


def virtual_environments(data: Path, servers: ServersSettings) -> Path:
    """Return the folder in which `hubless up` makes virtual environments for servers.

    Only the hub's own user may enter the data folder, so servers that run as other users need a folder outside it. Each
    hub has a separate one, because it removes what it does not use.
    """
    if servers.run_as_system_users and os.geteuid() == 0:
        return ENVIRONMENTS_OF_ROOT / sha256(str(data))[:12]
    return data / "environments"


def _hub(hub: HubSettings) -> HubSettings:
    if hub.subdomains and not is_domain(host_in(urlsplit(hub.public_url).netloc)):
        raise SettingsError(
            'hub.subdomains needs a hub.public_url whose host can have subdomains, such as "https://hub.example.org",'
            f' but it is "{hub.public_url}"'
        )
    return hub


def _login(login: LoginSettings, environ: Mapping[str, str]) -> LoginSettings:
    _check_auth_state(login)
    if login.kind == "shared-password":
        return _shared_login(login, environ)
    for key in ("password", "admin_password", "shared_password_opens_admins"):
        if getattr(login, key):
            raise SettingsError(f'login.{key} has an effect only if login.kind is "shared-password": remove it')
    if login.sign_up and login.kind == "none":
        raise SettingsError('login.sign_up has no effect if login.kind is "none": remove it')
    return login


def _check_auth_state(login: LoginSettings) -> None:
    if login.auth_state_to_servers and not login.auth_state:
        raise SettingsError("login.auth_state_to_servers has no effect unless login.auth_state is true: set it")
    for name in login.auth_state_to_servers:
        if not _VARIABLE.fullmatch(name) or name.startswith(_OWN_VARIABLES):
            raise SettingsError(
                f'login.auth_state_to_servers has "{name}", but a variable has letters, digits and _ only, and'
                " those of JupyterHub are the hub's own"
            )


def _auth_state_keys(secrets: Mapping[str, str]) -> tuple[bytes, ...]:
    """Return the keys of the variable, each 64 hexadecimal digits or base64 of 32 bytes, as JupyterHub takes them."""
    given = secrets.get(AUTH_STATE_KEYS, "") if AUTH_STATE_KEYS in secrets else ""
    return tuple(map(_auth_state_key, filter(None, map(str.strip, given.split(";")))))


def _auth_state_key(text: str) -> bytes:
    with suppress(ValueError):
        if len(text) == 2 * KEY_BYTES:
            return bytes.fromhex(text)
        key = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
        if len(key) == KEY_BYTES:
            return key
    raise SettingsError(
        f"{AUTH_STATE_KEYS} has a key that is neither 64 hexadecimal digits nor base64 of {KEY_BYTES} bytes:"
        " `openssl rand -hex 32` makes one"
    )


def _shared_login(given: LoginSettings, environ: Mapping[str, str]) -> LoginSettings:
    password = given.password or environ.get(SHARED_PASSWORD, "")
    if not password:
        raise SettingsError(
            f'login.password is missing: login.kind = "shared-password" needs it, or the variable {SHARED_PASSWORD}'
        )
    if given.sign_up:
        raise SettingsError('login.sign_up has no effect if login.kind is "shared-password": remove it')
    if given.second_factor != "optional" or given.admins_need_second_factor:
        raise SettingsError(
            'login.second_factor and login.admins_need_second_factor need login.kind = "password": with a shared'
            " password anybody could set up a factor in another's name"
        )
    admin_password = given.admin_password or environ.get(ADMIN_PASSWORD, "")
    if admin_password == password:
        raise SettingsError("login.admin_password is the same as login.password: choose another")
    login = replace(given, password=password, admin_password=admin_password)
    if login.admins:
        require_admin_password(login, login.admins, "login.admins")
    return login


def require_admin_password(login: LoginSettings, names: Iterable[str], where: str) -> None:
    """Refuse settings in which the password that all users know opens the *names* of people with an admin's rights.

    Raises:
        SettingsError: naming the people, *where* the settings name them, and what to do.
    """
    if login.kind == "shared-password" and not login.admin_password and not login.shared_password_opens_admins:
        raise SettingsError(
            f"login.admin_password is missing: without it the shared password opens the names in {where} "
            f"({', '.join(names)}). Set it, or the variable {ADMIN_PASSWORD}"
        )


def _servers(servers: ServersSettings) -> ServersSettings:
    if servers.api_page_limit > servers.api_page_max_limit:
        raise SettingsError(
            f"servers.api_page_limit is {servers.api_page_limit}, "
            f"but it must be at most servers.api_page_max_limit, which is {servers.api_page_max_limit}"
        )
    return servers


def _culling(culling: CullingSettings) -> CullingSettings:
    users = {}
    for given, limits in entries(IdlePolicySettings, culling.users, "culling.users").items():
        users[types.USER_NAMES.value([given], "culling.users")[0]] = limits
    return replace(culling, users=users)


def _services(given: tuple[ServiceSettings, ...], environ: Mapping[str, str]) -> tuple[Service, ...]:
    tokens = {service.name: _token(service, environ) for service in given}
    check_unique(filter(None, tokens.values()), "services: a token", secret=True)
    services = tuple(_service(service, tokens[service.name]) for service in given)
    check_unique((s.oauth_client_id for s in services if s.oauth_client_id), "services: the oauth_client_id")
    return services


def _token(service: ServiceSettings, environ: Mapping[str, str]) -> str:
    where = f"services.{service.name}.token"
    if service.token and service.token_env:
        raise SettingsError(f"{where} and {where}_env exclude each other: set only one of them")
    if service.token_env and service.token_env not in environ:
        raise SettingsError(f"{where}_env names {service.token_env}, which is not in the environment")
    token = environ[service.token_env] if service.token_env else service.token
    if (token or service.token_env) and not MIN_TOKEN_LENGTH <= len(token) <= MAX_SECRET_LENGTH:
        raise SettingsError(
            f"{where} has {len(token)} characters, but it must have {MIN_TOKEN_LENGTH} to {MAX_SECRET_LENGTH}"
        )
    return token


def _service(given: ServiceSettings, token: str) -> Service:
    where = f"services.{given.name}"
    if not _SERVICE_NAME.fullmatch(given.name):
        raise SettingsError(
            f"{where}.name may have only letters, digits and . _ ~ -, and must start with a letter or digit"
        )
    client_id = given.oauth_client_id
    if client_id and not client_id.startswith("service-"):
        raise SettingsError(f'{where}.oauth_client_id is "{client_id}", but it must start with "service-"')
    redirect_uri = given.oauth_redirect_uri or (
        f"/services/{given.name}/oauth_callback" if given.url or client_id else ""
    )
    if redirect_uri and not redirect_uri.startswith(("http://", "https://", "/")):
        raise SettingsError(f'{where}.oauth_redirect_uri is "{redirect_uri}", but it must be an address or a path')
    is_client = bool(redirect_uri and token)
    return Service(
        name=given.name,
        admin=given.admin,
        url=given.url or None,
        token_sha256=sha256(token) if token else None,
        oauth_client_id=(client_id or f"service-{given.name}") if is_client else None,
        oauth_redirect_uri=redirect_uri if is_client else None,
        oauth_no_confirm=given.oauth_no_confirm,
        oauth_client_allowed_scopes=given.oauth_client_allowed_scopes,
        info=given.info,
        display=given.display,
    )


def _lti_platforms(given: tuple[LtiPlatformSettings, ...]) -> tuple[LtiPlatform, ...]:
    platforms = tuple(map(platform_of, given))
    check_unique(
        (f"{one.issuer} with {one.client_id}" for one in platforms), "lti_platforms: the issuer with its client_id"
    )
    return platforms


def _check_roles(roles: tuple[RoleSettings, ...], services: tuple[ServiceSettings, ...]) -> None:
    names = {service.name for service in services}
    for role in roles:
        for name in role.services:
            if name not in names:
                raise SettingsError(f'roles.{role.name}.services names "{name}", which is not in [[services]]')


def _unknown_section(name: str) -> str:
    known = sorted({*TABLES, *LISTS, *NAMED, *ELSEWHERE})
    meant = did_you_mean(name, known, "[{}]") or f"; the sections are {', '.join(known)}"
    return f"[{name}] is not a section{meant}"
