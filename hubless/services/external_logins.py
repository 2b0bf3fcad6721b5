"""External logins: which user a person at a provider is, and the identities that users and admins link.

An identity that is linked leads to its user, whatever name the provider gives. One that is new gets a user of its own.
It takes over a user of its name only if nobody has been that user before and the provider's names count
(`match_existing`), or if the user came from another hub and awaits this login.
"""

from hubless.domain import external_identities, names
from hubless.domain.admission import AdmissionPolicy
from hubless.domain.bounds import MAX_IDENTITIES
from hubless.domain.errors import (
    IdentityTakenError,
    InvalidRequestError,
    NameTakenError,
    NotAllowedError,
    NotFoundError,
    QuotaExceededError,
    StoreConflictError,
)
from hubless.domain.external_identities import ExternalId, LinkedIdentity, check_external_id
from hubless.domain.translatable import gettext as _
from hubless.domain.users import FactorState, User
from hubless.domain.values import value
from hubless.ports.authenticator import Identity
from hubless.ports.clock import Clock
from hubless.ports.external_identities import IdentityStore
from hubless.ports.second_factors import FactorStore
from hubless.services.accounts import Accounts

LAST_WAY_IN = _(
    "This is the only way in to this account. Link another login, set a password or add a passkey, and unlink it then."
)


@value
class ExternalLogins:
    """Finds or adds the user of an identity."""

    accounts: Accounts
    identities: IdentityStore
    admission: AdmissionPolicy
    clock: Clock
    factors: FactorStore
    passkeys_log_in: bool = False  # whether the hub takes a passkey in place of a password
    passkey_host: str = ""  # where alone passkeys work; "" for every address of the hub

    def user_of(self, identity: Identity, external: ExternalId) -> User:
        """Return the user of *identity*; a first login adds the user, or takes one over.

        Raises:
            InvalidRequestError: when the provider named no possible person.
            NotAllowedError: when settings do not let the person in, or the name is not free for this person.
        """
        check_external_id(external)
        if (user := self._linked(identity, external)) is not None:
            return user
        try:
            return self._first_login(identity, external)
        except NotAllowedError:
            # Another tab of the same person may have been faster: then it has taken the name.
            if (user := self._linked(identity, external)) is None:
                raise
            return user

    def require_let_in(self, user: User) -> None:
        """Ask the rules about a user for whom nobody vouches now, such as one whose passkey answered.

        Nothing says the user's groups then, so groups let nobody in.

        Raises:
            NotAllowedError: when no rule lets the user in.
        """
        by_admin = any(linked.by_admin for linked in self.of_user(user))
        refused = self.admission.refusal_of(user.name, None, is_existing=True, by_admin=by_admin)
        if refused is not None:
            raise self._refusal(refused)

    def of_user(self, user: User) -> list[LinkedIdentity]:
        """Return the user's identities, the one linked first at the beginning."""
        return self.identities.of_user(user.id)

    def link(self, user: User, identity: LinkedIdentity) -> LinkedIdentity:
        """Link another identity to *user*, as its owner or an admin wants, and return it as it is stored.

        Raises:
            InvalidRequestError: when no person can have this identity.
            IdentityTakenError: when another user has it.
            NotFoundError: when the user was removed meanwhile.
            QuotaExceededError: when the user has as many identities as a user may have.
        """
        check_external_id(identity.id)
        present = self.of_user(user)
        if len(present) >= MAX_IDENTITIES and identity.id not in [one.id for one in present]:
            raise QuotaExceededError(
                _("A user may have %(max_identities)s identities", max_identities=MAX_IDENTITIES), limit=MAX_IDENTITIES
            )
        self.identities.link(identity)
        return identity

    def linked_by(
        self, user: User, external: ExternalId, *, provider: str, label: str, by_admin: bool
    ) -> LinkedIdentity:
        """Return the link of *external* to *user*, to be stored by `link`."""
        return LinkedIdentity(
            external,
            user.id,
            external_identities.provider_name(provider),
            external_identities.label(label),
            self.clock.now(),
            by_admin,
        )

    def unlink(self, user: User, external: ExternalId, *, by_admin: bool = False) -> None:
        """End a link. Owners keep one way in; admins may take the last one.

        Raises:
            NotFoundError: when the identity is not linked to this user.
            InvalidRequestError: when it is the owner's only way in.
        """
        found = next((one for one in self.of_user(user) if one.id == external), None)
        if found is None:
            raise NotFoundError("Identity", external.subject)
        if not by_admin and not self._has_another_way_in(user, found):
            raise InvalidRequestError(LAST_WAY_IN)
        self.identities.unlink(user.id, external)
        if not by_admin and not self._has_another_way_in(user, found):
            self.identities.link(found)  # another tab ended the other one at the same moment
            raise InvalidRequestError(LAST_WAY_IN)

    def _has_another_way_in(self, user: User, besides: LinkedIdentity) -> bool:
        if any(one.id != besides.id for one in self.of_user(user)):
            return True
        if self.accounts.names_are_open or self.accounts.passwords.get(user.id) is not None:
            return True
        return self._lets_passkeys_in(user)

    def _lets_passkeys_in(self, user: User) -> bool:
        """Say whether a passkey alone logs in the user, for whom no linked login vouches."""
        if not self.passkeys_log_in or self.admission.refusal_of(user.name, None, is_existing=True) is not None:
            return False
        known = self.factors.get(user.id).passkeys
        return any(self.passkey_host in {"", one.rp_id} for one in known)

    def _linked(self, identity: Identity, external: ExternalId) -> User | None:
        found = self.identities.find_with_user(external)
        if found is None:
            return None
        linked, user = found
        self._require_admitted(user.name, identity, is_existing=True, by_admin=linked.by_admin)
        return user

    def _first_login(self, identity: Identity, external: ExternalId) -> User:
        try:
            name = self.accounts.stored_name(identity.name)
            user = self.accounts.users.find(name)
            if user is not None:
                return self._take_over(user, identity, external)
            return self._add(name, identity, external)
        except (InvalidRequestError, NameTakenError) as refused:
            raise self._refusal(f"{refused}.") from refused

    def _add(self, name: str, identity: Identity, external: ExternalId) -> User:
        self._require_admitted(name, identity, is_existing=False)
        if self.accounts.is_reserved_name(name) and not identity.match_existing:
            raise self._refusal(_("The name %(name)s is reserved for somebody on this hub.", name=name))
        user = self.accounts.new_user(name, admin=bool(identity.admin))
        linked = self.linked_by(user, external, provider=identity.provider, label=identity.label, by_admin=False)
        try:
            self.identities.create_user(user, linked)
        except (NameTakenError, IdentityTakenError) as taken:
            raise self._taken(name) from taken
        return user

    def _take_over(self, user: User, identity: Identity, external: ExternalId) -> User:
        """Link the identity to a user whom an admin added and who has never been there, or who awaits this login."""
        awaited = user.awaited if self._is_awaited(user, identity, external) else None
        if awaited is None and (not identity.match_existing or user.last_activity_at is not None):
            raise self._taken(user.name)
        self._require_admitted(user.name, identity, is_existing=True, by_admin=True)
        linked = self.linked_by(user, external, provider=identity.provider, label=identity.label, by_admin=True)
        try:
            self.identities.link(linked, only_way_in=True, awaited=awaited)
        except (StoreConflictError, IdentityTakenError, NotFoundError) as taken:
            raise self._taken(user.name) from taken
        return user

    def _is_awaited(self, user: User, identity: Identity, external: ExternalId) -> bool:
        """Say whether the imported *user* awaits this login. Admins await none: a name makes nobody an admin."""
        if user.awaited is None or user.factors is not FactorState.NONE:
            return False
        if user.admin or self.accounts.is_name_of_admin(user.name):
            return False
        return user.awaited.is_met_by(user.name, identity.provider, external.issuer, self.clock.now())

    def _require_admitted(self, name: str, identity: Identity, *, is_existing: bool, by_admin: bool = False) -> None:
        refused = self.admission.refusal_of(name, identity.groups, is_existing=is_existing, by_admin=by_admin)
        if refused is not None:
            raise self._refusal(refused)

    def _taken(self, name: str) -> NotAllowedError:
        return self._refusal(
            _(
                "The name %(shown)s belongs to a user of this hub. If that is you, log in as before and link"
                " this login on the page of your account.",
                shown=names.shown(name),
            )
        )

    def _refusal(self, why: str) -> NotAllowedError:
        return NotAllowedError(why, contact=self.admission.contact)
