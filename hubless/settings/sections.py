"""The sections of hubless.toml: each key with its type, its default and its meaning."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from hubless.domain.languages import ENGLISH
from hubless.domain.languages import NAMES as LANGUAGES
from hubless.domain.values import value
from hubless.settings.audit import AuditSettings
from hubless.settings.budgets import BudgetSettings
from hubless.settings.login_proxies import LoginProxySettings
from hubless.settings.lti import LtiPlatformSettings
from hubless.settings.mail import MailSettings
from hubless.settings.messages import MessagesSettings
from hubless.settings.passwords import PasswordsSettings
from hubless.settings.plugin import PluginSettings
from hubless.settings.profiles import ProfileSettings
from hubless.settings.providers import ProviderSettings
from hubless.settings.schedules import ScheduleSettings
from hubless.settings.sharing import SharingSettings
from hubless.settings.sign_up import JoinCodeSettings, SignUpSettings
from hubless.settings.theme import ThemeSettings
from hubless.settings.types import (
    DURATION,
    FLAG,
    LIMIT,
    NAME,
    NETWORKS,
    ORIGIN,
    PATHS,
    PORT,
    SECRET,
    SIZE,
    SIZE_TABLE,
    SOME_LANGUAGES,
    SOME_SIZE,
    TABLE,
    TEXT,
    TEXT_TABLE,
    TEXTS,
    UID_RANGE,
    URL,
    USER_NAMES,
    WEBSOCKET_TIMEOUT,
    ZONE,
    choice,
    count,
    setting,
)
from hubless.settings.usage import UsageSettings
from hubless.settings.workloads import WorkloadSettings


@value
class HubSettings:
    """The hub as a whole."""

    name: str = setting("hubless", NAME, "The hub's name on its pages")
    announcement: str = setting("", TEXT, "What every page says at its top, in Markdown")
    announcement_login: str = setting("", TEXT, "What the login page says instead")
    announcement_home: str = setting("", TEXT, "What home says instead")
    announcement_spawn: str = setting("", TEXT, "What the page says instead on which a start is chosen")
    announcement_logout: str = setting("", TEXT, "What the page after a logout says instead")
    currency: str = setting("", TEXT, "What stands before the prices of profiles, such as `$` or `EUR `")
    host: str = setting(
        "127.0.0.1",
        NAME,
        "Address to listen on; `0.0.0.0` for all (`--host` overrides it)",
    )
    port: int = setting(8000, PORT, "Port to listen on (`--port` overrides it)")
    workers: int = setting(1, count(1, 64), "Processes that answer requests (`--workers` overrides it)")
    public_url: str = setting("", ORIGIN, "The hub's address for browsers, if a proxy in front of it does TLS")
    subdomains: bool = setting(
        False,
        FLAG,
        "Whether each user and each service has a subdomain of the host in `public_url` (docs/security.md says why)",
    )
    trusted_proxies: tuple[str, ...] = setting(
        [],
        NETWORKS,
        "Networks of proxies whose `X-Forwarded-*` headers the hub trusts. Otherwise all clients behind one proxy share"
        " one lock-out counter",
    )
    connections_per_address: int = setting(
        4000,
        count(0),
        "Connections that one network address (IPv6: /64) has open at once; 0 for no limit. A class may share an"
        " address, and each browser opens about twelve",
    )
    websocket_timeout: timedelta = setting(
        "48h", WEBSOCKET_TIMEOUT, "How long a WebSocket may stay silent before HAProxy closes it (`timeout tunnel`)"
    )
    cookie_max_age: timedelta = setting("14d", DURATION, "How long a browser stays logged in")
    language: str = setting(
        ENGLISH, choice(*LANGUAGES), "The pages' language for whom neither their choice nor their browser decides"
    )
    languages: tuple[str, ...] = setting(
        list(LANGUAGES), SOME_LANGUAGES, "The languages in which pages are offered, beside `language`"
    )
    timezone: str = setting("UTC", ZONE, "The time zone of times that admins choose, such as `Europe/Berlin`")
    help_url: str = setting("", URL, "The address of your help for users, which all pages link to")
    contact: str = setting(
        "", TEXT, "Whom users can ask: a sentence or an address, at the end of all pages and on the page of a refusal"
    )
    database_synchronous: str = setting(
        "normal",
        choice("normal", "full"),
        "Whether a write to the database waits until the disk has it (`full`), so that a loss of power takes nothing"
        " that was acknowledged; `normal` may lose the last moments, and no crash loses anything. On one machine alone",
    )
    log_level: str = setting("info", choice("debug", "info", "warning", "error"), "The lowest level that is logged")

    @property
    def offered_languages(self) -> tuple[str, ...]:
        """Return the pages' languages, the usual one first."""
        return (self.language, *(one for one in self.languages if one != self.language))


@value
class LoginSettings:
    """Logins."""

    kind: str = setting(
        "password",
        choice("password", "shared-password", "none"),
        "One password per user, one password that all users share, or none: people log in at `[[providers]]` and alike",
    )
    password: str = setting(
        "",
        SECRET,
        "The shared password, or set `HUBLESS_SHARED_PASSWORD`; only for `shared-password`",
    )
    admin_password: str = setting(
        "",
        SECRET,
        "The password of `admins`, and of other users who may do more than read and use what is theirs, or set"
        " `HUBLESS_ADMIN_PASSWORD`; only for `shared-password`",
    )
    admins: tuple[str, ...] = setting([], USER_NAMES, "Users who become admins when they log in")
    shared_password_opens_admins: bool = setting(
        False,
        FLAG,
        "Whether the shared password opens the names of admins too, if `admin_password` is not set; only for demos",
    )
    sign_up: bool = setting(False, FLAG, "Whether anybody may create an account; only for `password`")
    allow_all: bool = setting(False, FLAG, "Whether everybody may log in whom a provider vouches for")
    allow_users: tuple[str, ...] = setting(
        [],
        USER_NAMES,
        "Users who may log in at a provider, or with the shared password, where an empty list allows everybody",
    )
    allow_existing_users: bool = setting(
        False, FLAG, "Whether a provider's people may who are users of the hub, whatever the lists say now"
    )
    allow_groups: tuple[str, ...] = setting([], TEXTS, "Groups, as the provider writes them, whose members may log in")
    blocked_users: tuple[str, ...] = setting(
        [], USER_NAMES, "Users who may not log in, whatever else allows it; their sessions and tokens stop working too"
    )
    admin_groups: tuple[str, ...] = setting(
        [], TEXTS, "Groups, as the provider writes them, whose members are admins; others whose groups it says are not"
    )
    managed_groups: bool = setting(
        False,
        FLAG,
        "Whether memberships of groups follow what the provider says at each login; nobody changes them by hand then",
    )
    auto_login: bool = setting(
        False, FLAG, 'Whether the login page leads on at once if `kind` is "none" and there is one provider'
    )
    auth_state: bool = setting(
        False, FLAG, "Whether the hub keeps, sealed, what a provider said at the login (`HUBLESS_AUTH_STATE_KEYS`)"
    )
    auth_state_to_servers: Mapping[str, str] = setting(
        {},
        TEXT_TABLE,
        'Variables of servers, each with its key of auth_state, as in `{ TOKEN = "access_token" }`; not in AWS',
    )
    max_failures: int = setting(
        10,
        count(1),
        "Wrong guesses at a name from one address that lock it there; ten times as many lock it everywhere, except in"
        " browsers in which the user has logged in before",
    )
    lock_for: timedelta = setting("10m", DURATION, "How long a lock lasts")
    max_sessions: int = setting(
        500,
        count(0),
        "Browsers in which a user is logged in; more end the oldest ones (from 64 on, now and then); 0 for no limit",
    )
    second_factor: str = setting(
        "optional",
        choice("optional", "required", "always"),
        "Whether users may or must have a second factor; `always` asks also after a login at a provider"
        " (docs/login-second-factor.md)",
    )
    admins_need_second_factor: bool = setting(False, FLAG, "Whether admins must have a second factor")
    passkeys: bool = setting(True, FLAG, "Whether users may add passkeys, and log in with them alone")


@value
class ServersSettings:
    """Users' servers."""

    named_limit: int = setting(5, count(0), "Named servers per user; 0 disables named servers")
    active_limit: int = setting(0, count(0), "Active servers in the whole hub; 0 for no limit")
    starts_per_hour: int = setting(
        100, count(0, 500), "Starts of one user's servers within an hour, whoever asks for them; 0 for no limit"
    )
    starts_at_once: int = setting(
        0,
        count(0),
        "Servers that start at the same time, on one machine; 0 for as many as the machine bears. Others wait in line",
    )
    progress_streams: int = setting(
        3,
        count(1, 100),
        "Clients that follow the starts of one user's servers at the same time; others get the present progress and ask"
        " again",
    )
    prepare_ahead: timedelta | None = setting(
        "120d",
        LIMIT,
        "In AWS, prepare ahead the starts of users who were seen within this time; `never` for all users, empty for"
        " nobody",
    )
    launch_timeout: timedelta = setting("60s", DURATION, "How long the launch of a process may take")
    start_timeout: timedelta = setting("60s", DURATION, "How long a server may take until it answers")
    stop_timeout: timedelta = setting("15s", DURATION, "How long a server may take to stop before the hub kills it")
    stop_on_exit: bool = setting(False, FLAG, "Whether servers stop with the hub (`--stop-servers-on-exit`)")
    max_processes: int = setting(
        1024,
        count(0),
        "Processes and threads that each server may have, on one machine; 0 for no limit",
    )
    home_limit: int | None = setting(
        "",
        SIZE,
        "Size of a user's files above which the hub tells the user to remove some, on one machine",
    )
    home_limits: Mapping[str, int | None] = setting(
        {}, SIZE_TABLE, 'The same of individual users, as in `home_limits = { alice = "50G" }`'
    )
    home_overrun: timedelta | None = setting(
        "", LIMIT, "How long a server runs while its owner's files are beyond their limit; empty for no difference"
    )
    api_page_limit: int = setting(50, count(1), "Entries of an API page if the request names no number")
    api_page_max_limit: int = setting(200, count(1), "Maximum number of entries of an API page")
    start_by_link: bool = setting(
        False,
        FLAG,
        "Whether a link on another site starts a server at once, as in JupyterHub; otherwise the hub asks first",
    )
    environment: Mapping[str, str] = setting(
        {}, TEXT_TABLE, "Environment variables of every server; those of a profile are stronger"
    )
    homes: str = setting("", TEXT, "Folder of users' files; empty for `homes` in the data folder")
    virtual_environment: str = setting(
        "",
        TEXT,
        "Virtual environment with JupyterHub and JupyterLab; empty for one that `hubless up` makes if there is none",
    )
    fork_servers: bool = setting(
        True,
        FLAG,
        "Whether the hub loads the servers' packages once and forks servers from that process, on one machine",
    )
    fork_kernels: bool = setting(
        False,
        FLAG,
        "Whether forked servers fork their Python kernels as well: a notebook's first result comes sooner",
    )
    run_as_system_users: bool = setting(
        True,
        FLAG,
        "Whether a hub that runs as root starts each user's server as the system user of the same name",
    )
    isolation: str = setting(
        "",
        choice("sandbox", "accounts", "none", ""),
        "What keeps servers away from the hub and from each other; empty for the strongest kind that works",
    )
    uid_range: tuple[int, int] = setting(
        [2_100_000_000, 2_100_099_999],
        UID_RANGE,
        "User ids that a hub which runs as root gives to owners of servers, one for ever to each; nothing else may use"
        " them",
    )
    sandbox_read: tuple[str, ...] = setting(
        [], PATHS, "More folders and files that servers in a sandbox see, read-only"
    )
    sandbox_write: tuple[str, ...] = setting(
        [], PATHS, "More folders that servers in a sandbox see and may write, as far as their account may"
    )
    sandbox_tmp: int = setting(
        "2G", SOME_SIZE, "Size of `/tmp` and of `/dev/shm` in a sandbox. Both are memory, and each sandbox has its own"
    )


@value
class IdlePolicySettings:
    """How long a server may be idle and how old it may grow; a limit that is not set comes from the wider level."""

    idle_after: timedelta | None = setting("", LIMIT, "Stop the server after this time without activity")
    max_age: timedelta | None = setting("", LIMIT, "Stop the server at this age")


@value
class CullingSettings:
    """When the hub stops servers. A profile's limits replace these, and a user's limits replace both."""

    idle_after: timedelta | None = setting(
        "", LIMIT, "Stop a server after this time without activity; empty for no limit"
    )
    max_age: timedelta | None = setting("", LIMIT, "Stop a server at this age; empty for no limit")
    count_busy: bool = setting(
        True, FLAG, "Whether a kernel that computes silently counts as activity, up to `max_age`"
    )
    ask_servers: bool = setting(
        True, FLAG, "Whether the hub asks servers for their kernels; if not, it believes what servers report"
    )
    frozen_after: timedelta | None = setting(
        "30m", LIMIT, "Stop a frozen server after this time, however busy it was (one machine only); empty for no limit"
    )
    keep_running: timedelta | None = setting(
        "1h", LIMIT, "How much later an idle server is stopped if its owner keeps it running; empty if nobody may"
    )
    keep_running_times: int = setting(1, count(1, 1000), "How often the owner may keep it running, in one launch")
    sweep_every: timedelta = setting("30s", DURATION, "How often the hub checks these limits")
    users: Mapping[str, IdlePolicySettings] = setting(
        {}, TABLE, 'Limits of individual users, as in `users = { alice = { idle_after = "8h" } }`'
    )


@value
class TokensSettings:
    """API tokens."""

    max_lifetime: timedelta | None = setting("", LIMIT, "How long a token may be valid; empty for no limit")
    max_per_user: int = setting(
        1000, count(0), "API tokens that a user may have, without expired ones and those of servers; 0 for no limit"
    )


@value
class ServiceSettings:
    """One of `[[services]]`: a program with a token, an OAuth client, or both."""

    name: str = setting(None, NAME, "The service's name, also in its prefix `/services/<name>/`")
    url: str = setting("", URL, "The service's address; the edge routes `/services/<name>/` to it")
    token: str = setting("", SECRET, "The service's API token and OAuth client secret: 8 to 64 characters")
    token_env: str = setting("", TEXT, "The environment variable with the token, instead of `token`")
    admin: bool = setting(False, FLAG, "Whether the service has the scopes of admins")
    oauth_client_id: str = setting("", TEXT, "OAuth client id; empty for `service-<name>`")
    oauth_redirect_uri: str = setting(
        "",
        TEXT,
        "OAuth redirect URI; empty for `/services/<name>/oauth_callback` if the service has a URL",
    )
    oauth_no_confirm: bool = setting(False, FLAG, "Whether the hub skips the consent page")
    oauth_client_allowed_scopes: tuple[str, ...] = setting([], TEXTS, "Scopes that the service may request from users")
    info: Mapping[str, Any] = setting({}, TABLE, "Any values, for the services API")
    display: bool = setting(True, FLAG, "Whether pages list the service")


@value
class RoleSettings:
    """One of `[[roles]]`: scopes, and who has them. Scopes of `user` or `server` replace the default ones."""

    name: str = setting(None, NAME, "The role's name")
    description: str = setting("", TEXT, "A sentence for admins")
    scopes: tuple[str, ...] = setting([], TEXTS, "The role's scopes")
    users: tuple[str, ...] = setting([], USER_NAMES, "Users who have the role")
    groups: tuple[str, ...] = setting([], TEXTS, "Groups whose members have the role")
    services: tuple[str, ...] = setting([], TEXTS, "Services that have the role")


@value
class GroupSettings:
    """One of `[groups]`: the hub creates it at its start if it does not exist, with its users."""

    users: tuple[str, ...] = setting([], USER_NAMES, "The group's users")
    properties: Mapping[str, Any] = setting({}, TABLE, "Any values, for the groups API")
    home_limit: int | None = setting(
        "", SIZE, "`servers.home_limit` of the group's members; of several groups the largest counts"
    )


@value
class CustomScopeSettings:
    """One of `[custom_scopes]`: a scope that the hub grants like its own, and that services check."""

    description: str = setting(None, TEXT, "A sentence for the consent page that says what the scope allows")
    subscopes: tuple[str, ...] = setting([], TEXTS, "Custom scopes that the scope contains")


TABLES: dict[str, type] = {
    "hub": HubSettings,
    "theme": ThemeSettings,
    "login": LoginSettings,
    "passwords": PasswordsSettings,
    "mail": MailSettings,
    "plugin": PluginSettings,
    "sign_up": SignUpSettings,
    "servers": ServersSettings,
    "culling": CullingSettings,
    "tokens": TokensSettings,
    "sharing": SharingSettings,
    "usage": UsageSettings,
    "audit": AuditSettings,
    "messages": MessagesSettings,
}
LISTS: dict[str, type] = {
    "providers": ProviderSettings,
    "profiles": ProfileSettings,
    "services": ServiceSettings,
    "roles": RoleSettings,
    "lti_platforms": LtiPlatformSettings,
    "login_proxies": LoginProxySettings,
    "workloads": WorkloadSettings,
    "join_codes": JoinCodeSettings,
    "budgets": BudgetSettings,
    "schedules": ScheduleSettings,
}
NAMED: dict[str, type] = {"groups": GroupSettings, "custom_scopes": CustomScopeSettings}
ELSEWHERE = frozenset({"stages"})  # only a deployment reads it (hubless.settings.stage)
