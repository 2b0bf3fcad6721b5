"""The e-mail address of a user: a verified one, and perhaps one that waits for its user's confirmation."""

from datetime import datetime

from hubless.domain.values import value


@value
class EmailAddress:
    """What the hub knows of a user's address. Only a verified *address* counts; *pending* is asked by a mail."""

    user_id: str
    address: str = ""  # verified: by a mail, a provider or an admin
    pending: str = ""
    pending_sha256: str = ""  # of the secret in the mail
    pending_until: datetime | None = None

    def is_confirmed_by(self, sha256: str, now: datetime) -> bool:
        """Say whether a secret of this hash confirms the pending address at *now*."""
        return bool(
            self.pending
            and self.pending_sha256 == sha256
            and self.pending_until is not None
            and now < self.pending_until
        )
