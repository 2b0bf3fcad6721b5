"""Users in DynamoDB."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from hubless.adapters.dynamodb import keys, removals, user_records
from hubless.adapters.dynamodb.database import (
    Check,
    ConditionFailedError,
    Database,
    Delete,
    Found,
    Put,
    Step,
    Update,
    is_there,
)
from hubless.adapters.dynamodb.keys import Key
from hubless.adapters.dynamodb.table import ACTIVITY, Account, Pointer, Seen
from hubless.adapters.dynamodb.user_count import UserCount, counted
from hubless.adapters.dynamodb.user_table import DynamoUserTable
from hubless.domain.errors import NameTakenError, StoreConflictError
from hubless.domain.ids import created_at
from hubless.domain.lifecycle import ACTIVE, State
from hubless.domain.names import skeleton
from hubless.domain.user_table import Sort, TableFilter, TablePage
from hubless.domain.users import User

_STATES = {
    "active": ACTIVE,
    "ready": {State.READY},
    "inactive": ACTIVE,
}  # inactive: users without a server in these states
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class DynamoUserStore:
    """Stores users."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._table = DynamoUserTable(database)
        self._counters = UserCount(database)
        self._knows_skeletons = self._knows_admins = False

    def get(self, user_id: str) -> User | None:
        return user_records.read(self._database, [user_id]).get(user_id)

    def find(self, name: str) -> User | None:
        named, alike = keys.name("user", name), keys.skeleton(name)
        if named is None or alike is None:  # as with nearly all names
            pointer = self._database.get(Pointer, named)
            return None if pointer is None else self.get(_id(pointer))
        found = self._database.get_many([named, alike] if keys.is_possible(alike) else [named])
        pointer = found.item(Pointer, named)
        if pointer is None:
            return None
        if alike not in found and keys.is_possible(alike):
            self._add_skeleton(named, alike, _id(pointer))
        return self.get(_id(pointer))

    def get_many(self, user_ids: Iterable[str]) -> dict[str, User]:
        return user_records.read(self._database, dict.fromkeys(user_ids))

    def holders(self, names: Iterable[str]) -> dict[str, str]:
        self._know_all_skeletons()
        wanted = {name: _where(name) for name in names}
        found = self._database.get_many(key for some in wanted.values() for key in some)
        first = {name: next((key for key in some if key in found), None) for name, some in wanted.items()}
        pointers = {name: found.item(Pointer, key) for name, key in first.items() if key is not None}
        ids = {name: _id(pointer) for name, pointer in pointers.items() if pointer is not None}
        accounts = self._database.get_many(keys.account(user_id) for user_id in ids.values())
        holders = {name: user_records.account_of(accounts, user_id) for name, user_id in ids.items()}
        return {name: account.name for name, account in holders.items() if account is not None}

    def read_names(self, names: Sequence[str], like: str, more: Sequence[Key]) -> tuple[Found, list[str], list[str]]:
        """Return the items *more*, the ids of users of *names*, and those of users whose name looks like *like*.

        It takes one request, except the first time in the life of a table.
        """
        exact, alike = [keys.name("user", name) for name in names], _where(like)
        mark = [] if self._knows_skeletons else [keys.ALL_SKELETONS]
        found = self._database.get_many([*exact, *alike, *mark, *more])
        if mark and keys.ALL_SKELETONS not in found:
            self._know_all_skeletons()
            return self.read_names(names, like, more)
        self._knows_skeletons = True
        return found, _ids(found, exact), _ids(found, alike)

    def _know_all_skeletons(self) -> None:
        """Store the skeletons of users from before there were any, once in the life of a table."""
        if self._knows_skeletons:
            return
        if self._database.get(Pointer, keys.ALL_SKELETONS) is None:
            for pointer in self._database.query(Pointer, keys.USER_NAMES):
                key = keys.skeleton(pointer.sk[1:])
                if key is not None and keys.is_possible(key):
                    with suppress(ConditionFailedError):  # of two old names that look alike the first counts
                        self._database.write(Put(Pointer(*key, to=_id(pointer)), Pointer.pk.does_not_exist()))
            self._database.write(Put(Pointer(*keys.ALL_SKELETONS)))
        self._knows_skeletons = True

    def _add_skeleton(self, named: Key, alike: Key, user_id: str) -> None:
        """Store the skeleton of a user whom a function of an older version added while this one was deployed."""
        with suppress(ConditionFailedError):  # the user was renamed or removed, or has it by now
            still_so = Check(named, Pointer.to == user_id)
            self._database.transact([still_so, Put(Pointer(*alike, to=user_id), Pointer.pk.does_not_exist())])

    def create(self, users: Sequence[User]) -> list[User]:
        first = {skeleton(user.name): user for user in reversed(users)}  # the first of two that look alike counts
        taken = self.holders(user.name for user in users)
        free = [
            user
            for user in users
            if user is first[skeleton(user.name)] and user.name not in taken and keys.name("user", user.name)
        ]
        # The unique name and the skeleton decide between parallel calls.
        added = self._database.transact_each([steps_of_creation(user) for user in free], counted=counted)
        return [user for user, was_added in zip(free, added, strict=True) if was_added]

    def change(self, before: User, after: User) -> None:
        # The revision that was read, so that no other change is lost.
        expected = (Account.revision == before.revision) & Account.gone.does_not_exist()
        if after.name != before.name:
            expected &= Account.active == 0  # the addresses of servers contain the name
        steps: list[Step] = [
            Update(
                keys.account(before.id),
                [
                    Account.name.set(after.name),
                    Account.admin.set(after.admin),
                    Account.user_info.set(dict(after.user_info))
                    if after.user_info is not None
                    else Account.user_info.remove(),
                    Account.revision.set(after.revision),
                ],
                expected,
                StoreConflictError(
                    f"User {before.name} was changed or removed, or a server of theirs started, meanwhile"
                ),
            )
        ]
        if after.admin:  # an older version may have added an admin without this
            steps.append(Put(Pointer(*keys.admin(after.id), to=after.id)))
        elif before.admin:
            steps.append(Delete(keys.admin(after.id)))
        if after.name != before.name:
            self._know_all_skeletons()
            own = keys.skeleton(before.name)
            pointer = None if own is None else self._database.get(Pointer, own)
            steps += _renamed(before, after, own if pointer is not None and _id(pointer) == before.id else None)
        self._database.transact(steps)

    def delete(self, user_id: str, *, at: datetime | None = None) -> None:  # noqa: ARG002 no homes are known here
        removals.remove_user(self._database, user_id)

    def count(self, *, active_since: datetime | None = None) -> int:
        if active_since is None:
            total = self._counters.read()
            return self._database.count(keys.USER_NAMES) if total is None else total
        return sum(at is not None and at >= active_since for at in self._activity().values())

    def recount(self, now: datetime) -> None:
        self._counters.recount(now)

    def seen_since(self, since: datetime) -> list[str]:
        seen = {user_id: max(at or NEVER, created_at(user_id)) for user_id, at in self._activity().items()}
        return sorted((user_id for user_id, at in seen.items() if at >= since), key=lambda user_id: seen[user_id])[::-1]

    def page(
        self,
        *,
        offset: int,
        limit: int,
        sort: str = "id",
        descending: bool = False,
        name_contains: str | None = None,
        state: str | None = None,
        ids: Iterable[str] | None = None,
        groups: Iterable[str] | None = None,
    ) -> tuple[list[User], int]:
        if not name_contains and state is None and ids is None and groups is None and sort != "last_activity":
            total = self._counters.read()
            # The last page reads all names, like one that is narrowed: so no wrong number hides a user, and the newest
            # ones, whom the index may lack for a moment, are in it.
            if total is not None and offset + limit < total:
                first = self._first(offset + limit, sort, descending=descending)
                return self._read(first[offset:]), total
        known = self._candidates(state, ids, groups)
        if name_contains:
            part = name_contains.casefold()
            known = {user_id: name for user_id, name in known.items() if part in name.casefold()}
        page = self._sorted(known, sort, descending=descending)[offset : offset + limit]
        return self._read(page), len(known)

    def _first(self, most: int, sort: str, *, descending: bool) -> list[str]:
        """Return the ids of the first users by name, or by creation from an index that may lag a moment."""
        if sort == "name":
            pointers = self._database.query(Pointer, keys.USER_NAMES, limit=most, descending=descending)
            return [_id(pointer) for pointer in pointers]
        seen = self._database.query(Seen, "user", index=ACTIVITY, limit=most, descending=descending)
        return [one.user_id for one in seen]

    def _read(self, user_ids: Sequence[str]) -> list[User]:
        """Return those of the users who exist, in this order."""
        read = user_records.read(self._database, user_ids)
        return [read[user_id] for user_id in user_ids if user_id in read]

    def few_named(self, name_contains: str, most: int) -> list[User] | None:  # noqa: ARG002 it has no such index
        return None

    def table(
        self,
        wanted: TableFilter,
        sort: Sort,
        *,
        limit: int,
        descending: bool = False,
        cursor: str | None = None,
        backwards: bool = False,
    ) -> TablePage:
        if wanted.admin:
            self._know_all_admins()
        return self._table.page(wanted, sort, limit=limit, descending=descending, cursor=cursor, backwards=backwards)

    def sorts(self, wanted: TableFilter) -> tuple[Sort, ...]:
        return self._table.sorts(wanted)

    def admins(self) -> list[User]:
        self._know_all_admins()
        users = user_records.read(self._database, map(_id, self._database.query(Pointer, keys.ADMINS)))
        return sorted((user for user in users.values() if user.admin), key=lambda user: user.id)

    def _know_all_admins(self) -> None:
        """List the admins from before there was a list of them, once in the life of a table."""
        if not self._knows_admins and self._database.get(Pointer, keys.ALL_ADMINS) is None:
            ids = [_id(pointer) for pointer in self._database.query(Pointer, keys.USER_NAMES)]
            found = self._database.get_many(keys.account(user_id) for user_id in ids)
            for account in (user_records.account_of(found, user_id) for user_id in ids):
                if account is not None and account.admin:
                    is_admin = Check(account.key, (Account.admin == True) & Account.gone.does_not_exist())  # noqa: E712 a condition of PynamoDB
                    with suppress(ConditionFailedError):  # no admin any more
                        self._database.transact([is_admin, Put(Pointer(*keys.admin(account.id), to=account.id))])
            self._database.write(Put(Pointer(*keys.ALL_ADMINS)))
        self._knows_admins = True

    def touch(self, user_id: str, at: datetime) -> None:
        try:
            self._database.write(
                Update(
                    keys.seen(user_id),
                    [Seen.at.set(at)],
                    is_there() & (Seen.at.does_not_exist() | (Seen.at < at)),
                )
            )
        except ConditionFailedError:
            return  # the stored one is later, or the user is gone

    def _sorted(self, known: dict[str, str], sort: str, *, descending: bool) -> list[str]:
        ordered = sorted(known)
        if sort == "name":
            ordered.sort(key=known.__getitem__, reverse=descending)
        elif sort == "last_activity":
            seen = self._activity()
            ordered.sort(key=lambda user_id: keys.sortable(at) if (at := seen.get(user_id)) else "", reverse=descending)
        elif descending:
            ordered.reverse()
        return ordered

    def _activity(self) -> dict[str, datetime | None]:
        """Return the last activity of each user, from an index that may lag a moment."""
        return {
            seen.user_id: user_records.last_seen(seen) for seen in self._database.query(Seen, "user", index=ACTIVITY)
        }

    def _candidates(self, state: str | None, ids: Iterable[str] | None, groups: Iterable[str] | None) -> dict[str, str]:
        """Return names by id of who is in reach and in *state*; all names are read only where nothing narrows them."""
        wanted = None if ids is None and groups is None else {*(ids or ()), *self._table.members(groups or ())}
        running = None if state is None else self._owners(_STATES[state])
        if running is not None and state != "inactive":
            wanted = running if wanted is None else wanted & running
        if wanted is not None:
            known = self._names_of(wanted)
        else:
            known = {_id(pointer): pointer.sk[1:] for pointer in self._database.query(Pointer, keys.USER_NAMES)}
        if state == "inactive":
            known = {user_id: name for user_id, name in known.items() if user_id not in (running or ())}
        return known

    def _names_of(self, user_ids: set[str]) -> dict[str, str]:
        found = self._database.get_many(keys.account(user_id) for user_id in user_ids)
        accounts = [account for one in user_ids if (account := user_records.account_of(found, one)) is not None]
        return {account.id: account.name for account in accounts}

    def _owners(self, states: Iterable[State]) -> set[str]:
        return {
            pointer.owner or ""
            for state in sorted(states)
            for pointer in self._database.query(Pointer, f"STATE#{state.value}")
        }


def _where(name: str) -> list[Key]:
    """Return the keys under which another user may have *name* or one that looks like it, its own first."""
    text = skeleton(name)
    some = [keys.name("user", name), keys.name("user", text), keys.skeleton(name) or Key("NAMES#alike", f"={text}")]
    return [key for key in dict.fromkeys(some) if key is not None and keys.is_possible(key)]


def _claimed(name: str, user_id: str, taken: NameTakenError | None = None) -> list[Step]:
    """Return the steps that take *name* and its skeleton; they fail if another user has one that looks like it."""
    is_free = Pointer.pk.does_not_exist()
    own, text = keys.skeleton(name), skeleton(name)
    named = Put(Pointer(*_key(name), to=user_id), is_free, taken)
    if own is None:
        return [named, Check(Key("NAMES#alike", f"={text}"), is_free, taken)]
    return [named, Check(_key(text), is_free, taken), Put(Pointer(*own, to=user_id), is_free, taken)]


def _key(name: str) -> Key:
    return keys.name("user", name) or Key(keys.USER_NAMES, "")


def steps_of_creation(user: User, taken: NameTakenError | None = None, *, identified: bool = False) -> list[Step]:
    """Return the steps that add *user* if its name is free and like no other.

    Args:
        user: who is new.
        taken: the error if the name is not free.
        identified: whether the user has an external identity from the beginning.
    """
    account = Account(
        *keys.account(user.id),
        id=user.id,
        name=user.name,
        created_at=user.created_at,
        admin=user.admin,
        user_info=None if user.user_info is None else dict(user.user_info),
        revision=user.revision,
        identified=identified or None,
    )
    return [
        *_claimed(user.name, user.id, taken),
        Put(account, Account.pk.does_not_exist()),
        Put(Seen(*keys.seen(user.id), user_id=user.id, at=user.last_activity_at)),
        *([Put(Pointer(*keys.admin(user.id), to=user.id))] if user.admin else []),
    ]


def _renamed(before: User, after: User, skeleton_key: Key | None) -> list[Step]:
    """Return the steps of a rename; *skeleton_key* is where *before*'s skeleton is stored, if it is."""
    old, new = keys.name("user", before.name), keys.name("user", after.name)
    taken = NameTakenError("User", after.name)
    if old is None or new is None:
        raise taken
    renamed = StoreConflictError(f"User {before.name} was renamed meanwhile")
    steps: list[Step] = [Delete(old, Pointer.to == before.id, renamed)]
    if skeleton(before.name) != skeleton(after.name):
        leave = [] if skeleton_key is None else [Delete(skeleton_key, Pointer.to == before.id, renamed)]
        return [*steps, *leave, *_claimed(after.name, after.id, taken)]
    # The user keeps the skeleton: it is stored under a key of its own unless it is the name itself.
    steps.append(Put(Pointer(*new, to=after.id), Pointer.pk.does_not_exist(), taken))
    wanted = keys.skeleton(after.name)
    if skeleton_key is not None and wanted is None:
        steps.append(Delete(skeleton_key, Pointer.to == before.id, renamed))
    elif skeleton_key is None and wanted is not None:
        steps.append(Put(Pointer(*wanted, to=after.id), Pointer.pk.does_not_exist(), taken))
    return steps


def _ids(found: Found, wanted: Iterable[Key | None]) -> list[str]:
    """Return the ids to which those of the keys lead that are there."""
    pointers = [found.item(Pointer, key) for key in wanted if key is not None and key in found]
    return [_id(pointer) for pointer in pointers if pointer is not None]


def _id(pointer: Pointer) -> str:
    return pointer.to or ""
