"""The hub in AWS: DynamoDB, SQS and ECS; and the entry points of its Lambda functions."""

import gc
import random
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hubless.bootstrap.hub import Hub
from hubless.domain import trusted_headers
from hubless.domain.errors import StoreUnavailableError
from hubless.settings import Settings
from hubless.settings.cloud import CloudSettings, cloud_settings, load, runtime

if TYPE_CHECKING:
    from hubless.adapters.alb.balancer import Balancer
    from hubless.adapters.aws import Clients
    from hubless.adapters.dynamodb.database import Database
    from hubless.adapters.ecs.config import EcsConfig
    from hubless.adapters.ecs.launcher import EcsLauncher
    from hubless.adapters.ssm.parameters import SsmParameters
    from hubless.domain.profiles import Profile
    from hubless.domain.tariffs import Meter
    from hubless.ports.archives import ImportMarkStore
    from hubless.ports.audit import AuditLog
    from hubless.ports.auth_state import AuthStateStore
    from hubless.ports.budgets import BudgetStore
    from hubless.ports.bulletin import BulletinStore
    from hubless.ports.clock import Clock
    from hubless.ports.edges import DesiredEdgeStateStore, EdgeMachine
    from hubless.ports.email_addresses import EmailAddressStore
    from hubless.ports.external_identities import IdentityStore
    from hubless.ports.inspector import ServerInspector
    from hubless.ports.join_links import JoinLinkStore
    from hubless.ports.launch_rate_limiter import LaunchRateLimiter
    from hubless.ports.launch_times import LaunchTimeStore
    from hubless.ports.launcher import Launcher, TaskEvent
    from hubless.ports.leases import LeaseStore
    from hubless.ports.ledgers import LedgerStore
    from hubless.ports.letters import LetterStore
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
    from hubless.services.spares import Spares

T = TypeVar("T")
SHORTEST_KEY = 32  # characters
SECRETS_ATTEMPTS = 8


class CloudHub(Hub):
    """A hub whose state is a DynamoDB table, and whose servers are Fargate tasks."""

    message_is_lost_after = timedelta(minutes=2)  # a class of 2,000 waits nearly that long for its slots
    longest_report_interval = timedelta(minutes=5)  # infra/constructs/edge.py; each report costs a write
    streams = False
    progress_seconds = 20.0  # API Gateway's time-out is 30 seconds
    longest_progress_seconds = 300.0  # of the function that streams
    slow_call_seconds = 0.0  # no task starts or stops as fast, and a function that waits is paid for
    progress_poll_seconds = 1.0  # each poll costs two reads

    def __init__(
        self,
        settings: Settings,
        cloud: CloudSettings,
        region: str,
        secrets: Mapping[str, str],
        text_of: Callable[[str], str] | None = None,
    ) -> None:
        """Create a hub; *text_of* returns the text of an SSM parameter."""
        super().__init__(settings)
        self._cloud, self._region, self._secrets, self._text_of = cloud, region, secrets, text_of
        self.edge_idle_timeout = timedelta(minutes=cloud.economy_idle_minutes)

    @cached_property
    def key(self) -> bytes:
        key = self._secrets.get("key", "")
        if len(key) < SHORTEST_KEY:
            raise StoreUnavailableError(
                f"The parameter {self._cloud.secrets} has no `key` of at least {SHORTEST_KEY} characters"
            )
        return key.encode()

    @cached_property
    def front_secrets(self) -> tuple[str, ...]:
        """Return the secrets of which requests must carry one: two during a rotation, () if none is needed.

        Raises:
            StoreUnavailableError: when secrets are needed and cannot be read.
        """
        if not self._cloud.front:
            return ()
        if self._text_of is None:
            raise StoreUnavailableError(f"This hub cannot read the parameter {self._cloud.front}: pass it `text_of`")
        texts = trusted_headers.secrets_in(self._text_of(self._cloud.front))
        if not texts or min(map(len, texts)) < SHORTEST_KEY:
            raise StoreUnavailableError(
                f"The parameter {self._cloud.front} must have a secret of at least {SHORTEST_KEY} characters, or two in"
                " JSON (`now` and `next`)"
            )
        return texts

    @property
    def region(self) -> str:
        return self._region

    @property
    def api_url(self) -> str:
        return f"{self._cloud.url}/hub/api"

    def read_event(self, event: Mapping[str, Any]) -> "TaskEvent | None":
        from hubless.adapters.ecs import events

        return events.read(event, self._ecs_config)

    @cached_property
    def clock(self) -> "Clock":
        from hubless.adapters.system_clock import SystemClock

        return SystemClock()

    @cached_property
    def _clients(self) -> "Clients":
        from hubless.adapters.aws import Clients

        return Clients(self._region)

    @cached_property
    def _database(self) -> "Database":
        from hubless.adapters.dynamodb.database import Database

        return Database(self._cloud.table, region=self._region)

    @cached_property
    def _ecs_config(self) -> "EcsConfig":
        from hubless.adapters.ecs.config import Capacity, EcsConfig, HomeFileSystem

        cloud = self._cloud
        return EcsConfig(
            hub=cloud.hub,
            region=self._region,
            cluster=cloud.cluster,
            image=cloud.image,
            image_caches=dict(cache.split("=", 1) for cache in cloud.image_caches),
            bucket=cloud.bucket,
            key=cloud.bucket_key,
            execution_role=cloud.execution_role,
            task_role=cloud.task_role,
            subnets=cloud.subnets,
            security_groups=cloud.security_groups,
            log_group=cloud.log_group,
            has_own_image=cloud.own_image,
            public_addresses=cloud.public_addresses,
            capacity=Capacity(cloud.capacity),
            architecture=cloud.architecture,
            cpus=cloud.cpus,
            memory_bytes=cloud.memory,
            homes=HomeFileSystem(cloud.file_system, role_boundary=cloud.role_boundary) if cloud.file_system else None,
        )

    @cached_property
    def users(self) -> "UserStore":
        from hubless.adapters.dynamodb.users import DynamoUserStore

        return DynamoUserStore(self._database)

    @cached_property
    def groups(self) -> "GroupStore":
        from hubless.adapters.dynamodb.groups import DynamoGroupStore

        return DynamoGroupStore(self._database)

    @cached_property
    def servers(self) -> "ServerStore":
        from hubless.adapters.dynamodb.servers import DynamoServerStore

        return DynamoServerStore(self._database)

    @cached_property
    def token_store(self) -> "TokenStore":
        from hubless.adapters.dynamodb.tokens import DynamoTokenStore

        return DynamoTokenStore(self._database)

    @cached_property
    def clients(self) -> "ClientStore":
        from hubless.adapters.dynamodb.clients import DynamoClientStore

        return DynamoClientStore(self._database)

    @cached_property
    def sessions(self) -> "SessionStore":
        from hubless.adapters.dynamodb.sessions import DynamoSessionStore

        return DynamoSessionStore(self._database)

    @cached_property
    def passwords(self) -> "PasswordStore":
        from hubless.adapters.dynamodb.passwords import DynamoPasswordStore

        return DynamoPasswordStore(self._database)

    @cached_property
    def attempts(self) -> "AttemptStore":
        from hubless.adapters.dynamodb.passwords import DynamoAttemptStore

        return DynamoAttemptStore(self._database, lock_for=self.lock_policy.lock_for)

    @cached_property
    def password_logins(self) -> "PasswordLoginStore":
        from hubless.adapters.dynamodb.password_logins import DynamoPasswordLoginStore

        return DynamoPasswordLoginStore(self._database, lock_for=self.lock_policy.lock_for)

    @cached_property
    def shares(self) -> "ShareStore":
        from hubless.adapters.dynamodb.shares import DynamoShareStore

        return DynamoShareStore(self._database)

    @cached_property
    def share_codes(self) -> "ShareCodeStore":
        from hubless.adapters.dynamodb.shares import DynamoShareCodeStore

        return DynamoShareCodeStore(self._database)

    @cached_property
    def service_store(self) -> "ServiceStore":
        from hubless.adapters.dynamodb.services import DynamoServiceStore

        return DynamoServiceStore(self._database)

    @cached_property
    def lti_store(self) -> "LtiStore":
        from hubless.adapters.dynamodb.lti import DynamoLtiStore

        return DynamoLtiStore(self._database)

    @cached_property
    def routes(self) -> "RouteStore":
        from hubless.adapters.dynamodb.routes import DynamoRouteStore

        table = DynamoRouteStore(self._database)
        if not self._cloud.alb_listener:
            return table
        from hubless.adapters.alb.routes import AlbRouteStore

        return AlbRouteStore(table, self._balancer)

    @cached_property
    def _balancer(self) -> "Balancer":
        from hubless.adapters.alb.balancer import AlbConfig, Balancer

        cloud = self._cloud
        config = AlbConfig(
            cloud.hub, cloud.alb_listener, cloud.alb_vpc, rules=cloud.alb_rules, domain=self.origins.domain
        )
        return Balancer(config, self._clients)

    @property
    def active_limit(self) -> int:
        """Return the limit in settings, or the load balancer's capacity if that is lower."""
        wanted = super().active_limit
        if not self._cloud.alb_listener:
            return wanted
        room = self._balancer.config.capacity
        return min(wanted or room, room)

    @property
    def currency(self) -> str:
        """Return what stands before amounts of money: dollars, in which AWS has its prices, if nothing else is set."""
        return super().currency or "$"

    @cached_property
    def meter(self) -> "Meter":
        """Return what meters launches: the sizes that Fargate has, and its prices unless others are set."""
        from hubless.adapters.ecs.prices import tariff_of
        from hubless.adapters.ecs.sizes import MIB, UNITS, size_for
        from hubless.domain.errors import LaunchFailedError
        from hubless.domain.tariffs import Meter, own_size

        config, own = self._ecs_config, self.settings.usage

        def size_of(profile: "Profile") -> tuple[float, int]:
            try:
                size = size_for(
                    cpus=profile.cpus or config.cpus,
                    memory_bytes=profile.memory_bytes or config.memory_bytes,
                    profile=profile.name,
                )
            except LaunchFailedError:  # the launch will say so
                return own_size(profile)
            return size.cpu / UNITS, size.memory * MIB

        is_own = own.has_prices or self.currency != "$"
        return Meter(own.tariff(self.currency) if is_own else tariff_of(config.architecture, self.currency), size_of)

    @cached_property
    def schedule_store(self) -> "ScheduleStore":
        from hubless.adapters.dynamodb.schedules import DynamoScheduleStore

        return DynamoScheduleStore(self._database)

    @cached_property
    def budget_store(self) -> "BudgetStore":
        from hubless.adapters.dynamodb.budgets import DynamoBudgetStore

        return DynamoBudgetStore(self._database)

    @cached_property
    def ledgers(self) -> "LedgerStore":
        from hubless.adapters.dynamodb.ledgers import DynamoLedgerStore

        return DynamoLedgerStore(self._database)

    @cached_property
    def usage(self) -> "UsageLog":
        from hubless.adapters.dynamodb.usage import DynamoUsageLog

        return DynamoUsageLog(self._database)

    @cached_property
    def sweeps(self) -> "SweepStore":
        from hubless.adapters.dynamodb.sweeps import DynamoSweepStore

        return DynamoSweepStore(self._database)

    @cached_property
    def edge_machine(self) -> "EdgeMachine":
        if not self._cloud.economy_instance:
            return super().edge_machine
        from hubless.adapters.ec2.machine import Ec2Machine

        return Ec2Machine(self._cloud.economy_instance, self._clients)

    @cached_property
    def leases(self) -> "LeaseStore":
        from hubless.adapters.dynamodb.leases import DynamoLeaseStore

        return DynamoLeaseStore(self._database)

    @cached_property
    def factor_store(self) -> "FactorStore":
        from hubless.adapters.dynamodb.second_factors import DynamoFactorStore

        return DynamoFactorStore(self._database)

    @cached_property
    def external_identities(self) -> "IdentityStore":
        from hubless.adapters.dynamodb.external_identities import DynamoIdentityStore

        return DynamoIdentityStore(self._database)

    @cached_property
    def pending_logins(self) -> "PendingLoginStore":
        from hubless.adapters.dynamodb.pending_logins import DynamoPendingLoginStore

        return DynamoPendingLoginStore(self._database)

    @cached_property
    def launch_times(self) -> "LaunchTimeStore":
        from hubless.adapters.dynamodb.launch_times import DynamoLaunchTimeStore

        return DynamoLaunchTimeStore(self._database)

    @cached_property
    def join_link_store(self) -> "JoinLinkStore":
        from hubless.adapters.dynamodb.join_links import DynamoJoinLinkStore

        return DynamoJoinLinkStore(self._database)

    @cached_property
    def bulletin_store(self) -> "BulletinStore":
        from hubless.adapters.dynamodb.bulletin import DynamoBulletinStore

        return DynamoBulletinStore(self._database)

    @cached_property
    def people_batches(self) -> "PeopleBatchStore":
        from hubless.adapters.dynamodb.people_batches import DynamoPeopleBatchStore

        return DynamoPeopleBatchStore(self._database)

    @cached_property
    def audit_log(self) -> "AuditLog":
        from hubless.adapters.dynamodb.audit import DynamoAuditLog

        return DynamoAuditLog(self._database, self.settings.audit.keep)

    @cached_property
    def waiting(self) -> "WaitingList":
        from hubless.adapters.dynamodb.waiting import DynamoWaitingList

        return DynamoWaitingList(self._database)

    @cached_property
    def visit_store(self) -> "VisitStore":
        from hubless.adapters.dynamodb.visits import DynamoVisitStore

        return DynamoVisitStore(self._database)

    @cached_property
    def single_use(self) -> "SingleUseStore":
        from hubless.adapters.dynamodb.single_use import DynamoSingleUseStore

        return DynamoSingleUseStore(self._database)

    @cached_property
    def auth_states(self) -> "AuthStateStore":
        from hubless.adapters.dynamodb.auth_state import DynamoAuthStateStore

        return DynamoAuthStateStore(self._database)

    @cached_property
    def import_marks(self) -> "ImportMarkStore":
        from hubless.adapters.dynamodb.import_marks import DynamoImportMarkStore

        return DynamoImportMarkStore(self._database)

    @cached_property
    def letter_store(self) -> "LetterStore":
        from hubless.adapters.dynamodb.letters import DynamoLetterStore

        return DynamoLetterStore(self._database)

    @cached_property
    def user_note_store(self) -> "UserNoteStore":
        from hubless.adapters.dynamodb.user_notes import DynamoUserNoteStore

        return DynamoUserNoteStore(self._database)

    @cached_property
    def email_addresses(self) -> "EmailAddressStore":
        from hubless.adapters.dynamodb.email_addresses import DynamoEmailAddressStore

        return DynamoEmailAddressStore(self._database)

    @cached_property
    def sign_up_store(self) -> "SignUpStore":
        from hubless.adapters.dynamodb.sign_ups import DynamoSignUpStore

        return DynamoSignUpStore(self._database)

    @cached_property
    def join_codes(self) -> "JoinCodeStore":
        from hubless.adapters.dynamodb.sign_ups import DynamoJoinCodeStore

        return DynamoJoinCodeStore(self._database)

    @cached_property
    def desired_edge_state(self) -> "DesiredEdgeStateStore":
        from hubless.adapters.dynamodb.desired_state import DynamoDesiredEdgeStateStore

        return DynamoDesiredEdgeStateStore(self._database)

    @cached_property
    def queue(self) -> "Queue":
        from hubless.adapters.sqs.queue import SqsQueue

        return SqsQueue(self._cloud.queue, self._clients, launches_url=self._cloud.launches_queue)

    @cached_property
    def launch_rate_limiter(self) -> "LaunchRateLimiter":
        return self._launch_rate_limiter(reserve=0)

    @cached_property
    def spare_rate_limiter(self) -> "LaunchRateLimiter":
        from hubless.adapters.ecs import limits

        return self._launch_rate_limiter(limits.SPARES_RESERVE)

    def _launch_rate_limiter(self, reserve: int) -> "LaunchRateLimiter":
        from hubless.adapters.dynamodb.launch_rate_limiter import DynamoLaunchRateLimiter
        from hubless.adapters.ecs import limits

        return DynamoLaunchRateLimiter(
            self._database,
            rate=limits.RATE,
            burst=limits.BURST,
            longest_wait=limits.LONGEST_WAIT,
            clock=self.clock,
            reserve=reserve,
        )

    @cached_property
    def preparation_rate_limiter(self) -> "LaunchRateLimiter":
        return self._preparation_rate_limiter(reserve=0)

    @cached_property
    def ahead_rate_limiter(self) -> "LaunchRateLimiter":
        from hubless.adapters.ecs import limits

        return self._preparation_rate_limiter(limits.RESERVE)

    def _preparation_rate_limiter(self, reserve: int) -> "LaunchRateLimiter":
        from hubless.adapters.dynamodb import keys
        from hubless.adapters.dynamodb.launch_rate_limiter import DynamoLaunchRateLimiter
        from hubless.adapters.ecs import limits

        return DynamoLaunchRateLimiter(
            self._database,
            rate=limits.PREPARATION_RATE,
            burst=limits.PREPARATION_BURST,
            longest_wait=limits.LONGEST_WAIT,
            clock=self.clock,
            item=keys.PREPARATION_SLOT,
            reserve=reserve,
        )

    @property
    def prepare_ahead(self) -> timedelta | None:
        return self.settings.servers.prepare_ahead

    @property
    def launcher(self) -> "Launcher":
        return self._ecs_launcher

    @cached_property
    def _ecs_launcher(self) -> "EcsLauncher":
        from hubless.adapters.ecs.launcher import EcsLauncher

        return EcsLauncher(self._ecs_config, self._clients, self.clock)

    @cached_property
    def spares(self) -> "Spares":
        from hubless.adapters.dynamodb.spares import DynamoSpareStore
        from hubless.services.spares import Spares

        return Spares(DynamoSpareStore(self._database), self._ecs_launcher, self.clock, lambda: self.key, self.api_url)

    @cached_property
    def readiness(self) -> "Readiness":
        from hubless.adapters.activity_readiness import ActivityReadiness

        return ActivityReadiness()

    @property
    def edges_see_traffic(self) -> bool:  # type: ignore[override]  # it depends on the edge
        return not self._cloud.alb_listener

    @cached_property
    def inspector(self) -> "ServerInspector":
        """Return an inspector that reaches servers through the edge, as browsers do: no function is in the VPC."""
        from hubless.adapters.http_inspector import HttpInspector

        return HttpInspector(lambda _server, prefix: self.origins.origin_of(prefix) or self._cloud.url, self.clock)

    @cached_property
    def metrics(self) -> "Metrics":
        from hubless.adapters.powertools.metrics import EmfMetrics

        return EmfMetrics(self._cloud.hub, self.histograms)

    @cached_property
    def histograms(self) -> "HistogramStore":
        from hubless.adapters.dynamodb.histograms import DynamoHistogramStore

        return DynamoHistogramStore(self._database)


class StreamingHub(CloudHub):
    """A hub in the cloud with streamed responses. Lambda ends them after 15 minutes, and bills each second."""

    streams = True
    # Longer than a start takes. Each stream occupies an environment, and an account has 1,000 of them.
    progress_seconds = CloudHub.longest_progress_seconds


def build(kind: type[CloudHub] = CloudHub) -> CloudHub:
    """Return the hub of a function's environment variables. It sends no request to AWS yet.

    Raises:
        SettingsError: naming the variable or key that is missing or wrong.
    """
    cloud, here = cloud_settings(), runtime()
    return assemble(cloud, here.region, here.settings_file, kind)


def assemble(cloud: CloudSettings, region: str, file: Path | None, kind: type[CloudHub] = CloudHub) -> CloudHub:
    """Return the hub of *cloud* with the settings of *file*, for a function or for an operator's command.

    Raises:
        SettingsError: naming the key that is missing or wrong.
    """
    parameters = open_parameters(cloud, region)
    secrets = secrets_among(parameters, cloud)
    return kind(load(cloud, file, secrets), cloud, region, secrets, parameters.text)


def open_secrets(cloud: CloudSettings, region: str) -> Mapping[str, str]:
    """Return the hub's secrets by name; they are read at the first access."""
    return secrets_among(open_parameters(cloud, region), cloud)


def open_parameters(cloud: CloudSettings, region: str) -> "SsmParameters":
    """Return all SSM parameters of the hub; they are read at the first access."""
    from hubless.adapters.aws import Clients
    from hubless.adapters.ssm.parameters import SsmParameters

    # A class that arrives at once starts many environments at once; SSM answers 40 requests a second by default.
    return SsmParameters(tuple(filter(None, (cloud.secrets, cloud.front))), Clients(region, attempts=SECRETS_ATTEMPTS))


def secrets_among(parameters: "SsmParameters", cloud: CloudSettings) -> Mapping[str, str]:
    """Return the hub's secrets by name."""
    from hubless.adapters.ssm.secrets import SsmSecrets

    return SsmSecrets(cloud.secrets, parameters)


def entry(
    handle: Callable[[CloudHub, Mapping[str, Any], Any], T],
    function: str,
    prepare: Callable[[CloudHub], object],
    kind: type[CloudHub] = CloudHub,
) -> Callable[[Mapping[str, Any], Any], T]:
    """Return the function that Lambda calls: it calls *handle* with the hub, the event and the context.

    The hub is created now, and *prepare* creates what every invocation needs: while an environment starts, Lambda gives
    even a small function a full CPU.
    """
    from hubless.adapters.powertools.logs import Logs

    cloud = cloud_settings()
    logs = Logs(cloud.hub, function, cloud.log_level)
    with logs.failures():
        hub = build(kind)
        prepare(hub)
    gc.freeze()  # nothing created until now is ever garbage
    gc.enable()

    # Environments that Lambda copies from one snapshot (SnapStart) have the same state of `random`. Back-offs come from
    # it, boto3's included: all copies would retry at the same moments. Secrets come from the operating system.
    reseed_once = lru_cache(maxsize=1)(random.seed)

    def handler(event: Mapping[str, Any], context: Any) -> T:
        reseed_once()
        with logs.invocation(event, context):
            return handle(hub, event, context)

    return handler
