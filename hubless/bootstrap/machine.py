"""The hub on one machine: SQLite and local processes."""

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hubless.bootstrap.hub import Hub
from hubless.bootstrap.settings_at_start import apply_settings, require_strong_admin_password
from hubless.settings import Settings
from hubless.settings.profiles import ON_ONE_MACHINE, require_no_spares

if TYPE_CHECKING:
    from hubless.adapters.buffered_metrics import BufferedMetrics
    from hubless.adapters.processes.fork_servers import ForkServers
    from hubless.adapters.processes.isolation import Isolation
    from hubless.adapters.processes.launcher import ProcessLauncher
    from hubless.adapters.processes.load_sampler import LoadSampler
    from hubless.adapters.processes.loads_file import LoadsFile
    from hubless.adapters.processes.machine_turns import MachineTurns
    from hubless.adapters.processes.process_ends import ProcessEnds
    from hubless.adapters.processes.resource_limits import ResourceLimits
    from hubless.adapters.sqlite.database import Database
    from hubless.adapters.sqlite.queue import SqliteQueue
    from hubless.adapters.sqlite.write_watch import WriteWatch
    from hubless.domain.histograms import BucketCount
    from hubless.domain.limits import Resource
    from hubless.ports.archives import ImportMarkStore
    from hubless.ports.audit import AuditLog
    from hubless.ports.auth_state import AuthStateStore
    from hubless.ports.budgets import BudgetStore
    from hubless.ports.bulletin import BulletinStore
    from hubless.ports.checked_names import CheckedNames
    from hubless.ports.clock import Clock
    from hubless.ports.edges import DesiredEdgeStateStore
    from hubless.ports.email_addresses import EmailAddressStore
    from hubless.ports.external_identities import IdentityStore
    from hubless.ports.home_limits import HomeLimitStore
    from hubless.ports.home_usage import HomeUsageStore
    from hubless.ports.inspector import ServerInspector
    from hubless.ports.join_links import JoinLinkStore
    from hubless.ports.launch_rate_limiter import LaunchRateLimiter
    from hubless.ports.launch_times import LaunchTimeStore
    from hubless.ports.launcher import TaskEvent
    from hubless.ports.leases import LeaseStore
    from hubless.ports.ledgers import LedgerStore
    from hubless.ports.letters import LetterStore
    from hubless.ports.login_plugin import LoginPlugin
    from hubless.ports.lti import LtiStore
    from hubless.ports.metrics import HistogramStore
    from hubless.ports.password_logins import PasswordLoginStore
    from hubless.ports.passwords import AttemptStore, PasswordStore
    from hubless.ports.pending_logins import PendingLoginStore
    from hubless.ports.people_batches import PeopleBatchStore
    from hubless.ports.readiness import Readiness
    from hubless.ports.routes import RouteStore
    from hubless.ports.schedules import ScheduleStore
    from hubless.ports.second_factors import FactorStore
    from hubless.ports.servers import ServerStore
    from hubless.ports.services import ServiceStore
    from hubless.ports.shares import ShareCodeStore, ShareStore
    from hubless.ports.sign_ups import JoinCodeStore, SignUpStore
    from hubless.ports.single_use import SingleUseStore
    from hubless.ports.sweeps import SweepStore
    from hubless.ports.tokens import ClientStore, SessionStore, TokenStore
    from hubless.ports.usage import UsageLog
    from hubless.ports.user_notes import UserNoteStore
    from hubless.ports.users import GroupStore, UserStore
    from hubless.ports.visits import VisitStore
    from hubless.ports.waiting import WaitingList
    from hubless.services.activity import Activity
    from hubless.services.home_keeping import HomeKeeping
    from hubless.services.home_measuring import HomeMeasuring
    from hubless.services.leftovers import Leftovers


class MachineHub(Hub):
    """A hub whose state is one SQLite file, and whose servers are local processes."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.sweep_every = settings.culling.sweep_every
        self.write_lock = self._database = open_database(settings)

    @cached_property
    def key(self) -> bytes:
        return self.settings.secret_file.read_bytes()

    @property
    def api_url(self) -> str:
        return f"{self.settings.local_url}/hub/api"

    def read_event(self, event: Mapping[str, Any]) -> "TaskEvent | None":  # noqa: ARG002 local processes send no events
        return None

    def is_reserved(self, name: str) -> bool:
        """Say also whether the name is a system user's, whose files the server would get."""
        from hubless.adapters.processes.accounts import is_system_user

        as_system_users = self.settings.servers.run_as_system_users
        return super().is_reserved(name) or is_system_user(name, as_system_users=as_system_users)

    def network_addresses(self) -> list[str]:
        from hubless.adapters.network_addresses import network_addresses

        return network_addresses()

    def watcher(self) -> Callable[[], bool]:
        """Return a cheap test that says whether the store may have changed since the last call."""
        return self._database.watcher()

    def write_watch(self) -> "WriteWatch":
        """Return what one thread sleeps with until somebody may have written the store."""
        return open_write_watch(self.settings)

    def epoch(self) -> str:
        """Return the epoch of the database: another one than at the start means that somebody restored it."""
        from hubless.adapters.sqlite.epoch import read_epoch

        return read_epoch(self._database)

    @cached_property
    def clock(self) -> "Clock":
        return open_clock()

    @cached_property
    def login_plugin(self) -> "LoginPlugin | None":
        from hubless.bootstrap.plugin import open_plugin

        return open_plugin(self) if self.settings.plugin.is_set else None

    @cached_property
    def users(self) -> "UserStore":
        from hubless.adapters.sqlite.users import SqliteUserStore

        return SqliteUserStore(self._database)

    @cached_property
    def groups(self) -> "GroupStore":
        from hubless.adapters.sqlite.users import SqliteGroupStore

        return SqliteGroupStore(self._database)

    @cached_property
    def servers(self) -> "ServerStore":
        from hubless.adapters.sqlite.servers import SqliteServerStore

        return SqliteServerStore(self._database)

    @cached_property
    def token_store(self) -> "TokenStore":
        from hubless.adapters.sqlite.tokens import SqliteTokenStore

        return SqliteTokenStore(self._database)

    @cached_property
    def clients(self) -> "ClientStore":
        from hubless.adapters.sqlite.tokens import SqliteClientStore

        return SqliteClientStore(self._database)

    @cached_property
    def sessions(self) -> "SessionStore":
        from hubless.adapters.sqlite.tokens import SqliteSessionStore

        return SqliteSessionStore(self._database)

    @cached_property
    def passwords(self) -> "PasswordStore":
        from hubless.adapters.sqlite.passwords import SqlitePasswordStore

        return SqlitePasswordStore(self._database)

    @cached_property
    def attempts(self) -> "AttemptStore":
        from hubless.adapters.sqlite.passwords import SqliteAttemptStore

        return SqliteAttemptStore(self._database)

    @cached_property
    def password_logins(self) -> "PasswordLoginStore":
        from hubless.adapters.sqlite.password_logins import SqlitePasswordLoginStore

        return SqlitePasswordLoginStore(self._database)

    @cached_property
    def shares(self) -> "ShareStore":
        from hubless.adapters.sqlite.shares import SqliteShareStore

        return SqliteShareStore(self._database)

    @cached_property
    def share_codes(self) -> "ShareCodeStore":
        from hubless.adapters.sqlite.shares import SqliteShareCodeStore

        return SqliteShareCodeStore(self._database)

    @cached_property
    def service_store(self) -> "ServiceStore":
        from hubless.adapters.sqlite.services import SqliteServiceStore

        return SqliteServiceStore(self._database)

    @cached_property
    def lti_store(self) -> "LtiStore":
        from hubless.adapters.sqlite.lti import SqliteLtiStore

        return SqliteLtiStore(self._database)

    @cached_property
    def routes(self) -> "RouteStore":
        from hubless.adapters.sqlite.routes import SqliteRouteStore

        return SqliteRouteStore(self._database)

    @cached_property
    def schedule_store(self) -> "ScheduleStore":
        from hubless.adapters.sqlite.schedules import SqliteScheduleStore

        return SqliteScheduleStore(self._database)

    @cached_property
    def budget_store(self) -> "BudgetStore":
        from hubless.adapters.sqlite.budgets import SqliteBudgetStore

        return SqliteBudgetStore(self._database)

    @cached_property
    def ledgers(self) -> "LedgerStore":
        from hubless.adapters.sqlite.ledgers import SqliteLedgerStore

        return SqliteLedgerStore(self._database)

    @cached_property
    def usage(self) -> "UsageLog":
        from hubless.adapters.sqlite.usage import SqliteUsageLog

        return SqliteUsageLog(self._database)

    @cached_property
    def sweeps(self) -> "SweepStore":
        from hubless.adapters.sqlite.sweeps import SqliteSweepStore

        return SqliteSweepStore(self._database)

    @cached_property
    def leases(self) -> "LeaseStore":
        from hubless.adapters.sqlite.leases import SqliteLeaseStore

        return SqliteLeaseStore(self._database)

    @cached_property
    def factor_store(self) -> "FactorStore":
        from hubless.adapters.sqlite.second_factors import SqliteFactorStore

        return SqliteFactorStore(self._database)

    @cached_property
    def external_identities(self) -> "IdentityStore":
        from hubless.adapters.sqlite.external_identities import SqliteIdentityStore

        return SqliteIdentityStore(self._database)

    @cached_property
    def pending_logins(self) -> "PendingLoginStore":
        from hubless.adapters.sqlite.pending_logins import SqlitePendingLoginStore

        return SqlitePendingLoginStore(self._database)

    @cached_property
    def launch_times(self) -> "LaunchTimeStore":
        from hubless.adapters.sqlite.launch_times import SqliteLaunchTimeStore

        return SqliteLaunchTimeStore(self._database)

    @cached_property
    def join_link_store(self) -> "JoinLinkStore":
        from hubless.adapters.sqlite.join_links import SqliteJoinLinkStore

        return SqliteJoinLinkStore(self._database)

    @cached_property
    def bulletin_store(self) -> "BulletinStore":
        from hubless.adapters.sqlite.bulletin import SqliteBulletinStore

        return SqliteBulletinStore(self._database)

    @cached_property
    def people_batches(self) -> "PeopleBatchStore":
        from hubless.adapters.sqlite.people_batches import SqlitePeopleBatchStore

        return SqlitePeopleBatchStore(self._database)

    @cached_property
    def audit_log(self) -> "AuditLog":
        from hubless.adapters.sqlite.audit import SqliteAuditLog

        return SqliteAuditLog(self._database)

    @cached_property
    def waiting(self) -> "WaitingList":
        from hubless.adapters.sqlite.waiting import SqliteWaitingList

        return SqliteWaitingList(self._database)

    @cached_property
    def visit_store(self) -> "VisitStore":
        from hubless.adapters.sqlite.visits import SqliteVisitStore

        return SqliteVisitStore(self._database)

    @cached_property
    def single_use(self) -> "SingleUseStore":
        from hubless.adapters.sqlite.single_use import SqliteSingleUseStore

        return SqliteSingleUseStore(self._database)

    @cached_property
    def auth_states(self) -> "AuthStateStore":
        from hubless.adapters.sqlite.auth_state import SqliteAuthStateStore

        return SqliteAuthStateStore(self._database)

    @cached_property
    def import_marks(self) -> "ImportMarkStore":
        from hubless.adapters.sqlite.import_marks import SqliteImportMarkStore

        return SqliteImportMarkStore(self._database)

    @cached_property
    def letter_store(self) -> "LetterStore":
        from hubless.adapters.sqlite.letters import SqliteLetterStore

        return SqliteLetterStore(self._database)

    @cached_property
    def user_note_store(self) -> "UserNoteStore":
        from hubless.adapters.sqlite.user_notes import SqliteUserNoteStore

        return SqliteUserNoteStore(self._database)

    @cached_property
    def email_addresses(self) -> "EmailAddressStore":
        from hubless.adapters.sqlite.email_addresses import SqliteEmailAddressStore

        return SqliteEmailAddressStore(self._database)

    @cached_property
    def sign_up_store(self) -> "SignUpStore":
        from hubless.adapters.sqlite.sign_ups import SqliteSignUpStore

        return SqliteSignUpStore(self._database)

    @cached_property
    def join_codes(self) -> "JoinCodeStore":
        from hubless.adapters.sqlite.sign_ups import SqliteJoinCodeStore

        return SqliteJoinCodeStore(self._database)

    @cached_property
    def desired_edge_state(self) -> "DesiredEdgeStateStore":
        from hubless.adapters.sqlite.desired_state import SqliteDesiredEdgeStateStore

        return SqliteDesiredEdgeStateStore(self._database)

    @cached_property
    def queue(self) -> "SqliteQueue":
        from hubless.adapters.sqlite.queue import SqliteQueue

        return SqliteQueue(self._database)

    @cached_property
    def launch_rate_limiter(self) -> "LaunchRateLimiter":
        from hubless.adapters.no_rate_limit import NoRateLimit

        return NoRateLimit()

    @cached_property
    def turns(self) -> "MachineTurns":
        from hubless.adapters.processes.idle_starts import IdleStarts
        from hubless.adapters.processes.machine_turns import MachineTurns
        from hubless.adapters.processes.room_reader import read_room

        servers = self.settings.servers
        return MachineTurns(
            self.servers,
            read_room,
            self.clock,
            longest=servers.start_timeout,
            most=servers.starts_at_once,
            idle=IdleStarts(self.settings.launches).among,
        )

    @cached_property
    def launcher(self) -> "ProcessLauncher":
        from hubless.adapters.processes.launcher import ProcessLauncher

        return ProcessLauncher(
            self.settings.launches,
            lambda: self.isolation,
            self.resource_limits,
            environment=self.settings.server_environment,
            fork_servers=self.fork_servers,
        )

    @cached_property
    def fork_servers(self) -> "ForkServers | None":
        """Return the fork servers, or None where the settings have none."""
        from hubless.adapters.processes.fork_servers import ForkServers

        servers = self.settings.servers
        if not servers.fork_servers:
            return None
        folder = self.settings.launches.parent / "fork-servers"
        return ForkServers(folder, self.settings.server_environment, kernels=servers.fork_kernels)

    @cached_property
    def isolation(self) -> "Isolation":
        """Return the kind of isolation that `hubless up` chose; without it, choose one.

        Raises:
            IsolationError: when no kind works, or not the one that the settings name.
        """
        from hubless.adapters.sqlite.owner_uids import SqliteOwnerUidStore
        from hubless.bootstrap import isolation

        def store() -> SqliteOwnerUidStore:
            return SqliteOwnerUidStore(self._database)

        if not (chosen := self.settings.chosen_isolation):
            return isolation.choose(self.settings, store=store).isolation
        return isolation.kinds_of(self.settings, store=store)[chosen]()

    @cached_property
    def resource_limits(self) -> "ResourceLimits":
        """Return what holds the limits of servers: the means that `hubless up` found to work."""
        from hubless.adapters.processes.limit_means import Means
        from hubless.adapters.processes.resource_limits import ResourceLimits

        return ResourceLimits(
            self.settings.launches,
            Means.load(self.settings.resource_limits_file),
            max_processes=self.settings.servers.max_processes,
            one_uid_each=os.geteuid() == 0,  # root gives each owner an id
        )

    @property
    def held_resources(self) -> "frozenset[Resource]":
        return self.resource_limits.holds

    @cached_property
    def checked_names(self) -> "CheckedNames":
        """Return the mark of the last check of all names."""
        from hubless.adapters.sqlite.checked_names import SqliteCheckedNames

        return SqliteCheckedNames(self._database)

    @cached_property
    def home_usage(self) -> "HomeUsageStore":
        from hubless.adapters.sqlite.home_usage import SqliteHomeUsageStore

        return SqliteHomeUsageStore(self._database)

    @cached_property
    def home_limit_store(self) -> "HomeLimitStore":
        from hubless.adapters.sqlite.home_limits import SqliteHomeLimitStore

        return SqliteHomeLimitStore(self._database)

    @cached_property
    def home_measuring(self) -> "HomeMeasuring":
        """Return the service that measures homes."""
        from hubless.adapters.processes.disk_usage import LocalHomes
        from hubless.services.home_measuring import HomeMeasuring

        homes = LocalHomes(self.settings.launches, self.settings.homes)
        return HomeMeasuring(self.servers, self.users, self.home_usage, homes, self.clock, self.home_limiting)

    @cached_property
    def loads(self) -> "LoadsFile":
        from hubless.adapters.processes.loads_file import LoadsFile

        return LoadsFile(self.settings.loads_file)

    @cached_property
    def load_sampler(self) -> "LoadSampler":
        """Return what measures the loads of servers."""
        from hubless.adapters.processes.load_sampler import LoadSampler

        return LoadSampler(self.settings.launches, self.loads)

    @cached_property
    def process_ends(self) -> "ProcessEnds":
        """Return what tells when servers' processes end."""
        from hubless.adapters.processes.process_ends import ProcessEnds

        return ProcessEnds(self.settings.launches)

    @cached_property
    def home_keeping(self) -> "HomeKeeping":
        from hubless.adapters.processes.home_folders import LocalHomeFolders
        from hubless.adapters.sqlite.orphaned_homes import SqliteOrphanedHomeStore
        from hubless.services.home_keeping import HomeKeeping

        lock = self.settings.data / "lock-homes"
        folders = LocalHomeFolders(self.settings.homes, lock, lambda: self.isolation)
        return HomeKeeping(SqliteOrphanedHomeStore(self._database), folders, self.users, self.clock)

    @cached_property
    def readiness(self) -> "Readiness":
        from hubless.adapters.processes.concurrent_readiness import ConcurrentReadiness
        from hubless.adapters.processes.own_port import OwnPortReadiness
        from hubless.adapters.processes.readiness import HttpReadiness

        return ConcurrentReadiness(OwnPortReadiness(self.settings.launches, HttpReadiness()))

    @cached_property
    def inspector(self) -> "ServerInspector":
        from hubless.adapters.http_inspector import HttpInspector

        return HttpInspector(lambda server, _prefix: f"http://{server.address}", self.clock)

    def give_room_back(self) -> None:
        """Return some of the database's free room to the disk, after a sweep has removed what expired."""
        self._database.give_room_back()

    @cached_property
    def leftovers(self) -> "Leftovers":
        """Return the service that removes what launches left."""
        from hubless.services.leftovers import Leftovers

        return Leftovers(self.servers, self.launcher.left, self.launcher.remove)

    @property
    def measures_requests(self) -> bool:
        return True

    @cached_property
    def metrics(self) -> "BufferedMetrics":
        from hubless.adapters.buffered_metrics import BufferedMetrics

        return BufferedMetrics(self.histograms)

    @cached_property
    def histograms(self) -> "HistogramStore":
        from hubless.adapters.sqlite.histograms import SqliteHistogramStore

        return SqliteHistogramStore(self._database)

    def histogram_counts(self) -> "list[BucketCount]":
        self.metrics.flush()  # those of other processes follow within seconds
        return super().histogram_counts()


def build(settings: Settings) -> MachineHub:
    """Return the hub on one machine, with the admins and groups of its settings in the store.

    Raises:
        StoreUnavailableError: when the database in the data folder cannot be used.
        SettingsError: when a role in *settings* has a scope that does not exist, `admin_password` is easy to guess, or
            a profile has `warm`.
    """
    hub = MachineHub(settings)
    hub.roles  # noqa: B018 raises for wrong roles
    require_strong_admin_password(settings)
    require_no_spares(settings.profiles, ON_ONE_MACHINE)
    apply_settings(hub)
    return hub


def fork_servers_in_words(settings: Settings) -> list[str]:
    """Return how servers start on this machine, for an operator."""
    from hubless.adapters.processes.fork_servers import states

    if not settings.servers.fork_servers:
        return ["servers load their packages themselves: fork_servers is off"]
    return states(settings.launches.parent / "fork-servers")


def turns_in_words(settings: Settings) -> list[str]:
    """Return how many servers may start at once on this machine, for an operator."""
    from hubless.adapters.processes.machine_turns import in_words
    from hubless.adapters.processes.room_reader import read_room

    room = read_room()
    most = settings.servers.starts_at_once
    many = f"{most} servers" if most else f"as many servers as the processors ({room.processors}) bear"
    first = "no server starts now" if room.lacks_memory() else f"{many} start at once"
    return [f"{first}; {in_words(room)}"]


def find_resource_limits(settings: Settings) -> str:
    """Find out what can hold servers' resource limits on this machine, and return it as a sentence without a full stop.

    It may move the calling process into a cgroup of its own: call it before the hub starts other processes. Those read
    what it wrote.
    """
    from hubless.adapters.processes.limit_means import Means

    means = Means.find(settings.data)
    means.save(settings.resource_limits_file)
    return means.sentence


def leave_resource_limits(settings: Settings) -> None:
    """Remove what `find_resource_limits` made, unless servers still need it; for a hub that ends."""
    from hubless.adapters.processes.limit_means import Means

    if (groups := Means.load(settings.resource_limits_file).control_groups) is not None:
        groups.leave()


def resource_limits_in_words(settings: Settings) -> str:
    """Return what the last start of the hub found, as `find_resource_limits` does."""
    from hubless.adapters.processes.limit_means import Means

    return Means.load(settings.resource_limits_file).sentence


def open_database(settings: Settings) -> "Database":
    """Open the data folder's SQLite file. Only a hub's first start makes it: later it must be there.

    Raises:
        StoreUnavailableError: when it is not, or cannot be used.
    """
    from hubless.adapters.sqlite.database import Database

    return Database(
        settings.database,
        create=not settings.epoch_file.exists(),
        synchronous=settings.hub.database_synchronous,
    )


def open_routes(settings: Settings) -> "tuple[RouteStore, Callable[[], bool]]":
    """Return the route table, and a cheap test that says whether it may have changed, for the edge's agent."""
    from hubless.adapters.sqlite.routes import SqliteRouteStore

    database = open_database(settings)
    return SqliteRouteStore(database), database.watcher()


def open_write_watch(settings: Settings) -> "WriteWatch":
    """Return what one thread sleeps with until somebody may have written the database."""
    from hubless.adapters.sqlite.write_watch import WriteWatch

    return WriteWatch(settings.database)


def open_clock() -> "Clock":
    """Return the machine's clock."""
    from hubless.adapters.system_clock import SystemClock

    return SystemClock()


def open_activity(settings: Settings) -> "Activity":
    """Return the service to which the edge's agent reports activity."""
    from hubless.adapters.sqlite.leases import SqliteLeaseStore
    from hubless.adapters.sqlite.queue import SqliteQueue
    from hubless.adapters.sqlite.servers import SqliteServerStore
    from hubless.adapters.sqlite.users import SqliteUserStore
    from hubless.adapters.system_clock import SystemClock
    from hubless.services.activity import Activity
    from hubless.services.pacing import Pacing

    database, clock = open_database(settings), SystemClock()
    pacing = Pacing(SqliteLeaseStore(database), clock)
    return Activity(SqliteServerStore(database), SqliteUserStore(database), SqliteQueue(database), clock, pacing)
