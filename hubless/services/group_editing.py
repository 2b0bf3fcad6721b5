"""Groups as people change them by hand on a page: by names that they type. Wrong names hold up no others."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from hubless.domain import names
from hubless.domain.bounds import MAX_TYPED_NAME
from hubless.domain.errors import InvalidRequestError, NotFoundError, StoreConflictError
from hubless.domain.translatable import gettext as _
from hubless.domain.users import Group, GroupSummary
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.users import GroupStore, UserStore
from hubless.services.group_references import GroupReferences
from hubless.services.identifiers import new_id
from hubless.services.identity import Actor
from hubless.services.privileges import Privileges

MAX_TYPED: Final = 500  # names at once: each one that is no admin's takes a look at what the user holds


@value
class Fault:
    """A name as it was typed, and a sentence that says what is wrong with it."""

    typed: str
    why: str


@value
class Joined:
    """What adding by typed names did: who is a member now, and what was left out."""

    names: tuple[str, ...]
    faults: tuple[Fault, ...]


@value
class GroupEditing:
    """Changes groups in the name of an actor, who holds a scope for it."""

    groups: GroupStore
    users: UserStore
    privileges: Privileges
    references: GroupReferences
    clock: Clock
    follows_logins: bool = False  # whether memberships follow what the provider says at each login

    def create(self, actor: Actor, name: str) -> None:
        """Add an empty group.

        Raises:
            InvalidRequestError: when groups follow logins, or the name is not allowed.
            NameTakenError: when there is a group of this name.
        """
        self._require_by_hand()
        self.privileges.require_may_add(actor, [name], [])
        self.groups.create(Group(new_id("g", self.clock.now()), names.check_group_name(name)))

    def join(self, actor: Actor, group: GroupSummary, typed: Sequence[str]) -> Joined:
        """Make those users members who exist and whom *actor* may add, and say what is wrong with the other names.

        Raises:
            InvalidRequestError: when groups follow logins, or there are more than `MAX_TYPED` names.
            NotFoundError: when the group was removed meanwhile.
        """
        self._require_by_hand()
        if len(typed) > MAX_TYPED:
            raise InvalidRequestError(_("Add at most %(most)s names at once", most=MAX_TYPED))
        known = self._known(typed)
        refused = self.privileges.refusals_to_add(actor, [group.name], known.values())
        gone = self._add(group, [name for name in dict.fromkeys(known.values()) if name not in refused])
        faults = list[Fault]()
        for one in typed:
            name = known.get(one)
            if name is None or name in gone:
                faults.append(Fault(one, _("There is no user %(name)s", name=names.shown(one))))
            elif name in refused:
                faults.append(Fault(one, refused[name].message))
        joined = [name for name in dict.fromkeys(known.values()) if name not in refused and name not in gone]
        return Joined(tuple(joined), tuple(faults))

    def leave(self, actor: Actor, group: GroupSummary, members: Iterable[str]) -> None:
        """End memberships; a user who is no member is ignored.

        Raises:
            InvalidRequestError: when groups follow logins.
            NotPermittedError: when the group gives a member what *actor* does not hold; nobody has left then.
        """
        self._require_by_hand()
        leaving = list(dict.fromkeys(members))
        self.privileges.require_may_take(actor, group.name, leaving)
        self.groups.remove_users(group.id, leaving)

    def delete(self, actor: Actor, name: str) -> None:
        """Remove the group, and what was made for it; its members stay users.

        Raises:
            InvalidRequestError: when groups follow logins.
            NotPermittedError: when the group gives a member what *actor* does not hold.
            NotFoundError: when there is no such group.
        """
        self._require_by_hand()
        group = self.groups.find(name)
        if group is None:
            raise NotFoundError("Group", name)
        self.privileges.require_may_take(actor, group.name, group.users)
        self.references.remove(group)

    def set_properties(self, group: GroupSummary, properties: Mapping[str, Any]) -> None:
        """Replace the properties of a group as it was read.

        Raises:
            StoreConflictError: when somebody else has changed them meanwhile.
        """
        if not self.groups.change_properties(group.id, group.properties, properties):
            raise StoreConflictError("Somebody else has changed the properties. Load the page again to see them.")

    def _known(self, typed: Iterable[str]) -> dict[str, str]:
        """Return by typed name the user's; those that nobody has are left out."""
        spelled = {one: names.spellings(one) for one in typed if len(one) <= MAX_TYPED_NAME}
        taken = self.users.holders({name for some in spelled.values() for name in some})
        exact = {name for name, holder in taken.items() if holder == name}
        return {one: next(n for n in some if n in exact) for one, some in spelled.items() if exact.intersection(some)}

    def _add(self, group: GroupSummary, members: list[str]) -> set[str]:
        """Make these users members, and return those who were removed since they were looked up."""
        gone = set[str]()
        while left := [name for name in members if name not in gone]:
            try:
                self.groups.add_users(group.id, left)
            except NotFoundError as missing:
                if missing.name not in left:
                    raise
                gone.add(missing.name)
            else:
                break
        return gone

    def _require_by_hand(self) -> None:
        if self.follows_logins:
            raise InvalidRequestError("Groups follow what the provider says at each login. Change them there.")
