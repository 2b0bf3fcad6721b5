"""With whom a server can be shared: the search for people and groups, and the look-up of the one that was chosen."""

from collections.abc import Iterable
from typing import Annotated, Any, Final

from fastapi import Depends

from functions.api import dependencies
from functions.api.auth.visitors import Person, user_of
from functions.api.routes.users import users_in_reach
from hubless.domain.errors import InvalidRequestError, QuotaExceededError
from hubless.domain.translatable import gettext as _
from hubless.domain.user_table import Sort, TableFilter
from hubless.domain.users import Group, User
from hubless.domain.values import value
from hubless.services.identity import Actor
from hubless.services.sharing import SharedServer

MOST_FOUND: Final = 10
_MOST_GROUPS = 20  # of the visitor's groups, in whose members a search looks


@value
class Found:
    """What a search found, and why it may lack somebody, if it does."""

    rows: list[dict[str, Any]]
    refused: QuotaExceededError | None = None


@value
class _Recipients:
    """Finds people and groups for the person who shares."""

    who: Actor
    users: dependencies.Users
    groups: dependencies.Groups
    lookups: dependencies.NameLookups

    def chosen(self, of: SharedServer, kind: str, name: str) -> User | Group:
        """Return the user or group of that name, if the person may share with it.

        Raises:
            InvalidRequestError: when there is none, or it is the owner.
            QuotaExceededError: when the person has looked for too many names.
        """
        if kind == "group":
            group = self.groups.find(name) if self._may_name_group(name) else None
            if group is None:
                raise InvalidRequestError(_("There is no group “%(name)s” with which you can share", name=name[:60]))
            return group
        user = self._user(name)
        if user is None:
            raise InvalidRequestError(_("There is no user “%(name)s”. Is the name spelled right?", name=name[:60]))
        if user.id == of.owner.id:
            raise InvalidRequestError("The server belongs to this user already")
        return user

    def search(self, of: SharedServer, wanted: str, known: set[tuple[str | None, str | None]]) -> Found:
        """Return the people and groups to whom the name *wanted* leads; *known* have the server already.

        A name in full leads to its user. A part of a name leads to members of the person's own groups, and to those
        whom the person may list anyway.
        """
        people, refused = list[str](), None
        try:
            exact = self._user(wanted)
        except QuotaExceededError as too_many:
            exact, refused = None, too_many
        people += [exact.name] if exact else []
        people += self._fellows(wanted)
        if self.who.scopes.has("list:users"):
            people += self._listed(wanted)
        groups = [name for name in user_of(self.who).groups if name.casefold().startswith(wanted.casefold())]
        if self._may_name_group(wanted) and self.groups.find(wanted) is not None:
            groups.insert(0, wanted)
        rows = [{"kind": "group", "name": name, "has": (None, name) in known} for name in dict.fromkeys(groups)]
        names = [name for name in dict.fromkeys(people) if name != of.owner.name]
        rows += [{"kind": "user", "name": name, "has": (name, None) in known} for name in names]
        return Found(rows[:MOST_FOUND], refused)

    def _listed(self, part: str) -> list[str]:
        """Return the first names with this part of whom the person may list, looking through a bounded number."""
        reach = users_in_reach(self.users, self.who)
        if not reach:
            found = self.users.table(TableFilter(name_contains=part), Sort.NAME, limit=MOST_FOUND)
            return [row.user.name for row in found.rows]
        users, _total = self.users.page(offset=0, limit=MOST_FOUND, sort="name", name_contains=part, **reach)
        return [user.name for user in users]

    def _user(self, name: str) -> User | None:
        """Return the user of exactly this name. It counts, unless the person may know anyway who has this name.

        Raises:
            QuotaExceededError: when the person has looked for too many names; the same whether there is this user.
        """
        found, me = self.users.find(name), user_of(self.who)
        is_fellow = found is not None and (found.id == me.id or not set(found.groups).isdisjoint(me.groups))
        groups = found.groups if found else ()
        if not is_fellow and not self.who.scopes.covers_user("read:users:name", found.name if found else name, groups):
            self.lookups.count(me)
        return found

    def _may_name_group(self, name: str) -> bool:
        return name in user_of(self.who).groups or self.who.scopes.covers_group("read:groups:name", name)

    def _fellows(self, wanted: str) -> Iterable[str]:
        """Return the members of the person's own groups whose names begin with *wanted*."""
        start, found = wanted.casefold(), set[str]()
        for name in user_of(self.who).groups[:_MOST_GROUPS]:
            group = self.groups.find(name)
            found.update(one for one in group.users if one.casefold().startswith(start)) if group else None
        return sorted(found)[:MOST_FOUND]


async def _recipients(
    who: Person, users: dependencies.Users, groups: dependencies.Groups, lookups: dependencies.NameLookups
) -> _Recipients:
    return _Recipients(who, users, groups, lookups)


Recipients = Annotated[_Recipients, Depends(_recipients)]
