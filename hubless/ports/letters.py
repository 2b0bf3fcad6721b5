"""The store of letters and their deliveries."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from hubless.domain.letters import Delivery, Letter


class LetterStore(Protocol):
    """Stores each letter once, and for each of its recipients a delivery. Deliveries go with the user and the letter.

    `User.unread` names the letters that a user has not read; whoever reads a user knows them without another read.
    """

    def create(self, letter: Letter) -> bool:
        """Store a new letter; return False, and write nothing, if there is or was one with its id."""
        ...

    def get(self, letter_id: str, now: datetime) -> Letter | None:
        """Return the letter, or None if there is none at *now*, or it was taken back."""
        ...

    def known(self, letter_id: str, now: datetime) -> Letter | None:
        """Return the letter as `get` does, and also what is left of one that was taken back."""
        ...

    def page(self, now: datetime, *, limit: int, before: str = "") -> list[Letter]:
        """Return letters that have not expired at *now* and were not taken back, newest first, at most *limit*.

        Args:
            now: the time.
            limit: the number of letters at most.
            before: only letters whose ids come before this one.
        """
        ...

    def take_back(self, letter: Letter) -> bool:
        """Replace a letter by what is left of it, until it expires, and return whether it was there.

        Nobody has it any more, and its id is never used again.
        """
        ...

    def deliver(self, letter: Letter, user_id: str) -> bool:
        """Give the user the letter, and count it; return False, and write nothing, if the user has or had it already.

        Of a user's letters the newest `MOST_OF_USER` stay, or a few more at a rush.

        Raises:
            NotFoundError: when the letter or the user is gone, or somebody took the letter back.
        """
        ...

    def of_user(self, user_id: str, now: datetime) -> list[Delivery]:
        """Return the user's deliveries of letters that have not expired, newest first, at most `MOST_OF_USER`."""
        ...

    def mark_read(self, letter_id: str, user_id: str, at: datetime, *, put_away: bool = False) -> bool:
        """Note that the user has read the letter, and count it once; return whether the user has it.

        Args:
            letter_id: which letter.
            user_id: who has read it.
            at: when. An earlier time that is stored stays.
            put_away: whether the user does not want to see it any more.
        """
        ...

    def forget(self, user_id: str, letter_ids: Collection[str]) -> None:
        """Take letters that are gone off the list of those that the user has not read."""
        ...

    def claim_mail(self, letter_id: str, user_id: str, at: datetime) -> bool:
        """Note that the mail of a delivery is about to be sent; only one of several callers gets True."""
        ...

    def release_mail(self, letter_id: str, user_id: str) -> None:
        """Take back `claim_mail`: the mail was not sent, and may be later."""
        ...

    def delete_expired(self, now: datetime, limit: int) -> int:
        """Remove up to *limit* letters that have expired, and return how many; 0 where the store does it."""
        ...
