"""The table of users and their servers: whom it shows, in which order, and one page of it.

A page begins after a *cursor*, which names a row and no number of rows. So a user who is added or removed between two
pages repeats nobody and hides nobody.
"""

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum

from hubless.domain.lifecycle import ACTIVE, PENDING, Server, State
from hubless.domain.users import User
from hubless.domain.values import value

# A user stands where the first of its servers does: what needs attention comes first.
STATES = (
    State.FAILED,
    State.REQUESTED,
    State.PREPARING,
    State.LAUNCHING,
    State.STARTING,
    State.STOPPING,
    State.READY,
    State.STOPPED,
)
RANKS: Mapping[State, int] = {state: rank for rank, state in enumerate(STATES)}
NO_SERVER = len(STATES)  # the rank of a user without a server


class Sort(StrEnum):
    """By what the rows are ordered."""

    NAME = "name"
    CREATED = "created"
    LAST_ACTIVITY = "last_activity"  # of the user; users who were never active come first
    STARTED = "started"  # of the running server that started last; users without one come first
    STATE = "state"  # as in STATES, users without a server last


class Servers(StrEnum):
    """Which servers a user must have."""

    ACTIVE = "active"
    READY = "ready"
    PENDING = "pending"
    FROZEN = "frozen"
    FAILED = "failed"
    INACTIVE = "inactive"  # none that is active


OF_SERVERS: Mapping[Servers, frozenset[State]] = {
    Servers.ACTIVE: ACTIVE,
    Servers.READY: frozenset({State.READY}),
    Servers.FROZEN: frozenset({State.READY}),
    Servers.PENDING: PENDING,
    Servers.FAILED: frozenset({State.FAILED}),
}


@value
class Reach:
    """Whom somebody may list: users with these ids, and members of these groups (names)."""

    ids: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


@value
class TableFilter:
    """Whom the table shows: users of whom all of this is true."""

    name_contains: str = ""  # compared without case
    servers: Servers | None = None
    group: str = ""  # a name
    admin: bool = False  # whether only admins are shown
    profile: str = ""  # of one of the servers above; of an active one if *servers* is None
    idle_since: datetime | None = None  # one of them is ready, and was not used after this
    reach: Reach | None = None  # None: everybody

    @property
    def states(self) -> frozenset[State] | None:
        """Return the states of which a user must have a server; None if that does not matter."""
        if self.servers is Servers.INACTIVE:
            return None
        if self.idle_since is not None:
            return frozenset({State.READY}) & OF_SERVERS.get(self.servers or Servers.READY, frozenset())
        if self.servers is not None:
            return OF_SERVERS[self.servers]
        return ACTIVE if self.profile else None

    def matches(self, user: User, servers: Iterable[Server]) -> bool:
        """Say whether the table shows *user*, who has *servers*."""
        known = list(servers)
        if self.name_contains and self.name_contains.casefold() not in user.name.casefold():
            return False
        if (self.group and self.group not in user.groups) or (self.admin and not user.admin):
            return False
        if self.reach is not None and user.id not in self.reach.ids and self.reach.groups.isdisjoint(user.groups):
            return False
        if self.servers is Servers.INACTIVE:
            return not any(server.state in ACTIVE for server in known)
        return self.states is None or any(map(self.shows, known))

    def shows(self, server: Server) -> bool:
        """Say whether *server* is one of those that a user must have."""
        if self.states is None or server.state not in self.states:
            return False
        if self.profile and server.profile != self.profile:
            return False
        if self.servers is Servers.FROZEN and server.frozen_at is None:
            return False
        return self.idle_since is None or (server.last_activity_at or server.entered_at) <= self.idle_since


@value
class Row:
    """A user with all its servers, oldest first."""

    user: User
    servers: tuple[Server, ...] = ()

    @property
    def rank(self) -> int:
        """Return where the user stands by state."""
        return min((RANKS[server.state] for server in self.servers), default=NO_SERVER)


@value
class TablePage:
    """One page of the table."""

    rows: tuple[Row, ...]
    sort: Sort  # what the rows are ordered by; another than was asked for where the store has no such order
    before: str | None = None  # the cursor at which the page before this one ends; None if this is the first
    after: str | None = None  # the cursor at which the next page begins; None if this is the last
    total: int | None = None  # rows of all pages; None where a count would cost more than the page
    is_cut: bool = False  # the store stopped looking before the page was full: *after*, or *before*, goes on
    sorts: tuple[Sort, ...] = field(default=tuple(Sort))  # the orders that the store has for this filter
