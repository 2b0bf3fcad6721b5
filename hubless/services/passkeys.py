"""Passkeys: adding them, and logging in or confirming with one."""

import secrets
from collections.abc import Callable
from datetime import datetime

from hubless.domain import passkey_challenges
from hubless.domain.errors import InvalidRequestError, NotFoundError, StoreConflictError
from hubless.domain.passkey_challenges import NONCE_LENGTH, Purpose
from hubless.domain.second_factors import Factors, Passkey, check_passkey_name
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.external_identities import IdentityStore
from hubless.ports.passwords import PasswordStore
from hubless.ports.second_factors import PasskeyAnswer, PasskeyCeremonies, RelyingParty
from hubless.ports.single_use import SingleUseStore
from hubless.ports.users import UserStore
from hubless.services.second_factors import BUSY, TRIES, SecondFactors, new_recovery_codes

EXPIRED = _("The page is too old, or belongs to another login. Try again")
UNKNOWN = _(
    "The hub does not know this passkey. Log in another way; remove the passkey from your device if you do not use it"
)
LAST_WAY_IN = _("You log in with this passkey alone: add another one, or a password, before you remove it")
_MAX_HANDLE = 64  # bytes (Web Authentication 5.4.3)


@value
class Passkeys:
    """Verifies answers of passkeys. Each challenge is of one purpose and one browser, and works once."""

    ceremonies: PasskeyCeremonies
    factors: SecondFactors
    single_use: SingleUseStore
    users: UserStore
    passwords: PasswordStore
    identities: IdentityStore
    clock: Clock
    key: Callable[[], bytes]  # the hub's secret, which signs challenges
    passwords_are_elsewhere: bool = False  # whether a plug-in keeps them, and each user may have one

    # --- options for the browser ---

    def login_options(self, party: RelyingParty, binding: str) -> str:
        """Return the options to log in with any passkey of this hub, as JSON."""
        return self.ceremonies.request_options(party, self._challenge(Purpose.LOG_IN, binding))

    def confirm_options(self, party: RelyingParty, factors: Factors, binding: str) -> str:
        """Return the options to confirm with a passkey of *factors*, as JSON."""
        allowed = tuple(one.id for one in factors.passkeys if one.rp_id == party.id)
        return self.ceremonies.request_options(party, self._challenge(Purpose.SECOND_FACTOR, binding), allowed)

    def creation_options(self, party: RelyingParty, user: User, factors: Factors, binding: str) -> str:
        """Return the options to make a passkey for the user, as JSON."""
        return self.ceremonies.creation_options(
            party,
            user_handle=user.id.encode(),
            user_name=user.name,
            challenge=self._challenge(Purpose.ADD, binding),
            known=tuple(one.id for one in factors.passkeys),
        )

    # --- answers ---

    def log_in(self, party: RelyingParty, binding: str, answer: str) -> User:
        """Return the user whose passkey answered. The hub knows who it is by the answer alone.

        Raises:
            InvalidRequestError: when the answer is not right.
        """
        read = self._read(Purpose.LOG_IN, binding, answer)
        user = self.users.get(_user_id_of(read))
        if user is None:
            raise InvalidRequestError(UNKNOWN)
        try:
            self._use(party, user, read)
        except NotFoundError as gone:  # removed meanwhile
            raise InvalidRequestError(UNKNOWN) from gone
        return user

    def confirm(self, party: RelyingParty, user: User, binding: str, answer: str) -> None:
        """Make sure that a passkey of *user* answered.

        Raises:
            InvalidRequestError: when the answer is not right, or is of another user's passkey.
            NotFoundError: when the user was removed meanwhile.
        """
        read = self._read(Purpose.SECOND_FACTOR, binding, answer)
        if read.user_handle is not None and _user_id_of(read) != user.id:
            raise InvalidRequestError("This passkey belongs to another account")
        self._use(party, user, read)

    def add(self, party: RelyingParty, user: User, binding: str, answer: str, name: str) -> tuple[str, ...]:
        """Add the passkey that answered, and call it *name*.

        Returns:
            The user's recovery codes, if this is the first factor.

        Raises:
            InvalidRequestError: when the answer or the name is not right, or the user has too many passkeys.
            NotFoundError: when the user was removed meanwhile.
        """
        name = check_passkey_name(name)
        read = self._read(Purpose.ADD, binding, answer)
        made = self.ceremonies.registered(party, read)
        self._use_up(read)
        added = Passkey(made.credential_id, made.public_key, made.sign_count, party.id, name, self.clock.now())
        shown, hashes = new_recovery_codes(user.id)
        before, _ = self.factors.change(user.id, lambda factors: factors.with_passkey(added, hashes))
        return () if before.recovery_codes else shown

    def remove(self, user: User, credential_id: str) -> None:
        """Remove this passkey of the user.

        Raises:
            InvalidRequestError: when it is the last way in, or the last factor where settings demand one.
        """

        def removed(factors: Factors) -> Factors:
            after = factors.without_passkey(credential_id)
            if not after.passkeys and not self._has_another_way_in(user):
                raise InvalidRequestError(LAST_WAY_IN)
            return self.factors.still_enough(user, after)

        before, after = self.factors.change(user.id, removed)
        gone = before.passkey(credential_id)
        if gone is not None and not after.passkeys and not self._has_another_way_in(user):
            # Another tab unlinked the other way in at the same moment.
            self.factors.change(user.id, lambda factors: factors.with_passkey(gone, before.recovery_codes))
            raise InvalidRequestError(LAST_WAY_IN)

    def rename(self, user: User, credential_id: str, name: str) -> None:
        """Call this passkey of the user *name*.

        Raises:
            InvalidRequestError: when the name is not allowed.
        """
        name = check_passkey_name(name)
        self.factors.change(user.id, lambda factors: factors.renamed_passkey(credential_id, name))

    # --- helpers ---

    def _has_another_way_in(self, user: User) -> bool:
        return (
            self.passwords_are_elsewhere
            or self.passwords.get(user.id) is not None
            or bool(self.identities.of_user(user.id))
        )

    def _challenge(self, purpose: Purpose, binding: str) -> bytes:
        nonce = secrets.token_bytes(NONCE_LENGTH)
        return passkey_challenges.make(self.key(), purpose, binding, nonce=nonce, now=self.clock.now())

    def _read(self, purpose: Purpose, binding: str, answer: str) -> PasskeyAnswer:
        read = self.ceremonies.read(answer)
        if not passkey_challenges.is_valid(self.key(), purpose, binding, read.challenge, self.clock.now()):
            raise InvalidRequestError(EXPIRED)
        return read

    def _use_up(self, read: PasskeyAnswer) -> None:
        """Note that the challenge was answered.

        Raises:
            InvalidRequestError: when it was answered before.
        """
        until: datetime = self.clock.now() + 2 * passkey_challenges.LIFETIME
        if not self.single_use.use(passkey_challenges.name_of(read.challenge), until):
            raise InvalidRequestError(EXPIRED)

    def _use(self, party: RelyingParty, user: User, read: PasskeyAnswer) -> None:
        """Verify the answer against the user's record, and write the new count to it."""
        is_used_up = False
        for _attempt in range(TRIES):
            before = self.factors.store.get(user.id)
            passkey = before.passkey(read.credential_id)
            if passkey is None:
                raise InvalidRequestError(UNKNOWN)
            if passkey.rp_id != party.id:
                raise InvalidRequestError(
                    _(
                        "This passkey was made at another address of the hub (%(address)s), where alone it works",
                        address=passkey.rp_id,
                    )
                )
            count = self.ceremonies.used(party, read, public_key=passkey.public_key, sign_count=passkey.sign_count)
            if not is_used_up:
                self._use_up(read)
                is_used_up = True
            try:
                self.factors.store.save(before, before.with_passkey_used(passkey, count, self.clock.now()))
            except StoreConflictError:
                continue
            return
        raise InvalidRequestError(BUSY)


def _user_id_of(read: PasskeyAnswer) -> str:
    """Return the id of the user whose passkey it says it is; "" for nobody."""
    handle = read.user_handle or b""
    return handle.decode("ascii", "replace") if len(handle) <= _MAX_HANDLE else ""
