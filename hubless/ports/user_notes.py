"""The store of notes on users."""

from typing import Protocol

from hubless.domain.user_notes import UserNote


class UserNoteStore(Protocol):
    """Stores one note a user, which goes with the user."""

    def get(self, user_id: str) -> UserNote | None:
        """Return what is stored of the user, or None."""
        ...

    def save(self, before: UserNote | None, after: UserNote) -> None:
        """Store *after*, if the stored revision is that of *before*, or nothing is stored and *before* is None.

        Raises:
            NotFoundError: when the user does not exist.
            StoreConflictError: when the note was changed meanwhile.
        """
        ...
