"""Users and groups, stored."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from hubless.domain.users import Group, User


class UserStore(Protocol):
    """Holds users. Names are unique; every method that takes a name matches it exactly."""

    def get(self, user_id: str) -> User | None:
        """Return the user, with its groups, or None."""
        ...

    def find(self, name: str) -> User | None:
        """Return the user of that name, with its groups, or None."""
        ...

    def get_many(self, user_ids: Iterable[str]) -> dict[str, User]:
        """Return those of the users that exist, by id; no round trip for each."""
        ...

    def create(self, users: Sequence[User]) -> list[User]:
        """Add each user whose name is free and return those added; as many together as a transaction holds.

        Two at once for one name: one adds it, the other is told by its absence. After a crash, asking again adds the rest.
        """
        ...

    def change(self, before: User, after: User) -> None:
        """Write *after*'s name, admin and user_info over *before*.

        Raises:
            StoreConflictError: when the user is gone, its revision is not *before*'s, or its name would change while a server
                of its is neither stopped nor failed (addresses of servers hold the name).
            NameTakenError: when *after*'s name belongs to another.
        """
        ...

    def delete(self, user_id: str) -> None:
        """Remove the user with its inactive servers, tokens, sessions, codes, password and memberships.

        From the first write on it is gone, whoever dies before the last.

        Raises:
            StoreConflictError: when one of its servers is neither stopped nor failed; nothing was removed.
        """
        ...

    def count(self, *, active_since: datetime | None = None) -> int:
        """Return how many users there are, or how many of them were active since then."""
        ...

    def page(
        self,
        *,
        offset: int,
        limit: int,
        sort: str = "id",
        descending: bool = False,
        name_contains: str | None = None,
        state: str | None = None,
        ids: Iterable[str] | None = None,
        groups: Iterable[str] | None = None,
    ) -> tuple[list[User], int]:
        """Return one page and the total over all pages.

        Args:
            sort: "id" (order of creation), "name" or "last_activity" (never active first when ascending).
            name_contains: a substring, compared without case; `%` and `_` mean themselves.
            state: "active" (some server neither stopped nor failed), "ready" (some server ready) or "inactive".
            ids, groups: when either is given, only users with one of these ids or in one of these groups.
        """
        ...

    def touch(self, user_id: str, at: datetime) -> None:
        """Set the user's last activity to *at* when that is later than what is stored; one write."""
        ...


class GroupStore(Protocol):
    """Holds groups. Names are unique."""

    def find(self, name: str) -> Group | None:
        """Return the group with its members' names, or None."""
        ...

    def names(self, group_ids: Iterable[str]) -> dict[str, str]:
        """Return the names of those of the groups that exist, by id, in one round trip."""
        ...

    def create(self, *groups: Group) -> None:
        """Add *groups* and their members (names of users), all or none; members of a large one may follow it.

        Raises:
            NameTakenError: naming the first whose name is taken; nothing was written.
            NotFoundError: naming the first member who does not exist; nothing was written.
        """
        ...

    def delete(self, group_id: str) -> None:
        """Remove the group and its memberships; nothing when it is gone already."""
        ...

    def add_users(self, group_id: str, user_names: Sequence[str]) -> None:
        """Make the users members.

        Raises:
            NotFoundError: naming the first who does not exist; nothing was written.
        """
        ...

    def remove_users(self, group_id: str, user_names: Sequence[str]) -> None:
        """End the users' membership; who is no member stays none."""
        ...

    def set_properties(self, group_id: str, properties: Mapping[str, Any]) -> None:
        """Replace the group's properties."""
        ...

    def page(self, *, offset: int, limit: int, names: Iterable[str] | None = None) -> tuple[list[Group], int]:
        """Return one page in order of creation and the total; only *names* when given."""
        ...
