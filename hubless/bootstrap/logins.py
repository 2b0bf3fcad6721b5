"""The services for ways into a hub: passwords, providers, second factors, sign-ups, tokens and OAuth."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from hubless.bootstrap.people import PeopleServices

if TYPE_CHECKING:
    from hubless.domain.lock_policy import LockPolicy
    from hubless.domain.users import User
    from hubless.ports.authenticator import Authenticator
    from hubless.ports.login_providers import LoginProvider
    from hubless.services.auth_refreshing import AuthRefreshing
    from hubless.services.authorizations import Authorizations
    from hubless.services.external_logins import ExternalLogins
    from hubless.services.login_beginnings import LoginBeginnings
    from hubless.services.login_throttling import LoginThrottle
    from hubless.services.logins import Logins
    from hubless.services.passkeys import Passkeys
    from hubless.services.password_changes import PasswordChanges
    from hubless.services.password_login import PasswordLogin
    from hubless.services.password_resets import PasswordResets
    from hubless.services.plugin_login import PluginLogin
    from hubless.services.provider_logins import ProviderLogins
    from hubless.services.proxy_logins import ProxyLogins
    from hubless.services.second_factors import SecondFactors
    from hubless.services.sign_ups import SignUps
    from hubless.services.token_exchange import TokenExchange
    from hubless.services.tokens import Tokens
    from hubless.services.visits import Visits


class LoginServices(PeopleServices):
    """Services that say who a request comes from, on those that know the people."""

    @property
    def authenticator_class(self) -> str:
        """Return what logs people in, as `/hub/api/info` shows it."""
        plugin = self.login_plugin
        return plugin.name if plugin is not None else f"hubless.{self.authenticator.name}"

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
