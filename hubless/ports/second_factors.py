"""Second factors: their store, the codes of apps, and the ceremonies of passkeys."""

from datetime import datetime
from typing import Protocol

from hubless.domain.second_factors import Factors
from hubless.domain.values import value


class FactorStore(Protocol):
    """Stores one record of second factors per user, and its state with the user."""

    def get(self, user_id: str) -> Factors:
        """Return the user's record; one without anything, of revision 0, if there is none."""
        ...

    def save(self, before: Factors, after: Factors) -> None:
        """Replace *before* by *after* and set the user's factor state, in one transaction.

        Raises:
            NotFoundError: when the user does not exist.
            StoreConflictError: when the stored revision is not *before*'s.
        """
        ...


class OneTimeCodes(Protocol):
    """The codes of authenticator apps (TOTP, RFC 6238): six digits, 30 seconds, SHA-1, as all apps know them."""

    def new_secret(self) -> str:
        """Return a new secret of 160 bits in base 32."""
        ...

    def address(self, secret: str, *, account: str, issuer: str) -> str:
        """Return the `otpauth:` address that an app reads from a QR code."""
        ...

    def step_of(self, secret: str, code: str, now: datetime, *, is_imported: bool = False) -> int | None:
        """Return the step whose code *code* is: the present one, the one before or the next one; None if no such is.

        Args:
            secret: in base 32.
            code: six digits.
            now: the present instant.
            is_imported: whether a secret of 80 bits is enough, as NativeAuthenticator 1.3 makes them; ours have more.
        """
        ...


class SecretSealer(Protocol):
    """Encrypts what the store keeps and only the hub may read; keys may be replaced one after the other."""

    def seal(self, data: bytes) -> bytes:
        """Return *data* encrypted with the newest key."""
        ...

    def open(self, sealed: bytes) -> bytes | None:
        """Return what was sealed with one of the keys, or None."""
        ...


@value
class RelyingParty:
    """The hub, as authenticators know it."""

    id: str  # the host of its pages
    origin: str  # of its pages, such as "https://hub.example.org"
    name: str


@value
class PasskeyAnswer:
    """What a browser says that an authenticator answered; nothing of it is proved yet."""

    credential_id: str  # base64url without padding
    challenge: bytes
    user_handle: bytes | None  # whose passkey it says it is; none at the registration
    text: str  # all of it, as JSON


@value
class NewPasskey:
    """What a registration proved."""

    credential_id: str
    public_key: bytes
    sign_count: int


class PasskeyCeremonies(Protocol):
    """Makes the options that a browser gives to an authenticator, and verifies the answer (Web Authentication 3)."""

    def creation_options(
        self, party: RelyingParty, *, user_handle: bytes, user_name: str, challenge: bytes, known: tuple[str, ...]
    ) -> str:
        """Return the options to make a passkey, as JSON; an authenticator that holds one of *known* makes none."""
        ...

    def request_options(self, party: RelyingParty, challenge: bytes, allowed: tuple[str, ...] = ()) -> str:
        """Return the options to use a passkey, as JSON: one of *allowed*, or any of this hub if there are none."""
        ...

    def read(self, answer: str) -> PasskeyAnswer:
        """Return what the browser sent.

        Raises:
            InvalidRequestError: when it is no answer, or when a page within another site's page asked for it.
        """
        ...

    def registered(self, party: RelyingParty, answer: PasskeyAnswer) -> NewPasskey:
        """Return the passkey that the answer proves; its user was verified by a fingerprint, a PIN or alike.

        Raises:
            InvalidRequestError: when the answer is not right for this hub and its challenge.
        """
        ...

    def used(self, party: RelyingParty, answer: PasskeyAnswer, *, public_key: bytes, sign_count: int) -> int:
        """Return the new sign count that the answer proves; its user was verified by a fingerprint, a PIN or alike.

        Raises:
            InvalidRequestError: when the answer is not right for this hub, its challenge and the passkey, or when the
                authenticator counted no further than *sign_count*: then it may be a copy.
        """
        ...
