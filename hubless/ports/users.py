"""The stores of users and groups."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from hubless.domain.user_table import Sort, TableFilter, TablePage
from hubless.domain.users import Group, GroupSummary, Member, User


class UserStore(Protocol):
    """Stores users. No two new users have names that look alike; methods that take a name match it exactly."""

    def get(self, user_id: str) -> User | None:
        """Return the user, with its groups, or None."""
        ...

    def find(self, name: str) -> User | None:
        """Return the user of that name, with its groups, or None."""
        ...

    def get_many(self, user_ids: Iterable[str]) -> dict[str, User]:
        """Return the users that exist, by id, without one round trip per user."""
        ...

    def holders(self, names: Iterable[str]) -> dict[str, str]:
        """Return, by each of *names* that is taken or looks like one that is, that name; if both, its own.

        It makes no round trip per name. "Looks like" means the same `names.skeleton`.
        """
        ...

    def create(self, users: Sequence[User]) -> list[User]:
        """Add each user whose name is free and like no other, in transactions as large as the store allows.

        It returns the added ones. Of two concurrent calls for names that look alike, one adds the user and the other
        does not return it. After a crash, a second call adds the rest.
        """
        ...

    def change(self, before: User, after: User) -> None:
        """Replace *before*'s name, admin flag and user_info by *after*'s.

        Raises:
            StoreConflictError: when the user does not exist, or its revision is not *before*'s. Also when its name
                would change while one of its servers is active: prefixes of servers contain the name.
            NameTakenError: when another user has *after*'s name, or one that looks like it.
        """
        ...

    def delete(self, user_id: str, *, at: datetime | None = None) -> None:
        """Remove the user with its inactive servers, tokens, sessions, codes, password and memberships.

        Where the hub knows of homes, it notes that this one is a removed user's, and when that was.

        After the first write no reader sees the user, even if the caller crashes before the last.

        Raises:
            StoreConflictError: when one of its servers is neither stopped nor failed; nothing was removed.
        """
        ...

    def count(self, *, active_since: datetime | None = None) -> int:
        """Return the number of users, or of those that were active since then."""
        ...

    def recount(self, now: datetime) -> None:
        """Correct the number of users where the store keeps one; call it from time to time.

        A store that counts its records has nothing to do.
        """
        ...

    def seen_since(self, since: datetime) -> list[str]:
        """Return the ids of users who were created or active since then, the last one seen first.

        It reads something of every user. The answer may lag a moment.
        """
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
            offset: the number of users to skip.
            limit: the number of users to return at most.
            sort: "id" (order of creation), "name" or "last_activity" (never active first when ascending).
            descending: whether to reverse the order.
            name_contains: a substring, compared without case; `%` and `_` have no special meaning.
            state: "active" (a server neither stopped nor failed), "ready" (a ready server) or "inactive".
            ids: only users with one of these ids, together with those of *groups*.
            groups: only users in one of these groups, together with those of *ids*.
        """
        ...

    def few_named(self, name_contains: str, most: int) -> list[User] | None:
        """Return all users whose name has this part in any case, by id; None if finding them would take long.

        It takes long where more than *most* users have it, and where the store has no index of parts of names.
        """
        ...

    def table(
        self,
        wanted: TableFilter,
        sort: Sort,
        *,
        limit: int,
        descending: bool = False,
        cursor: str | None = None,
        backwards: bool = False,
    ) -> TablePage:
        """Return one page of the users that *wanted* is true of, with their servers.

        Of users who are there throughout, pages that follow one another show each once, whoever comes or goes. Where
        the store would read all users, it looks through so many and then returns a page that says so.

        Args:
            wanted: whom to show.
            sort: the order; where `sorts` has it not, the first one of those.
            limit: the number of users to return at most.
            descending: whether to reverse the order.
            cursor: `after`, or with *backwards* `before`, of another page with the same *wanted*, *sort* and
                *descending*; None for the first page, and with *backwards* the last.
            backwards: whether to return the users before *cursor*, still in the order of *sort*.

        Raises:
            InvalidRequestError: when *cursor* is none of this order.
        """
        ...

    def sorts(self, wanted: TableFilter) -> tuple[Sort, ...]:
        """Return the orders in which `table` can show users of whom *wanted* is true, without reading them all."""
        ...

    def admins(self) -> list[User]:
        """Return the users whose admin flag is set, in order of creation; the cost grows with the result."""
        ...

    def touch(self, user_id: str, at: datetime) -> None:
        """Set the user's last activity to *at* if that is later, in one write."""
        ...


class GroupStore(Protocol):
    """Stores groups. Names are unique."""

    def find(self, name: str) -> Group | None:
        """Return the group with its members' names, or None."""
        ...

    def names(self, group_ids: Iterable[str]) -> dict[str, str]:
        """Return the names of the groups that exist, by id, in one round trip."""
        ...

    def create(self, *groups: Group) -> None:
        """Add *groups* with their members (names of users), all or none; a large group's members may come later.

        Raises:
            NameTakenError: naming the first group whose name is taken; nothing was written.
            NotFoundError: naming the first member who does not exist; nothing was written.
        """
        ...

    def delete(self, group_id: str) -> None:
        """Remove the group and its memberships; do nothing if it does not exist."""
        ...

    def add_users(self, group_id: str, user_names: Sequence[str]) -> None:
        """Make the users members.

        Raises:
            NotFoundError: naming the first user who does not exist, or the id of a group that does not; nothing was
                written.
        """
        ...

    def remove_users(self, group_id: str, user_names: Sequence[str]) -> None:
        """End the users' membership; a user who is no member is no error."""
        ...

    def set_memberships(self, user_id: str, groups: Sequence[Group]) -> None:
        """Make the user a member of the groups that have these names, and of no others.

        A group whose name nobody has is added, with its id; the members of *groups* are ignored. Of concurrent calls
        for one user, the last one counts.

        Raises:
            NotFoundError: when the user does not exist.
        """
        ...

    def set_properties(self, group_id: str, properties: Mapping[str, Any]) -> None:
        """Replace the group's properties."""
        ...

    def change_properties(self, group_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """Replace the group's properties if they are *before*, and say whether they were."""
        ...

    def summary(self, name: str) -> GroupSummary | None:
        """Return the group of that name, or None. It reads no member's name."""
        ...

    def summaries(
        self, *, limit: int, after: str = "", name_contains: str = "", names: Iterable[str] | None = None
    ) -> list[GroupSummary]:
        """Return groups in the order of their names' code points. It reads no member's name.

        Args:
            limit: the number of groups to return at most.
            after: only groups whose names come after this one, which need not be there.
            name_contains: a substring, compared without case.
            names: only groups of these names.
        """
        ...

    def members(self, group_id: str, *, limit: int, after: str = "", name_contains: str = "") -> list[Member]:
        """Return members in the order of their ids, in which users were added to the hub.

        Args:
            group_id: the group.
            limit: the number of members to return at most.
            after: only members whose ids come after this one, which need not be there.
            name_contains: a substring, compared without case. With it the call may read every member.
        """
        ...

    def page(self, *, offset: int, limit: int, names: Iterable[str] | None = None) -> tuple[list[Group], int]:
        """Return one page in order of creation, and the total; *names* limits both to groups of these names."""
        ...
