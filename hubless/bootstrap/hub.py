"""The hub: its services on the ports of one platform, each created at its first use."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from hubless.domain.errors import HublessError, InvalidRequestError
from hubless.domain.lifecycle import Deadlines
from hubless.settings import Settings, SettingsError

logger = logging.getLogger(__name__)

SWEEP_SLACK = timedelta(seconds=10)  # by which a sweep may be late after another that did not come

if TYPE_CHECKING:
    from hubless.adapters.aws import Clients
    from hubless.adapters.mail.smtp import SmtpMailer
    from hubless.bootstrap.lti import Lti
    from hubless.domain.admission import AdmissionPolicy
    from hubless.domain.histograms import BucketCount
    from hubless.domain.hub_addresses import HubAddress
    from hubless.domain.idle_policies import IdlePolicies
    from hubless.domain.lifecycle import Server
    from hubless.domain.limits import Resource
    from hubless.domain.lock_policy import LockPolicy
    from hubless.domain.origins import Origins
    from hubless.domain.profiles import Profile
    from hubless.domain.roles import Role
    from hubless.domain.tariffs import Meter
    from hubless.domain.users import User
    from hubless.ports.archives import ImportMarkStore
    from hubless.ports.audit import AuditLog
    from hubless.ports.auth_state import AuthStateStore
    from hubless.ports.authenticator import Authenticator
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
    from hubless.ports.login_plugin import LoginPlugin
    from hubless.ports.login_providers import LoginProvider
    from hubless.ports.lti import LtiStore
    from hubless.ports.mailer import Mailer
    from hubless.ports.metrics import HistogramStore, Metrics
    from hubless.ports.password_logins import PasswordLoginStore
    from hubless.ports.passwords import AttemptStore, PasswordHasher, PasswordStore
    from hubless.ports.pending_logins import PendingLoginStore
    from hubless.ports.people_batches import PeopleBatchStore
    from hubless.ports.queue import Queue
    from hubless.ports.readiness import Readiness
    from hubless.ports.routes import RouteStore
    from hubless.ports.schedules import ScheduleStore
    from hubless.ports.second_factors import FactorStore, SecretSealer
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
    from hubless.services.accounts import Accounts
    from hubless.services.activity import Activity
    from hubless.services.adding_people import AddingPeople
    from hubless.services.announcements import Announcements
    from hubless.services.auditing import Auditing
    from hubless.services.auth_refreshing import AuthRefreshing
    from hubless.services.auth_states import AuthStates
    from hubless.services.authorizations import Authorizations
    from hubless.services.budget_mails import BudgetMails
    from hubless.services.budgets import Budgets
    from hubless.services.bulletin_reading import BulletinReader
    from hubless.services.credentials import Credentials
    from hubless.services.edge_autosuspend import EdgeAutosuspend
    from hubless.services.email_addresses import EmailAddresses
    from hubless.services.exporting import Exporting
    from hubless.services.external_logins import ExternalLogins
    from hubless.services.following import Following
    from hubless.services.group_editing import GroupEditing
    from hubless.services.group_following import GroupFollowing
    from hubless.services.group_references import GroupReferences
    from hubless.services.home_keeping import HomeKeeping
    from hubless.services.home_limiting import HomeLimiting
    from hubless.services.identity import Identities
    from hubless.services.imported_secret_checks import ImportedSecretChecks
    from hubless.services.inspecting import Inspecting
    from hubless.services.join_links import JoinLinks
    from hubless.services.keeping import Keeping
    from hubless.services.launching import Launching
    from hubless.services.lessons import Lessons
    from hubless.services.letters import LetterMails, Letters
    from hubless.services.login_beginnings import LoginBeginnings
    from hubless.services.login_throttling import LoginThrottle
    from hubless.services.logins import Logins
    from hubless.services.maintaining import Maintaining
    from hubless.services.moving import Moving
    from hubless.services.name_checks import NameChecks
    from hubless.services.name_lookups import NameLookups
    from hubless.services.own_data import OwnData
    from hubless.services.pacing import Pacing
    from hubless.services.passkeys import Passkeys
    from hubless.services.password_changes import PasswordChanges
    from hubless.services.password_login import PasswordLogin
    from hubless.services.password_policy import PasswordPolicy
    from hubless.services.password_resets import PasswordResets
    from hubless.services.plugin_login import PluginLogin
    from hubless.services.preparing import Preparing, PreparingAhead
    from hubless.services.privileges import Privileges
    from hubless.services.provider_logins import ProviderLogins
    from hubless.services.proxy_logins import ProxyLogins
    from hubless.services.reaping import Reaping
    from hubless.services.routing import Routing
    from hubless.services.schedules import Schedules
    from hubless.services.second_factors import SecondFactors
    from hubless.services.service_registry import ServiceRegistry
    from hubless.services.sharing import Sharing
    from hubless.services.sign_ups import SignUps
    from hubless.services.spawning import Spawning
    from hubless.services.stopping import Stopping
    from hubless.services.token_exchange import TokenExchange
    from hubless.services.tokens import Tokens
    from hubless.services.unused_secrets import UnusedSecrets
    from hubless.services.uptime_log import UptimeLog
    from hubless.services.usage_reports import UsageReports
    from hubless.services.user_notes import UserNotes
    from hubless.services.user_removal import UserRemoval
    from hubless.services.visits import Visits
    from hubless.settings.mail import MailSettings


class Hub(ABC):
    """Everything that a function needs. A platform (a machine, the cloud) provides the ports; services are the same."""

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

    # --- provided by the platform ---

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

    # --- the same everywhere ---

    @cached_property
    def version(self) -> str:
        """Return this product's own version."""
        from importlib.metadata import PackageNotFoundError
        from importlib.metadata import version as installed_version

        try:
            return installed_version("hubless")
        except PackageNotFoundError:
            return "0"

    @cached_property
    def origins(self) -> "Origins":
        """Return the addresses at which browsers reach the hub, servers and services."""
        return self.settings.origins

    def address_for_others(self, asked_at: str, *, host: str = "") -> "HubAddress":
        """Return the hub's address for links that somebody sends or prints.

        Args:
            asked_at: the address at which this person has asked the hub.
            host: on which the hub listens; "" for what settings say.
        """
        from hubless.domain.hub_addresses import address_for_others

        hub = self.settings.hub
        return address_for_others(hub.public_url, asked_at, host=host or hub.host, network=self.network_addresses)

    def network_addresses(self) -> list[str]:
        """Return the machine's addresses in its network; none where the hub has a machine of nobody's."""
        return []

    @property
    def has_passwords(self) -> bool:
        """Say whether each user has a password."""
        return self.settings.login.kind == "password"

    @property
    def login_plugin(self) -> "LoginPlugin | None":
        """Return the JupyterHub authenticator class that logs people in; by default none."""
        return None

    @property
    def authenticator_class(self) -> str:
        """Return what logs people in, as `/hub/api/info` shows it."""
        plugin = self.login_plugin
        return plugin.name if plugin is not None else f"hubless.{self.authenticator.name}"

    @cached_property
    def profiles(self) -> "Mapping[str, Profile]":
        return {profile.name: profile for profile in self.settings.profiles}

    @property
    def active_limit(self) -> int:
        """Return the maximum number of active servers; 0 for no limit."""
        return self.settings.servers.active_limit

    @cached_property
    def deadlines(self) -> Deadlines:
        servers = self.settings.servers
        return Deadlines(
            launching=servers.launch_timeout, starting=servers.start_timeout, stopping=servers.stop_timeout
        )

    @cached_property
    def roles(self) -> "Mapping[str, Role]":
        from hubless.bootstrap.roles import role_table_of

        return role_table_of(self.settings)

    @cached_property
    def hasher(self) -> "PasswordHasher":
        from hubless.adapters.passwords.argon2 import Argon2PasswordHasher
        from hubless.adapters.passwords.imported import ImportedPasswordHasher

        return ImportedPasswordHasher(Argon2PasswordHasher())

    @cached_property
    def authenticator(self) -> "Authenticator":
        login = self.settings.login
        if login.kind == "shared-password":
            from hubless.adapters.authenticators.shared_password import SharedPasswordAuthenticator

            return SharedPasswordAuthenticator(
                login.password,
                frozenset(login.admins),
                frozenset(login.allow_users),
                login.admin_password,
                login.shared_password_opens_admins,
                self._is_privileged,
            )
        if login.kind == "none":
            from hubless.adapters.authenticators.none import NoAuthenticator

            return NoAuthenticator()
        from hubless.adapters.authenticators.password import PasswordAuthenticator

        return PasswordAuthenticator(self.passwords, self.hasher)

    def _is_privileged(self, name: str, user: "User | None") -> bool:
        """Say whether *user* of this name, None if not stored, may do more than read and use what is theirs."""
        from hubless.domain import delegation, roles
        from hubless.domain.users import User

        stored = user or User("", name, self.clock.now())
        held = roles.scopes_of_user(replace(stored, shared=()), self.roles)  # a share is of one server, by its owner
        return stored.admin or delegation.opens_what_is_others(held, name, self.roles)

    @cached_property
    def services(self) -> "ServiceRegistry":
        from hubless.services.service_registry import ServiceRegistry

        return ServiceRegistry(
            {s.name: s for s in self.settings.services},
            self.service_store,
            self.roles,
            self.routing,
            self.origins,
        )

    @cached_property
    def accounts(self) -> "Accounts":
        from hubless.services.accounts import Accounts

        return Accounts(
            self.users,
            self.servers,
            self.passwords,
            self.sessions,
            self.token_store,
            self.hasher,
            self.clock,
            frozenset(self.settings.login.admins),
            self.is_reserved,
            rights_of=lambda user: self.privileges.beyond_basic(user),  # noqa: PLW0108 privileges need accounts' neighbours
            names_are_open=self.settings.login.kind == "shared-password",
            password_policy=self.password_policy,
            before_adding=self._before_adding,
            tell_of_password=self._tell_of_password,
        )

    def _tell_of_password(self, user: "User") -> None:
        if self.settings.mail.is_on:
            self.emails.tell_of_password(user)

    def _tell_of_reset(self, user: "User", by: str) -> None:
        if self.settings.mail.is_on:
            self.emails.tell_of_reset(user, by)

    def _before_adding(self, name: str) -> None:
        if (plugin := self.login_plugin) is not None:
            plugin.add_user(name)

    @cached_property
    def password_policy(self) -> "PasswordPolicy":
        return password_policy_of(self.settings)

    @cached_property
    def identities(self) -> "Identities":
        from hubless.services.identity import Identities

        return Identities(
            self.token_store,
            self.sessions,
            self.users,
            self.clock,
            self.roles,
            self.services,
            self.admission,
            self.imported_secret_checks,
        )

    @cached_property
    def imported_secret_checks(self) -> "ImportedSecretChecks":
        """Return the one object that counts what of another hub's secrets is wrong, whoever asks."""
        from hubless.services.imported_secret_checks import ImportedSecretChecks

        return ImportedSecretChecks()

    @cached_property
    def privileges(self) -> "Privileges":
        from hubless.services.privileges import Privileges

        return Privileges(self.roles, self.identities, self.groups, self.sharing)

    @cached_property
    def logins(self) -> "Logins":
        from hubless.services.logins import Logins

        return Logins(
            self.accounts,
            self.sessions,
            self.clock,
            self.settings.hub.cookie_max_age,
            self.external_logins,
            self.kept_auth_states,
            self.group_following,
            self.settings.login.max_sessions,
        )

    @cached_property
    def admission(self) -> "AdmissionPolicy":
        """Return the one policy that logins and every authentication ask."""
        from hubless.domain.admission import AdmissionPolicy

        login = self.settings.login
        return AdmissionPolicy(
            allow_all=login.allow_all,
            allow_existing_users=login.allow_existing_users,
            allow_users=frozenset(login.allow_users),
            blocked_users=frozenset(login.blocked_users),
            allow_groups=frozenset(login.allow_groups),
            admins=frozenset(login.admins),
            admin_groups=frozenset(login.admin_groups),
            contact=self.settings.hub.contact,
        )

    @cached_property
    def external_logins(self) -> "ExternalLogins":
        from hubless.domain.origins import host_in
        from hubless.services.external_logins import ExternalLogins

        return ExternalLogins(
            self.accounts,
            self.external_identities,
            self.admission,
            self.clock,
            self.factor_store,
            passkeys_log_in=self.settings.login.passkeys and self.second_factors.are_offered,
            passkey_host=host_in(self.settings.hub.public_url.partition("://")[2]),
        )

    @property
    def manages_groups(self) -> bool:
        """Say whether memberships follow logins, so that nobody changes them by hand."""
        return self.settings.login.managed_groups

    @cached_property
    def group_following(self) -> "GroupFollowing":
        from hubless.services.group_following import GroupFollowing

        return GroupFollowing(self.groups, self.clock, self.manages_groups)

    @cached_property
    def group_editing(self) -> "GroupEditing":
        from hubless.services.group_editing import GroupEditing

        return GroupEditing(
            self.groups, self.users, self.privileges, self.group_references, self.clock, self.manages_groups
        )

    @cached_property
    def group_references(self) -> "GroupReferences":
        from hubless.services.group_references import GroupReferences

        return GroupReferences(
            self.groups,
            self.bulletin_store,
            self.bulletin_reader,
            self.schedule_store,
            self.join_link_store,
            self.clock,
        )

    @cached_property
    def kept_auth_states(self) -> "AuthStates":
        from hubless.services.auth_states import AuthStates

        login = self.settings.login
        return AuthStates(self.auth_states, self._sealer("auth_state"), login.auth_state, login.auth_state_to_servers)

    @cached_property
    def page_sealer(self) -> "SecretSealer":
        """Return what seals the secrets that a browser keeps from a form to the page after it."""
        return self._sealer("pages")

    def _sealer(self, purpose: str) -> "SecretSealer":
        from hubless.adapters.sealing import FernetSealer

        return FernetSealer(lambda: [*self.settings.auth_state_keys, self.key], purpose)

    @cached_property
    def exporting(self) -> "Exporting":
        from hubless.domain.archive import ArchivedRole
        from hubless.services.auth_states import AuthStates
        from hubless.services.exporting import Exporting, HubStores

        stores = HubStores(
            users=self.users,
            groups=self.groups,
            servers=self.servers,
            services=self.service_store,
            tokens=self.token_store,
            shares=self.shares,
            share_codes=self.share_codes,
            passwords=self.passwords,
            emails=self.email_addresses,
            factors=self.factor_store,
            identities=self.external_identities,
            user_notes=self.user_note_store,
            sign_ups=self.sign_up_store,
            budgets=self.budget_store,
            schedules=self.schedule_store,
            auth_states=AuthStates(self.auth_states, self._sealer("auth_state"), is_kept=True),
            app_secrets=self._sealer("second factors"),
            marks=self.import_marks,
            clock=self.clock,
        )
        roles = tuple(
            ArchivedRole(
                role.name,
                role.scopes,
                role.description,
                tuple(sorted(role.users)),
                tuple(sorted(role.groups)),
                tuple(sorted(role.services)),
            )
            for role in self.settings.roles
        )
        return Exporting(stores, tuple(self.settings.services), roles)

    @cached_property
    def own_data(self) -> "OwnData":
        from hubless.services.own_data import OwnData

        return OwnData(
            self.servers,
            self.token_store,
            self.sessions,
            self.sharing,
            self.usage,
            self.external_identities,
            self.email_addresses,
            self.factor_store,
            self.sign_up_store,
            self.home_usage,
            self.letter_store,
            self.clock,
        )

    @cached_property
    def usage_reports(self) -> "UsageReports":
        from hubless.services.usage_reports import UsageReports

        return UsageReports(self.usage, self.servers, self.users, self.clock)

    @cached_property
    def moving(self) -> "Moving":
        from hubless.services.moving import Moving

        return Moving(
            self.exporting.stores,
            self.exporting,
            lambda: self.routing.sync_services(self.services.all()),
        )

    @property
    def unused_secrets(self) -> "UnusedSecrets":
        from hubless.services.unused_secrets import UnusedSecrets

        return UnusedSecrets(self.exporting.stores, self.hasher, self.exporting.configured)

    @cached_property
    def login_providers(self) -> "Mapping[str, LoginProvider]":
        """Return the providers of logins by name, in the order of the login page."""
        from hubless.bootstrap.providers import login_providers_of

        return login_providers_of(self.settings.providers, self.clock)

    @cached_property
    def provider_logins(self) -> "ProviderLogins":
        from hubless.services.provider_logins import ProviderLogins

        return ProviderLogins(
            self.login_providers,
            self.pending_logins,
            self.attempts,
            self.external_logins,
            self.sessions,
            self.logins,
            self.clock,
            self.settings.url,
        )

    @cached_property
    def login_beginnings(self) -> "LoginBeginnings":
        from hubless.services.login_beginnings import LoginBeginnings

        return LoginBeginnings(self.clock)

    @cached_property
    def auth_refreshing(self) -> "AuthRefreshing":
        from hubless.services.auth_refreshing import AuthRefreshing

        return AuthRefreshing(self.logins, self.provider_logins, self.leases, self.clock)

    @cached_property
    def lock_policy(self) -> "LockPolicy":
        """Return the one policy that the login and the sweep ask."""
        from hubless.domain.lock_policy import LockPolicy

        return LockPolicy(self.settings.login.max_failures, self.settings.login.lock_for)

    @cached_property
    def login_throttle(self) -> "LoginThrottle":
        from hubless.services.login_throttling import LoginThrottle

        return LoginThrottle(self.attempts, self.clock, self.lock_policy)

    @cached_property
    def password_login(self) -> "PasswordLogin":
        from hubless.services.password_login import PasswordLogin

        return PasswordLogin(
            self.authenticator, self.login_throttle, self.password_logins, self.logins, lambda: self.key
        )

    @cached_property
    def mailer(self) -> "Mailer":
        """Return what sends the hub's mails.

        Raises:
            SettingsError: when the settings want SES and boto3 is not installed.
        """
        wanted = self.settings.mail
        if wanted.kind == "smtp":
            return smtp_mailer_of(wanted, self.clock)
        if wanted.kind == "ses":
            from hubless.adapters.mail.ses import SesMailer

            return SesMailer(wanted.sender, self._ses_clients(wanted.region))
        from hubless.adapters.mail.no_mailer import NoMailer

        return NoMailer()

    def _ses_clients(self, region: str) -> "Clients":
        try:
            from hubless.adapters.aws import Clients
        except ModuleNotFoundError as missing:
            raise SettingsError(f'mail.kind is "ses", which needs {missing.name}: install hubless[aws]') from missing
        return Clients(region or self.region)

    @property
    def region(self) -> str:
        """Return the hub's region in AWS; "" on a machine."""
        return ""

    @property
    def resets_passwords(self) -> bool:
        """Say whether users who forgot their password can get a link by mail."""
        return self.has_passwords and self.settings.mail.is_on

    @cached_property
    def password_resets(self) -> "PasswordResets":
        from hubless.services.password_resets import PasswordResets

        return PasswordResets(
            self.accounts,
            self.passwords,
            self.email_addresses,
            self.attempts,
            self.queue,
            lambda: self.mailer,
            self.clock,
            self.settings.hub.name,
            self.settings.url,
        )

    @cached_property
    def user_notes(self) -> "UserNotes":
        from hubless.services.user_notes import UserNotes

        return UserNotes(self.user_note_store, self.clock)

    @cached_property
    def letters(self) -> "Letters":
        from hubless.services.letters import Letters

        return Letters(
            self.letter_store,
            self.users,
            self.groups,
            self.email_addresses,
            self.leases,
            self.queue if self.settings.mail.is_on else None,
            self.clock,
            self.settings.messages.keep,
        )

    @cached_property
    def letter_mails(self) -> "LetterMails":
        from hubless.services.letters import LetterMails

        return LetterMails(
            self.letter_store,
            self.users,
            self.email_addresses,
            lambda: self.mailer,
            self.clock,
            self.settings.hub.name,
            self.settings.url,
        )

    @cached_property
    def emails(self) -> "EmailAddresses":
        from hubless.services.email_addresses import EmailAddresses

        return EmailAddresses(
            self.email_addresses,
            self.users,
            self.attempts,
            lambda: self.mailer,
            self.clock,
            self.settings.hub.name,
            self.settings.url,
        )

    @cached_property
    def adding_people(self) -> "AddingPeople":
        from hubless.services.adding_people import AddingPeople

        return AddingPeople(
            self.accounts,
            self.privileges,
            self.groups,
            self.passwords,
            self.emails,
            self.hasher,
            self.people_batches,
            self._sealer("people"),
            lambda: self.key,
            self.clock,
            has_passwords=self.has_passwords,
            manages_groups=self.manages_groups,
            at_once=self.import_marks.at_once,
        )

    @cached_property
    def join_links(self) -> "JoinLinks":
        from hubless.services.join_links import JoinLinks

        return JoinLinks(
            self.join_link_store,
            self.groups,
            self.group_references,
            self.privileges,
            lambda: self.key,
            self.clock,
            manages_groups=self.manages_groups,
        )

    @cached_property
    def sign_ups(self) -> "SignUps":
        from hubless.services.sign_ups import SignUpRules, SignUps

        wanted = self.settings.sign_up
        rules = SignUpRules(
            wanted.approval,
            wanted.confirm_email,
            wanted.email_domains,
            self.settings.join_codes,
            wanted.keep_waiting,
            wanted.max_waiting,
            is_open=self.settings.login.sign_up,
        )
        return SignUps(
            self.accounts,
            self.passwords,
            self.groups,
            self.sign_up_store,
            self.join_codes,
            self.emails,
            self.hasher,
            self.login_throttle,
            rules,
            self.join_links,
        )

    @cached_property
    def password_changes(self) -> "PasswordChanges":
        from hubless.services.password_changes import PasswordChanges

        return PasswordChanges(self.accounts, self.passwords, self.hasher, self.password_login)

    @cached_property
    def second_factors(self) -> "SecondFactors":
        from hubless.adapters.one_time_codes import PyotpCodes
        from hubless.services.second_factors import SecondFactors

        login = self.settings.login
        return SecondFactors(
            self.factor_store,
            PyotpCodes(),
            self._sealer("second factors"),
            self.clock,
            self.settings.hub.name,
            login.second_factor,
            login.admins_need_second_factor,
            are_offered=login.kind != "shared-password",
            tell_of_reset=self._tell_of_reset,
        )

    @cached_property
    def passkeys(self) -> "Passkeys":
        from hubless.adapters.passkeys import WebauthnCeremonies
        from hubless.services.passkeys import Passkeys

        return Passkeys(
            WebauthnCeremonies(),
            self.second_factors,
            self.single_use,
            self.users,
            self.passwords,
            self.external_identities,
            self.clock,
            lambda: self.key,
            passwords_are_elsewhere=self.login_plugin is not None,
        )

    @cached_property
    def plugin_login(self) -> "PluginLogin":
        from hubless.services.plugin_login import PluginLogin

        assert self.login_plugin is not None  # noqa: S101 only its pages ask for this
        return PluginLogin(self.login_plugin, self.login_throttle, self.logins, self.accounts, lambda: self.key)

    @cached_property
    def tokens(self) -> "Tokens":
        from hubless.services.tokens import Tokens

        limits = self.settings.tokens
        return Tokens(
            self.token_store,
            self.accounts,
            self.groups,
            self.identities,
            self.clock,
            limits.max_lifetime,
            limits.max_per_user,
        )

    @cached_property
    def proxy_logins(self) -> "ProxyLogins":
        from hubless.bootstrap.login_proxies import verifiers_of
        from hubless.services.proxy_logins import ProxyLogins

        return ProxyLogins(verifiers_of(self.settings, self.clock), self.external_identities)

    @cached_property
    def token_exchange(self) -> "TokenExchange":
        from hubless.bootstrap.workloads import rules_of, verifier_of
        from hubless.services.token_exchange import TokenExchange

        return TokenExchange(
            rules_of(self.settings),
            verifier_of(self.settings, self.clock),
            self.tokens,
            self.single_use,
            self.login_throttle,
            self.logins,
            self.auditing.exchanged,
        )

    @cached_property
    def authorizations(self) -> "Authorizations":
        from hubless.services.authorizations import Authorizations

        told = self.auditing.authorized
        return Authorizations(self.clients, self.token_store, self.identities, self.clock, self.visits, told)

    @cached_property
    def visits(self) -> "Visits":
        from hubless.services.visits import Visits

        return Visits(self.visit_store, self.servers, self.users, self.clock, self.auditing.opened)

    @cached_property
    def auditing(self) -> "Auditing":
        from hubless.services.auditing import Auditing

        return Auditing(self.audit_log, self.clock, self.settings.audit.keep)

    @cached_property
    def credentials(self) -> "Credentials":
        from hubless.services.credentials import Credentials

        return Credentials(
            self.clients,
            self.clock,
            lambda: self.key,
            self.api_url,
            self.origins,
            self.idle_policies,
            self.hub_sees_work,
        )

    @cached_property
    def routing(self) -> "Routing":
        from hubless.services.routing import Routing

        return Routing(self.routes, self.clock)

    @cached_property
    def spawning(self) -> "Spawning":
        from hubless.services.spawning import Spawning

        servers = self.settings.servers
        return Spawning(
            self.servers,
            self.queue,
            self.clock,
            self.leases,
            self.profiles,
            self.deadlines,
            self.metrics,
            self.launch_times,
            self.waiting,
            servers.named_limit,
            self.active_limit,
            servers.starts_per_hour,
            self.meter,
            self.budgets,
            self.maintaining,
            self.turns,
        )

    @cached_property
    def bulletin_reader(self) -> "BulletinReader":
        from hubless.services.bulletin_reading import BulletinReader

        return BulletinReader(self.bulletin_store, self.clock)

    @cached_property
    def announcements(self) -> "Announcements":
        from hubless.services.announcements import Announcements

        return Announcements(self.bulletin_store, self.bulletin_reader, self.group_references, self.clock)

    @cached_property
    def maintaining(self) -> "Maintaining":
        from hubless.services.maintaining import Maintaining

        return Maintaining(self.bulletin_store, self.bulletin_reader, self.clock)

    @cached_property
    def budgets(self) -> "Budgets":
        from hubless.services.budgets import Budgets

        return Budgets(
            self.settings.budgets,
            self.budget_store,
            self.ledgers,
            self.servers,
            self.users,
            self.usage,
            self.clock,
            self.settings.usage.budget_notice,
            self.currency,
            self.auditing,
            self.queue if self.settings.mail.is_on else None,
            self.settings.usage.budget_mail_to,
        )

    @cached_property
    def budget_mails(self) -> "BudgetMails":
        from hubless.services.budget_mails import BudgetMails

        return BudgetMails(
            self.budgets,
            self.users,
            self.email_addresses,
            lambda: self.mailer,
            self.settings.hub.name,
            self.settings.url,
        )

    @cached_property
    def meter(self) -> "Meter":
        """Return what meters launches."""
        from hubless.domain.tariffs import Meter

        return Meter(self.settings.usage.tariff(self.currency))

    @property
    def currency(self) -> str:
        """Return what stands before amounts of money."""
        return self.settings.hub.currency

    @cached_property
    def stopping(self) -> "Stopping":
        from hubless.services.stopping import Stopping

        return Stopping(
            self.servers,
            self.users,
            self.launcher,
            self.routing,
            self.credentials,
            self.usage,
            self.queue,
            self.clock,
            self.deadlines,
            self.metrics,
            self._after_stop if self.settings.plugin.is_set else None,
            self.settings.usage.kept_for,
            self.uptime_log.is_overdue,
        )

    @cached_property
    def uptime_log(self) -> "UptimeLog":
        from hubless.services.uptime_log import UptimeLog

        return UptimeLog(
            self.sweeps, self.routing, self.clock, 2 * self.sweep_every + SWEEP_SLACK, self.edges_see_traffic
        )

    def _after_stop(self, owner: "User", server: "Server") -> None:
        if (plugin := self.login_plugin) is not None:
            plugin.after_stop(owner.name, server.name)

    @cached_property
    def launching(self) -> "Launching":
        from hubless.services.launching import Launching

        return Launching(
            self.servers,
            self.users,
            self.launcher,
            self.readiness,
            self.routing,
            self.credentials,
            self.stopping,
            self.queue,
            self.launch_rate_limiter,
            self.preparing,
            self.clock,
            self.deadlines,
            self.profiles,
            self.metrics,
            self.edge_autosuspend,
            self.pacing,
            self.launch_times,
            self._before_start,
            self.uptime_log.is_overdue,
            self.turns,
        )

    def _before_start(self, owner: "User", server: "Server") -> "Mapping[str, str]":
        if (plugin := self.login_plugin) is None:
            return self.kept_auth_states.variables_of(owner)
        from hubless.services.plugin_starts import PluginStarts

        given = PluginStarts(plugin, self.logins).before_start(owner, server)  # which may bring a fresh auth_state
        return {**self.kept_auth_states.variables_of(owner), **given}

    @cached_property
    def preparing(self) -> "Preparing":
        from hubless.services.preparing import Preparing

        limiter = self.preparation_rate_limiter
        return Preparing(self.servers, self.launcher, limiter, self.leases, self.clock, self.deadlines)

    @cached_property
    def preparing_ahead(self) -> "PreparingAhead":
        from hubless.services.preparing import PreparingAhead

        return PreparingAhead(
            self.users,
            self.servers,
            self.launcher,
            self.ahead_rate_limiter,
            self.clock,
            profiles=self.profiles,
            seen_within=self.prepare_ahead,
        )

    @cached_property
    def pacing(self) -> "Pacing":
        from hubless.services.pacing import Pacing

        return Pacing(self.leases, self.clock)

    @cached_property
    def name_lookups(self) -> "NameLookups":
        from hubless.services.name_lookups import NameLookups

        return NameLookups(self.leases, self.clock)

    @cached_property
    def following(self) -> "Following":
        from hubless.services.following import Following

        limits = self.deadlines
        seconds = self.progress_seconds
        a_start = limits.requested + limits.launching + limits.starting
        longest = timedelta(seconds=seconds) if seconds else a_start
        of_any = max(longest, timedelta(seconds=self.longest_progress_seconds))
        return Following(self.leases, self.clock, self.settings.servers.progress_streams, longest, of_any)

    @cached_property
    def edge_autosuspend(self) -> "EdgeAutosuspend":
        from hubless.services.edge_autosuspend import EdgeAutosuspend

        return EdgeAutosuspend(
            self.edge_machine,
            self.desired_edge_state,
            self.servers,
            self.routing,
            self.clock,
            self.metrics,
            self.edge_idle_timeout,
        )

    @cached_property
    def lti(self) -> "Lti":
        """Return what the hub is as an LTI tool."""
        from hubless.bootstrap.lti import Lti

        return Lti(self)

    @cached_property
    def name_checks(self) -> "NameChecks":
        from hubless.services.name_checks import NameChecks

        return NameChecks(self.accounts)

    @cached_property
    def user_removal(self) -> "UserRemoval":
        from hubless.services.user_removal import UserRemoval

        plugin = self.login_plugin
        return UserRemoval(self.servers, self.stopping, self.accounts, plugin.delete_user if plugin else None)

    @cached_property
    def reaping(self) -> "Reaping":
        from hubless.services.reaping import Reaping

        return Reaping(
            self.servers,
            self.users,
            self.launcher,
            self.launching,
            self.stopping,
            self.routing,
            self.token_store,
            self.clients,
            self.sessions,
            self.attempts,
            self.queue,
            self.clock,
            self.idle_policies,
            self.inspecting,
            self.profiles,
            self.services,
            self.share_codes,
            self.lock_policy,
            self.sweeps,
            self.edge_autosuspend,
            self.leases,
            self.pending_logins,
            self.single_use,
            self.sign_up_store,
            self.people_batches,
            self.join_link_store,
            self.bulletin_store,
            self.letter_store,
            self.preparing_ahead,
            self.usage,
            self.message_is_lost_after,
            self.idle_policies.report_interval(self.longest_report_interval),
            self.active_limit,
            self.lessons,
            self.auditing.delete_old,
            self.budgets,
            self.uptime_log,
            self.home_limiting.next_stop,
            self.settings.culling.frozen_after,
        )

    @cached_property
    def schedules(self) -> "Schedules":
        from hubless.services.schedules import Schedules

        fixed, profiles = self.settings.schedules, self.profiles.keys()
        return Schedules(fixed, self.schedule_store, self.group_references, profiles, self.clock)

    @cached_property
    def lessons(self) -> "Lessons":
        from hubless.services.lessons import Lessons

        return Lessons(
            self.schedules,
            self.groups,
            self.users,
            self.servers,
            lambda: self.spawning,
            self.stopping,
            self.clock,
            self.auditing,
            self.single_use,
        )

    @cached_property
    def home_limiting(self) -> "HomeLimiting":
        from hubless.services.home_limiting import HomeLimiting

        return HomeLimiting(self.settings.home_limits, self.home_usage, self.home_limit_store)

    @cached_property
    def keeping(self) -> "Keeping":
        from hubless.services.keeping import Keeping

        culling = self.settings.culling
        return Keeping(
            self.servers,
            self.clock,
            self.idle_policies,
            culling.keep_running,
            culling.keep_running_times,
            self.idle_policies.report_interval(self.longest_report_interval),
            self.home_limiting.next_stop,
            culling.frozen_after,
        )

    @cached_property
    def activity(self) -> "Activity":
        from hubless.services.activity import Activity

        return Activity(self.servers, self.users, self.queue, self.clock, self.pacing, self.hub_sees_work)

    @property
    def hub_sees_work(self) -> bool:
        """Say whether the hub sees servers' work itself, so that their own reports show only that they listen."""
        return self.edges_see_traffic and self.settings.culling.ask_servers

    @cached_property
    def sharing(self) -> "Sharing":
        from hubless.services.sharing import Sharing

        return Sharing(
            self.shares,
            self.share_codes,
            self.servers,
            self.users,
            self.groups,
            self.clock,
            self.imported_secret_checks,
            key=lambda: self.key,
        )

    @cached_property
    def idle_policies(self) -> "IdlePolicies":
        return self.settings.idle_policies

    @cached_property
    def inspecting(self) -> "Inspecting":
        from hubless.services.inspecting import Inspecting

        return Inspecting(
            self.servers,
            self._inspector,
            self.clock,
            lambda: self.key,
            self.idle_policies,
            count_busy=self.settings.culling.count_busy,
        )

    @property
    def _inspector(self) -> "ServerInspector":
        """Return how the hub asks servers, if settings let it."""
        if self.settings.culling.ask_servers:
            return self.inspector
        from hubless.adapters.no_inspector import NoInspector

        return NoInspector()


def smtp_mailer_of(wanted: "MailSettings", clock: "Clock") -> "SmtpMailer":
    """Return what sends mails to the server of the settings."""
    from hubless.adapters.mail.smtp import SmtpMailer

    return SmtpMailer(wanted.host, wanted.port, wanted.sender, clock, wanted.security, wanted.user, wanted.password)


def password_policy_of(settings: Settings) -> "PasswordPolicy":
    """Return which new passwords *settings* allow."""
    from hubless.adapters.passwords.strength import ZxcvbnStrengthMeter
    from hubless.domain.passwords import StrengthPolicy
    from hubless.services.password_policy import PasswordPolicy

    wanted = settings.passwords
    strength = StrengthPolicy(wanted.min_score, wanted.admin_min_score)
    return PasswordPolicy(ZxcvbnStrengthMeter(), strength, settings.hub.name)


def require_strong_admin_password(settings: Settings) -> None:
    """Refuse settings whose `admin_password` would be refused of an admin with a password of their own.

    Raises:
        SettingsError: saying why, and what to choose.
    """
    login = settings.login
    if not login.admin_password:
        return
    try:
        known = [login.password, *login.admins]
        password_policy_of(settings).check(login.admin_password, admin=True, known=known)
    except InvalidRequestError as refused:
        raise SettingsError(f"login.admin_password: {refused}") from None


def apply_settings(hub: Hub) -> None:
    """Create admins and groups that settings name and the store does not have."""
    from hubless.domain.users import Group
    from hubless.services.identifiers import new_id

    accounts = replace(hub.accounts, before_adding=partial(_prepare_if_possible, hub))
    missing = [name for name in hub.settings.login.admins if hub.users.find(name) is None]
    if missing:
        accounts.add_many(missing, admin=True)
    for name, group in hub.settings.groups.items():
        users = [user for user in group.users if hub.users.find(user) is None]
        if users:
            accounts.add_many(users)
        if hub.groups.find(name) is None:
            hub.groups.create(Group(new_id("g", hub.clock.now()), name, tuple(group.users), dict(group.properties)))


def note_settings(hub: Hub) -> None:
    """Record which tables of the settings have changed since the hub last started; never their values."""
    from hubless.settings.digests import digests_of

    hub.auditing.note_settings(digests_of(hub.settings, hub.key))


def _prepare_if_possible(hub: Hub, name: str) -> None:
    """Prepare for a user of the settings, whom the hub adds in any case, as JupyterHub does at its start."""
    try:
        hub.accounts.before_adding(name)
    except HublessError as refused:
        logger.warning("the settings add the user %s, although %s", name, refused)
