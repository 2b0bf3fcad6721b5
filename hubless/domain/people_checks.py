"""What would become of each person whom somebody wants to add: added, here already, or a fault in a sentence."""

from collections.abc import Callable, Collection, Iterable, Mapping
from enum import StrEnum

from hubless.domain import names
from hubless.domain.errors import HublessError, InvalidRequestError
from hubless.domain.mails import check_address
from hubless.domain.pasted_people import PastedPerson, Row
from hubless.domain.translatable import Message
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value


class Outcome(StrEnum):
    """What would become of a person."""

    NEW = "new"
    KNOWN = "known"  # a user of this name exists: only groups are added
    FAULT = "fault"


@value
class CheckedPerson:
    """A person with what would become of them. *user_name* is as the hub would store it, or stores it."""

    row: Row
    outcome: Outcome
    user_name: str
    full_name: str = ""
    email: str = ""
    groups: tuple[str, ...] = ()
    password: str = ""
    fault: str = ""  # a `Message`: what to mend

    @property
    def is_good(self) -> bool:
        """Say whether nothing is to be mended."""
        return self.outcome is not Outcome.FAULT


@value
class KnownFacts:
    """What the hub knows that matters to the people of one paste."""

    holders: Mapping[str, str]  # as `UserStore.holders` returns them
    refusal_of_name: Callable[[str], str]  # what a new user may not be called, or ""
    refusal_of_password: Callable[[str, str, str], str]  # of a name, a password and an e-mail address, or ""
    refusal_of_groups: Callable[[str, tuple[str, ...]], str]  # why a user of this name may not join these groups, or ""


def wanted_name(person: PastedPerson) -> str:
    """Return the name that *person* would have as a user; it may break rules."""
    return names.typed_user_name(person.user_name)


def checked(people: Iterable[PastedPerson], facts: KnownFacts, *, more_groups: Collection[str]) -> list[CheckedPerson]:
    """Return what would become of each of *people*; all of them join *more_groups* too."""
    seen: dict[str, tuple[str, int]] = {}
    return [_checked(person, facts, more_groups, seen) for person in people]


def _checked(
    person: PastedPerson, facts: KnownFacts, more_groups: Collection[str], seen: dict[str, tuple[str, int]]
) -> CheckedPerson:
    name = wanted_name(person)
    groups = tuple(dict.fromkeys([*person.groups, *more_groups]))
    try:
        outcome = _outcome(person, name, facts, seen)
        email = check_address(person.email) if person.email else ""
        for group in groups:
            names.check_group_name(group)
        if groups and (refused := facts.refusal_of_groups(facts.holders.get(name, name), groups)):
            raise InvalidRequestError(refused)
    except HublessError as fault:
        return CheckedPerson(
            person.row,
            Outcome.FAULT,
            name[:255],
            person.full_name,
            person.email,
            groups,
            person.password,
            fault.message,
        )
    return CheckedPerson(
        person.row,
        outcome,
        facts.holders.get(name, name) if outcome is Outcome.KNOWN else name,
        person.full_name,
        email,
        groups,
        person.password if outcome is Outcome.NEW else "",
    )


def _outcome(person: PastedPerson, name: str, facts: KnownFacts, seen: dict[str, tuple[str, int]]) -> Outcome:
    """Return whether the person is new.

    Raises:
        InvalidRequestError: saying what is wrong with the name, or the password of somebody new.
    """
    if not name:
        raise InvalidRequestError(_("This line says no name."))
    holder = facts.holders.get(name)
    is_known = holder is not None and names.normalise_user_name(holder) == name  # stored before names were composed
    if not is_known:
        names.check_user_name(name)
    before, line = seen.setdefault(names.skeleton(name), (name, person.row.line))
    if (before, line) != (name, person.row.line):
        raise InvalidRequestError(_of_two(name, before, line))
    if is_known:
        return Outcome.KNOWN
    if holder is not None:
        raise InvalidRequestError(
            _("%(name)s looks like %(holder)s, who is a user already.", name=names.shown(name), holder=holder)
        )
    if refused := facts.refusal_of_name(name):
        raise InvalidRequestError(refused)
    if person.password and (refused := facts.refusal_of_password(name, person.password, person.email)):
        raise InvalidRequestError(refused)
    return Outcome.NEW


def _of_two(name: str, before: str, line: int) -> Message:
    if before == name:
        return _("%(name)s is on line %(line)s already.", name=names.shown(name), line=line)
    return _("%(name)s looks like %(before)s on line %(line)s.", name=names.shown(name), before=before, line=line)
