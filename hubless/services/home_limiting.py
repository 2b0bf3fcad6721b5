"""How large homes may be by settings and by what admins set at run time, and when too many files stop a server."""

import logging
from collections.abc import Collection
from typing import Final

from hubless.domain.errors import InvalidRequestError, NotFoundError
from hubless.domain.home_limits import LARGEST, NONE_SET, SMALLEST, HomeLimits, SetLimits
from hubless.domain.idleness import NextStop
from hubless.domain.lifecycle import Server
from hubless.domain.limits import as_typed, size_of
from hubless.domain.translatable import gettext as _
from hubless.domain.users import Group, GroupSummary, User
from hubless.domain.values import value
from hubless.ports.home_limits import HomeLimitStore, LimitOf
from hubless.ports.home_usage import HomeUsageStore

logger = logging.getLogger(__name__)
NO_LIMIT: Final = "none"  # as people write it


@value
class HomeLimit:
    """A limit that counts for a user, or for the members of a group.

    Args:
        size: bytes on disk; None is no limit.
        is_set: whether it was set at run time, and for this user or group.
    """

    size: int | None
    is_set: bool


@value
class HomeLimiting:
    """Compares homes with their limits, and sets limits."""

    limits: HomeLimits  # of the settings
    usage: HomeUsageStore
    store: HomeLimitStore | None = None  # None: nothing measures homes, so no limit would count

    def of(self, users: Collection[User]) -> dict[str, int | None]:
        """Return by user id how large the homes of *users* may be, in one round trip; None is no limit."""
        chosen = self._chosen(users)
        return {user.id: self.limits.of(user, chosen) for user in users}

    def next_stop(self, owner: User, server: Server) -> NextStop | None:
        """Return when *server* is stopped because its owner's home is too large; None if it is not."""
        if self.limits.overrun is None:
            return None
        found = self.usage.get_many([owner.id]).get(owner.id)
        return self.limits.next_stop(owner, server, found, self._chosen([owner]))

    def standing(self, whose: User | Group | GroupSummary) -> HomeLimit:
        """Return how large the home of a user may be, or what a group says of its members' homes."""
        if isinstance(whose, User):
            chosen = self._chosen([whose])
            return HomeLimit(self.limits.of(whose, chosen), whose.id in chosen.users)
        chosen = NONE_SET if self.store is None else self.store.of([], [whose.name])
        found = self.limits.of_group(whose.name, chosen)
        return HomeLimit(found[0] if found else None, whose.name in chosen.groups)

    @property
    def can_set(self) -> bool:
        """Say whether limits can be set at run time: only where something measures homes."""
        return self.store is not None

    def all(self, limit: int) -> list[tuple[LimitOf, str, int | None]]:
        """Return at most *limit* of the limits that are set at run time, by whose they are."""
        return [] if self.store is None else self.store.all(limit)

    def put(self, whose: User | Group | GroupSummary, size: int | None) -> None:
        """Set the limit of a user's or a group's homes, from now on; None is no limit.

        Raises:
            InvalidRequestError: when the hub does not measure homes, or nobody has such a limit.
            NotFoundError: when the user or the group was removed meanwhile.
        """
        if size is not None and not SMALLEST <= size <= LARGEST:
            raise InvalidRequestError(_("A limit of files is 1M at least, and 1024T at most."))
        of = _kind(whose)
        self._writable().put(of, whose.id, size)
        logger.info("the limit of files of the %s %s was set: %s bytes", of.value, whose.name, size)

    def remove(self, whose: User | Group | GroupSummary) -> None:
        """Remove the limit that is set for a user or a group; that of the settings counts again.

        Raises:
            InvalidRequestError: when the hub does not measure homes.
            NotFoundError: when none is set.
        """
        of = _kind(whose)
        if not self._writable().remove(of, whose.id):
            raise NotFoundError("Limit", whose.name)
        logger.info("the limit of files of the %s %s was removed", of.value, whose.name)

    def _chosen(self, users: Collection[User]) -> SetLimits:
        if self.store is None or not users:
            return NONE_SET
        return self.store.of([user.id for user in users], {name for user in users for name in user.groups})

    def _writable(self) -> HomeLimitStore:
        if self.store is None:
            raise InvalidRequestError(_("This hub does not measure files, so it cannot limit them."))
        return self.store


def typed_limit(text: str) -> int | None:
    """Return the limit that somebody typed, such as `50G`; None for `none`.

    Raises:
        InvalidRequestError: when it is neither.
    """
    typed = text.strip()
    if typed.casefold() == NO_LIMIT:
        return None
    try:
        return size_of(typed.upper())
    except ValueError:
        raise InvalidRequestError(
            _("%(text)s is no size such as 512M or 50G, and not “none”", text=repr(typed[:60]))
        ) from None


def written_limit(size: int | None) -> str:
    """Return a limit as somebody would type it."""
    return NO_LIMIT if size is None else as_typed(size)


def _kind(whose: User | Group | GroupSummary) -> LimitOf:
    return LimitOf.USER if isinstance(whose, User) else LimitOf.GROUP
