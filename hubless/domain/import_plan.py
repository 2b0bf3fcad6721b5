"""The plan of an import: what an archive has, held against what the hub has and what was imported before.

A mark says what an item was like in the source when it was imported last. So an item that was changed or removed here
since stays so, one that the source changed is brought over, and one that the source lost is named.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime
from enum import StrEnum

from hubless.domain import import_bounds
from hubless.domain.archive import Archive, ArchivedUser, Remark
from hubless.domain.import_admission import Admission
from hubless.domain.import_choices import Choices
from hubless.domain.import_items import PARTS, Item, Key, Kind, Marks, in_words, is_changing, items_of, place_of
from hubless.domain.import_merge import Merge, merge, parts_in_words
from hubless.domain.import_names import NameChoices, name_users, rename_option
from hubless.domain.import_notes import Notes
from hubless.domain.import_renaming import Renaming
from hubless.domain.imported_secrets import beyond_bounds
from hubless.domain.names import shown
from hubless.domain.tokens import OwnerKind
from hubless.domain.values import value


class Action(StrEnum):
    """What an import does with an item."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"
    MARK = "mark"  # it is here already, as in the source


_SECRET = frozenset({Kind.PASSWORD, Kind.AUTH_STATE, Kind.FACTORS, Kind.TOKEN, Kind.SHARE_CODE, Kind.SIGN_UP})
# What its owner, or an admin, may have changed here: never replaced once it differs from what was imported.
_GUARDED = frozenset({Kind.PASSWORD, Kind.EMAIL, Kind.NOTE, Kind.AUTH_STATE, Kind.FACTORS, Kind.IDENTITY, Kind.AWAITED})
# Few, and each is one whole: it follows the source as long as it is here as it came.
_WHOLE = frozenset({Kind.BUDGET, Kind.SCHEDULE})
_REMOVABLE = frozenset(set(Kind) - _GUARDED - {Kind.ACTIVITY, Kind.SIGN_UP})
_ORDER: Mapping[Kind, int] = {kind: number for number, kind in enumerate(Kind)}
_BEYOND = "is one of too many that begin with the same characters"


@value
class Step:
    """One thing to do."""

    action: Action
    item: Item
    number: int = 0  # of steps before it; so that two equal ones stay two


@value
class Plan:
    """What an import would do."""

    source: str
    steps: tuple[Step, ...]
    same: Mapping[str, int] = field(hash=False)  # items by kind that were imported before, unchanged
    left_out: Mapping[str, int] = field(hash=False)
    kept: Mapping[str, int] = field(default_factory=dict, hash=False)  # that stay as they are here, and differ there
    remarks: tuple[Remark, ...] = ()
    admins: tuple[str, ...] = ()  # users who become admins by it
    admin_services: tuple[str, ...] = ()  # services that become admins by it
    gone: tuple[Item, ...] = ()  # imported before, not in the source any more, and still here
    names: Mapping[str, str] = field(default_factory=dict, hash=False)  # of users who come: the source's to ours
    doubtful: frozenset[str] = frozenset()  # names here of users whose password a login may have made anew
    name_marks: Mapping[str, str] = field(default_factory=dict, hash=False)  # of names that the caller chose

    def count(self, action: Action) -> Counter[Kind]:
        """Return how many items of each kind the import would add, change, remove or mark."""
        return Counter(step.item.kind for step in self.steps if step.action is action)

    @property
    def changes(self) -> int:
        """Return the number of steps that change something."""
        return sum(step.action is not Action.MARK for step in self.steps)


def plan_of(source: Archive, here: Archive, marks: Marks, choices: Choices, now: datetime) -> Plan:
    """Return what to do so that the hub that is like *here* has what *source* has.

    Args:
        source: what another hub has.
        here: what this hub has.
        marks: the digest of each item as it was imported last, by `place_of`.
        choices: of the caller and of the settings.
        now: the present instant: what has expired is left out.

    Raises:
        InvalidRequestError: when a choice contradicts an earlier import.
    """
    return _Planning(source, here, marks, choices, now).plan()


class _Planning:
    """Makes one plan."""

    def __init__(self, source: Archive, here: Archive, marks: Marks, choices: Choices, now: datetime) -> None:
        self._source, self._choices, self._marks, self._now = source, choices, marks, now
        self._here_archive = here
        self._here = {(item.kind, item.key): item for item in items_of(here)}
        self._here_users = {user.name: user for user in here.users}
        self._here_hashes = {token.hashed for token in here.tokens}
        self._added_hashes = set[str]()
        self._here_code_hashes = {code.hashed for code in here.share_codes}
        self._replaced = choices.services & {service.name for service in here.services}  # settings have them now
        self._notes = Notes(source.remarks)
        self._same = Counter[str]()
        self._steps = list[tuple[Action, Item]]()
        self._seen = dict[tuple[Kind, Key], Item]()  # everything in the source
        # What is here, and what this import adds: the rest may need it.
        self._present = {*self._here, *((Kind.SERVICE, (name,)) for name in choices.services)}
        self._doubtful = set[str]()
        chosen = NameChoices(choices.renames, choices.joined, choices.joins_all, choices.users_of_settings)
        self._named = name_users(source, here, marks, chosen)
        self._names, self._unclear = self._named.names, self._named.unclear

    def plan(self) -> Plan:
        for remark in self._named.remarks:
            self._notes.add(remark)
        named = Renaming(self._named, self._here_archive.users, self._notes).applied_to(self._source)
        for item in self._wanted(self._fitting(named)):
            if self._is_of_replaced(item):
                self._add(item)
            else:
                self._decide(item)
        self._keep_within_bounds()
        self._keep_few()
        for user in self._source.users:
            if user.is_refused and user.name in self._names:
                self._refuse(replace(user, name=self._names[user.name]))
        gone = self._gone()
        left = [item for item in gone if self._is_left_there(item)]
        gone = tuple(item for item in gone if not self._is_left_there(item))
        self._end_sign_ups()
        if self._choices.delete:
            self._steps += [(Action.REMOVE, item) for item in reversed(gone)]
        self._steps += [(Action.REMOVE, item) for item in left]
        steps = tuple(Step(action, item, number) for number, (action, item) in enumerate(self._in_order()))
        users = self._new_admins(steps, Kind.USER, {user.name for user in self._here_users.values() if user.admin})
        admins_here = {key[0] for (kind, key), item in self._here.items() if kind is Kind.SERVICE and item.record.admin}
        services = self._new_admins(steps, Kind.SERVICE, admins_here)
        return Plan(
            self._source.source,
            steps,
            dict(self._same),
            self._notes.left_out,
            self._notes.kept,
            self._notes.remarks,
            users,
            services,
            gone,
            self._names,
            frozenset(self._doubtful),
            self._named.marks,
        )

    def _wanted(self, source: Archive) -> list[Item]:
        """Return the items of the source that can be here, each once."""
        for item in items_of(source):
            place = (item.kind, item.key)
            if place not in self._seen:
                self._seen[place] = item
            elif self._seen[place].digest != item.digest:
                self._notes.leave_out(item, "is twice in the source, in two forms; the first counts", "Look at both.")
        items = list(self._seen.values())
        admission = Admission(items, self._here_archive, self._marks, self._choices, now=self._now, notes=self._notes)
        return [item for item in items if admission.admits(item)]

    def _keep_within_bounds(self) -> None:
        """Leave out imported hashes of which there would be too many of one prefix; those that are here stay."""
        for kind, here in ((Kind.TOKEN, self._here_hashes), (Kind.SHARE_CODE, self._here_code_hashes)):
            added = [item for action, item in self._steps if action is Action.ADD and item.kind is kind]
            beyond = beyond_bounds((*sorted(here), *(item.record.hashed for item in added)))
            left_out = {item.key: item for item in added if item.record.hashed in beyond}
            for item in left_out.values():
                self._notes.leave_out(item, _BEYOND, "Its owner makes a new one here.")
            self._steps = [step for step in self._steps if step[1].kind is not kind or step[1].key not in left_out]

    def _fitting(self, source: Archive) -> Archive:
        """Return the source without parts of records that are too large, or that no start here would take."""
        groups = defaultdict[str, set[str]](set)
        for group in (*self._here_archive.groups, *source.groups):
            for user in group.users:
                groups[user].add(group.name)
        return import_bounds.fitting(source, self._choices.profiles, groups, self._now, self._notes.add)

    def _keep_few(self) -> None:
        """Leave out what is one too many of its kind, and what would need it."""
        added = [item for action, item in self._in_order() if action is Action.ADD]
        out = {(item.kind, item.key): why for item, why in import_bounds.too_many(added, self._here.values())}
        if not out:
            return
        self._present -= out.keys()
        kept = list[tuple[Action, Item]]()
        for action, item in self._in_order():
            place = (item.kind, item.key)
            if action is Action.ADD and place in out:
                self._notes.leave_out(item, out[place], "Add it here if it is needed, in place of another.")
            elif action is Action.ADD and (missing := self._missing(item)) is not None:
                self._present.discard(place)
                self._notes.leave_out(item, f"needs {missing}, which is not here")
            else:
                kept.append((action, item))
        self._steps = kept

    def _in_order(self) -> list[tuple[Action, Item]]:
        """Return the steps as they are written: by kind and action, removals at the end as they are."""
        removals = [step for step in self._steps if step[0] is Action.REMOVE]
        others = [step for step in self._steps if step[0] is not Action.REMOVE]
        return sorted(others, key=lambda step: (_ORDER[step[1].kind], step[0])) + removals

    def _missing(self, item: Item) -> str | None:
        """Return what the item needs and is not here, nor comes before it."""
        record = item.record
        needs = dict[tuple[Kind, Key], str]()
        if item.owner and item.kind is not Kind.USER:
            needs[Kind.USER, (item.owner,)] = f"the user {shown(item.owner)}"
        if item.kind is Kind.SHARE and record.user is not None:
            needs[Kind.USER, (record.user,)] = f"the user {shown(record.user)}"
        if item.kind is Kind.MEMBER:
            needs[Kind.GROUP, item.key[:1]] = f"the group {shown(item.key[0])}"
        elif item.kind in {Kind.SHARE, Kind.SHARE_CODE}:
            needs[Kind.SERVER, (record.owner, record.server)] = f"the server {record.owner}/{record.server}"
        elif item.kind is Kind.TOKEN and record.owner_kind is OwnerKind.SERVICE:
            needs[Kind.SERVICE, (record.owner,)] = f"the service {shown(record.owner)}"
        if item.kind is Kind.SCHEDULE:
            needs |= {(Kind.GROUP, (name,)): f"the group {shown(name)}" for name in record.groups}
        if item.kind is Kind.SHARE and record.group is not None:
            needs[Kind.GROUP, (record.group,)] = f"the group {shown(record.group)}"
        lacking = [what for place, what in needs.items() if place not in self._present]
        return lacking[0] if lacking else None

    # --- decisions ---

    def _decide(self, item: Item) -> None:
        there = self._here.get((item.kind, item.key))
        mark = self._marks.get(place_of(item))
        if self._is_older(item):
            self._same[item.kind] += 1
        elif mark == item.digest:
            self._same[item.kind] += 1
            self._follow_activity(item, there)
        elif there is not None:
            self._compare(item, there, mark)
        elif mark is not None and not is_changing(mark):
            self._notes.leave_out(item, "was changed there, and removed or renamed here since the last import")
        else:
            self._add(item)

    def _compare(self, item: Item, there: Item, mark: str | None) -> None:
        """Decide about what both sides have."""
        if mark is None and item.kind is Kind.GROUP:
            what = "is here already: its members there become members here, and may what the group may"
            self._notes.remark(Kind.GROUP, item.key[0], what, "If it is another group, rename one of them first.")
        if there.digest == item.digest:
            self._steps.append((Action.MARK, item))
            self._follow_activity(item, there)
        elif item.kind is Kind.IDENTITY and item.owner != there.owner:
            self._notes.leave_out(
                item, f"is linked to {shown(there.owner)} here", "Unlink it there first, if that is wrong."
            )
        elif mark is None:
            self._join(item, there)
        elif item.kind in PARTS:
            self._bring_parts(item, there, mark)
        elif item.kind not in _GUARDED | _WHOLE:
            self._notes.keep(item, "is here in another form, which stays")
        elif not self._is_as_it_came(there, mark):
            self._notes.keep(item, "was changed there, and here since the last import; what is here stays")
        else:
            self._steps.append((Action.CHANGE, replace(item, before=there.record)))

    def _is_as_it_came(self, there: Item, mark: str) -> bool:
        """Say whether nobody changed *there* since an import brought it: a login that hashes anew changes nothing."""
        if there.digest == mark:
            return True
        if there.kind is Kind.PASSWORD:
            self._doubtful.add(there.owner)
            return self._choices.rehashed.get(there.owner) == mark
        return False

    def _end_sign_ups(self) -> None:
        """End the imported sign-ups of those who became users there; name those who wait here under such a name."""
        new = {item.key for action, item in self._steps if action is Action.ADD and item.kind is Kind.USER}
        waiting = [item for (kind, key), item in self._here.items() if kind is Kind.SIGN_UP and key in new]
        for item in waiting:
            if place_of(item) in self._marks:
                self._steps.append((Action.REMOVE, replace(item, before=item.record)))
            else:
                what = "is a user there, and somebody waits here for an account of this name"
                self._notes.remark(Kind.USER, item.key[0], what, "If that is the same person, refuse the sign-up.")

    def _refuse(self, user: ArchivedUser) -> None:
        """Take the password that came from a user whom the source refuses by now, if nobody changed it here."""
        there = self._here.get((Kind.PASSWORD, (user.name,)))
        if there is None:
            return
        mark = self._marks.get(place_of(there))
        if mark is not None and self._is_as_it_came(there, mark):
            self._steps.append((Action.REMOVE, replace(there, before=there.record)))
            self._notes.remark(Kind.PASSWORD, user.name, "is removed here too, because the user is refused there now")
        else:
            to_do = "Decide whether the user may stay: `hubless user remove NAME` removes the account."
            self._notes.keep(there, "was set here, and the user is refused there; what is here stays", to_do)

    def _bring_parts(self, item: Item, there: Item, mark: str) -> None:
        """Bring what changed there alone; what changed here too stays, and the report names it."""
        merged = merge(item, there, mark)
        if "owner" in merged.taken and (missing := self._missing(merged.item)) is not None:
            self._notes.leave_out(item, f"needs {missing}, which is not here")
            return
        if merged.taken:
            self._steps.append((Action.CHANGE, merged.item))
        elif merged.item.digest != mark:
            self._steps.append((Action.MARK, merged.item))
            self._follow_activity(item, there)
        else:
            self._follow_activity(item, there)
        self._tell_of_parts(item, there, merged)

    def _tell_of_parts(self, item: Item, there: Item, merged: Merge) -> None:
        if "owner" in merged.taken:
            what = f"moves here from {shown(there.record.owner)} to {shown(item.record.owner)}, as it did there"
            self._notes.remark(item.kind, in_words(there), what)
        if merged.kept:
            self._notes.keep(item, f"{parts_in_words(merged.kept)} changed there, and here too; what is here stays")
        if item.kind is Kind.USER and "admin" in merged.own:
            what = "is an admin" if there.record.admin else "is no admin"
            self._notes.remark(Kind.USER, item.key[0], f"{what} by a change here since the last import, and stays so")

    def _is_of_replaced(self, item: Item) -> bool:
        """Say whether it is a token, which is not here, of an added service that settings have replaced since."""
        if item.kind is not Kind.TOKEN or (item.kind, item.key) in self._here:
            return False
        return item.record.owner_kind is OwnerKind.SERVICE and item.record.owner in self._replaced

    def _add(self, item: Item) -> None:
        if item.kind is Kind.TOKEN and item.record.hashed in self._here_hashes:
            self._notes.leave_out(item, "is here already under another id")
        elif item.kind is Kind.TOKEN and item.record.hashed in self._added_hashes:
            self._notes.leave_out(item, "is twice in the source, in two forms; the first counts", "Look at both.")
        elif (missing := self._missing(item)) is not None:
            self._notes.leave_out(item, f"needs {missing}, which is not here")
        else:
            self._present.add((item.kind, item.key))
            self._steps.append((Action.ADD, item))
            if item.kind is Kind.TOKEN:
                self._added_hashes.add(item.record.hashed)

    def _join(self, item: Item, there: Item) -> None:
        """Decide about what both had before the first import: what is here stays, and what is missing is added."""
        mine, theirs = there.record, item.record
        changed = replace(item, before=mine)
        if item.kind is Kind.USER and item.key[0] in self._named.same:
            self._bring_parts(item, there, "")
        elif item.kind is Kind.USER:
            merged = replace(
                mine,
                admin=mine.admin or theirs.admin,
                user_info=theirs.user_info if mine.user_info is None else mine.user_info,
            )
            self._notes.remark(
                Kind.USER,
                item.key[0],
                "A user of this name is here, as admins of the settings are: both become one user",
                f"If they are two people: {rename_option(item.key[0])}.",
            )
            self._steps.append((Action.CHANGE, replace(changed, record=merged)))
        elif item.kind is Kind.SHARE:
            scopes = tuple(sorted({*mine.scopes, *theirs.scopes}))
            self._steps.append((Action.CHANGE, replace(changed, record=replace(theirs, scopes=scopes))))
        elif item.kind is Kind.GROUP and not mine.properties:
            self._steps.append((Action.CHANGE, changed))
        elif item.kind is Kind.SERVICE:
            self._notes.keep(item, "was here before in another form, which stays; its tokens there work for it here")
        else:
            self._notes.keep(item, "was here before in another form, which stays")

    def _is_older(self, item: Item) -> bool:
        if self._choices.since is None:
            return False
        created = getattr(item.record, "created_at", None)
        known = [at for at in (created, item.last_activity_at) if at is not None]
        return bool(known) and max(known) < self._choices.since

    def _follow_activity(self, item: Item, there: Item | None) -> None:
        if item.kind not in {Kind.USER, Kind.SERVER} or there is None or item.last_activity_at is None:
            return
        if there.last_activity_at is None or there.last_activity_at < item.last_activity_at:
            self._steps.append((Action.CHANGE, replace(item, kind=Kind.ACTIVITY)))

    def _gone(self) -> tuple[Item, ...]:
        """Return what was imported, is not in the source any more, and is still here.

        Who is left out because of the name is in the source, with everything that is theirs.
        """
        if not self._source.is_whole:
            return ()
        found = [
            item
            for place, item in self._here.items()
            if place not in self._seen and item.kind in _REMOVABLE and place_of(item) in self._marks
            if self._source.has_secrets or item.kind not in _SECRET
            if item.owner not in self._unclear
            if item.kind is not Kind.SHARE or item.record.user not in self._unclear
        ]
        return tuple(sorted(found, key=lambda item: (_ORDER[item.kind], item.key)))

    def _new_admins(self, steps: Iterable[Step], kind: Kind, here: Container[str]) -> tuple[str, ...]:
        return tuple(
            sorted(
                step.item.key[0]
                for step in steps
                if step.item.kind is kind and step.action in {Action.ADD, Action.CHANGE} and step.item.record.admin
                if step.item.key[0] not in here
            )
        )

    def _is_left_there(self, item: Item) -> bool:
        """Say whether it is the membership of somebody who left a group there: user and group are in the source."""
        if item.kind is not Kind.MEMBER:
            return False
        group, user = item.key
        return (Kind.GROUP, (group,)) in self._seen and (Kind.USER, (user,)) in self._seen
