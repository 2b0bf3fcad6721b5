"""What a platform (a machine, the cloud) provides: stores, clocks, launchers, and what differs about time."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hubless.settings import Settings

if TYPE_CHECKING:
    from hubless.domain.histograms import BucketCount
    from hubless.domain.limits import Resource
    from hubless.ports.archives import ImportMarkStore
    from hubless.ports.audit import AuditLog
    from hubless.ports.auth_state import AuthStateStore
    from hubless.ports.budgets import BudgetStore
    from hubless.ports.bulletin import BulletinStore
    from hubless.ports.clock import Clock
    from hubless.ports.edges import DesiredEdgeStateStore, EdgeMachine
    from hubless.ports.email_addresses import EmailAddressStore
    from hubless.ports.external_identities import IdentityStore
    from hubless.ports.home_limits import HomeLimitStore
    from hubless.ports.home_usage import HomeUsageStore
    from hubless.ports.inspector import ServerInspector
    from hubless.ports.join_links import JoinLinkStore
    from hubless.ports.launch_rate_limiter import LaunchRateLimiter
    from hubless.ports.launch_times import LaunchTimeStore
    from hubless.ports.launch_turns import LaunchTurns
    from hubless.ports.launcher import Launcher, TaskEvent
    from hubless.ports.leases import LeaseStore
    from hubless.ports.ledgers import LedgerStore
    from hubless.ports.letters import LetterStore
    from hubless.ports.loads import Loads
    from hubless.ports.lti import LtiStore
    from hubless.ports.metrics import HistogramStore, Metrics
    from hubless.ports.password_logins import PasswordLoginStore
    from hubless.ports.passwords import AttemptStore, PasswordStore
    from hubless.ports.pending_logins import PendingLoginStore
    from hubless.ports.people_batches import PeopleBatchStore
    from hubless.ports.queue import Queue
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
    from hubless.ports.write_lock import WriteLock
    from hubless.services.home_keeping import HomeKeeping
    from hubless.services.spares import Spares


class Platform(ABC):
    """The ports of a hub. A machine and the cloud each have their own; the services on them are the same."""

    message_is_lost_after = timedelta(seconds=20)
    """When the sweep sends the message of a waiting start again; a stop's message after a quarter of this time."""

    progress_seconds: float | None = None
    """How long a progress stream of this process may last; None for no limit."""

    longest_progress_seconds = 0.0
    """How long a progress stream may last in the process or function where it may last longest; 0 if all are alike."""

    edge_idle_timeout = timedelta(minutes=10)
    """How long nothing needs the edge before the hub stops it, if it may."""

    streams = True
    """Whether a response reaches the client while it is written, and not when it is complete."""

    edges_see_traffic = True
    """Whether edges report which servers people used; a load balancer does not."""

    longest_report_interval = timedelta(seconds=30)
    """How often edges report activity, if no idle limit is short."""

    sweep_every = timedelta(minutes=1)
    """How often sweeps begin."""

    slow_call_seconds = 10.0
    """How long the API waits for a start or a stop before it answers 202: JupyterHub's `slow_spawn_timeout`."""

    progress_poll_seconds = 0.15
    """The interval at which a progress stream reads the server's record."""

    home_poll_seconds = 1.0
    """The interval at which the stream of an open home page reads its user's servers."""

    home_seconds = 120.0
    """How long such a stream lasts before the browser must connect again."""

    write_lock: "WriteLock | None" = None
    """The lock that the store gives to one writer at a time; None where writers do not wait for each other."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    @abstractmethod
    def key(self) -> bytes:
        """Return the secret from which tokens of launches and of pages are derived."""

    @property
    @abstractmethod
    def api_url(self) -> str:
        """Return the API's address for servers."""

    @abstractmethod
    def read_event(self, event: Mapping[str, Any]) -> "TaskEvent | None":
        """Return the task event in *event*, or None if *event* is about something else."""

    def is_reserved(self, name: str) -> bool:
        """Say whether settings give a role or a group to a user of that name, stored or not."""
        return any(name in role.users for role in self.settings.roles) or any(
            name in group.users for group in self.settings.groups.values()
        )

    @property
    @abstractmethod
    def clock(self) -> "Clock": ...

    @property
    @abstractmethod
    def users(self) -> "UserStore": ...

    @property
    @abstractmethod
    def groups(self) -> "GroupStore": ...

    @property
    @abstractmethod
    def inspector(self) -> "ServerInspector": ...

    @property
    @abstractmethod
    def servers(self) -> "ServerStore": ...

    @property
    @abstractmethod
    def token_store(self) -> "TokenStore": ...

    @property
    @abstractmethod
    def clients(self) -> "ClientStore": ...

    @property
    @abstractmethod
    def sessions(self) -> "SessionStore": ...

    @property
    @abstractmethod
    def passwords(self) -> "PasswordStore": ...

    @property
    @abstractmethod
    def attempts(self) -> "AttemptStore": ...

    @property
    @abstractmethod
    def password_logins(self) -> "PasswordLoginStore": ...

    @property
    @abstractmethod
    def shares(self) -> "ShareStore": ...

    @property
    @abstractmethod
    def share_codes(self) -> "ShareCodeStore": ...

    @property
    @abstractmethod
    def service_store(self) -> "ServiceStore": ...

    @property
    @abstractmethod
    def lti_store(self) -> "LtiStore": ...

    @property
    @abstractmethod
    def routes(self) -> "RouteStore": ...

    @property
    @abstractmethod
    def usage(self) -> "UsageLog": ...

    @property
    @abstractmethod
    def schedule_store(self) -> "ScheduleStore": ...

    @property
    @abstractmethod
    def budget_store(self) -> "BudgetStore": ...

    @property
    @abstractmethod
    def ledgers(self) -> "LedgerStore": ...

    @property
    @abstractmethod
    def sweeps(self) -> "SweepStore": ...

    @property
    def edge_machine(self) -> "EdgeMachine":
        """Return the edge's machine; by default one that always runs."""
        from hubless.adapters.always_on_edge import AlwaysOnEdge

        return AlwaysOnEdge()

    @property
    @abstractmethod
    def leases(self) -> "LeaseStore": ...

    @property
    @abstractmethod
    def factor_store(self) -> "FactorStore": ...

    @property
    @abstractmethod
    def external_identities(self) -> "IdentityStore": ...

    @property
    @abstractmethod
    def pending_logins(self) -> "PendingLoginStore": ...

    @property
    @abstractmethod
    def launch_times(self) -> "LaunchTimeStore": ...

    @property
    @abstractmethod
    def join_link_store(self) -> "JoinLinkStore": ...

    @property
    @abstractmethod
    def bulletin_store(self) -> "BulletinStore": ...

    @property
    @abstractmethod
    def people_batches(self) -> "PeopleBatchStore": ...

    @property
    @abstractmethod
    def audit_log(self) -> "AuditLog": ...

    @property
    @abstractmethod
    def waiting(self) -> "WaitingList": ...

    @property
    @abstractmethod
    def visit_store(self) -> "VisitStore": ...

    @property
    @abstractmethod
    def single_use(self) -> "SingleUseStore": ...

    @property
    @abstractmethod
    def auth_states(self) -> "AuthStateStore": ...

    @property
    @abstractmethod
    def import_marks(self) -> "ImportMarkStore": ...

    @property
    @abstractmethod
    def email_addresses(self) -> "EmailAddressStore": ...

    @property
    @abstractmethod
    def letter_store(self) -> "LetterStore": ...

    @property
    @abstractmethod
    def user_note_store(self) -> "UserNoteStore": ...

    @property
    @abstractmethod
    def sign_up_store(self) -> "SignUpStore": ...

    @property
    @abstractmethod
    def join_codes(self) -> "JoinCodeStore": ...

    @property
    @abstractmethod
    def desired_edge_state(self) -> "DesiredEdgeStateStore": ...

    @property
    @abstractmethod
    def queue(self) -> "Queue": ...

    @property
    @abstractmethod
    def launch_rate_limiter(self) -> "LaunchRateLimiter": ...

    @property
    def turns(self) -> "LaunchTurns | None":
        """Return whose turn it is to launch; None, as by default, where the launcher has room for all."""
        return None

    @property
    def spares(self) -> "Spares | None":
        """Return what gives waiting tasks to launches; None, as by default, where no tasks wait."""
        return None

    @property
    def spare_rate_limiter(self) -> "LaunchRateLimiter":
        """Return the limiter of spares, which leaves room for launches; by default that of launches."""
        return self.launch_rate_limiter

    @property
    def preparation_rate_limiter(self) -> "LaunchRateLimiter":
        """Return the limiter of preparations for starts; by default one without a limit."""
        from hubless.adapters.no_rate_limit import NoRateLimit

        return NoRateLimit()

    @property
    def ahead_rate_limiter(self) -> "LaunchRateLimiter":
        """Return the limiter of preparations ahead, which leaves room for starts; by default one without a limit."""
        from hubless.adapters.no_rate_limit import NoRateLimit

        return NoRateLimit()

    @property
    def prepare_ahead(self) -> timedelta | None:
        """Return how long ago users may have been seen for whom the sweep prepares launches; None for nobody."""
        return None

    @property
    @abstractmethod
    def launcher(self) -> "Launcher": ...

    @property
    def held_resources(self) -> "frozenset[Resource]":
        """Return the resources of a profile that servers cannot exceed: the spawn page promises no others."""
        from hubless.domain.limits import Resource

        return frozenset({Resource.MEMORY, Resource.CPUS})

    @property
    def home_usage(self) -> "HomeUsageStore":
        """Return the store of homes' sizes; by default one in which nobody writes."""
        from hubless.adapters.no_home_usage import NoHomeUsage

        return NoHomeUsage()

    @property
    def home_limit_store(self) -> "HomeLimitStore | None":
        """Return the store of limits that admins set while the hub runs; None where nothing measures homes."""
        return None

    @property
    def loads(self) -> "Loads | None":
        """Return what servers use now; None where the hub does not reach their processes."""
        return None

    @property
    def home_keeping(self) -> "HomeKeeping | None":
        """Return the service for files of removed users; None where the hub does not reach homes."""
        return None

    @property
    @abstractmethod
    def readiness(self) -> "Readiness": ...

    @property
    @abstractmethod
    def metrics(self) -> "Metrics": ...

    @property
    def measures_requests(self) -> bool:
        """Say whether `/hub/metrics` has a histogram of all requests: each would be a write in DynamoDB."""
        return False

    @property
    @abstractmethod
    def histograms(self) -> "HistogramStore": ...

    def histogram_counts(self) -> "list[BucketCount]":
        """Return the counts of all histograms and all processes, for `/hub/metrics`."""
        return self.histograms.all()
