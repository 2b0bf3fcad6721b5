"""Reading a whole hub as an archive, through the ports of its stores."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from hubless.domain.archive import (
    Archive,
    ArchivedApp,
    ArchivedGroup,
    ArchivedIdentity,
    ArchivedNote,
    ArchivedPasskey,
    ArchivedRole,
    ArchivedServer,
    ArchivedService,
    ArchivedShare,
    ArchivedShareCode,
    ArchivedSignUp,
    ArchivedToken,
    ArchivedUser,
    Remark,
)
from hubless.domain.archive_conversion import archived_budget, archived_schedule
from hubless.domain.archive_form import KINDS
from hubless.domain.lifecycle import Server
from hubless.domain.second_factors import Factors
from hubless.domain.tokens import OwnerKind, Token
from hubless.domain.users import Service, User
from hubless.domain.values import value
from hubless.ports.archives import ImportMarkStore
from hubless.ports.budgets import BudgetStore
from hubless.ports.clock import Clock
from hubless.ports.email_addresses import EmailAddressStore
from hubless.ports.external_identities import IdentityStore
from hubless.ports.passwords import PasswordStore
from hubless.ports.schedules import ScheduleStore
from hubless.ports.second_factors import FactorStore, SecretSealer
from hubless.ports.servers import ServerStore
from hubless.ports.services import ServiceStore
from hubless.ports.shares import ShareCodeStore, ShareStore
from hubless.ports.sign_ups import SignUpStore
from hubless.ports.tokens import TokenStore
from hubless.ports.user_notes import UserNoteStore
from hubless.ports.users import GroupStore, UserStore
from hubless.services.auth_states import AuthStates
from hubless.services.second_factors import opened_app_secret
from hubless.services.side_by_side import batches, in_order

ALL = 1_000_000  # records of a page
CHUNK = 25  # users that one thread reads at a time


@value
class HubStores:
    """The stores of a hub, and what opens and seals the secrets in them."""

    users: UserStore
    groups: GroupStore
    servers: ServerStore
    services: ServiceStore
    tokens: TokenStore
    shares: ShareStore
    share_codes: ShareCodeStore
    passwords: PasswordStore
    emails: EmailAddressStore
    user_notes: UserNoteStore
    factors: FactorStore
    identities: IdentityStore
    sign_ups: SignUpStore
    budgets: BudgetStore
    schedules: ScheduleStore
    auth_states: AuthStates  # that reads them whether or not settings keep them
    app_secrets: SecretSealer
    marks: ImportMarkStore
    clock: Clock


Progress = Callable[[str, int, int], None]
"""It is told what is done, how many are done, and how many there are."""


@value
class Exporting:
    """Reads a hub."""

    stores: HubStores
    configured: tuple[Service, ...] = ()  # services of the settings, whose tokens are in the store
    roles: tuple[ArchivedRole, ...] = ()
    remarks: list[Remark] = field(default_factory=list, compare=False)

    def read(
        self, source: str, *, with_secrets: bool = True, progress: Progress = lambda _what, _done, _of: None
    ) -> Archive:
        """Return everything that the hub has. Records that go while it reads may be missing.

        Args:
            source: what the archive says that it was read from.
            with_secrets: whether password hashes, tokens, share codes, second factors, auth_state and sign-ups come.
            progress: is told how far it is.
        """
        found: dict[str, list[Any]] = {attribute: [] for attribute, _ in KINDS.values()}
        for kind, record in self.records(with_secrets=with_secrets, progress=progress):
            found[KINDS[kind][0]].append(record)
        records: dict[str, Any] = {attribute: tuple(some) for attribute, some in found.items()}
        return Archive(source, **records, remarks=tuple(self.remarks), has_secrets=with_secrets)

    def records(
        self, *, with_secrets: bool = True, progress: Progress = lambda _what, _done, _of: None
    ) -> Iterator[tuple[str, Any]]:
        """Yield everything that the hub has: the kind of each record (`archive_form.KINDS`), and the record.

        Memory grows with what is known of each user and group, and not with what they have. `remarks` has all remarks
        at the end.
        """
        stores, now = self.stores, self.stores.clock.now()
        self.remarks.clear()
        with stores.marks.unchanging():
            users, _ = stores.users.page(offset=0, limit=ALL)
            groups, _ = stores.groups.page(offset=0, limit=ALL)
            names, group_names = {one.id: one.name for one in users}, {one.id: one.name for one in groups}
            done = 0

            def of_some(some: Sequence[User]) -> list[tuple[str, Any]]:
                return self._records_of_users(some, names, group_names, with_secrets=with_secrets)

            def tell() -> None:
                progress("users", done, len(users))

            for found in in_order(of_some, batches(users, CHUNK), stores.marks.at_once, tell):
                yield from found
                done = min(done + CHUNK, len(users))
                tell()
            yield from self._records_of_services(with_secrets=with_secrets)
            if with_secrets:
                for asked in stores.sign_ups.all(now):
                    yield "sign_up", ArchivedSignUp(asked.name, asked.password_hash, asked.created_at, asked.address)
            yield from (("group", ArchivedGroup(group.name, group.users, group.properties)) for group in groups)
            yield from (("role", role) for role in self.roles)
            yield from (("budget", archived_budget(one)) for one in stores.budgets.all())
            yield from (("schedule", archived_schedule(one)) for one in stores.schedules.all())
        self.remarks.sort(key=lambda remark: (remark.kind, remark.subject))

    def _records_of_services(self, *, with_secrets: bool) -> Iterator[tuple[str, Any]]:
        services = self.stores.services.all()
        yield from (("service", _service(service, with_secrets=with_secrets)) for service in services)
        if with_secrets:
            names_of_settings = {service.name for service in self.configured}
            for service in (*self.configured, *(one for one in services if one.name not in names_of_settings)):
                for token in self._tokens(OwnerKind.SERVICE, service.token_owner, service.name):
                    yield "token", token

    def _records_of_users(
        self, users: Sequence[User], names: Mapping[str, str], groups: Mapping[str, str], *, with_secrets: bool
    ) -> list[tuple[str, Any]]:
        """Return the records of some users and of what is theirs."""
        found = list[tuple[str, Any]]()
        for user in users:
            found.append(("user", self._user(user, with_secrets=with_secrets)))
            if with_secrets:
                found += [("token", one) for one in self._tokens(OwnerKind.USER, user.id, user.name)]
        for server in self.stores.servers.of_owners([user.id for user in users]):
            if (owner := names.get(server.owner_id)) is None:
                continue
            found.append(("server", _server(server, owner)))
            found += [("share", one) for one in self._shares(server, owner, names, groups)]
            if with_secrets:
                found += [("share_code", one) for one in self._codes(server, owner)]
        return found

    def _user(self, user: User, *, with_secrets: bool) -> ArchivedUser:
        stores = self.stores
        email, note = stores.emails.get(user.id), stores.user_notes.get(user.id)
        factors = stores.factors.get(user.id) if with_secrets and user.factors else Factors(user.id)
        app = self._app(user, factors)
        # Without its factor the password alone would open what two factors closed.
        is_bare = factors.app is not None and app is None and not factors.passkeys
        return ArchivedUser(
            user.name,
            user.admin,
            user.created_at,
            user.last_activity_at,
            user.user_info,
            password_hash=stores.passwords.get(user.id) if with_secrets and not is_bare else None,
            email=email.address if email else "",
            auth_state=stores.auth_states.of(user) if with_secrets else None,
            app=app,
            passkeys=tuple(
                ArchivedPasskey(
                    one.id, one.public_key, one.sign_count, one.rp_id, one.name, one.added_at, one.last_used_at
                )
                for one in factors.passkeys
            ),
            recovery_codes=factors.recovery_codes,
            identities=tuple(
                ArchivedIdentity(one.id, one.provider, one.label, one.linked_at, one.by_admin)
                for one in stores.identities.of_user(user.id)
            ),
            awaited=user.awaited,
            id=user.id,
            admin_note=ArchivedNote(note.text, note.written_by, note.written_at) if note and note.text else None,
        )

    def _app(self, user: User, factors: Factors) -> ArchivedApp | None:
        if factors.app is None:
            return None
        secret = opened_app_secret(self.stores.app_secrets, user.id, factors.app.sealed_secret)
        if secret is None:
            what = "has an authenticator app whose secret no present key of this hub opens: it is left out"
            if not factors.passkeys:
                what += ", and the password too"
            to_do = "An admin resets the user's second factors, and the user sets the app up again."
            self.remarks.append(Remark("user", user.name, what, to_do, is_left_out=True))
            return None
        return ArchivedApp(secret, factors.app.added_at, factors.app.is_imported)

    def _tokens(self, kind: OwnerKind, owner_id: str, owner: str) -> Iterator[ArchivedToken]:
        for one in self.stores.tokens.of_owner(kind, owner_id):
            if _is_lasting(one):
                yield ArchivedToken(
                    kind,
                    owner,
                    one.sha256,
                    one.scopes,
                    one.created_at,
                    one.note,
                    one.expires_at,
                    one.last_activity_at,
                    one.id,
                )

    def _shares(
        self, server: Server, owner: str, users: Mapping[str, str], groups: Mapping[str, str]
    ) -> Iterator[ArchivedShare]:
        for one in self.stores.shares.page(offset=0, limit=ALL, server_id=server.id)[0]:
            user, group = users.get(one.user_id or ""), groups.get(one.group_id or "")
            if user or group:
                yield ArchivedShare(owner, server.name, one.scopes, one.created_at, user, group)

    def _codes(self, server: Server, owner: str) -> Iterator[ArchivedShareCode]:
        for one in self.stores.share_codes.page(offset=0, limit=ALL, server_id=server.id)[0]:
            yield ArchivedShareCode(
                owner,
                server.name,
                one.sha256,
                one.scopes,
                one.created_at,
                one.expires_at,
                one.exchange_count,
                one.last_exchanged_at,
                one.id,
                one.max_uses,
            )


def _is_lasting(token: Token) -> bool:
    """Say whether the token is none of a browser, a running server or an OAuth client."""
    return token.session_id is None and token.client_id is None and token.server_id is None


def _service(service: Service, *, with_secrets: bool) -> ArchivedService:
    return ArchivedService(
        service.name,
        service.admin,
        service.url,
        service.oauth_client_id,
        service.oauth_redirect_uri,
        service.oauth_no_confirm,
        service.oauth_client_allowed_scopes,
        service.info,
        service.display,
        service.client_secret_hash if with_secrets else None,
        token_hash=service.token_sha256 if with_secrets else None,
    )


def _server(server: Server, owner: str) -> ArchivedServer:
    return ArchivedServer(
        owner,
        server.name,
        server.display_name,
        server.profile,
        server.user_options,
        server.created_at,
        server.last_activity_at,
    )
