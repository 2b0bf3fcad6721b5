"""Privileges: refuses what would let an actor, who is no admin, come to act with more rights than its own."""

from collections.abc import Iterable, Iterator, Mapping

from hubless.domain import delegation, scopes
from hubless.domain.errors import NotPermittedError
from hubless.domain.roles import Role, of_group
from hubless.domain.scopes import Bearer, GroupsOf, Scopes
from hubless.domain.shares import Share, on_server
from hubless.domain.translatable import gettext as _
from hubless.domain.users import Group, User
from hubless.domain.values import value
from hubless.ports.users import GroupStore
from hubless.services.identity import Actor, Identities
from hubless.services.sharing import SharedServer, Sharing

_NAMED = 3  # scopes that a refusal names
_PAGE = 200
_EVERYTHING = "inherit"


@value
class Privileges:
    """Compares what an actor would come to hold with what it holds."""

    roles: Mapping[str, Role]
    identities: Identities
    groups: GroupStore
    sharing: Sharing

    def require_may_act_as(self, actor: Actor, user: User, wanted: Scopes | None = None) -> None:
        """Refuse unless *actor* may act as *user*: it sets a password, issues a token, or renames the account.

        Args:
            actor: who asks; it holds a scope for this already.
            user: whose account it is.
            wanted: the scopes of the token; None for all that the user holds.

        Raises:
            NotPermittedError: naming what the actor would gain.
        """
        if lacking := self.surplus(actor, user, wanted):
            raise NotPermittedError(
                _(
                    "%(user)s may do more than you (%(some)s): only an admin may do this",
                    user=user.name,
                    some=_some(lacking),
                )
            )

    def token_scopes(self, actor: Actor, user: User, raw: list[str] | None) -> list[str] | None:
        """Return the scopes of a token that *actor* issues to *user*, when it asks for *raw* (None: all of the user's).

        A token for somebody else is issued with what the user holds now: it does not grow with the user's rights.

        Raises:
            NotPermittedError: naming what the actor would gain.
        """
        is_own = actor.user is not None and actor.user.id == user.id
        if actor.is_admin or (is_own and not actor.is_narrowed):
            return raw
        if user.admin and not is_own:
            raise NotPermittedError("Only admins can issue tokens of admins")
        asks_for_all = raw is None or _EVERYTHING in raw
        held = self.identities.of_user(user)
        wanted = held if raw is None or asks_for_all else scopes.expand(raw, Bearer(user=user.name))
        self.require_may_act_as(actor, user, wanted)
        return wanted.texts() if asks_for_all else raw

    def surplus(self, actor: Actor, user: User, wanted: Scopes | None = None) -> list[str]:
        """Return what *actor* would gain by acting as *user*, sorted; nothing for admins."""
        if actor.is_admin:
            return []
        if user.admin and wanted is None:
            return ["admin"]
        held = self.identities.of_user(user) if wanted is None else wanted
        return delegation.surplus(held, actor.scopes, user.name, self.roles, self._groups_of(actor, user))

    def beyond_basic(self, user: User) -> frozenset[str]:
        """Return the scopes that *user* holds beyond those of every user."""
        held, groups_of = self.identities.of_user(user), self.identities.groups_of(user)
        found = delegation.surplus(held, Scopes(()), user.name, self.roles, groups_of)
        return frozenset([*found, *(["admin"] if user.admin else [])])

    def require_may_add(self, actor: Actor, group_names: Iterable[str], members: Iterable[str]) -> None:
        """Refuse members who would get more from the groups than *actor* holds, or over whom it would get more.

        A group gives its members its roles and what is shared with it. It gives the holders of scopes under its filter
        rights over its members.

        Raises:
            NotPermittedError: naming the member and what would be gained.
        """
        for refusal in self._refusals_to_add(actor, group_names, members):
            raise refusal[1]

    def refusals_to_add(
        self, actor: Actor, group_names: Iterable[str], members: Iterable[str]
    ) -> dict[str, NotPermittedError]:
        """Return by member why *actor* may not add it, for those whom `require_may_add` refuses."""
        return dict(self._refusals_to_add(actor, group_names, members))

    def _refusals_to_add(
        self, actor: Actor, group_names: Iterable[str], members: Iterable[str]
    ) -> Iterator[tuple[str, NotPermittedError]]:
        wanted = list(dict.fromkeys(group_names))
        if actor.is_admin:
            return
        given = tuple(scope for name in wanted for scope in self._given_by(name))
        for member in dict.fromkeys(members):
            if refusal := self._refusal_to_give(actor, given, wanted, member):
                yield member, refusal

    def require_may_take(self, actor: Actor, group_name: str, members: Iterable[str]) -> None:
        """Refuse to take from members what *actor* does not hold: without it, the actor could act as them.

        The members get it back with the group, which settings restore at the hub's next start, or from an admin. Then
        a password or a session that the actor made meanwhile would have it.

        Raises:
            NotPermittedError: naming the member and what the group gives.
        """
        if actor.is_admin:
            return
        given = tuple(self._given_by(group_name))
        if not given:
            return  # as with most groups
        for member in dict.fromkeys(members):  # of thousands: the store is read only where a filter on groups counts
            if lacking := self._lacking(actor, given, member, None):
                raise NotPermittedError(
                    _(
                        "The roles of this group allow more than you may (%(some)s): only an admin takes"
                        " %(member)s out",
                        some=_some(lacking),
                        member=member[:60],
                    )
                )

    def require_may_revoke(
        self, actor: Actor, of: SharedServer, *, to: User | Group | None = None, names: Iterable[str] | None = None
    ) -> None:
        """Refuse to revoke from others what *actor* does not hold itself: without it, the actor could act as them.

        Owners revoke whatever somebody may do with their servers, and users give up what they have themselves.

        Args:
            actor: who asks; it holds a scope for this already.
            of: the shared server.
            to: whose share it is; None for all shares of the server.
            names: the scopes to revoke, without filters; None for all.

        Raises:
            NotPermittedError: naming what is shared and *actor* does not hold.
        """
        own = actor.user
        if actor.is_admin or (own is not None and own.id in {of.owner.id, to.id if to else None}):
            return
        shared = {name for share in self._shares(of, to) for name in share.scopes}
        shared = shared if names is None else shared.intersection(names)
        owner, server = of.owner, of.server.name
        if lacking := [n for n in shared if not actor.scopes.covers_server(n, owner.name, server, owner.groups)]:
            raise NotPermittedError(
                _(
                    "The share allows what you may not (%(some)s): only its owner, who has it, or an admin revokes it",
                    some=_some(lacking),
                )
            )

    def _shares(self, of: SharedServer, to: User | Group | None) -> Iterator[Share]:
        if to is not None:
            there = self.sharing.look_up(of.server, to)
            yield from [there] if there else []
            return
        offset, total = 0, 1
        while offset < total:
            page, total = self.sharing.page(offset=offset, limit=_PAGE, of_server=of.server)
            yield from (details.share for details in page)
            offset += _PAGE

    def _lacking(self, actor: Actor, given: tuple[str, ...], member: str, user: User | None) -> list[str]:
        more = scopes.expand(given, Bearer(user=member))
        known = filter(None, (actor.user, user))
        return delegation.surplus(more, actor.scopes, member, self.roles, self.identities.groups_of(*known))

    def _refusal_to_give(
        self, actor: Actor, given: tuple[str, ...], groups: list[str], member: str
    ) -> NotPermittedError | None:
        user = self.identities.users.find(member)
        if lacking := self._lacking(actor, given, member, user):
            return NotPermittedError(
                _(
                    "The roles of this group allow more than you may (%(some)s): only an admin adds %(member)s",
                    some=_some(lacking),
                    member=member[:60],
                )
            )
        if actor.user is not None and actor.user.name == member:
            return None
        there = user.groups if user else ()
        gained = [one for name in groups for one in delegation.gained_over_member(actor.scopes, name, member, there)]
        if not gained:
            return None
        return NotPermittedError(
            _(
                "You would get more rights over %(member)s (%(some)s): only an admin adds this user",
                member=member[:60],
                some=_some(gained),
            )
        )

    def _given_by(self, group: str) -> list[str]:
        """Return the scopes, as texts, that members of the group of this name get."""
        found = [scope for role in of_group(group, self.roles) for scope in self.roles[role].scopes]
        stored = self.groups.find(group)
        offset, total = 0, 1 if stored else 0
        while stored and offset < total:
            page, total = self.sharing.page(offset=offset, limit=_PAGE, with_group=stored)
            for share in page:
                found += on_server(share.share.scopes, share.of.owner.name, share.of.server.name)
            offset += _PAGE
        return found

    def _groups_of(self, actor: Actor, user: User) -> GroupsOf:
        return self.identities.groups_of(user, *filter(None, [actor.user]))


def _some(found: Iterable[str]) -> str:
    """Return the names of some scopes, without their filters: those name people whom the actor may not know."""
    names = sorted({scope.partition("!")[0] for scope in found})
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
