"""The hub: all its services on the ports of one platform, each created at its first use."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from hubless.bootstrap.logins import LoginServices
from hubless.domain.lifecycle import Deadlines

SWEEP_SLACK = timedelta(seconds=10)  # by which a sweep may be late after another that did not come

if TYPE_CHECKING:
    from hubless.bootstrap.lti import Lti
    from hubless.domain.idle_policies import IdlePolicies
    from hubless.domain.lifecycle import Server
    from hubless.domain.tariffs import Meter
    from hubless.domain.users import User
    from hubless.ports.inspector import ServerInspector
    from hubless.services.activity import Activity
    from hubless.services.adopting import Adopting
    from hubless.services.budget_mails import BudgetMails
    from hubless.services.budgets import Budgets
    from hubless.services.credentials import Credentials
    from hubless.services.edge_autosuspend import EdgeAutosuspend
    from hubless.services.following import Following
    from hubless.services.home_limiting import HomeLimiting
    from hubless.services.inspecting import Inspecting
    from hubless.services.keeping import Keeping
    from hubless.services.launching import Launching
    from hubless.services.lessons import Lessons
    from hubless.services.maintaining import Maintaining
    from hubless.services.pacing import Pacing
    from hubless.services.preparing import Preparing, PreparingAhead
    from hubless.services.reaping import Reaping
    from hubless.services.schedules import Schedules
    from hubless.services.spare_keeping import SpareKeeping
    from hubless.services.spares import SpareQuestions
    from hubless.services.spawning import Spawning
    from hubless.services.stopping import Stopping
    from hubless.services.uptime_log import UptimeLog
    from hubless.services.user_removal import UserRemoval


class Hub(LoginServices):
    """Everything that a function needs. Its own are the services that start, stop, count and look after servers.

    Each class refers to those below it: `Hub`, `LoginServices`, `PeopleServices`, `Platform`.
    """

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
    def adopting(self) -> "Adopting":
        from hubless.services.adopting import Adopting

        return Adopting(
            self.servers,
            self.users,
            self.queue,
            self.clock,
            self.profiles,
            self.deadlines,
            self.meter,
            self.budgets,
            lambda: self.key,
        )

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
            self.spares,
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
            self.spares,
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
            self.spare_keeping,
        )

    @cached_property
    def spare_keeping(self) -> "SpareKeeping | None":
        """Return what keeps tasks that wait for launches; None where none do."""
        if self.spares is None:
            return None
        from hubless.services.spare_keeping import SpareKeeping

        limiter = self.spare_rate_limiter
        return SpareKeeping(self.spares, self.launcher, limiter, self.leases, self.clock, self.profiles)

    @cached_property
    def spare_questions(self) -> "SpareQuestions | None":
        """Return what answers tasks that wait for launches; None where none do."""
        if self.spares is None:
            return None
        from hubless.services.spares import SpareQuestions

        return SpareQuestions(self.spares, self.servers, self.launching.launch_of)

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
