"""The log of usage, and the totals that are kept of it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from hubless.domain.usage import Totals, TotalsOf, TotalsRow, Usage


class UsageLog(Protocol):
    """Stores how long each launch ran, and the totals of days and months."""

    def add(self, usage: Usage, *, expires_at: datetime | None = None) -> None:
        """Store *usage*, and add it to the totals: both or neither.

        Idempotent: a second call for the same launch changes nothing, and finishes what the first one began. The totals
        stay when the launch's own record goes.

        Args:
            usage: a launch that has ended.
            expires_at: when the store may forget the launch; None for never.
        """
        ...

    def of_owner(self, owner_id: str) -> list[Usage]:
        """Return the owner's usage, oldest first."""
        ...

    def of_month(self, of: TotalsOf, month: str) -> list[TotalsRow]:
        """Return the totals of *month*, such as `2026-11`: a row for each subject, sorted by subject.

        The cost grows with the subjects, and not with launches.
        """
        ...

    def of_users(self, user_ids: Iterable[str], month: str) -> dict[str, Totals]:
        """Return the totals of *month* of those of these users who have any, by id.

        The cost grows with *user_ids*, and with nothing else.
        """
        ...

    def of_days(self, of: TotalsOf, subject: str, month: str) -> list[TotalsRow]:
        """Return the totals of one subject: a row for each day of *month* on which it used something, oldest first."""
        ...

    def delete_expired(self, now: datetime, limit: int) -> int:
        """Remove records of launches that expired by *now*, at most *limit*; return how many.

        A store that removes expired records by itself has nothing to do.
        """
        ...
