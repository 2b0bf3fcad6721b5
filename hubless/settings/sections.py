"""The sections of hubless.toml, each key with its kind, its default and its meaning."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from hubless.domain.values import value
from hubless.settings.types import (
    COMMAND,
    CPUS,
    DURATION,
    FLAG,
    LIMIT,
    NAME,
    NETWORKS,
    ORIGIN,
    PORT,
    SECRET,
    SIZE,
    TABLE,
    TEXT,
    TEXT_TABLE,
    TEXTS,
    URL,
    USER_NAMES,
    WEBSOCKET_TIMEOUT,
    choice,
    count,
    setting,
)


@value
class HubSettings:
    """The hub as a whole."""

    name: str = setting("hubless", NAME, "What the pages call the hub")
    host: str = setting(
        "127.0.0.1",
        NAME,
        "Address to listen on; `0.0.0.0` for every one (`--host` comes before it)",
    )
    port: int = setting(8000, PORT, "Port to listen on (`--port` comes before it)")
    workers: int = setting(1, count(1, 64), "Processes that answer requests (`--workers` comes before it)")
    public_url: str = setting("", ORIGIN, "What browsers call the hub where something in front of it does TLS")
    subdomains: bool = setting(
        False,
        FLAG,
        "Whether each user and service has a host of its own below that of `public_url`, as docs/security.md explains",
    )
    trusted_proxies: tuple[str, ...] = setting([], NETWORKS, "Whose `X-Forwarded-*` headers are believed")
    websocket_timeout: timedelta = setting(
        "48h", WEBSOCKET_TIMEOUT, "How long a WebSocket may stay silent before HAProxy closes it (`timeout tunnel`)"
    )
    cookie_max_age: timedelta = setting("14d", DURATION, "How long a browser stays logged in")
    log_level: str = setting("info", choice("debug", "info", "warning", "error"), "How much is logged")


@value
class LoginSettings:
    """Who may log in and how."""

    kind: str = setting(
        "password",
        choice("password", "shared-password"),
        "A password for each user, or one that all share",
    )
    password: str = setting(
        "",
        SECRET,
        "The shared password (or in the environment, as `HUBLESS_SHARED_PASSWORD`); `shared-password` only",
    )
    admin_password: str = setting(
        "",
        SECRET,
        "The password that `admins` must give instead (or `HUBLESS_ADMIN_PASSWORD`); `shared-password` only",
    )
    admins: tuple[str, ...] = setting([], USER_NAMES, "Users who are made admins when they log in")
    sign_up: bool = setting(False, FLAG, "Whether strangers may make themselves an account; `password` only")
    allow_users: tuple[str, ...] = setting([], USER_NAMES, "Who may log in with the shared password; empty for all")
    max_failures: int = setting(
        10,
        count(1),
        "Wrong guesses at a name from one address before it is locked there; ten times as many lock it everywhere",
    )
    lock_for: timedelta = setting("10m", DURATION, "How long it is locked then")


@value
class ServersSettings:
    """Users' servers."""

    named_limit: int = setting(5, count(0), "Named servers a user may have; 0 turns them off")
    active_limit: int = setting(0, count(0), "Servers that may run at once in the whole hub; 0 for any number")
    launch_timeout: timedelta = setting("60s", DURATION, "How long the launch of a process may take")
    start_timeout: timedelta = setting("60s", DURATION, "How long a server may take until it answers")
    stop_timeout: timedelta = setting("15s", DURATION, "How long a server may take to end before it is killed")
    stop_on_exit: bool = setting(False, FLAG, "Whether servers end with the hub (`--stop-servers-on-exit`)")
    api_page_limit: int = setting(50, count(1), "Entries of an API page where the asker names no number")
    api_page_max_limit: int = setting(200, count(1), "Entries of an API page at most")
    homes: str = setting("", TEXT, "Folder of the users' files; empty for `homes` in the data folder")
    virtual_environment: str = setting(
        "",
        TEXT,
        "Virtual environment with JupyterHub and JupyterLab; empty for one that `hubless up` makes where there is none",
    )
    run_as_system_users: bool = setting(
        True,
        FLAG,
        "Whether a hub that root runs starts the server of a user as the system user of that name",
    )


@value
class IdlePolicySettings:
    """How long a server may be idle and how old it may grow; what is not set comes from further out."""

    idle_after: timedelta | None = setting("", LIMIT, "Stop after so long without activity")
    max_age: timedelta | None = setting("", LIMIT, "Stop after so long in any case")


@value
class CullingSettings:
    """When servers are stopped by themselves. A profile's limits replace these, a user's replace both."""

    idle_after: timedelta | None = setting("", LIMIT, "Stop a server after so long without activity; empty for never")
    max_age: timedelta | None = setting("", LIMIT, "Stop a server after so long in any case; empty for never")
    sweep_every: timedelta = setting("30s", DURATION, "How often that is looked at")
    users: Mapping[str, IdlePolicySettings] = setting(
        {}, TABLE, 'Limits of single users, as in `users = { alice = { idle_after = "8h" } }`'
    )


@value
class TokensSettings:
    """API tokens."""

    max_lifetime: timedelta | None = setting("", LIMIT, "How long a token may be valid; empty for ever")


@value
class ProfileSettings:
    """One of `[[profiles]]`: what an admin offers to start. Without any there is one, `default`."""

    name: str = setting(None, NAME, "What the spawn API chooses by")
    display_name: str = setting("", TEXT, "What the spawn page calls it; empty for the name")
    description: str = setting("", TEXT, "A sentence for the spawn page")
    command: tuple[str, ...] = setting(["jupyterhub-singleuser"], COMMAND, "The program of the server")
    args: tuple[str, ...] = setting([], TEXTS, "Its further arguments")
    environment: Mapping[str, str] = setting({}, TEXT_TABLE, "Its further environment")
    default_url: str = setting("/lab", TEXT, "Where a started server opens")
    image: str = setting("", TEXT, "Its container image, on ECS; empty for the hub's own")
    memory: int | None = setting("", SIZE, "Memory a server may use")
    cpus: float | None = setting(0, CPUS, "Processors a server may use")
    idle_after: timedelta | None = setting("", LIMIT, "As in `[culling]`, for servers of this profile")
    max_age: timedelta | None = setting("", LIMIT, "As in `[culling]`, for servers of this profile")


@value
class ServiceSettings:
    """One of `[[services]]`: a program with a token, an OAuth client, or both."""

    name: str = setting(None, NAME, "Its name, and its place under `/services/`")
    url: str = setting("", URL, "Where it listens; the hub leads `/services/<name>/` there")
    token: str = setting("", SECRET, "Its API token, which is its OAuth client secret too: 8 to 64 characters")
    token_env: str = setting("", TEXT, "The environment variable that holds the token instead")
    admin: bool = setting(False, FLAG, "Whether it may do all that admins may")
    oauth_client_id: str = setting("", TEXT, "Its OAuth client id; empty for `service-<name>`")
    oauth_redirect_uri: str = setting(
        "",
        TEXT,
        "Its OAuth redirect URI; empty for `/services/<name>/oauth_callback` where it has a URL",
    )
    oauth_no_confirm: bool = setting(False, FLAG, "Whether users are sent to it without being asked")
    oauth_client_allowed_scopes: tuple[str, ...] = setting([], TEXTS, "Scopes that it may ask users for")
    info: Mapping[str, Any] = setting({}, TABLE, "Anything, for the services API")
    display: bool = setting(True, FLAG, "Whether the pages list it")


@value
class RoleSettings:
    """One of `[[roles]]`: scopes and who bears them. Scopes for `user` or `server` replace the default ones."""

    name: str = setting(None, NAME, "Its name")
    description: str = setting("", TEXT, "A sentence for admins")
    scopes: tuple[str, ...] = setting([], TEXTS, "What it allows")
    users: tuple[str, ...] = setting([], USER_NAMES, "Users who bear it")
    groups: tuple[str, ...] = setting([], TEXTS, "Groups whose members bear it")
    services: tuple[str, ...] = setting([], TEXTS, "Services that bear it")


@value
class GroupSettings:
    """One of `[groups]`: made at start where it does not exist; its users are added."""

    users: tuple[str, ...] = setting([], USER_NAMES, "Its users")
    properties: Mapping[str, Any] = setting({}, TABLE, "Anything, for the groups API")


@value
class CustomScopeSettings:
    """One of `[custom_scopes]`: a scope that the hub grants and shows like its own, and that services look for."""

    description: str = setting(None, TEXT, "What it allows, for those who are asked to grant it")
    subscopes: tuple[str, ...] = setting([], TEXTS, "Custom scopes that it contains")


TABLES: dict[str, type] = {
    "hub": HubSettings,
    "login": LoginSettings,
    "servers": ServersSettings,
    "culling": CullingSettings,
    "tokens": TokensSettings,
}
LISTS: dict[str, type] = {
    "profiles": ProfileSettings,
    "services": ServiceSettings,
    "roles": RoleSettings,
}
NAMED: dict[str, type] = {"groups": GroupSettings, "custom_scopes": CustomScopeSettings}
ELSEWHERE = frozenset({"stages"})  # what only a deployment reads (hubless.settings.stage)
