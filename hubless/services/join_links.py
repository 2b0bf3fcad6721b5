"""Join links: an admin makes them for a class, lists them and ends them; sign-ups use them."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from hubless.domain import names, tokens
from hubless.domain.bounds import MAX_SECRET_LENGTH
from hubless.domain.errors import InvalidRequestError, NotFoundError, NotPermittedError
from hubless.domain.join_links import MOST_PLACES, JoinLink, join_code, join_path, typed_code
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.join_links import JoinLinkStore
from hubless.ports.users import GroupStore
from hubless.services.group_references import GroupReferences
from hubless.services.identifiers import new_id
from hubless.services.identity import Actor
from hubless.services.privileges import Privileges

logger = logging.getLogger(__name__)
MOST: Final = 100  # links at once
LONGEST: Final = timedelta(days=365)
_SOMEBODY: Final = "/"  # no user has this name: it stands for who will join


@value
class JoinLinks:
    """Manages join links. Sign-ups count their uses."""

    store: JoinLinkStore
    groups: GroupStore
    references: GroupReferences
    privileges: Privileges
    key: Callable[[], bytes]
    clock: Clock
    manages_groups: bool

    def make(
        self,
        actor: Actor | None,
        *,
        group: str,
        lifetime: timedelta,
        places: int,
        needs_approval: bool,
        made_by: str = "",
    ) -> JoinLink:
        """Make a link.

        Args:
            actor: who makes it; None for an operator at a shell, who may do everything.
            group: that people join who sign up with it; "" for none. The first of them makes it if there is none.
            lifetime: how long it is valid.
            places: how many may sign up with it.
            needs_approval: whether an admin must approve them.
            made_by: the name of an operator's account.

        Raises:
            InvalidRequestError: when something is not allowed, or there are too many links.
            NotPermittedError: when the group gives more rights than *actor* has.
        """
        if not 1 <= places <= MOST_PLACES:
            raise InvalidRequestError(_("A join link has 1 to %(most)s places.", most=MOST_PLACES))
        if group:
            self._check_group(actor, names.check_group_name(group))
        now = self.clock.now()
        link_id = new_id("j", now)
        made = JoinLink(
            link_id,
            tokens.sha256(join_code(self.key(), link_id)),
            made_by if actor is None else actor.name,
            now,
            now + min(lifetime, LONGEST),
            places,
            group,
            needs_approval,
        )
        is_there = bool(group) and self.groups.summary(group) is not None
        with self.references.to([group] if is_there else []):  # else the first who signs up makes it
            if not self.store.add(made, now, most=MOST):
                raise InvalidRequestError(_("There are %(most)s join links already. End some first.", most=MOST))
        logger.info("%s has made a join link for %s places", made.made_by or "An operator", places)
        return made

    def all(self) -> list[JoinLink]:
        """Return the links that have not ended, the newest first."""
        return self.store.all(self.clock.now())

    def seen_by(self, actor: Actor) -> list[JoinLink]:
        """Return those whose codes *actor* may know, the newest first: whoever knows one can join its group."""
        found = self.all()
        allowed = {group for group in {one.group for one in found} if self._may_add(actor, group)}
        return [one for one in found if one.group in allowed]

    def get(self, actor: Actor, link_id: str) -> JoinLink:
        """Return the link of this id.

        Raises:
            NotFoundError: when there is none, it has ended, or *actor* may not know its code.
        """
        found = next((one for one in self.seen_by(actor) if one.id == link_id), None)
        if found is None:
            raise NotFoundError("Join link", link_id)
        return found

    def of_group(self, actor: Actor, group: str) -> list[JoinLink]:
        """Return the links with which people join this group, the newest first; none if *actor* may not know them."""
        return [one for one in self.seen_by(actor) if one.group == group]

    def named(self, code_or_id: str) -> JoinLink:
        """Return the link that has this code, as somebody typed it, or this id; also one whose places are taken.

        Raises:
            NotFoundError: when there is none, or it has ended.
        """
        typed = typed_code(code_or_id[:MAX_SECRET_LENGTH])
        found = next((one for one in self.all() if one.id == code_or_id or self.code_of(one) == typed), None)
        if found is None:
            raise NotFoundError("Join link", code_or_id)
        return found

    def code_of(self, link: JoinLink) -> str:
        """Return the code of *link*, as people type it."""
        return join_code(self.key(), link.id)

    def path_of(self, link: JoinLink) -> str:
        """Return the path at which people sign up with *link*."""
        return join_path(self.code_of(link))

    def of_code(self, typed: str) -> JoinLink | None:
        """Return the link whose code somebody typed, if people can sign up with it now."""
        if not typed or len(typed) > MAX_SECRET_LENGTH:
            return None
        now = self.clock.now()
        found = self.store.find(tokens.sha256(typed_code(typed)), now)
        return found if found is not None and found.is_open(now) else None

    def end(self, link: JoinLink) -> None:
        """End a link; do nothing if it has ended. Who signed up with it stays."""
        self.store.end(link.sha256)

    def _check_group(self, actor: Actor | None, group: str) -> None:
        if self.manages_groups:
            raise InvalidRequestError(_("Groups follow logins on this hub: leave groups out."))
        if actor is not None:
            self._require_may_add(actor, group)

    def _may_add(self, actor: Actor, group: str) -> bool:
        try:
            if group:
                self._require_may_add(actor, group)
        except (InvalidRequestError, NotPermittedError):
            return False
        return True

    def _require_may_add(self, actor: Actor, group: str) -> None:
        needed = "groups" if self.groups.find(group) else "admin:groups"
        if not actor.scopes.covers_group(needed, group):
            raise InvalidRequestError(_("You may not add people to the group %(group)s.", group=names.shown(group)))
        self.privileges.require_may_add(actor, [group], [_SOMEBODY])
