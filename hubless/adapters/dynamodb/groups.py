"""Groups in DynamoDB."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from hubless.adapters.dynamodb import keys, removals
from hubless.adapters.dynamodb.database import (
    BATCH_GET,
    TRANSACTION,
    Check,
    ConditionFailedError,
    Database,
    Delete,
    Put,
    Step,
    Update,
    chunks,
)
from hubless.adapters.dynamodb.table import Account, GroupItem, Item, Pointer
from hubless.domain.bounds import MAX_COUNTED
from hubless.domain.errors import NameTakenError, NotFoundError
from hubless.domain.users import Group, GroupSummary, Member

NAMES = "NAMES#group"
FOLLOWED = 20  # groups that a user joins, and leaves, in one transaction of at most a hundred steps
MANY = 1000  # above this, listing all names needs fewer requests than reading the members


class DynamoGroupStore:
    """Stores groups."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, name: str) -> Group | None:
        pointer = self._database.get(Pointer, keys.name("group", name))
        found = self._read([pointer.to or ""]) if pointer else []
        return found[0] if found else None

    def names(self, group_ids: Iterable[str]) -> dict[str, str]:
        found = self._database.get_many(keys.group_item(group_id) for group_id in group_ids)
        groups = [found.item(GroupItem, key) for key in found]
        return {group.id: group.name for group in groups if group is not None and not group.gone}

    def create(self, *groups: Group) -> None:
        members = {
            group.id: self._ids(group.users) for group in groups
        }  # before the first write, in case one is unknown
        made = _made(groups)
        steps = [*made, *_all_joined(groups, members)]
        if len(steps) <= TRANSACTION:
            self._database.transact(steps)
            return
        # The groups exist at once, with a note of the users who must still join; a sweep continues from it.
        notes = [removals.begin_members(group.id, members[group.id]) for group in groups]
        for part in chunks([step for both in zip(made[::2], made[1::2], notes, strict=True) for step in both], 3 * 33):
            self._database.transact(part)
        for group in groups:
            removals.join_members(self._database, group.id)

    def delete(self, group_id: str) -> None:
        removals.remove_group(self._database, group_id)

    def add_users(self, group_id: str, user_names: Sequence[str]) -> None:
        ids = self._ids(user_names)
        item = self._database.get(GroupItem, keys.group_item(group_id))
        if item is None or item.gone:
            raise NotFoundError("Group", group_id)
        there = Check(
            item.key, GroupItem.pk.exists() & GroupItem.gone.does_not_exist(), NotFoundError("Group", item.name)
        )
        for part in chunks(ids, (TRANSACTION - 1) // 2):
            self._database.transact(
                [there, *(step for user_id in part for step in removals.joined(user_id, {group_id: item.name}))]
            )

    def remove_users(self, group_id: str, user_names: Sequence[str]) -> None:
        named = self._database.get_many(keys.name("user", name) for name in user_names)
        pointers = [pointer for key in named if (pointer := named.item(Pointer, key)) is not None]
        self._database.transact_each([removals.left(group_id, pointer.to or "") for pointer in pointers])

    def set_memberships(self, user_id: str, groups: Sequence[Group]) -> None:
        while self._database.retry(partial(self._follow_some, user_id, groups)):
            pass

    def _follow_some(self, user_id: str, groups: Sequence[Group]) -> bool:
        """Make as many changes as one transaction takes, and say whether more may be left."""
        named = [keys.name("group", group.name) for group in groups]
        found = self._database.get_many([keys.account(user_id), *named])
        account = found.item(Account, keys.account(user_id))
        if account is None or account.gone:
            raise NotFoundError("User", user_id)
        wanted: dict[str, Group] = {}
        missing = set[str]()
        for key, group in zip(named, groups, strict=True):
            pointer = None if key is None else found.item(Pointer, key)
            wanted[group.id if pointer is None else pointer.to or ""] = group
            missing |= {group.id} if pointer is None else set()
        join = [group_id for group_id in wanted if group_id not in account.groups][:FOLLOWED]
        leave = [group_id for group_id in account.groups if group_id not in wanted][:FOLLOWED]
        if not join and not leave:
            return False
        steps: list[Step] = _made([wanted[group_id] for group_id in join if group_id in missing])
        steps += [_is_there(group_id) for group_id in join if group_id not in missing]
        steps += [Put(Pointer(*keys.member(group_id, user_id))) for group_id in join]
        steps += [Delete(keys.member(group_id, user_id)) for group_id in leave]
        sets = [Account.groups[group_id].set(wanted[group_id].name) for group_id in join]
        as_read = Account.pk.exists() & Account.gone.does_not_exist() & (Account.groups == account.groups)
        removes = [Account.groups[group_id].remove() for group_id in leave]
        try:
            self._database.transact([*steps, Update(account.key, [*sets, *removes], as_read)])
        except NameTakenError as taken:  # another login has added the group meanwhile
            raise ConditionFailedError(steps) from taken
        return len(join) == FOLLOWED or len(leave) == FOLLOWED

    def set_properties(self, group_id: str, properties: Mapping[str, Any]) -> None:
        try:
            self._database.write(
                Update(keys.group_item(group_id), [GroupItem.properties.set(dict(properties))], GroupItem.pk.exists())
            )
        except ConditionFailedError:
            return  # it is gone

    def change_properties(self, group_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        stored = GroupItem.properties.set(dict(after))
        try:
            self._database.write(Update(keys.group_item(group_id), [stored], GroupItem.properties == dict(before)))
        except ConditionFailedError:
            return False
        return True

    def summary(self, name: str) -> GroupSummary | None:
        pointer = self._database.get(Pointer, keys.name("group", name))
        found = self._summaries([pointer.to or ""]) if pointer else []
        return found[0] if found else None

    def summaries(
        self, *, limit: int, after: str = "", name_contains: str = "", names: Iterable[str] | None = None
    ) -> list[GroupSummary]:
        if names is None:
            most = None if name_contains else limit
            pointers = self._database.query(Pointer, NAMES, Pointer.sk > f"={after}", limit=most)
        else:
            found = self._database.get_many(keys.name("group", name) for name in names)
            pointers = iter(sorted((found.each(Pointer)), key=lambda pointer: pointer.sk))
        part = name_contains.casefold()
        fitting = (one for one in pointers if one.sk > f"={after}" and part in one.sk[1:].casefold())
        return self._summaries([pointer.to or "" for pointer in islice(fitting, limit)])

    def _summaries(self, group_ids: Sequence[str]) -> list[GroupSummary]:
        """Return the groups in this order: one read for all, and one for each that counts its members."""
        found = self._database.get_many(map(keys.group_item, group_ids))
        items = [found.item(GroupItem, keys.group_item(group_id)) for group_id in group_ids]
        return [
            GroupSummary(
                item.id,
                item.name,
                self._database.count(keys.group(item.id), Item.sk.startswith("MEMBER#"), most=MAX_COUNTED + 1),
                item.properties,
            )
            for item in items
            if item is not None and not item.gone
        ]

    def members(self, group_id: str, *, limit: int, after: str = "", name_contains: str = "") -> list[Member]:
        found, part, is_read = list[Member](), name_contains.casefold(), False
        while len(found) < limit and not is_read:
            wanted = BATCH_GET if part else limit - len(found)
            beyond = Pointer.sk > keys.member(group_id, after).sk
            pointers = list(self._database.query(Pointer, keys.group(group_id), beyond, limit=wanted))
            ids = [pointer.sk.removeprefix("MEMBER#") for pointer in pointers]
            named = self._database.get_many(map(keys.account, ids))
            accounts = [named.item(Account, keys.account(user_id)) for user_id in ids]
            found += [
                Member(account.id, account.name)
                for account in accounts
                if account is not None and not account.gone and part in account.name.casefold()
            ]
            after, is_read = (ids or [after])[-1], len(ids) < wanted
        return found[:limit]

    def page(self, *, offset: int, limit: int, names: Iterable[str] | None = None) -> tuple[list[Group], int]:
        if names is None:
            pointers = list(self._database.query(Pointer, NAMES))
        else:
            found = self._database.get_many(keys.name("group", name) for name in names)
            pointers = [pointer for key in found if (pointer := found.item(Pointer, key)) is not None]
        ids = sorted(pointer.to or "" for pointer in pointers)
        return self._read(ids[offset : offset + limit]), len(ids)

    def _read(self, group_ids: Iterable[str]) -> list[Group]:
        """Return the groups: one query each, and one read for all members' names."""
        groups, members = list[GroupItem](), dict[str, list[str]]()
        for group_id in group_ids:
            for item in self._database.query(GroupItem, keys.group(group_id)):
                if item.sk == "GROUP":
                    groups.append(item)
                else:
                    members.setdefault(group_id, []).append(item.sk.removeprefix("MEMBER#"))
        names = self._names({user_id for some in members.values() for user_id in some})
        return [
            Group(
                group.id,
                group.name,
                tuple(sorted(names[user_id] for user_id in members.get(group.id, ()) if user_id in names)),
                group.properties,
            )
            for group in groups
            if not group.gone
        ]

    def _names(self, user_ids: set[str]) -> dict[str, str]:
        if len(user_ids) > MANY:
            return {pointer.to or "": pointer.sk[1:] for pointer in self._database.query(Pointer, keys.USER_NAMES)}
        found = self._database.get_many(keys.account(user_id) for user_id in user_ids)
        accounts = [found.item(Account, key) for key in found]
        return {account.id: account.name for account in accounts if account is not None and not account.gone}

    def _ids(self, user_names: Sequence[str]) -> list[str]:
        """Return the ids of the users, each once.

        Raises:
            NotFoundError: for the first name that does not exist.
        """
        named = {name: keys.name("user", name) for name in user_names}
        found = self._database.get_many(named.values())
        ids = []
        for name, key in named.items():
            pointer = None if key is None else found.item(Pointer, key)
            if pointer is None:
                raise NotFoundError("User", name)
            ids.append(pointer.to or "")
        return ids


def _is_there(group_id: str) -> Step:
    return Check(keys.group_item(group_id), GroupItem.pk.exists() & GroupItem.gone.does_not_exist())


def _made(groups: Sequence[Group]) -> list[Step]:
    """Return two steps for each group: its name and the group."""
    names: set[str] = set()
    steps = list[Step]()
    for group in groups:
        named, taken = keys.name("group", group.name), NameTakenError("Group", group.name)
        if named is None or group.name in names:
            raise taken
        names.add(group.name)
        item = GroupItem(*keys.group_item(group.id), id=group.id, name=group.name, properties=dict(group.properties))
        steps += [Put(Pointer(*named, to=group.id), Pointer.pk.does_not_exist(), taken), Put(item)]
    return steps


def _all_joined(groups: Sequence[Group], members: Mapping[str, Sequence[str]]) -> list[Step]:
    by_user: dict[str, dict[str, str]] = {}
    for group in groups:
        for user_id in members[group.id]:
            by_user.setdefault(user_id, {})[group.id] = group.name
    return [step for user_id, names in by_user.items() for step in removals.joined(user_id, names)]
