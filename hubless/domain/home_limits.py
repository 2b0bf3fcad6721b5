"""How large a user's home may be, and how long a server still runs when it is larger."""

from collections.abc import Mapping
from dataclasses import field
from datetime import timedelta
from typing import Final

from hubless.domain.home_usage import HomeUsage
from hubless.domain.idleness import NextStop
from hubless.domain.lifecycle import Server, State
from hubless.domain.stop_reasons import StopCause, StopReason
from hubless.domain.users import User
from hubless.domain.values import value

NEARLY: Final = (4, 5)  # of a limit, as a fraction: whoever has used as much is told
LARGEST: Final = 2**50  # bytes that admins set: JSON of any program has such a number
SMALLEST: Final = 2**20  # below, somebody has mistaken the unit


@value
class SetLimits:
    """Limits that admins set while the hub runs, in bytes on disk; None is no limit.

    Args:
        users: of single users, by id.
        groups: of the members of groups, by the group's name.
    """

    users: Mapping[str, int | None] = field(default_factory=dict, hash=False)
    groups: Mapping[str, int | None] = field(default_factory=dict, hash=False)


NONE_SET: Final = SetLimits()


@value
class HomeLimits:
    """The limits of every level that the settings have, in bytes on disk; None is no limit.

    Args:
        everybody: of users for whom nothing else is set.
        groups: of the members of groups. Of several groups the largest limit counts.
        users: of single users, by name; they replace those of groups.
        overrun: how long a server runs while the home is larger than its limit; None: as long as any other.
    """

    everybody: int | None = None
    groups: Mapping[str, int] = field(default_factory=dict, hash=False)
    users: Mapping[str, int | None] = field(default_factory=dict, hash=False)
    overrun: timedelta | None = None

    def of(self, user: User, chosen: SetLimits = NONE_SET) -> int | None:
        """Return how large the home of *user* may be; what admins have *chosen* while the hub runs is stronger."""
        if user.id in chosen.users:
            return chosen.users[user.id]
        if user.name in self.users:
            return self.users[user.name]
        of_groups = [limit for name in user.groups for limit in self.of_group(name, chosen)]
        if not of_groups:
            return self.everybody
        return None if None in of_groups else max(limit for limit in of_groups if limit is not None)

    def of_group(self, name: str, chosen: SetLimits) -> tuple[int | None, ...]:
        """Return the limit that a group has, if it has one: nothing, or one value."""
        if name in chosen.groups:
            return (chosen.groups[name],)
        return (self.groups[name],) if name in self.groups else ()

    def next_stop(
        self, owner: User, server: Server, usage: HomeUsage | None, chosen: SetLimits = NONE_SET
    ) -> NextStop | None:
        """Return when a ready *server* is stopped because the home is too large; None if it is not.

        The time begins anew with each start and with each overrun. So a person over the limit can always start a
        server, to remove files; and who comes over it at work has as long.
        """
        if self.overrun is None or server.state is not State.READY or server.started_at is None:
            return None
        if usage is None or usage.over_since is None or not usage.exceeds(self.of(owner, chosen)):
            return None
        since = max(server.started_at, usage.over_since)
        return NextStop(since + self.overrun, StopReason(StopCause.FILES, limit=self.overrun))


def is_nearly_full(usage: HomeUsage, limit: int | None) -> bool:
    """Say whether the home takes most of its *limit*, and not more."""
    if limit is None or usage.exceeds(limit):
        return False
    part, whole = NEARLY
    return usage.size * whole >= limit * part
