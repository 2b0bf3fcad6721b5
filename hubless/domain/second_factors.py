"""Second factors: what a user proves besides a password, and how often somebody may guess.

A user has one record of them. Each change is a new record with the next revision, so that of two requests at once one
writes. Once a user has an app or a passkey, a password alone opens no session.
"""

import hashlib
import re
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from hubless.domain.errors import InvalidRequestError
from hubless.domain.translatable import gettext as _
from hubless.domain.users import FactorState
from hubless.domain.values import value

MAX_PASSKEYS = 20
MAX_PASSKEY_NAME = 64  # characters
RECOVERY_CODES = 10  # that a user gets at once
RECOVERY_LENGTH = 16  # characters of five bits each: with 80 bits a plain hash is enough
RECOVERY_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no letter looks like a digit
MAX_TYPED = 64  # characters of a code that are looked at

STEP_SECONDS = 30  # RFC 6238 5.2
DIGITS = 6
FREE_GUESSES = 5  # wrong codes in a row that lock
_FIRST_LOCK, _LONGEST_LOCK = timedelta(minutes=10), timedelta(hours=1)
# A step that was used so far ahead of now was used by a wrong clock: it must not lock its user out until then.
_STEPS_OF_WRONG_CLOCK = 20

_CODE = re.compile(rf"[0-9]{{{DIGITS}}}")
_RECOVERY_CODE = re.compile(rf"[{RECOVERY_ALPHABET}]{{{RECOVERY_LENGTH}}}")
_LOOK_ALIKE = str.maketrans("oil", "011")


class TypedCode(StrEnum):
    """What kind of code somebody typed."""

    APP = "app"
    RECOVERY = "recovery"
    NEITHER = "neither"


@value
class AuthenticatorApp:
    """An app that shows a new code every 30 seconds (TOTP, RFC 6238)."""

    sealed_secret: bytes
    added_at: datetime
    last_step: int  # the newest step whose code was used: it, and earlier ones, are refused (RFC 6238 5.2)
    is_imported: bool = False  # its secret comes from another program and may be shorter than ours


@value
class Passkey:
    """A public key credential of one user (Web Authentication)."""

    id: str  # the credential's, base64url without padding
    public_key: bytes  # COSE
    sign_count: int  # stays 0 with many authenticators
    rp_id: str  # the host for which the browser made it
    name: str
    added_at: datetime
    last_used_at: datetime | None = None


@value
class Factors:
    """The record of one user; one that does not exist yet has the revision 0."""

    user_id: str
    revision: int = 0
    app: AuthenticatorApp | None = None
    passkeys: tuple[Passkey, ...] = ()  # in the order in which they were added
    recovery_codes: tuple[str, ...] = ()  # hashes of those that are left
    failures: int = 0  # wrong codes since the last right one
    failed_at: datetime | None = None
    reset_at: datetime | None = None  # until the user was told
    reset_by: str = ""

    @property
    def is_set_up(self) -> bool:
        """Say whether the user has an app or a passkey."""
        return self.app is not None or bool(self.passkeys)

    @property
    def state(self) -> FactorState:
        """Return what every reader of the user knows."""
        if self.is_set_up:
            return FactorState.SET_UP
        return FactorState.RESET if self.reset_at is not None else FactorState.NONE

    def passkey(self, credential_id: str) -> Passkey | None:
        """Return the passkey with this id, or None."""
        return next((one for one in self.passkeys if one.id == credential_id), None)

    # --- guesses ---

    def locked_until(self, now: datetime) -> datetime | None:
        """Return until when no code is looked at, or None.

        Every fifth wrong code in a row locks: for ten minutes first, then twice as long each time, up to an hour. A
        failure that a wrong clock wrote into the far future locks nothing.
        """
        if self.failed_at is None or self.failures < FREE_GUESSES or self.failures % FREE_GUESSES:
            return None
        lock_for = min(_FIRST_LOCK * 2 ** min(self.failures // FREE_GUESSES - 1, 8), _LONGEST_LOCK)
        until = self.failed_at + lock_for
        return until if now < until <= now + 2 * _LONGEST_LOCK else None

    def with_failure(self, now: datetime) -> "Factors":
        """Return the record after a wrong code."""
        return self._changed(failures=self.failures + 1, failed_at=now)

    def takes_step(self, step: int, now: datetime) -> bool:
        """Say whether the code of *step* was not used before, nor a later one."""
        if self.app is None:
            return False
        newest = self.app.last_step
        return step > newest or newest > step_at(now) + _STEPS_OF_WRONG_CLOCK

    def with_step_used(self, step: int) -> "Factors":
        """Return the record after the right code of *step*."""
        assert self.app is not None  # noqa: S101 `takes_step` was asked
        return self._changed(app=replace(self.app, last_step=step), failures=0, failed_at=None)

    def with_recovery_code_used(self, sha256: str) -> "Factors":
        """Return the record after this recovery code was used; it works no more."""
        left = tuple(one for one in self.recovery_codes if one != sha256)
        return self._changed(recovery_codes=left, failures=0, failed_at=None)

    def with_passkey_used(self, used: Passkey, sign_count: int, now: datetime) -> "Factors":
        """Return the record after a login with the passkey *used*, whose authenticator has counted to *sign_count*."""
        after = replace(used, sign_count=sign_count, last_used_at=now)
        return self._changed(passkeys=tuple(after if one.id == used.id else one for one in self.passkeys))

    # --- changes by the user or an admin ---

    def with_app(self, app: AuthenticatorApp, recovery_codes: tuple[str, ...]) -> "Factors":
        """Return the record with *app* in place of any other; *recovery_codes* are used where none are left."""
        return self._set_up(recovery_codes, app=app)

    def with_passkey(self, added: Passkey, recovery_codes: tuple[str, ...]) -> "Factors":
        """Return the record with one more passkey; *recovery_codes* are used where none are left.

        Raises:
            InvalidRequestError: when the user has it already, or has as many as one may have.
        """
        if self.passkey(added.id) is not None:
            raise InvalidRequestError("You have added this passkey already")
        if len(self.passkeys) >= MAX_PASSKEYS:
            raise InvalidRequestError(
                _(
                    "You can have %(max_passkeys)s passkeys. Remove one that you do not use first",
                    max_passkeys=MAX_PASSKEYS,
                )
            )
        return self._set_up(recovery_codes, passkeys=(*self.passkeys, added))

    def without_app(self) -> "Factors":
        """Return the record without the app."""
        return self._removed(app=None)

    def without_passkey(self, credential_id: str) -> "Factors":
        """Return the record without this passkey."""
        return self._removed(passkeys=tuple(one for one in self.passkeys if one.id != credential_id))

    def renamed_passkey(self, credential_id: str, name: str) -> "Factors":
        """Return the record in which this passkey is called *name*."""
        return self._changed(
            passkeys=tuple(replace(one, name=name) if one.id == credential_id else one for one in self.passkeys)
        )

    def with_recovery_codes(self, hashes: tuple[str, ...]) -> "Factors":
        """Return the record with new recovery codes; the old ones work no more."""
        return self._changed(recovery_codes=hashes)

    def reset(self, by: str, now: datetime) -> "Factors":
        """Return the record without any factor; the user is told that *by* removed them."""
        return Factors(self.user_id, self.revision + 1, reset_at=now, reset_by=by)

    def told(self) -> "Factors":
        """Return the record after the user was told of a reset."""
        return self._changed(reset_at=None, reset_by="")

    def _set_up(self, recovery_codes: tuple[str, ...], **what: object) -> "Factors":
        kept = self.recovery_codes or recovery_codes
        return self._changed(recovery_codes=kept, reset_at=None, reset_by="", **what)

    def _removed(self, **what: object) -> "Factors":
        after = self._changed(**what)
        # Recovery codes stand in for a factor: without one they would be a second password.
        return after if after.is_set_up else replace(after, recovery_codes=(), failures=0, failed_at=None)

    def _changed(self, **what: object) -> "Factors":
        return replace(self, revision=self.revision + 1, **what)  # type: ignore[arg-type]  # names of its fields


def step_at(now: datetime) -> int:
    """Return the number of the 30 seconds in which *now* is (RFC 6238 4.2)."""
    return int(now.timestamp()) // STEP_SECONDS


def read_code(typed: str) -> tuple[TypedCode, str]:
    """Return what kind of code was typed, and the code without blanks, hyphens and letters that look like digits."""
    if len(typed) > MAX_TYPED:
        return TypedCode.NEITHER, ""
    code = re.sub(r"[\s-]", "", typed)
    if code.isascii() and _CODE.fullmatch(code):
        return TypedCode.APP, code
    code = code.lower().translate(_LOOK_ALIKE)
    return (TypedCode.RECOVERY, code) if _RECOVERY_CODE.fullmatch(code) else (TypedCode.NEITHER, "")


def recovery_hash(user_id: str, code: str) -> str:
    """Return what the store keeps of a recovery code, which `read_code` has read."""
    return hashlib.sha256(f"recovery:{user_id}:{code}".encode()).hexdigest()


def as_written(code: str) -> str:
    """Return a recovery code in groups of four, as people copy it."""
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


def check_passkey_name(name: str) -> str:
    """Return *name* without blanks around it.

    Raises:
        InvalidRequestError: when it is empty or too long, or has control characters.
    """
    name = name.strip()
    if not name or len(name) > MAX_PASSKEY_NAME or not name.isprintable():
        raise InvalidRequestError(
            _("Give the passkey a name of 1 to %(max_passkey_name)s characters", max_passkey_name=MAX_PASSKEY_NAME)
        )
    return name
