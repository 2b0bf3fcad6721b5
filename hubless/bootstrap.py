"""The composition root: the only place that names adapters, imported where they are used."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Any

from hubless.domain import roles as roles_
from hubless.domain.errors import InvalidRequestError
from hubless.domain.idleness import Patience
from hubless.domain.roles import Role
from hubless.domain.scopes import Definition, define, parse
from hubless.domain.server import Deadlines
from hubless.domain.users import Group
from hubless.ports.authenticator import Authenticator
from hubless.ports.clock import Clock
from hubless.ports.launcher import Launcher, TaskEvent
from hubless.ports.passwords import PasswordHasher, PasswordStore
from hubless.ports.routes import RouteStore
from hubless.ports.servers import ServerStore
from hubless.ports.tokens import ClientStore, SessionStore, TokenStore
from hubless.ports.users import GroupStore, UserStore
from hubless.services.accounts import Accounts
from hubless.services.activity import Activity
from hubless.services.authorizations import Authorizations
from hubless.services.credentials import Credentials
from hubless.services.departures import Departures
from hubless.services.directory import Directory
from hubless.services.identifiers import new_id
from hubless.services.identity import Identities
from hubless.services.launching import Launching
from hubless.services.logins import Logins
from hubless.services.reaping import Reaping
from hubless.services.routing import Routing
from hubless.services.sharing import Sharing
from hubless.services.spawning import Spawning
from hubless.services.stopping import Stopping
from hubless.services.tokens import Tokens
from hubless.settings import Settings, SettingsError

if TYPE_CHECKING:
    from hubless.adapters.sqlite.database import Database
    from hubless.adapters.sqlite.queue import SqliteQueue


@dataclass(frozen=True, slots=True, eq=False)
class Hub:
    """Everything that a function needs, put together."""

    settings: Settings
    version: str
    key: bytes = field(repr=False)
    clock: Clock
    roles: Mapping[str, Role]
    services: Directory
    users: UserStore
    groups: GroupStore
    servers: ServerStore
    token_store: TokenStore
    clients: ClientStore
    sessions: SessionStore
    launcher: Launcher
    accounts: Accounts
    identities: Identities
    logins: Logins
    tokens: Tokens
    authorizations: Authorizations
    spawning: Spawning
    launching: Launching
    stopping: Stopping
    departures: Departures
    reaping: Reaping
    routing: Routing
    activity: Activity
    sharing: Sharing
    queue: "SqliteQueue"
    read_event: Callable[[Mapping[str, Any]], TaskEvent | None]  # what the launcher's side tells by itself
    changes: Callable[[], Callable[[], bool]]  # makes cheap tests of whether the store may have changed

    @property
    def has_passwords(self) -> bool:
        """Say whether users log in with passwords of their own."""
        return self.settings.login.kind == "password"


def build(settings: Settings) -> Hub:
    """Return the hub of one machine: SQLite, local processes.

    Raises:
        StoreUnavailableError: when the data folder's database cannot be used.
        SettingsError: when roles in *settings* hold a scope that does not exist.
    """
    from hubless.adapters.passwords.argon2 import Argon2PasswordHasher
    from hubless.adapters.processes.launcher import ProcessLauncher
    from hubless.adapters.processes.readiness import HttpReadiness
    from hubless.adapters.sqlite import passwords, usage
    from hubless.adapters.sqlite import queue as queues
    from hubless.adapters.sqlite import servers as server_stores
    from hubless.adapters.sqlite import shares as share_stores
    from hubless.adapters.sqlite import tokens as token_stores
    from hubless.adapters.sqlite import users as user_stores
    from hubless.adapters.sqlite.routes import SqliteRouteStore
    from hubless.adapters.sqlite.services import SqliteServiceStore
    from hubless.adapters.system_clock import SystemClock
    from hubless.adapters.unpaced import Unpaced

    database, clock = open_database(settings), SystemClock()
    role_table = role_table_of(settings)
    profiles = {p.name: p for p in settings.profiles}
    deadlines = Deadlines(
        launching=settings.servers.launch_timeout,
        starting=settings.servers.start_timeout,
        stopping=settings.servers.stop_timeout,
    )
    users, groups = user_stores.SqliteUserStore(database), user_stores.SqliteGroupStore(database)
    servers = server_stores.SqliteServerStore(database)
    token_store = token_stores.SqliteTokenStore(database)
    clients, sessions = token_stores.SqliteClientStore(database), token_stores.SqliteSessionStore(database)
    password_store, attempts = passwords.SqlitePasswordStore(database), passwords.SqliteAttemptStore(database)
    queue, usage_log = queues.SqliteQueue(database), usage.SqliteUsageLog(database)
    hasher = Argon2PasswordHasher()
    launcher = ProcessLauncher(
        settings.launches,
        settings.homes,
        run_as_system_users=settings.servers.run_as_system_users,
        environment=settings.server_environment,
    )
    accounts = Accounts(
        users, servers, password_store, sessions, hasher, clock, frozenset(settings.login.admins), _kept_names(settings)
    )
    shares, share_codes = share_stores.SqliteShareStore(database), share_stores.SqliteShareCodeStore(database)
    routing = Routing(SqliteRouteStore(database), clock)
    services = Directory({s.name: s for s in settings.services}, SqliteServiceStore(database), role_table, routing)
    identities = Identities(token_store, sessions, users, clock, role_table, services)
    key = settings.secret_file.read_bytes()
    credentials = Credentials(clients, clock, key, f"{settings.local_url}/hub/api", settings.hub.public_url)
    stopping = Stopping(servers, users, launcher, routing, credentials, usage_log, queue, clock, deadlines)
    launching = Launching(
        servers, users, launcher, HttpReadiness(), routing, credentials, stopping, queue, Unpaced(), clock, deadlines,
        profiles,
    )
    hub = Hub(
        settings=settings,
        version=version(),
        key=key,
        clock=clock,
        roles=role_table,
        services=services,
        users=users,
        groups=groups,
        servers=servers,
        token_store=token_store,
        clients=clients,
        sessions=sessions,
        launcher=launcher,
        accounts=accounts,
        identities=identities,
        logins=Logins(
            _authenticator(settings, users, password_store, hasher), accounts, attempts, sessions, clock,
            settings.login.max_failures, settings.login.lock_for, settings.hub.cookie_max_age,
        ),
        tokens=Tokens(token_store, accounts, groups, identities, clock, settings.tokens.max_lifetime),
        authorizations=Authorizations(clients, token_store, identities, clock),
        spawning=Spawning(
            servers, queue, clock, profiles, deadlines, settings.servers.named_limit, settings.servers.active_limit
        ),
        launching=launching,
        stopping=stopping,
        departures=Departures(servers, stopping, accounts),
        reaping=Reaping(
            servers, users, launcher, launching, stopping, routing, token_store, clients, sessions, attempts, queue, clock,
            Patience(settings.culling.idle_after, settings.culling.max_age),
            {name: Patience(own.idle_after, own.max_age) for name, own in settings.culling.users.items()},
            profiles, services, share_codes, settings.login.lock_for,
        ),
        routing=routing,
        activity=Activity(servers, users, queue, clock),
        sharing=Sharing(shares, share_codes, servers, users, groups, clock),
        queue=queue,
        read_event=lambda _event: None,  # processes tell nothing by themselves
        changes=database.watcher,
    )  # fmt: skip
    settle_settings(hub)
    return hub


def open_database(settings: Settings) -> "Database":
    """Open the data folder's SQLite file."""
    from hubless.adapters.sqlite.database import Database

    return Database(settings.database)


def open_routes(settings: Settings) -> tuple[RouteStore, Callable[[], bool]]:
    """Return the route table and a cheap test of whether it may have changed: all that an edge's agent needs."""
    from hubless.adapters.sqlite.routes import SqliteRouteStore

    database = open_database(settings)
    return SqliteRouteStore(database), database.watcher()


def open_clock() -> Clock:
    """Return the machine's clock."""
    from hubless.adapters.system_clock import SystemClock

    return SystemClock()


def open_activity(settings: Settings) -> Activity:
    """Return where an edge's agent reports who was active."""
    from hubless.adapters.sqlite.queue import SqliteQueue
    from hubless.adapters.sqlite.servers import SqliteServerStore
    from hubless.adapters.sqlite.users import SqliteUserStore
    from hubless.adapters.system_clock import SystemClock

    database = open_database(settings)
    return Activity(SqliteServerStore(database), SqliteUserStore(database), SqliteQueue(database), SystemClock())


def role_table_of(settings: Settings) -> Mapping[str, Role]:
    """Return the default roles with those of *settings* over them.

    Raises:
        SettingsError: naming the custom scope that cannot be, or the role and the scope that does not exist.
    """
    _define_custom_scopes(settings)
    table = dict(roles_.DEFAULTS)
    for role in settings.roles:
        if role.name == "admin" and role.scopes:
            raise SettingsError("roles.admin: the scopes of the role `admin` cannot be changed; give it users or groups")
        for scope in role.scopes:
            try:
                parse(scope)
            except InvalidRequestError as unknown:
                raise SettingsError(f"roles.{role.name}.scopes: {unknown}") from unknown
        default = table.get(role.name, Role(role.name))
        table[role.name] = Role(
            role.name, tuple(role.scopes) or default.scopes, role.description or default.description,
            frozenset(role.users), frozenset(role.groups), frozenset(role.services),
        )  # fmt: skip
    return table


def _define_custom_scopes(settings: Settings) -> None:
    try:
        define({name: Definition(one.description, tuple(one.subscopes)) for name, one in settings.custom_scopes.items()})
    except InvalidRequestError as wrong:
        raise SettingsError(f"custom_scopes: {wrong}") from wrong


def settle_settings(hub: Hub) -> None:
    """Make what settings name and the store lacks: admins and groups."""
    missing = [name for name in hub.settings.login.admins if hub.users.find(name) is None]
    if missing:
        hub.accounts.add_many(missing, admin=True)
    for name, group in hub.settings.groups.items():
        users = [user for user in group.users if hub.users.find(user) is None]
        if users:
            hub.accounts.add_many(users)
        if hub.groups.find(name) is None:
            hub.groups.create(Group(new_id("g", hub.clock.now()), name, tuple(group.users), dict(group.properties)))


def version() -> str:
    """Return this product's own version."""
    try:
        return installed_version("hubless")
    except PackageNotFoundError:
        return "0"


def _kept_names(settings: Settings) -> Callable[[str], bool]:
    """Return a test of whether a name has something waiting for it: a role, a group, or files of this machine."""
    from hubless.adapters.processes.accounts import is_system_user

    given = {name for role in settings.roles for name in role.users}
    given |= {name for group in settings.groups.values() for name in group.users}
    as_system_users = settings.servers.run_as_system_users
    return lambda name: name in given or is_system_user(name, as_system_users=as_system_users)


def _authenticator(settings: Settings, users: UserStore, passwords: PasswordStore, hasher: PasswordHasher) -> Authenticator:
    if settings.login.kind == "shared-password":
        from hubless.adapters.logins.shared import SharedPasswordAuthenticator

        return SharedPasswordAuthenticator(
            settings.login.password, frozenset(settings.login.admins), frozenset(settings.login.allow_users),
            settings.login.admin_password,
        )  # fmt: skip
    from hubless.adapters.logins.passwords import PasswordAuthenticator

    return PasswordAuthenticator(users, passwords, hasher)


