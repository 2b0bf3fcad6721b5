"""Sign-ups that wait: for the confirmation of an e-mail address, for an admin, or for both."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from hubless.domain.values import value


@value
class SignUp:
    """Somebody who wants an account. It holds its name until it ends: nobody else signs up under a name like it.

    The user's id is chosen here, so that an account which was made in part is completed and not made twice.
    """

    name: str
    user_id: str
    password_hash: str = field(repr=False)
    created_at: datetime = field()
    expires_at: datetime = field()
    address: str = ""  # "" where none was asked for
    confirm_sha256: str = field(default="", repr=False)  # of the secret in the mail; "" where none was sent
    is_confirmed: bool = False
    needs_approval: bool = False
    approved_by: str = ""  # an admin's or a service's name
    group: str = ""  # that a join code gives
    revision: int = 0

    @property
    def waits_for_mail(self) -> bool:
        """Say whether the address must still be confirmed."""
        return bool(self.confirm_sha256) and not self.is_confirmed

    @property
    def waits_for_admin(self) -> bool:
        """Say whether an admin must still approve it."""
        return self.needs_approval and not self.approved_by

    @property
    def is_complete(self) -> bool:
        """Say whether nothing is missing, so that the account can be made."""
        return not (self.waits_for_mail or self.waits_for_admin)


@value
class JoinCode:
    """A code that lets its holders sign up: until *expires_at*, *uses* times (0 for no limit), into *group*."""

    name: str
    sha256: str
    group: str = ""
    expires_at: datetime | None = None
    uses: int = 0
    needs_approval: bool = False
    is_link: bool = False  # whether an admin made it at run time: its uses are counted with its join link

    def has_expired(self, now: datetime) -> bool:
        """Say whether the code is too old at *now*."""
        return self.expires_at is not None and self.expires_at <= now


def code_of(codes: Mapping[str, JoinCode], sha256: str, now: datetime) -> JoinCode | None:
    """Return the code of this hash if it is valid at *now*; *codes* are by hash."""
    found = codes.get(sha256)
    return None if found is None or found.has_expired(now) else found
