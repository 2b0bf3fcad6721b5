"""The store of limits of homes that admins set while the hub runs."""

from collections.abc import Collection
from enum import StrEnum
from typing import Protocol

from hubless.domain.home_limits import SetLimits


class LimitOf(StrEnum):
    """Whose limit it is."""

    USER = "user"
    GROUP = "group"


class HomeLimitStore(Protocol):
    """Stores limits, in bytes; None is no limit. Each goes with its user or group, and stays with a new name of it."""

    def of(self, user_ids: Collection[str], group_names: Collection[str]) -> SetLimits:
        """Return those of these users and groups, in one round trip."""
        ...

    def all(self, limit: int) -> list[tuple[LimitOf, str, int | None]]:
        """Return at most *limit* of all, those of groups first, by the names of whom they are."""
        ...

    def put(self, of: LimitOf, its_id: str, size: int | None) -> None:
        """Set the limit of the user or group with this id, in place of the one before.

        Raises:
            NotFoundError: when there is no such user or group.
        """
        ...

    def remove(self, of: LimitOf, its_id: str) -> bool:
        """Remove the limit, and return whether there was one."""
        ...
