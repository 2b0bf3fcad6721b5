"""A whole hub's services over a set of stores (SQLite in memory, where none is given) and a scripted world."""

from dataclasses import replace
from datetime import timedelta

from hubless.adapters.always_on_edge import AlwaysOnEdge
from hubless.adapters.no_rate_limit import NoRateLimit
from hubless.adapters.sealing import FernetSealer
from hubless.domain import lifecycle, roles
from hubless.domain.admission import AdmissionPolicy
from hubless.domain.errors import RetryLaterError
from hubless.domain.idle_policies import IdlePolicies
from hubless.domain.idleness import IdlePolicy
from hubless.domain.lifecycle import ACTIVE, PENDING, Deadlines
from hubless.domain.lock_policy import LockPolicy
from hubless.domain.profiles import Profile
from hubless.services.accounts import Accounts
from hubless.services.activity import Activity
from hubless.services.auth_states import AuthStates
from hubless.services.authorizations import Authorizations
from hubless.services.bulletin_reading import BulletinReader
from hubless.services.credentials import Credentials
from hubless.services.edge_autosuspend import EdgeAutosuspend
from hubless.services.external_logins import ExternalLogins
from hubless.services.group_following import GroupFollowing
from hubless.services.group_references import GroupReferences
from hubless.services.identity import Identities
from hubless.services.inspecting import Inspecting
from hubless.services.launching import Launching
from hubless.services.logins import Logins
from hubless.services.maintaining import Maintaining
from hubless.services.pacing import Pacing
from hubless.services.password_policy import PasswordPolicy
from hubless.services.preparing import Preparing, PreparingAhead
from hubless.services.reaping import Reaping
from hubless.services.routing import Routing
from hubless.services.service_registry import ServiceRegistry
from hubless.services.sharing import Sharing
from hubless.services.spare_keeping import SpareKeeping
from hubless.services.spares import SpareQuestions, Spares
from hubless.services.spawning import Spawning
from hubless.services.stopping import Stopping
from hubless.services.tokens import Tokens
from hubless.services.uptime_log import UptimeLog
from hubless.services.visits import Visits
from tests.support.builders import NOW
from tests.support.fakes import (
    InstantEdge,
    PlainHasher,
    RecordingMetrics,
    RecordingQueue,
    ScriptedInspector,
    ScriptedLauncher,
    ScriptedReadiness,
    StoppedClock,
)
from tests.support.sqlite import InMemory, stores_of


class World:
    def __init__(
        self,
        *,
        idle_policy=None,
        profiles=(),
        services=None,
        by_user=None,
        active_limit=0,
        start_limit=0,
        named_limit=5,
        readiness=None,
        around=lambda port: port,
        stores=None,
        queue=None,
        launcher=None,
        deadlines=None,
        machine=None,
        lock_policy=None,
        count_busy=True,
        hub_sees_work=True,
        prepare_ahead=None,
        password_policy=None,
        admins=(),
        admission=None,
        auth_state=False,
        managed_groups=False,
        max_sessions=0,
        longest_pause=None,
        spare_store=None,
    ):
        """Make the services.

        Args:
            around: wraps each port that a launch writes to.
            launcher: makes a launcher that goes by the clock.
            machine: makes a machine that goes by the clock.
            longest_pause: between two sweeps, that is no downtime; None: no time is downtime.
            spare_store: makes a store of spares beside that of servers; None: no task waits for a launch.
        """
        self.stores, self.clock = stores or stores_of(InMemory()), StoppedClock(NOW)
        self.users, self.servers = self.stores.users, around(self.stores.servers)
        self.tokens, self.clients = self.stores.tokens, around(self.stores.clients)
        self.sessions, self.routes = self.stores.sessions, around(self.stores.routes)
        self.passwords, self.attempts = self.stores.passwords, self.stores.attempts
        self.usage, self.queue = around(self.stores.usage), around(queue or RecordingQueue())
        self.launch_times = around(self.stores.launch_times)
        self.groups, self.sweeps = self.stores.groups, self.stores.sweeps
        self.shares, self.share_codes = self.stores.shares, self.stores.codes
        self.launcher = around(launcher(self.clock) if launcher else ScriptedLauncher())
        self.readiness = readiness or ScriptedReadiness()
        self.metrics = RecordingMetrics()
        self.edge, self.deadlines = InstantEdge(self.routes, self.clock), deadlines or Deadlines()
        offered = {p.name: p for p in profiles or (Profile("default"),)}
        self.routing = Routing(self.routes, self.clock)
        self.uptime_log = UptimeLog(self.sweeps, self.routing, self.clock, longest_pause) if longest_pause else None
        is_overdue = self.uptime_log.is_overdue if self.uptime_log else lifecycle.is_overdue
        self.services = ServiceRegistry(services or {}, self.stores.services, roles.DEFAULTS, self.routing)
        self.accounts = Accounts(
            self.users,
            self.servers,
            self.passwords,
            self.sessions,
            self.tokens,
            PlainHasher(),
            self.clock,
            frozenset(admins),
            password_policy=password_policy or PasswordPolicy(),
        )
        self.admission = admission or AdmissionPolicy()
        self.identities = Identities(
            self.tokens, self.sessions, self.users, self.clock, roles.DEFAULTS, self.services, self.admission
        )
        self.external_identities = around(self.stores.external_identities)
        self.external_logins = ExternalLogins(
            self.accounts,
            self.external_identities,
            self.admission,
            self.clock,
            around(self.stores.factors),
            passkeys_log_in=True,
        )
        self.auth_states = AuthStates(
            self.stores.auth_states, FernetSealer(lambda: [b"k" * 32], "auth_state"), auth_state
        )
        self.logins = Logins(
            self.accounts,
            self.sessions,
            self.clock,
            timedelta(days=14),
            self.external_logins,
            self.auth_states,
            GroupFollowing(self.groups, self.clock, managed_groups),
            max_sessions,
        )
        self.issuing = Tokens(self.tokens, self.accounts, self.groups, self.identities, self.clock)
        self.visits = Visits(self.stores.visits, self.servers, self.users, self.clock)
        self.authorizations = Authorizations(self.clients, self.tokens, self.identities, self.clock, self.visits)
        self.pacing = Pacing(self.stores.leases, self.clock)
        self.idle_policies = IdlePolicies(idle_policy or IdlePolicy(), by_user or {}, offered)
        self.credentials = Credentials(
            self.clients,
            self.clock,
            lambda: b"k" * 32,
            "http://hub/hub/api",
            idle_policies=self.idle_policies,
            hub_sees_work=hub_sees_work,
        )
        self.activity = Activity(self.servers, self.users, self.queue, self.clock, self.pacing, hub_sees_work)
        self.sharing = Sharing(self.shares, self.share_codes, self.servers, self.users, self.groups, self.clock)
        reader = BulletinReader(self.stores.bulletin, self.clock)
        self.maintaining = Maintaining(self.stores.bulletin, reader, self.clock)
        self.group_references = GroupReferences(
            self.groups,
            self.stores.bulletin,
            reader,
            self.stores.schedules,
            self.stores.join_links,
            self.stores.sign_ups,
            self.clock,
        )
        self.spawning = Spawning(
            self.servers,
            self.queue,
            self.clock,
            self.stores.leases,
            offered,
            self.deadlines,
            self.metrics,
            self.launch_times,
            self.stores.waiting,
            named_limit,
            active_limit,
            start_limit,
            maintaining=self.maintaining,
        )
        self.spares, self.spare_keeping = self._spares_in(spare_store, around, offered)
        self.stopping = Stopping(
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
            is_overdue=is_overdue,
            spares=self.spares,
        )
        self.lock_policy = lock_policy or LockPolicy(10, timedelta(minutes=10))
        self.machine = machine(self.routes, self.clock) if machine else AlwaysOnEdge()
        self.edge_autosuspend = EdgeAutosuspend(
            self.machine,
            self.stores.desired_edge_state,
            self.servers,
            self.routing,
            self.clock,
            self.metrics,
            timedelta(minutes=10),
        )
        self.preparing = Preparing(
            self.servers, self.launcher, NoRateLimit(), self.stores.leases, self.clock, self.deadlines
        )
        self.preparing_ahead = PreparingAhead(
            self.users,
            self.servers,
            self.launcher,
            NoRateLimit(),
            self.clock,
            profiles=offered,
            seen_within=prepare_ahead,
        )
        self.launching = Launching(
            self.servers,
            self.users,
            self.launcher,
            self.readiness,
            self.routing,
            self.credentials,
            self.stopping,
            self.queue,
            NoRateLimit(),
            self.preparing,
            self.clock,
            self.deadlines,
            offered,
            self.metrics,
            self.edge_autosuspend,
            self.pacing,
            self.launch_times,
            is_overdue=is_overdue,
            spares=self.spares,
        )
        self.inspector = ScriptedInspector()
        self.inspecting = Inspecting(
            self.servers, self.inspector, self.clock, lambda: b"k" * 32, self.idle_policies, count_busy=count_busy
        )
        self.reaping = Reaping(
            self.servers,
            self.users,
            self.launcher,
            self.launching,
            self.stopping,
            self.routing,
            self.tokens,
            self.clients,
            self.sessions,
            self.attempts,
            self.queue,
            self.clock,
            self.idle_policies,
            self.inspecting,
            offered,
            self.services,
            self.share_codes,
            self.lock_policy,
            self.sweeps,
            self.edge_autosuspend,
            self.stores.leases,
            self.stores.pending_logins,
            self.stores.single_use,
            self.stores.sign_ups,
            self.stores.people_batches,
            self.stores.join_links,
            self.stores.bulletin,
            self.stores.letters,
            self.preparing_ahead,
            self.usage,
            active_limit=active_limit,
            uptime_log=self.uptime_log,
            spares=self.spare_keeping,
        )
        self.alice = self.accounts.add("alice")

    def _spares_in(self, make_store, around, offered):
        if make_store is None:
            return None, None
        store, leases = around(make_store(self.stores.servers)), self.stores.leases
        spares = Spares(store, self.launcher, self.clock, lambda: b"k" * 32, "http://hub/hub/api")
        return spares, SpareKeeping(spares, self.launcher, NoRateLimit(), leases, self.clock, offered)

    @property
    def spare_questions(self):
        """Return what answers tasks of spares."""
        return SpareQuestions(self.spares, self.servers, self.launching.launch_of)

    def with_rate_limiter(self, limiter):
        """Return what launches, at another pace."""
        return replace(self.launching, launch_rate_limiter=limiter)

    def deliver(self):
        """Hand out every message that waits, once."""
        waiting, self.queue.sent = self.queue.sent, []
        for message in waiting:
            self.launching.on_message(message)

    def deliver_in_time(self):
        """Hand out every message that waits, once; what comes too early waits on."""
        waiting, self.queue.sent = self.queue.sent, []
        for message in waiting:
            try:
                self.launching.on_message(message)
            except RetryLaterError:
                self.queue.sent.append(message)

    def turn(self, times=3):
        """Let the hub and the edges work for a while."""
        for _ in range(times):
            self.deliver()
            self.edge.look()
            self.launching.reconcile_pending()
            self.edge.look()

    def sweep(self, times=1):
        for _ in range(times):
            self.edge.look()
            self.reaping.sweep()
            self.turn()

    def server(self, name=""):
        return self.servers.find(self.alice.id, name)

    def running(self, name="", **options):
        self.spawning.start(self.alice, name, user_options=options or None)
        self.turn()
        return self.server(name)

    def launches(self):
        """Return the launch of each task that was ever started."""
        return [launch.launch_id for launch in self.launcher.started]

    def assert_settled(self):
        """Check that nothing is lost, double or left over."""
        active = self.servers.in_states(ACTIVE)
        live = {s.launch_id for s in active}
        assert not self.servers.in_states(PENDING)
        assert {t.launch_id for t in self.launcher.tasks()} == live
        assert {r.launch_id for r in self.routes.all()} == live
        assert len(set(self.launches())) == len(self.launches())
        launches, own = self.stores.held()
        assert sorted(launches) == sorted(live)
        assert len(own) == len(active)
