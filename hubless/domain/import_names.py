"""Which user here each user of another hub becomes.

Nobody gets another person's account by a name. Who was here before the first import, and whom no import made, may be
somebody else: the person who imports says who is the same. A choice of an earlier import holds for all later ones.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import field
from functools import cached_property

from hubless.domain.archive import Archive, ArchivedUser, Remark
from hubless.domain.errors import InvalidRequestError
from hubless.domain.import_items import Kind, is_changing, part_of, parts_in, place
from hubless.domain.names import check_user_name, normalise_user_name, shown, skeleton
from hubless.domain.tokens import OwnerKind
from hubless.domain.values import value

_RENAMED = "renamed user"  # what a mark of a new name is of


@value
class NameChoices:
    """What the caller of an import chose about names, and whom settings name."""

    renames: Mapping[str, str] = field(default_factory=dict, hash=False)  # the source's to ours
    joined: frozenset[str] = frozenset()  # names of the source, whose users are the same people here
    joins_all: bool = False  # all others too, except admins
    of_settings: frozenset[str] = frozenset()  # users whom settings make


@value
class Named:
    """The users of a source and their names here."""

    names: Mapping[str, str] = field(hash=False)  # of users who come: the source's to ours
    sign_ups: Mapping[str, str] = field(hash=False)  # of sign-ups, likewise
    left_out: frozenset[str] = frozenset()  # users of the source who do not come
    unclear: frozenset[str] = frozenset()  # names here that users who do not come may have
    same: frozenset[str] = frozenset()  # names here of users whom an import that broke off made
    remarks: tuple[Remark, ...] = ()
    marks: Mapping[str, str] = field(default_factory=dict, hash=False)  # of names that the caller chose


def name_users(source: Archive, here: Archive, marks: Mapping[str, str], choices: NameChoices) -> Named:
    """Return the name here of each user of *source*, or a remark that says why the user does not come.

    Args:
        source: what another hub has.
        here: what this hub has.
        marks: the digest of each item as it was imported last, by `place_of`.
        choices: of the caller.

    Raises:
        InvalidRequestError: when a new name contradicts an earlier import.
    """
    return _Naming(source, here, marks, choices).named()


class _Naming:
    def __init__(self, source: Archive, here: Archive, marks: Mapping[str, str], choices: NameChoices) -> None:
        self._source, self._here, self._marks, self._choices = source, here, marks, choices
        self._users = {user.name: user for user in here.users}
        self._names = dict[str, str]()
        self._unclear, self._same = set[str](), set[str]()
        self._remarks = list[Remark]()

    def named(self) -> Named:
        known = [*(user.name for user in self._source.users), *(one.name for one in self._source.sign_ups)]
        wanted = {name: self._wanted(name) for name in known}
        by_look = defaultdict[str, dict[str, str]](dict)
        for user in self._source.users:
            if (name := wanted[user.name]) is not None:
                by_look[skeleton(name)][user.name] = name
        for user in self._source.users:
            self._name(user, wanted[user.name], by_look)
        for option, given in (("--rename", self._choices.renames), ("--join", self._choices.joined)):
            for old in sorted(set(given) - set(known)):
                self._remark(old, f"is named by {option} and is not in the source", f"Look at {option}", left_out=False)
        return Named(
            self._names,
            {one.name: name for one in self._source.sign_ups if (name := wanted[one.name]) is not None},
            frozenset({user.name for user in self._source.users} - set(self._names)),
            frozenset(self._unclear),
            frozenset(self._same),
            tuple(self._remarks),
            {
                place(_RENAMED, old): part_of(new)
                for old, new in self._choices.renames.items()
                if old in wanted and self._marks.get(place(_RENAMED, old)) != part_of(new)
                if new != normalise_user_name(old) or place(_RENAMED, old) in self._marks
            },
        )

    def _wanted(self, old: str) -> str | None:
        """Return the name that the user *old* of the source shall have here; None if nobody here has it any more.

        Raises:
            InvalidRequestError: when the caller wants another name than an earlier import gave.
        """
        given, kept = self._choices.renames.get(old), self._marks.get(place(_RENAMED, old))
        if given is None:
            return normalise_user_name(old) if kept is None else self._by_part.get(kept)
        before = self._came_unrenamed(old) if kept is None else self._by_part.get(kept)
        if before not in {None, given}:
            raise InvalidRequestError(
                f"--rename contradicts an earlier import: it names {shown(old)} {shown(given)}, and the user became"
                f" {shown(str(before))} here. Leave it out, and rename the user here if the name is to change"
            )
        return given

    def _came_unrenamed(self, old: str) -> str | None:
        """Return the name under which *old* came before, if it is here and nobody else of the source has it."""
        name = normalise_user_name(old)
        if name not in self._users or place(Kind.USER, name) not in self._marks:
            return None
        others = (one.name for one in self._source.users if one.name != old and one.name not in self._choices.renames)
        return None if name in map(normalise_user_name, others) else name

    @cached_property
    def _by_part(self) -> Mapping[str, str]:
        """Return the names here by what marks know of them, so that marks hold no names of people."""
        names = (*(one.name for one in self._here.sign_ups), *self._users)
        return {part_of(name): name for name in names}

    def _name(self, user: ArchivedUser, name: str | None, by_look: Mapping[str, Mapping[str, str]]) -> None:
        if user.name in self._names:
            return
        if name is None:
            why = "got another name by an earlier import, and nobody has that name here any more"
            self._leave_out(user, user.name, why, "To bring the user anew: --rename OLD=NEW with the same name.")
            return
        alike = sorted(by_look[skeleton(name)].keys() - {user.name})
        holder = self._by_look.get(skeleton(name))
        if alike:
            is_same, other = by_look[skeleton(name)][alike[0]] == name, shown(alike[0])
            so = f"and so would {other}" if is_same else f"which looks like what {other} would be"
            why = f"would be {shown(name)} here, {so}"
        elif holder is not None and holder != name:
            why = f"looks like the user {shown(holder)}, who is here"
        elif fault := "" if holder == name else _fault(name):
            why = f"cannot have this name here ({fault})"
        else:
            self._take(user, name)
            return
        self._leave_out(user, name, why, f"Choose a name: {rename_option(user.name)}.")

    @cached_property
    def _by_look(self) -> Mapping[str, str]:
        return {skeleton(name): name for name in self._users}

    def _take(self, user: ArchivedUser, name: str) -> None:
        """Let *user* have *name*, unless somebody has it who may be another person."""
        there = self._users.get(name)
        if there is not None and (why := self._doubt(user, there)):
            is_admin = user.admin or there.admin
            if not (user.name in self._choices.joined or (self._choices.joins_all and not is_admin)):
                ways = "--join NAME" if is_admin else "--join NAME, or --join-all"
                to_do = f"If it is the same person: {ways}. If not: --rename NAME=NEW."
                self._leave_out(user, name, f"{why}, and may be another person", to_do)
                return
        self._names[user.name] = name

    def _doubt(self, user: ArchivedUser, there: ArchivedUser) -> str:
        """Return why *there* may be another person than *user*, or an empty text."""
        mark = self._marks.get(place(Kind.USER, there.name))
        if mark is not None and not is_changing(mark):
            came = parts_in(mark).get("created_at")
            is_another = came not in {None, part_of(None), part_of(user.created_at)}
            return "was removed there since the last import, and made again" if is_another else ""
        if mark is not None or (user.id and user.id == there.id) or _is_made_at_once(user, there):
            self._same.add(there.name)
            return ""
        if self._is_unused(there) and (user.admin or not there.admin):
            return ""
        who = "an admin" if there.admin else "a user"
        what = f"has the name of {who} who was here before the import"
        return f"is an admin there, and {what}" if user.admin else what

    def _is_unused(self, user: ArchivedUser) -> bool:
        """Say whether settings have made the user, and nobody has ever been in the account."""
        held = (user.password_hash, user.email, user.app, user.passkeys, user.identities, user.last_activity_at)
        return user.name in self._choices.of_settings and not any(held) and user.name not in self._owners

    @cached_property
    def _owners(self) -> frozenset[str]:
        tokens = (one.owner for one in self._here.tokens if one.owner_kind is OwnerKind.USER)
        return frozenset((*tokens, *(one.owner for one in self._here.servers)))

    def _leave_out(self, user: ArchivedUser, name: str, why: str, to_do: str) -> None:
        self._unclear |= {name, normalise_user_name(user.name)}
        self._remark(user.name, why, to_do, left_out=True)

    def _remark(self, subject: str, what: str, to_do: str, *, left_out: bool) -> None:
        self._remarks.append(Remark(Kind.USER, subject, what, to_do, left_out))


def _fault(name: str) -> str:
    try:
        check_user_name(name)
    except InvalidRequestError as refused:
        return str(refused)
    return ""


def _is_made_at_once(user: ArchivedUser, there: ArchivedUser) -> bool:
    """Say whether an import made *there*: then it was made when the source says."""
    return user.created_at is not None and user.created_at == there.created_at


def rename_option(name: str) -> str:
    """Return the option that gives the user *name* of the source another name, as a shell takes it."""
    quoted = name.replace("'", "'\\''")
    if name.isprintable():
        return f"--rename '{quoted}=NEW'"
    escaped = "".join(
        c if c.isprintable() else f"\\U{ord(c):08x}" for c in name.replace("\\", "\\\\").replace("'", "\\'")
    )
    return f"--rename $'{escaped}=NEW'"  # bash and zsh
