"""Second factors: who must show one, codes of apps, recovery codes, and resets by admins."""

import base64
import binascii
import json
import logging
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from hubless.domain import second_factors
from hubless.domain.errors import InvalidRequestError, StoreConflictError
from hubless.domain.second_factors import (
    RECOVERY_ALPHABET,
    RECOVERY_CODES,
    RECOVERY_LENGTH,
    AuthenticatorApp,
    Factors,
    TypedCode,
)
from hubless.domain.translatable import gettext as _
from hubless.domain.users import FactorState, User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.second_factors import FactorStore, OneTimeCodes, SecretSealer

logger = logging.getLogger(__name__)
OFFER_LIFETIME = timedelta(hours=1)  # of a secret that a page shows and no code has confirmed
MAX_OFFER = 1024  # characters
TRIES = 8  # of a change that meets another one of the same user
_WRONG = _("This code is not right. Codes change every 30 seconds: type the one that the app shows now.")
_WRONG_CLOCK = f"{_WRONG} If none works, set the clock of your phone to automatic."
_USED = _("This code was used already. Wait until the app shows the next one.")
_NO_CODE = _("Type the six digits that your app shows, or one of your recovery codes.")
_UNREADABLE = _(
    "The hub cannot check codes of apps, because its keys were replaced. Use a recovery code or a"
    " passkey, or ask an admin to reset your second factors."
)
NEEDED = _("This hub demands a second factor of you: add another one before you remove the last")
BUSY = _("Another change of your second factors happened at the same moment. Try again")


@value
class Accepted:
    """The code is right. *left* is how many recovery codes are left, if one was used."""

    left: int | None = None


@value
class WrongCode:
    """The code is not right; *why* is a sentence for the person who typed it."""

    why: str


@value
class CodesLocked:
    """Too many codes in a row were wrong; no code is looked at for *minutes* at most."""

    minutes: int


@value
class AppOffer:
    """A secret that an app may take. It counts once a code of the app has confirmed it."""

    secret: str  # in base 32
    address: str  # that the app reads from a QR code
    offer: str  # what the page sends back: the secret, sealed


@value
class SecondFactors:
    """Asks for second factors at logins, and changes them. Callers have made sure who asks for a change."""

    store: FactorStore
    codes: OneTimeCodes
    sealer: SecretSealer
    clock: Clock
    hub_name: str
    demand: str = "optional"  # [login] second_factor
    admins_need: bool = False
    are_offered: bool = True  # not where many people know the password of every name
    tell_of_reset: Callable[[User, str], None] = lambda _user, _by: None  # by mail; raises nothing

    # --- who needs one ---

    def required_of(self, user: User, *, external: bool = False) -> bool:
        """Say whether the user, whose login has succeeded, must show or set up a second factor first.

        Args:
            user: as the login has read it: this reads nothing.
            external: whether a provider has logged the user in, who may have asked for a factor itself. The hub then
                asks only if the settings say `always`.
        """
        if not self.are_offered or (external and self.demand != "always"):
            return False
        return user.factors is FactorState.SET_UP or self.must_set_up(user)

    def must_set_up(self, user: User) -> bool:
        """Say whether settings demand a second factor of the user, who has none."""
        return user.factors is not FactorState.SET_UP and self.is_demanded_of(user)

    def is_demanded_of(self, user: User) -> bool:
        """Say whether settings demand a second factor of the user."""
        return self.are_offered and (self.demand in {"required", "always"} or (self.admins_need and user.admin))

    def of(self, user: User) -> Factors:
        """Return the user's record."""
        return self.store.get(user.id)

    # --- codes ---

    def check_code(self, user: User, typed: str) -> Accepted | WrongCode | CodesLocked:
        """Say whether *typed* is a right code of the user's app or recovery codes, and use it up.

        The answer is given only after its write, which names the record that was read: guesses that come at once are
        counted one by one, and of two logins with one code one succeeds.

        Raises:
            NotFoundError: when the user was removed meanwhile.
        """
        kind, code = second_factors.read_code(typed)
        for _attempt in range(TRIES):
            now = self.clock.now()
            before = self.store.get(user.id)
            if (until := before.locked_until(now)) is not None:
                return CodesLocked(max(1, -(-(until - now) // timedelta(minutes=1))))
            verdict, after = self._judged(before, kind, code, now)
            if after is None or self._is_saved(before, after):
                return verdict
        return WrongCode(BUSY)

    def _judged(
        self, before: Factors, kind: TypedCode, code: str, now: datetime
    ) -> tuple[Accepted | WrongCode, Factors | None]:
        """Return the verdict, and the record after it; None if nothing changes."""
        match kind:
            case TypedCode.NEITHER:
                return WrongCode(_NO_CODE), None
            case TypedCode.RECOVERY:
                sha256 = second_factors.recovery_hash(before.user_id, code)
                if sha256 not in before.recovery_codes:
                    return WrongCode("This recovery code is not right, or was used already."), before.with_failure(now)
                after = before.with_recovery_code_used(sha256)
                return Accepted(len(after.recovery_codes)), after
            case TypedCode.APP:
                return self._judged_app_code(before, code, now)

    def _judged_app_code(
        self, before: Factors, code: str, now: datetime
    ) -> tuple[Accepted | WrongCode, Factors | None]:
        if before.app is None:
            return WrongCode("You have added no app. Use a passkey or a recovery code."), before.with_failure(now)
        secret = opened_app_secret(self.sealer, before.user_id, before.app.sealed_secret)
        if secret is None:
            logger.error("no key opens the app secret of user %s: were the hub's keys replaced?", before.user_id)
            return WrongCode(_UNREADABLE), None
        step = self.codes.step_of(secret, code, now, is_imported=before.app.is_imported)
        if step is None:
            return WrongCode(_WRONG_CLOCK), before.with_failure(now)
        if not before.takes_step(step, now):
            return WrongCode(_USED), None
        return Accepted(), before.with_step_used(step)

    # --- apps ---

    def offer_app(self, user: User) -> AppOffer:
        """Return a new secret for an app of the user. Nothing is stored."""
        secret = self.codes.new_secret()
        sealed = self.sealer.seal(json.dumps([user.id, secret, int(self.clock.now().timestamp())]).encode())
        return self._offered(user, secret, base64.urlsafe_b64encode(sealed).decode())

    def same_offer(self, user: User, offer: str) -> AppOffer | None:
        """Return what was offered to the user, or None if *offer* is not valid any more."""
        secret = self._secret_of(user, offer)
        return None if secret is None else self._offered(user, secret, offer)

    def _offered(self, user: User, secret: str, offer: str) -> AppOffer:
        return AppOffer(secret, self.codes.address(secret, account=user.name, issuer=self.hub_name), offer)

    def add_app(self, user: User, offer: str, typed: str) -> tuple[str, ...]:
        """Add the app that took the secret of *offer*, if *typed* is its code, in place of another.

        Returns:
            The user's recovery codes, if this is the first factor.

        Raises:
            InvalidRequestError: when the code is not right, or the offer is not valid any more.
            NotFoundError: when the user was removed meanwhile.
        """
        secret = self._secret_of(user, offer)
        if secret is None:
            raise InvalidRequestError("This page is too old. Scan the code that it shows now")
        kind, code = second_factors.read_code(typed)
        now = self.clock.now()
        step = self.codes.step_of(secret, code, now) if kind is TypedCode.APP else None
        if step is None:
            raise InvalidRequestError(
                _WRONG_CLOCK if kind is TypedCode.APP else "Type the six digits that your app shows"
            )
        app = AuthenticatorApp(
            sealed_app_secret(self.sealer, user.id, secret), now, last_step=step
        )  # this code opens no session
        shown, hashes = new_recovery_codes(user.id)
        before, _ = self.change(user.id, lambda factors: factors.with_app(app, hashes))
        return () if before.recovery_codes else shown

    def remove_app(self, user: User) -> None:
        """Remove the user's app.

        Raises:
            InvalidRequestError: when settings demand a second factor, and this is the last.
        """
        self.change(user.id, lambda factors: self.still_enough(user, factors.without_app()))

    def still_enough(self, user: User, after: Factors) -> Factors:
        """Return the record *after* a removal.

        Raises:
            InvalidRequestError: when settings demand a second factor of the user, and it has none left.
        """
        if not after.is_set_up and self.is_demanded_of(user):
            raise InvalidRequestError(NEEDED)
        return after

    def renew_recovery_codes(self, user: User) -> tuple[str, ...]:
        """Return new recovery codes in place of all others.

        Raises:
            InvalidRequestError: when the user has no second factor, for which they stand in.
        """
        shown, hashes = new_recovery_codes(user.id)

        def renewed(factors: Factors) -> Factors:
            if not factors.is_set_up:
                raise InvalidRequestError("Add an app or a passkey first: recovery codes stand in for one")
            return factors.with_recovery_codes(hashes)

        self.change(user.id, renewed)
        return shown

    # --- admins ---

    def reset(self, user: User, by: str) -> bool:
        """Remove all factors of the user and note *by* whom, for the user to read; say whether there were any.

        It may wait for a mail server.
        """
        if not self.store.get(user.id).is_set_up:
            return False
        now = self.clock.now()
        self.change(user.id, lambda factors: factors.reset(by, now))
        self.tell_of_reset(user, by)
        return True

    def note_told(self, user: User) -> None:
        """Note that the user has read of the reset."""
        if self.store.get(user.id).state is FactorState.RESET:
            self.change(user.id, Factors.told)

    # --- helpers ---

    def change(self, user_id: str, change: Callable[[Factors], Factors]) -> tuple[Factors, Factors]:
        """Change the record in one conditional write, again after another request's; return it before and after.

        Raises:
            NotFoundError: when the user does not exist.
            StoreConflictError: when other requests were faster each time.
        """
        for _attempt in range(TRIES):
            before = self.store.get(user_id)
            after = change(before)
            if self._is_saved(before, after):
                return before, after
        raise StoreConflictError(BUSY)

    def _is_saved(self, before: Factors, after: Factors) -> bool:
        try:
            self.store.save(before, after)
        except StoreConflictError:
            return False
        return True

    def _secret_of(self, user: User, offer: str) -> str | None:
        """Return the secret that was offered to this user within the last hour, or None."""
        if not offer or len(offer) > MAX_OFFER:
            return None
        try:
            opened = self.sealer.open(base64.urlsafe_b64decode(offer.encode("ascii")))
        except (binascii.Error, UnicodeEncodeError):
            return None
        if opened is None:
            return None
        user_id, secret, at = json.loads(opened)
        age = self.clock.now().timestamp() - at
        return str(secret) if user_id == user.id and age < OFFER_LIFETIME.total_seconds() else None


def sealed_app_secret(sealer: SecretSealer, user_id: str, secret: str) -> bytes:
    """Return the secret of a user's app as the store keeps it.

    It has the user's id in it, so that nobody who writes to the store can give one user the secret of another.
    """
    return sealer.seal(f"{user_id}:{secret}".encode())


def opened_app_secret(sealer: SecretSealer, user_id: str, sealed: bytes) -> str | None:
    """Return the secret that `sealed_app_secret` sealed, or None if no key opens it or it is another user's."""
    whose, _, secret = (sealer.open(sealed) or b"").decode().rpartition(":")
    return secret if secret and whose == user_id else None


def new_recovery_codes(user_id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return new recovery codes as their user writes them down, and what the store keeps of them."""
    codes = ["".join(secrets.choice(RECOVERY_ALPHABET) for _ in range(RECOVERY_LENGTH)) for _ in range(RECOVERY_CODES)]
    written = tuple(second_factors.as_written(code) for code in codes)
    return written, tuple(second_factors.recovery_hash(user_id, code) for code in codes)
