"""The services for people: who there is, in which groups, what they may, and what is written to them."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from hubless.bootstrap.platform import Platform
from hubless.settings import Settings, SettingsError

if TYPE_CHECKING:
    from hubless.adapters.aws import Clients
    from hubless.adapters.mail.smtp import SmtpMailer
    from hubless.domain.admission import AdmissionPolicy
    from hubless.domain.hub_addresses import HubAddress
    from hubless.domain.origins import Origins
    from hubless.domain.profiles import Profile
    from hubless.domain.roles import Role
    from hubless.domain.users import User
    from hubless.ports.clock import Clock
    from hubless.ports.login_plugin import LoginPlugin
    from hubless.ports.mailer import Mailer
    from hubless.ports.passwords import PasswordHasher
    from hubless.ports.second_factors import SecretSealer
    from hubless.services.accounts import Accounts
    from hubless.services.adding_people import AddingPeople
    from hubless.services.announcements import Announcements
    from hubless.services.auditing import Auditing
    from hubless.services.auth_states import AuthStates
    from hubless.services.bulletin_reading import BulletinReader
    from hubless.services.email_addresses import EmailAddresses
    from hubless.services.exporting import Exporting
    from hubless.services.group_editing import GroupEditing
    from hubless.services.group_following import GroupFollowing
    from hubless.services.group_references import GroupReferences
    from hubless.services.identity import Identities
    from hubless.services.imported_secret_checks import ImportedSecretChecks
    from hubless.services.join_links import JoinLinks
    from hubless.services.letters import LetterMails, Letters
    from hubless.services.moving import Moving
    from hubless.services.name_checks import NameChecks
    from hubless.services.name_lookups import NameLookups
    from hubless.services.own_data import OwnData
    from hubless.services.password_policy import PasswordPolicy
    from hubless.services.privileges import Privileges
    from hubless.services.routing import Routing
    from hubless.services.service_registry import ServiceRegistry
    from hubless.services.sharing import Sharing
    from hubless.services.unused_secrets import UnusedSecrets
    from hubless.services.usage_reports import UsageReports
    from hubless.services.user_notes import UserNotes
    from hubless.settings.mail import MailSettings


class PeopleServices(Platform):
    """Services that know of people and what belongs to them, and of no login and no running server."""

    @property
    def version(self) -> str:
        """Return this product's own version."""
        from hubless.settings.installed import installed_version

        return installed_version()

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

    @cached_property
    def profiles(self) -> "Mapping[str, Profile]":
        return {profile.name: profile for profile in self.settings.profiles}

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
            self.sign_up_store,
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
    def auditing(self) -> "Auditing":
        from hubless.services.auditing import Auditing

        return Auditing(self.audit_log, self.clock, self.settings.audit.keep)

    @cached_property
    def routing(self) -> "Routing":
        from hubless.services.routing import Routing

        return Routing(self.routes, self.clock)

    @cached_property
    def bulletin_reader(self) -> "BulletinReader":
        from hubless.services.bulletin_reading import BulletinReader

        return BulletinReader(self.bulletin_store, self.clock)

    @cached_property
    def announcements(self) -> "Announcements":
        from hubless.services.announcements import Announcements

        return Announcements(self.bulletin_store, self.bulletin_reader, self.group_references, self.clock)

    @cached_property
    def name_lookups(self) -> "NameLookups":
        from hubless.services.name_lookups import NameLookups

        return NameLookups(self.leases, self.clock)

    @cached_property
    def name_checks(self) -> "NameChecks":
        from hubless.services.name_checks import NameChecks

        return NameChecks(self.accounts)

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
