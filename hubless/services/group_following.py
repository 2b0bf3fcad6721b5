"""Managed groups: memberships that follow what a provider says at each login (JupyterHub's `manage_groups`)."""

import logging
from collections.abc import Iterable

from hubless.domain import names
from hubless.domain.bounds import MAX_FOLLOWED_GROUPS
from hubless.domain.errors import InvalidRequestError
from hubless.domain.users import Group, User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.users import GroupStore
from hubless.services.identifiers import new_id

logger = logging.getLogger(__name__)


@value
class GroupFollowing:
    """Makes a user a member of the groups of its identity, and of no others, if settings want that."""

    groups: GroupStore
    clock: Clock
    is_on: bool = False

    def follow(self, user: User, wanted: Iterable[str]) -> bool:
        """Change the user's memberships if they differ, and say whether they did.

        A group that no hub may have, and what is beyond the bound, is left out: one odd group keeps nobody out.

        Raises:
            NotFoundError: when the user was removed meanwhile.
        """
        if not self.is_on:
            return False
        known = self._possible(user, wanted)
        if known == set(user.groups):
            return False
        now = self.clock.now()
        self.groups.set_memberships(user.id, [Group(new_id("g", now), name) for name in sorted(known)])
        return True

    def _possible(self, user: User, wanted: Iterable[str]) -> set[str]:
        known = set[str]()
        for name in wanted:
            if len(known) == MAX_FOLLOWED_GROUPS:
                logger.warning("user %s: only the first %d groups of the login count", user.name, MAX_FOLLOWED_GROUPS)
                break
            try:
                known.add(names.check_group_name(name))
            except InvalidRequestError as odd:
                logger.warning("user %s: a group of the login is left out: %s", user.name, odd)
        return known
