"""Adding many people at once: a preview of each line, then users, groups, addresses, passwords and one-time links.

A batch is what one person pasted. It is stored sealed and ends within an hour. Each step can be done again, so that a
form that comes twice, or a crash in the midst, makes nobody twice (ADR 53).
"""

import json
import logging
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hubless.domain import names, pasted_people
from hubless.domain.errors import (
    HublessError,
    InvalidRequestError,
    NameTakenError,
    NotFoundError,
    StoreConflictError,
)
from hubless.domain.pasted_people import MAX_PEOPLE, TOO_LONG, Column, PastedPerson, Table
from hubless.domain.people_batches import AddedPerson, Batch, Links, Stage, link_secret
from hubless.domain.people_checks import CheckedPerson, KnownFacts, Outcome, checked, wanted_name
from hubless.domain.translatable import gettext as _
from hubless.domain.users import Group, User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.passwords import PasswordHasher, PasswordStore
from hubless.ports.people_batches import PeopleBatchStore
from hubless.ports.second_factors import SecretSealer
from hubless.ports.users import GroupStore
from hubless.services.accounts import Accounts, link_path
from hubless.services.email_addresses import EmailAddresses
from hubless.services.identifiers import new_id, new_secret
from hubless.services.identity import Actor
from hubless.services.privileges import Privileges
from hubless.services.side_by_side import in_order

logger = logging.getLogger(__name__)
LIFETIME: Final = timedelta(hours=1)  # of a batch
PATIENCE: Final = timedelta(minutes=1)  # after which a batch that is still being added is taken over
MOST_PASSWORDS: Final = 100  # at once: hashing is slow on purpose
LONGEST_LINK: Final = timedelta(days=30)
_MAX_SEALED: Final = 350_000  # characters: an item of DynamoDB has at most 400 kB
_NOT_YOURS = _("Only an admin can give this name: the hub's settings give it a role or a group.")
_NO_SUCH_USER = _("No such user, or not within your reach")
GONE = _("What you pasted is not here any more: it is kept for an hour. Paste it again.")


@value
class Wishes:
    """What somebody wants of people whom they add."""

    text: str = field(repr=False)
    columns: tuple[Column, ...] = ()  # as chosen; none for what the reader thinks
    groups: tuple[str, ...] = ()  # of everybody
    links: Links = Links.NEW
    lifetime: timedelta = timedelta(days=7)  # of links
    admin: bool = False


@value
class Preview:
    """What would become of each person."""

    table: Table
    columns: tuple[Column, ...]
    people: tuple[CheckedPerson, ...]
    new_groups: tuple[str, ...] = ()

    @property
    def good(self) -> tuple[CheckedPerson, ...]:
        """Return the people who can be added."""
        return tuple(one for one in self.people if one.is_good)

    @property
    def bad(self) -> tuple[CheckedPerson, ...]:
        """Return the people whose line must be mended first."""
        return tuple(one for one in self.people if not one.is_good)

    def lines(self, people: Iterable[CheckedPerson]) -> str:
        """Return the lines of *people* as they were pasted, below the titles of columns."""
        titles = [self.table.header.text] if self.table.header else []
        return "\n".join([*titles, *(one.row.text for one in people)])


@value
class Content:
    """What a batch holds, opened."""

    wishes: Wishes
    stage: Stage = Stage.DRAFT
    people: tuple[AddedPerson, ...] = ()
    begun_at: datetime | None = None
    links_until: datetime | None = None
    is_limited: bool = False  # whether somebody makes the links who is no admin
    rest: str = field(default="", repr=False)  # lines of people who could not be added
    rest_columns: tuple[Column, ...] = ()
    only_links: bool = False  # whether *people* were here before, and get links; *rest* has names that nobody has


@value
class AddingPeople:
    """Adds people. An *actor* None is an operator at a shell, who may do everything."""

    accounts: Accounts
    privileges: Privileges
    groups: GroupStore
    passwords: PasswordStore
    emails: EmailAddresses
    hasher: PasswordHasher
    batches: PeopleBatchStore
    sealer: SecretSealer
    key: Callable[[], bytes]
    clock: Clock
    has_passwords: bool
    manages_groups: bool
    at_once: int = 1  # threads in which the store takes writes

    # --- previews ---

    def preview(self, wishes: Wishes, actor: Actor | None) -> Preview:
        """Return what would become of each person; nothing is written.

        Raises:
            InvalidRequestError: when the paste cannot be read, or asks for what this hub does not do.
        """
        table = pasted_people.read(wishes.text)
        columns = wishes.columns if len(wishes.columns) == table.width else table.columns
        people = [self._without_password(one) for one in pasted_people.people(table, columns)]
        if sum(1 for one in people if one.password) > MOST_PASSWORDS:
            raise InvalidRequestError(
                _("At most %(most)s passwords at once. Let people choose theirs by a link.", most=MOST_PASSWORDS)
            )
        every = list(dict.fromkeys([*wishes.groups, *(group for one in people for group in one.groups)]))
        if every and self.manages_groups:
            raise InvalidRequestError(_("Groups follow logins on this hub: leave groups out."))
        known = {one.name for one in self.groups.page(offset=0, limit=len(every), names=every)[0]} if every else set()
        asked = {one for person in people for one in (wanted_name(person), person.user_name)}
        facts = KnownFacts(
            self.accounts.users.holders([name for name in asked if names.is_possible_user_name(name)]),
            lambda name: self._refusal_of_name(name, actor),
            lambda name, password, email: self._refusal_of_password(name, password, email, admin=wishes.admin),
            lambda name, groups: self._refusal_of_groups(name, groups, known, actor),
        )
        found = checked(people, facts, more_groups=wishes.groups)
        if wishes.links is Links.ALL and actor is not None and not actor.is_admin:
            found = [self._with_right_to_link(one, actor) for one in found]
        new_groups = [name for name in every if name not in known and any(name in one.groups for one in found)]
        return Preview(table, columns, tuple(found), tuple(new_groups))

    def _without_password(self, person: PastedPerson) -> PastedPerson:
        return person if self.has_passwords else replace(person, password="")

    def _refusal_of_name(self, name: str, actor: Actor | None) -> str:
        if actor is None or actor.is_admin or not self.accounts.is_reserved_name(name):
            return ""
        return _NOT_YOURS

    def _refusal_of_password(self, name: str, password: str, email: str, *, admin: bool) -> str:
        try:
            self.accounts.password_policy.check(password, admin=admin, known=[name, email])
        except InvalidRequestError as refused:
            return refused.message
        return ""

    def _refusal_of_groups(self, name: str, groups: Sequence[str], known: Collection[str], actor: Actor | None) -> str:
        if actor is None or actor.is_admin:
            return ""
        for group in groups:
            if not actor.scopes.covers_group("groups" if group in known else "admin:groups", group):
                return _("You may not add people to the group %(group)s.", group=names.shown(group))
        try:
            self.privileges.require_may_add(actor, groups, [name])
        except HublessError as refused:
            return refused.message
        return ""

    def _with_right_to_link(self, person: CheckedPerson, actor: Actor) -> CheckedPerson:
        user = self.accounts.users.find(person.user_name) if person.outcome is Outcome.KNOWN else None
        try:
            if user is not None:
                self.privileges.require_may_act_as(actor, user)
        except HublessError as refused:
            return replace(person, outcome=Outcome.FAULT, fault=refused.message)
        return person

    # --- batches ---

    def begin(self, wishes: Wishes, actor: Actor) -> Batch:
        """Store a batch that adds nobody yet.

        Raises:
            InvalidRequestError: when it is too large, or cannot be read.
        """
        self.preview(wishes, actor)
        return self._begun(Content(wishes), actor)

    def begin_links(self, users: Iterable[User], unknown: Iterable[str], actor: Actor) -> Batch:
        """Store a batch that makes links for users who are here already, once `add` is called.

        Args:
            users: for whom.
            unknown: names that were chosen and that nobody has, or nobody in the actor's reach.
            actor: who asks.

        Raises:
            InvalidRequestError: when nobody has a password here, or they are too many.
        """
        if not self.has_passwords:
            raise InvalidRequestError(_("Nobody has a password of their own here"))
        people = tuple(AddedPerson(user.id, user.name, is_new=False) for user in users)
        if len(people) > MAX_PEOPLE:
            raise InvalidRequestError(
                _("The hub makes links for at most %(most)s users at once. Narrow the filter first.", most=MAX_PEOPLE)
            )
        names_of_nobody = "\n".join(unknown)
        content = Content(Wishes("", links=Links.ALL), people=people, rest=names_of_nobody, only_links=True)
        return self._begun(content, actor)

    def _begun(self, content: Content, actor: Actor) -> Batch:
        assert actor.user is not None  # noqa: S101 pages have people
        made = Batch(new_secret(), actor.user.id, self.clock.now() + LIFETIME, self._sealed(content))
        self.batches.add(made)
        return made

    def refusals_of_links(self, content: Content, actor: Actor) -> list[tuple[AddedPerson, str]]:
        """Return each person of a batch of links, under the present name, with why *actor* may make none, or ""."""
        users = self.accounts.users.get_many(one.user_id for one in content.people)
        found = []
        for one in content.people:
            user = users.get(one.user_id)
            why = _NO_SUCH_USER if user is None else self._refusal_of_link(user, actor)
            found.append((one if user is None else replace(one, name=user.name), why))
        return found

    def _refusal_of_link(self, user: User, actor: Actor) -> str:
        if not actor.scopes.covers_user("admin:users", user.name, user.groups):
            return _NO_SUCH_USER
        try:
            self.privileges.require_may_act_as(actor, user)
        except HublessError as refused:
            return refused.message
        return ""

    def open(self, batch_id: str, actor: Actor) -> tuple[Batch, Content]:
        """Return a batch of this actor, with its content.

        Raises:
            NotFoundError: when there is none, or it is somebody else's.
        """
        found = self.batches.get(batch_id, self.clock.now()) if len(batch_id) <= len(new_secret()) else None
        opened = self.sealer.open(found.sealed.encode()) if found is not None else None
        if found is None or opened is None or actor.user is None or found.user_id != actor.user.id:
            raise NotFoundError("Batch of people", batch_id[:8])
        return found, _content(json.loads(zlib.decompress(opened)))

    def change(self, batch: Batch, content: Content, wishes: Wishes, actor: Actor) -> None:
        """Replace the wishes of a batch that adds nobody yet; one that does stays as it is.

        Raises:
            InvalidRequestError: when the paste cannot be read.
        """
        if content.stage is Stage.DRAFT:
            self.preview(wishes, actor)
            with suppress(StoreConflictError):  # another tab was faster: the page shows what is there
                self._save(batch, replace(content, wishes=wishes))

    def forget(self, batch: Batch) -> None:
        """Remove a batch, so that nobody sees its links any more. They stay valid."""
        self.batches.remove(batch.id)

    def add(self, batch: Batch, content: Content, actor: Actor) -> bool:
        """Add the people of a batch who can be added, and return whether this call did it.

        Of concurrent calls one does it, and later ones do nothing.

        Raises:
            InvalidRequestError: when nobody can be added.
            NameTakenError: when somebody has added a name meanwhile that looks like one of these.
        """
        now = self.clock.now()
        if content.stage is Stage.DONE:
            return False
        if content.stage is Stage.ADDING and content.begun_at is not None and now - content.begun_at < PATIENCE:
            return False
        if content.stage is Stage.DRAFT:
            planned = self._links_planned if content.only_links else self._planned
            content = planned(content, actor)
        try:
            batch = self._save(batch, replace(content, begun_at=now))
        except StoreConflictError:
            return False  # the other call adds them
        try:
            done = self._carried_out(batch.id, content)
        except HublessError:
            with suppress(HublessError):  # so that the next call need not wait
                self._save(batch, replace(content, begun_at=now - PATIENCE))
            raise
        try:
            self._save(batch, done)
        except StoreConflictError:
            return False  # another call went on with it, because this one took so long
        return True

    def add_now(self, wishes: Wishes, actor: Actor | None = None) -> tuple[Preview, str, Content]:
        """Add the people who can be added, without a stored batch; return what `link_of` needs too.

        Raises:
            InvalidRequestError: when the list cannot be read, or asks for what is not allowed.
            NameTakenError: see `add`.
        """
        preview, batch_id = self.preview(wishes, actor), new_secret()
        if not preview.good:
            return preview, batch_id, Content(wishes, Stage.DONE)
        return preview, batch_id, self._carried_out(batch_id, self._planned(Content(wishes), actor))

    def link_of(self, batch_id: str, person: AddedPerson) -> str:
        """Return the path of the person's one-time link, or "" if there is none."""
        if not person.gets_link or person.is_lost:
            return ""
        return link_path(link_secret(self.key(), batch_id, person.user_id))

    def _planned(self, draft: Content, actor: Actor | None) -> Content:
        wishes = draft.wishes
        preview, now = self.preview(wishes, actor), self.clock.now()
        if not preview.good:
            raise InvalidRequestError(_("Nobody here can be added. Mend the lines first."))
        if wishes.admin and actor is not None and not actor.is_admin:
            raise InvalidRequestError(_("Only admins can change who is an admin"))
        new = [one for one in preview.good if one.outcome is Outcome.NEW]
        users = {user.name: user for user in self.accounts.new_users([p.user_name for p in new], admin=wishes.admin)}
        there = {one.user_name: self.accounts.users.find(one.user_name) for one in preview.good if one not in new}
        people = [
            self._planned_person(one, users.get(one.user_name) or there.get(one.user_name), wishes)
            for one in preview.good
        ]
        return Content(
            wishes,
            Stage.ADDING,
            tuple(one for one in people if one is not None),
            links_until=now + min(wishes.lifetime, LONGEST_LINK),
            is_limited=actor is not None and not actor.is_admin,
            rest=preview.lines(preview.bad) if preview.bad else "",
            rest_columns=preview.columns,
        )

    def _links_planned(self, content: Content, actor: Actor) -> Content:
        found = self.refusals_of_links(content, actor)
        if all(why for _one, why in found):
            raise InvalidRequestError(_("You may make a link for none of these users."))
        return replace(
            content,
            stage=Stage.ADDING,
            people=tuple(replace(one, gets_link=not why) for one, why in found),
            links_until=self.clock.now() + min(content.wishes.lifetime, LONGEST_LINK),
            is_limited=not actor.is_admin,
        )

    def _planned_person(self, one: CheckedPerson, user: User | None, wishes: Wishes) -> AddedPerson | None:
        if user is None:
            return None  # somebody has removed the user meanwhile
        is_new = one.outcome is Outcome.NEW
        gets_link = self.has_passwords and not one.password and wishes.links in {Links.ALL, *([Links.NEW] * is_new)}
        password_hash = self.hasher.hash(one.password) if one.password else ""
        return AddedPerson(
            user.id, user.name, is_new, one.full_name, one.email, one.groups, gets_link, password_hash, user.admin
        )

    def _carried_out(self, batch_id: str, content: Content) -> Content:
        """Add the planned people. Each step has the same effect if it is done again."""
        now, planned = self.clock.now(), content.people
        new = [User(one.user_id, one.name, now, admin=one.admin) for one in planned if one.is_new]
        self.accounts.users.create(new)
        users = self.accounts.users.get_many(one.user_id for one in planned)
        there = [one for one in planned if one.user_id in users]
        self.passwords.add({one.user_id: one.password_hash for one in there if one.password_hash})
        for one in there:
            if one.is_new and one.email:
                self.emails.note_verified(users[one.user_id], one.email)
        self._join(there)
        until = content.links_until or now

        def give(one: AddedPerson) -> None:
            secret = link_secret(self.key(), batch_id, one.user_id)
            with suppress(NotFoundError):  # somebody has removed the user meanwhile
                self.accounts.give_link(users[one.user_id], secret, until, limited=content.is_limited)

        for _done in in_order(give, [one for one in there if one.gets_link], self.at_once):
            pass
        if content.only_links:
            logger.info("%s users have new one-time links", sum(1 for one in there if one.gets_link))
        else:
            logger.info("%s of %s people are added", sum(1 for one in there if one.is_new), len(planned))
        people = tuple(replace(one, password_hash="", is_lost=one.user_id not in users) for one in planned)
        return replace(content, stage=Stage.DONE, people=people, wishes=replace(content.wishes, text=""))

    def _join(self, people: Sequence[AddedPerson]) -> None:
        members: dict[str, list[str]] = {}
        for one in people:
            for wanted in one.groups:
                members.setdefault(wanted, []).append(one.name)
        for name, user_names in members.items():
            group = self.groups.find(name)
            if group is None:
                with suppress(NameTakenError):  # somebody else made it at the same time
                    self.groups.create(Group(new_id("g", self.clock.now()), name))
                group = self.groups.find(name)
            if group is None:
                continue
            try:
                self.groups.add_users(group.id, user_names)
            except NotFoundError:  # somebody has removed one of them meanwhile
                for user_name in user_names:
                    with suppress(NotFoundError):
                        self.groups.add_users(group.id, [user_name])

    # --- how batches are stored ---

    def _save(self, before: Batch, content: Content) -> Batch:
        expires_at = self.clock.now() + LIFETIME
        after = replace(before, sealed=self._sealed(content), expires_at=expires_at, revision=before.revision + 1)
        self.batches.change(before, after)
        return after

    def _sealed(self, content: Content) -> str:
        facts = asdict(content)
        for name in ("begun_at", "links_until"):
            facts[name] = facts[name].timestamp() if facts[name] else None
        facts["wishes"]["lifetime"] = content.wishes.lifetime.total_seconds()
        sealed = self.sealer.seal(zlib.compress(json.dumps(facts, ensure_ascii=False).encode())).decode()
        if len(sealed) > _MAX_SEALED:
            raise InvalidRequestError(TOO_LONG)
        return sealed


def _content(facts: Mapping[str, Any]) -> Content:
    wishes = facts["wishes"]
    return Content(
        Wishes(
            **wishes
            | {
                "columns": _columns(wishes["columns"]),
                "groups": tuple(wishes["groups"]),
                "links": Links(wishes["links"]),
                "lifetime": timedelta(seconds=wishes["lifetime"]),
            }
        ),
        Stage(facts["stage"]),
        tuple(AddedPerson(**one | {"groups": tuple(one["groups"])}) for one in facts["people"]),
        _instant(facts["begun_at"]),
        _instant(facts["links_until"]),
        facts["is_limited"],
        facts["rest"],
        _columns(facts["rest_columns"]),
        facts.get("only_links", False),
    )


def _columns(given: Iterable[str]) -> tuple[Column, ...]:
    return tuple(map(Column, given))


def _instant(number: float | None) -> datetime | None:
    return None if number is None else datetime.fromtimestamp(number, UTC)
