"""The plan of an import: what an archive has, held against what the hub has and what was imported before.

A mark says what an item was like in the source when it was imported last. So an item that was changed or removed here
since stays so, one that the source changed is brought over, and one that the source lost is named.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from hubless.domain import import_bounds
from hubless.domain.added_services import check_service
from hubless.domain.archive import Archive, ArchivedService, ArchivedUser, Remark
from hubless.domain.errors import InvalidRequestError
from hubless.domain.external_identities import check_awaited_login, check_external_id
from hubless.domain.import_items import (
    PARTS,
    Item,
    Key,
    Kind,
    in_words,
    is_changing,
    items_of,
    place_of,
    token_in_words,
)
from hubless.domain.import_merge import Merge, merge, parts_in_words
from hubless.domain.import_names import NameChoices, name_users, rename_option
from hubless.domain.imported_secrets import beyond_bounds
from hubless.domain.names import check_group_name, check_server_name, check_user_name, shown
from hubless.domain.profiles import Profile
from hubless.domain.scopes import is_custom, parse
from hubless.domain.shares import SHAREABLE
from hubless.domain.tokens import OwnerKind
from hubless.domain.values import value


class Action(StrEnum):
    """What an import does with an item."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"
    MARK = "mark"  # it is here already, as in the source


_SECRET = frozenset({Kind.PASSWORD, Kind.AUTH_STATE, Kind.FACTORS, Kind.TOKEN, Kind.SHARE_CODE, Kind.SIGN_UP})
# What its owner may have changed here: never replaced once it differs from what was imported.
_GUARDED = frozenset({Kind.PASSWORD, Kind.EMAIL, Kind.AUTH_STATE, Kind.FACTORS, Kind.IDENTITY, Kind.AWAITED})
_REMOVABLE = frozenset(set(Kind) - _GUARDED - {Kind.ACTIVITY, Kind.SIGN_UP})
_ORDER: Mapping[Kind, int] = {kind: number for number, kind in enumerate(Kind)}
_EXPIRED = "has expired"
_BEYOND = "is one of too many that begin with the same characters"


@value
class Step:
    """One thing to do."""

    action: Action
    item: Item
    number: int = 0  # of steps before it; so that two equal ones stay two


@value
class Choices:
    """What the caller of an import chose, and what the hub's settings say."""

    renames: Mapping[str, str] = field(default_factory=dict, hash=False)
    since: datetime | None = None
    delete: bool = False
    keeps_auth_state: bool = False
    services: frozenset[str] = frozenset()  # of the settings
    profiles: Mapping[str, Profile] = field(default_factory=dict, hash=False)  # that servers here have
    taken: frozenset[str] = frozenset()  # client ids, and hashes of tokens, of the settings' services
    joined: frozenset[str] = frozenset()  # users of the source who are the users of these names here
    joins_all: bool = False  # so are all others, except admins
    users_of_settings: frozenset[str] = frozenset()
    # By name here: the digest of the hash from which a login made the stored one, of the same password.
    rehashed: Mapping[str, str] = field(default_factory=dict, hash=False)


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


Marks = Mapping[str, str]  # the item's digest as it was imported last, by `place_of`


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
        self._here = {(item.kind, item.key): item for item in items_of(here)}
        self._here_groups = here.groups
        self._here_users = {user.name: user for user in here.users}
        self._here_ids = {user.id: user.name for user in here.users if user.id}
        self._here_hashes = {token.hashed for token in here.tokens}
        self._added_hashes = set[str]()
        self._here_code_hashes = {code.hashed for code in here.share_codes}
        self._held = dict.fromkeys(choices.taken, "")  # client ids and hashes of tokens: whose
        for service in here.services:
            self._hold(service)
        self._replaced = choices.services & {service.name for service in here.services}  # settings have them now
        self._remarks = list(source.remarks)
        self._left_out = Counter[str]()
        for remark in source.remarks:
            self._left_out[remark.kind] += remark.number if remark.is_left_out else 0
        self._same, self._kept = Counter[str](), Counter[str]()
        self._expired = Counter[Kind]()
        self._steps = list[tuple[Action, Item]]()
        self._seen = dict[tuple[Kind, Key], Item]()  # everything in the source
        # What is here, and what this import adds: the rest may need it.
        self._present = {*self._here, *((Kind.SERVICE, (name,)) for name in choices.services)}
        self._doubtful = set[str]()
        self._with_way_in = set[str]()  # users of the source, by names here
        chosen = NameChoices(choices.renames, choices.joined, choices.joins_all, choices.users_of_settings)
        self._named = name_users(source, here, marks, chosen)
        self._names, self._unclear = self._named.names, self._named.unclear

    def plan(self) -> Plan:
        for remark in self._named.remarks:
            self._remark(Kind(remark.kind), remark.subject, remark.what, remark.to_do, left_out=remark.is_left_out)
        wanted = self._wanted(self._fitting(self._with_our_names()))
        for item in wanted:
            if self._is_of_replaced(item):
                self._add(item)
            else:
                self._decide(item)
        self._keep_within_bounds()
        self._keep_few()
        for user in self._source.users:
            if user.is_refused and user.name in self._names:
                self._refuse(replace(user, name=self._names[user.name]))
        for kind, number in self._expired.items():
            self._remarks.append(Remark(kind, f"{number} of them", "have expired", is_left_out=True))
        gone = self._gone()
        left = [item for item in gone if self._is_left_there(item)]
        gone = tuple(item for item in gone if not self._is_left_there(item))
        self._end_sign_ups()
        if self._choices.delete:
            self._steps += [(Action.REMOVE, item) for item in reversed(gone)]
        self._steps += [(Action.REMOVE, item) for item in left]
        steps = tuple(Step(action, item, number) for number, (action, item) in enumerate(self._in_order()))
        same, left_out, remarks = dict(self._same), dict(+self._left_out), tuple(self._remarks)
        users = self._new_admins(steps, Kind.USER, {user.name for user in self._here_users.values() if user.admin})
        admins_here = {key[0] for (kind, key), item in self._here.items() if kind is Kind.SERVICE and item.record.admin}
        services = self._new_admins(steps, Kind.SERVICE, admins_here)
        return Plan(
            self._source.source,
            steps,
            same,
            left_out,
            dict(self._kept),
            remarks,
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
                self._leave_out(item, "is twice in the source, in two forms; the first counts", "Look at both.")
        self._with_way_in = {one.owner for one in self._seen.values() if one.kind in {Kind.PASSWORD, Kind.IDENTITY}}
        return [item for item in self._seen.values() if self._admits(item)]

    def _keep_within_bounds(self) -> None:
        """Leave out imported hashes of which there would be too many of one prefix; those that are here stay."""
        for kind, here in ((Kind.TOKEN, self._here_hashes), (Kind.SHARE_CODE, self._here_code_hashes)):
            added = [item for action, item in self._steps if action is Action.ADD and item.kind is kind]
            beyond = beyond_bounds((*sorted(here), *(item.record.hashed for item in added)))
            left_out = {item.key: item for item in added if item.record.hashed in beyond}
            for item in left_out.values():
                self._leave_out(item, _BEYOND, "Its owner makes a new one here.")
            self._steps = [step for step in self._steps if step[1].kind is not kind or step[1].key not in left_out]

    def _fitting(self, source: Archive) -> Archive:
        """Return the source without parts of records that are too large, or that no start here would take."""
        groups = defaultdict[str, set[str]](set)
        for group in (*self._here_groups, *source.groups):
            for user in group.users:
                groups[user].add(group.name)
        return import_bounds.fitting(source, self._choices.profiles, groups, self._now, self._remarks.append)

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
                self._leave_out(item, out[place], "Add it here if it is needed, in place of another.")
            elif action is Action.ADD and (missing := self._missing(item)) is not None:
                self._present.discard(place)
                self._leave_out(item, f"needs {missing}, which is not here", "")
            else:
                kept.append((action, item))
        self._steps = kept

    def _in_order(self) -> list[tuple[Action, Item]]:
        """Return the steps as they are written: by kind and action, removals at the end as they are."""
        removals = [step for step in self._steps if step[0] is Action.REMOVE]
        others = [step for step in self._steps if step[0] is not Action.REMOVE]
        return sorted(others, key=lambda step: (_ORDER[step[1].kind], step[0])) + removals

    # --- names ---

    def _with_our_names(self) -> Archive:
        """Return the source with names as they are here; what belongs to nobody is left out with a remark."""
        source, names = self._source, self._names

        def name_of(old: str) -> str:
            return names.get(old, old)

        def is_known(kind: Kind, subject: str, *users: str | None) -> bool:
            for user in users:
                if user is not None and user not in names:
                    if user in self._named.left_out:  # which has its own remark
                        self._left_out[kind] += 1
                    else:
                        why = f"belongs to {shown(user)}, who is no user there"
                        self._remark(kind, subject, why, "", left_out=True)
                    return False
            return True

        return replace(
            source,
            users=tuple(
                self._with_fitting_id(replace(user, name=names[user.name]))
                for user in source.users
                if user.name in names
            ),
            groups=tuple(
                replace(
                    group,
                    users=tuple(
                        name_of(user) for user in group.users if is_known(Kind.MEMBER, f"{group.name}: {user}", user)
                    ),
                )
                for group in source.groups
            ),
            servers=tuple(
                replace(one, owner=name_of(one.owner))
                for one in source.servers
                if is_known(Kind.SERVER, f"{one.owner}/{one.name}", one.owner)
            ),
            tokens=tuple(
                replace(
                    one,
                    owner=name_of(one.owner) if one.owner_kind is OwnerKind.USER else one.owner,
                    scopes=tuple(self._scope(text) for text in one.scopes),
                )
                for one in source.tokens
                if is_known(Kind.TOKEN, token_in_words(one), one.owner if one.owner_kind is OwnerKind.USER else None)
            ),
            shares=tuple(
                replace(one, owner=name_of(one.owner), user=None if one.user is None else name_of(one.user))
                for one in source.shares
                if is_known(Kind.SHARE, f"{one.owner}/{one.server}", one.owner, one.user)
            ),
            share_codes=tuple(
                replace(one, owner=name_of(one.owner))
                for one in source.share_codes
                if is_known(Kind.SHARE_CODE, f"{one.owner}/{one.server}", one.owner)
            ),
            sign_ups=tuple(
                replace(one, name=self._named.sign_ups[one.name])
                for one in source.sign_ups
                if one.name in self._named.sign_ups
            ),
        )

    def _with_fitting_id(self, user: ArchivedUser) -> ArchivedUser:
        """Return *user* with the id that it will have here, and only with factors that work under that id."""
        there = self._here_users.get(user.name)
        taken_by = self._here_ids.get(user.id, user.name)
        fitting = there.id if there is not None else user.id if taken_by == user.name else ""
        if fitting == user.id or not (user.passkeys or user.recovery_codes):
            return replace(user, id=fitting)
        # Without a factor the password alone would open what two factors closed.
        is_bare = bool(user.passkeys) and user.app is None and user.password_hash is not None
        why = "has passkeys and recovery codes that work for the account there only"
        to_do = "The user adds new ones here."
        if is_bare:
            why, to_do = f"{why}, so the password is left out too", "Give the user a one-time link."
        self._remark(Kind.FACTORS, user.name, why, to_do)
        kept = None if is_bare else user.password_hash
        return replace(user, id=fitting, passkeys=(), recovery_codes=(), password_hash=kept)

    def _scope(self, text: str) -> str:
        """Return a scope whose filter names users by their names here."""
        before, mark, old = text.partition("!user=")
        if mark:
            return f"{before}!user={self._names.get(old, old)}"
        before, mark, old = text.partition("!server=")
        owner, slash, server = old.partition("/")
        return f"{before}!server={self._names.get(owner, owner)}{slash}{server}" if mark else text

    # --- what may come ---

    def _admits(self, item: Item) -> bool:
        """Say whether this item can be here at all; leave it out with a remark if not."""
        if item.kind is Kind.SERVICE and item.record.name in self._choices.services:
            self._keep(item, "keeps the settings that it has here")
            return False
        why, to_do = self._refusal(item)
        if not why:
            return True
        self._leave_out(item, why, to_do)
        return False

    def _refusal(self, item: Item) -> tuple[str, str]:
        """Return why the item cannot be here, and what to do; two empty texts if it can."""
        if item.kind is Kind.AWAITED:
            return self._refusal_of_awaited(item), "Link the login: `hubless user link NAME`."
        look = {
            Kind.GROUP: self._refusal_of_group,
            Kind.SERVER: self._refusal_of_server,
            Kind.AUTH_STATE: self._refusal_of_auth_state,
            Kind.TOKEN: self._refusal_of_token,
            Kind.SHARE: self._refusal_of_share,
            Kind.SHARE_CODE: self._refusal_of_share_code,
            Kind.SERVICE: self._refusal_of_service,
            Kind.SIGN_UP: self._refusal_of_sign_up,
            Kind.IDENTITY: self._refusal_of_identity,
        }.get(item.kind)
        return ("", "") if look is None else look(item.record)

    def _refusal_of_awaited(self, item: Item) -> str:
        name, awaited = item.key[0], item.record
        there, comes = self._here_users.get(name), self._seen[Kind.USER, item.key]
        has_way_in = there is not None and bool(there.password_hash or there.identities)
        # Who came by an import was made when the source says. Marks do not tell: users of both hubs have one too.
        was_here = there is not None and there.created_at != comes.record.created_at
        is_admin = comes.record.admin or (there is not None and there.admin)
        reasons = (
            (self._marks.get(place_of(item)) == item.digest, ""),  # imported, and the first login may have been since
            (awaited.until <= self._now, _EXPIRED),
            (awaited.name != name, f"awaits a login as {shown(awaited.name)}, and has another name here"),
            (was_here, "was here before, so a name does not say who it is"),
            (is_admin, "is an admin, and a name makes nobody an admin"),
            (name in self._with_way_in or has_way_in, "has another way in"),
        )
        return next((why for holds, why in reasons if holds), _fault(lambda: check_awaited_login(awaited)))

    def _refusal_of_group(self, group: Any) -> tuple[str, str]:
        return _fault(lambda: check_group_name(group.name)), "Rename the group there."

    def _refusal_of_server(self, server: Any) -> tuple[str, str]:
        why = _fault(lambda: check_server_name(server.name)) if server.name else ""
        return why, "Make a server of another name here; the files are the user's."

    def _refusal_of_auth_state(self, state: Any) -> tuple[str, str]:
        if not self._choices.keeps_auth_state:
            return "is not kept: the settings do not ask for it", "Set `login.auth_state = true`, and import again."
        return import_bounds.refusal_of_auth_state(state), "The user's next login at the provider brings what is new."

    def _refusal_of_token(self, token: Any) -> tuple[str, str]:
        if token.expires_at is not None and token.expires_at <= self._now:
            return _EXPIRED, ""
        if many := import_bounds.refusal_of_token(token):
            return many, "Its owner makes a new token here, with fewer scopes."
        return _fault(
            lambda: [parse(text) for text in token.scopes]
        ), "Define the scope in the settings and import again, or its owner makes a new token."

    def _refusal_of_share(self, share: Any) -> tuple[str, str]:
        if share.expires_at is not None:
            return "ends at an instant, and shares here do not end", "Its owner shares the server again."
        return _fault_of_shared(share.scopes), "Its owner shares the server again."

    def _refusal_of_share_code(self, code: Any) -> tuple[str, str]:
        why = _EXPIRED if code.expires_at <= self._now else _fault_of_shared(code.scopes)
        return why, "Its owner makes a new code."

    def _refusal_of_service(self, service: Any) -> tuple[str, str]:
        if why := _fault(lambda: check_service(service)):
            return why, "Change it there and import again, or write it in the settings."
        for what, text in (("client id", service.oauth_client_id), ("token", service.token_hash)):
            holder = self._held.get(text or "", service.name)
            if holder != service.name:
                whose = f"the service {shown(holder)}" if holder else "a service of the settings"
                return f"has the {what} of {whose}", "Add the service here with another one."
        self._hold(service)
        return "", ""

    def _hold(self, service: ArchivedService) -> None:
        """Note what no other service may have."""
        for text in (service.oauth_client_id, service.token_hash):
            if text:
                self._held.setdefault(text, service.name)

    def _refusal_of_identity(self, identity: Any) -> tuple[str, str]:
        return _fault(lambda: check_external_id(identity.id)), "Link the login: `hubless user link NAME`."

    def _refusal_of_sign_up(self, sign_up: Any) -> tuple[str, str]:
        if sign_up.name in self._here_users or sign_up.name in self._names.values():
            return "has the name of a user", ""
        return _fault(lambda: check_user_name(sign_up.name)), "The person signs up under another name."

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
            self._leave_out(item, "was changed there, and removed or renamed here since the last import", "")
        else:
            self._add(item)

    def _compare(self, item: Item, there: Item, mark: str | None) -> None:
        """Decide about what both sides have."""
        if mark is None and item.kind is Kind.GROUP:
            what = "is here already: its members there become members here, and may what the group may"
            self._remark(Kind.GROUP, item.key[0], what, "If it is another group, rename one of them first.")
        if there.digest == item.digest:
            self._steps.append((Action.MARK, item))
            self._follow_activity(item, there)
        elif item.kind is Kind.IDENTITY and item.owner != there.owner:
            self._leave_out(item, f"is linked to {shown(there.owner)} here", "Unlink it there first, if that is wrong.")
        elif mark is None:
            self._join(item, there)
        elif item.kind in PARTS:
            self._bring_parts(item, there, mark)
        elif item.kind not in _GUARDED:
            self._keep(item, "is here in another form, which stays")
        elif not self._is_as_it_came(there, mark):
            self._keep(item, "was changed there, and here since the last import; what is here stays")
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
                self._remark(Kind.USER, item.key[0], what, "If that is the same person, refuse the sign-up.")

    def _refuse(self, user: ArchivedUser) -> None:
        """Take the password that came from a user whom the source refuses by now, if nobody changed it here."""
        there = self._here.get((Kind.PASSWORD, (user.name,)))
        if there is None:
            return
        mark = self._marks.get(place_of(there))
        if mark is not None and self._is_as_it_came(there, mark):
            self._steps.append((Action.REMOVE, replace(there, before=there.record)))
            self._remark(Kind.PASSWORD, user.name, "is removed here too, because the user is refused there now", "")
        else:
            to_do = "Decide whether the user may stay: `hubless user remove NAME` removes the account."
            self._keep(there, "was set here, and the user is refused there; what is here stays", to_do)

    def _bring_parts(self, item: Item, there: Item, mark: str) -> None:
        """Bring what changed there alone; what changed here too stays, and the report names it."""
        merged = merge(item, there, mark)
        if "owner" in merged.taken and (missing := self._missing(merged.item)) is not None:
            self._leave_out(item, f"needs {missing}, which is not here", "")
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
            self._remark(item.kind, in_words(there), what, "")
        if merged.kept:
            self._keep(item, f"{parts_in_words(merged.kept)} changed there, and here too; what is here stays")
        if item.kind is Kind.USER and "admin" in merged.own:
            what = "is an admin" if there.record.admin else "is no admin"
            self._remark(Kind.USER, item.key[0], f"{what} by a change here since the last import, and stays so", "")

    def _is_of_replaced(self, item: Item) -> bool:
        """Say whether it is a token, which is not here, of an added service that settings have replaced since."""
        if item.kind is not Kind.TOKEN or (item.kind, item.key) in self._here:
            return False
        return item.record.owner_kind is OwnerKind.SERVICE and item.record.owner in self._replaced

    def _add(self, item: Item) -> None:
        if item.kind is Kind.TOKEN and item.record.hashed in self._here_hashes:
            self._leave_out(item, "is here already under another id", "")
        elif item.kind is Kind.TOKEN and item.record.hashed in self._added_hashes:
            self._leave_out(item, "is twice in the source, in two forms; the first counts", "Look at both.")
        elif (missing := self._missing(item)) is not None:
            self._leave_out(item, f"needs {missing}, which is not here", "")
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
            self._remark(
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
            self._keep(item, "was here before in another form, which stays; its tokens there work for it here")
        else:
            self._keep(item, "was here before in another form, which stays")

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

    def _keep(self, item: Item, what: str, to_do: str = "") -> None:
        """Say that what is here stays although the source has it in another form."""
        self._kept[item.kind] += 1
        self._remark(item.kind, in_words(item), what, to_do)

    def _leave_out(self, item: Item, why: str, to_do: str) -> None:
        if why == _EXPIRED:
            self._expired[item.kind] += 1
            self._left_out[item.kind] += 1
            return
        self._remark(item.kind, in_words(item), why, to_do if why else "", left_out=True)

    def _remark(self, kind: Kind, subject: str, what: str, to_do: str, *, left_out: bool = False) -> None:
        self._remarks.append(Remark(kind, subject, what, to_do, left_out))
        if left_out:
            self._left_out[kind] += 1


def _fault(check: Callable[[], object]) -> str:
    try:
        check()
    except InvalidRequestError as wrong:
        return f"is not allowed here ({wrong})"
    return ""


def _fault_of_shared(scopes: Iterable[str]) -> str:
    unknown = sorted(name for name in scopes if name not in SHAREABLE and not is_custom(name))
    return f"gives {unknown[0]}, which cannot be shared here" if unknown else ""
