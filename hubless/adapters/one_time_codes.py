"""Codes of authenticator apps, by pyotp."""

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyotp import TOTP

IMPORTED_BITS = 80  # of the secrets that NativeAuthenticator 1.3 makes
_EITHER_SIDE = 1  # steps: clocks of phones differ by some seconds, and typing takes some (RFC 6238 5.2)


class PyotpCodes:
    """Makes and checks codes of six digits."""

    def new_secret(self) -> str:
        from pyotp import random_base32  # noqa: PLC0415 few requests need it

        return random_base32()

    def address(self, secret: str, *, account: str, issuer: str) -> str:
        return _totp(secret).provisioning_uri(name=account, issuer_name=issuer)

    def step_of(self, secret: str, code: str, now: datetime, *, is_imported: bool = False) -> int | None:
        from pyotp.exceptions import OTPVerificationError  # noqa: PLC0415 see above

        try:
            return _totp(secret, is_imported=is_imported).verify_and_get_timecode(
                code, for_time=now, valid_window=_EITHER_SIDE
            )
        except OTPVerificationError:
            return None


def _totp(secret: str, *, is_imported: bool = False) -> "TOTP":
    from pyotp import TOTP  # noqa: PLC0415 see above

    class ImportedTotp(TOTP):
        min_secret_length_bits = IMPORTED_BITS

    return ImportedTotp(secret) if is_imported else TOTP(secret)
