"""The store of users' e-mail addresses."""

from typing import Protocol

from hubless.domain.email_addresses import EmailAddress

MOST_USERS = 10  # of one address that `users_of` returns


class EmailAddressStore(Protocol):
    """Stores one address a user. Several users may have the same: a family, or a person and an admin."""

    def get(self, user_id: str) -> EmailAddress | None:
        """Return what is stored of the user, or None."""
        ...

    def save(self, before: EmailAddress | None, after: EmailAddress) -> None:
        """Store *after*, if *before* is what is stored.

        Raises:
            NotFoundError: when the user does not exist.
            StoreConflictError: when the address was changed meanwhile.
        """
        ...

    def users_of(self, address: str) -> list[str]:
        """Return the ids of up to `MOST_USERS` users whose verified address this is, in any case of its letters."""
        ...
