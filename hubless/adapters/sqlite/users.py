"""Users and groups in SQLite."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.adapters.sqlite.servers import SqliteServerStore
from hubless.adapters.sqlite.user_table import page_of_ids
from hubless.domain.bounds import MAX_COUNTED
from hubless.domain.errors import NameTakenError, NotFoundError, StoreConflictError
from hubless.domain.external_identities import AwaitedLogin
from hubless.domain.lifecycle import Server
from hubless.domain.names import skeleton
from hubless.domain.shares import on_server
from hubless.domain.user_table import Row, Sort, TableFilter, TablePage
from hubless.domain.users import FactorState, Group, GroupSummary, Member, User

COLUMNS = """u.id, u.name, u.admin, u.created_at, u.last_activity_at, u.user_info, u.revision, u.factors, u.awaited,
    (SELECT json_group_array(g.name) FROM members m JOIN groups g ON g.id = m.group_id WHERE m.user_id = u.id),
    (SELECT json_group_array(json_array(json(h.scopes), o.name, s.name)) FROM shares h
     JOIN servers s ON s.id = h.server_id JOIN users o ON o.id = s.owner_id
     WHERE h.user_id = u.id OR h.group_id IN (SELECT m.group_id FROM members m WHERE m.user_id = u.id)),
    (SELECT json_group_array(d.letter_id) FROM deliveries d WHERE d.user_id = u.id AND d.read_at IS NULL)"""
_ACTIVE = "EXISTS (SELECT 1 FROM servers s WHERE s.owner_id = u.id AND s.state NOT IN ('stopped', 'failed'))"
_STATES = {
    "active": _ACTIVE,
    "ready": "EXISTS (SELECT 1 FROM servers s WHERE s.owner_id = u.id AND s.state = 'ready')",
    "inactive": f"NOT {_ACTIVE}",
}
CHUNK = 200  # users of one transaction: 20 ms, in which no other process can write
_TRIGRAM = 3  # characters
_ORDERS = {"id": "u.id", "name": "u.name", "last_activity": "u.last_activity_at"}


def user_of(row: Sequence[Any]) -> User:
    """Return the user of a row with `COLUMNS`."""
    user_id, name, admin, created_at, last_activity_at, user_info, revision, factors, awaited, *lists = row
    groups, shares, unread = lists
    created = to_instant(created_at)
    assert created is not None  # noqa: S101 the column is NOT NULL
    return User(
        id=user_id,
        name=name,
        admin=bool(admin),
        created_at=created,
        last_activity_at=to_instant(last_activity_at),
        user_info=None if user_info is None else json.loads(user_info),
        revision=revision,
        factors=FactorState(factors),
        awaited=_awaited(awaited),
        groups=() if groups == "[]" else tuple(sorted(json.loads(groups))),
        shared=() if shares == "[]" else tuple(sorted(s for share in json.loads(shares) for s in on_server(*share))),
        unread=() if unread == "[]" else tuple(sorted(json.loads(unread))),
    )


def text_of_awaited(awaited: AwaitedLogin) -> str:
    """Return *awaited* as it is stored: two texts are equal if what they say is equal."""
    return json.dumps([awaited.provider, awaited.issuer, awaited.name, to_number(awaited.until)])


def _awaited(text: str | None) -> AwaitedLogin | None:
    if text is None:
        return None
    provider, issuer, name, number = json.loads(text)
    until = to_instant(number)
    assert until is not None  # noqa: S101 the text has one
    return AwaitedLogin(provider, issuer, name, until)


class SqliteUserStore:
    """Stores users; one statement also reads their groups and shares."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, user_id: str) -> User | None:
        row = self._database.read_one(f"SELECT {COLUMNS} FROM users u WHERE u.id = ?", (user_id,))  # noqa: S608 constant
        return None if row is None else user_of(row)

    def find(self, name: str) -> User | None:
        row = self._database.read_one(f"SELECT {COLUMNS} FROM users u WHERE u.name = ?", (name,))  # noqa: S608 constant
        return None if row is None else user_of(row)

    def get_many(self, user_ids: Iterable[str]) -> dict[str, User]:
        rows = self._database.read(
            f"SELECT {COLUMNS} FROM users u WHERE u.id IN (SELECT value FROM json_each(?))",  # noqa: S608 constant
            (json.dumps(list(user_ids)),),
        )
        return {user.id: user for user in map(user_of, rows)}

    def holders(self, names: Iterable[str]) -> dict[str, str]:
        rows = self._database.read(
            "SELECT w.name, coalesce((SELECT u.name FROM users u WHERE u.name = w.name),"
            " (SELECT u.name FROM users u WHERE u.skeleton = w.skeleton LIMIT 1))"
            " FROM (SELECT json_extract(value, '$[0]') AS name, json_extract(value, '$[1]') AS skeleton"
            " FROM json_each(?)) w",
            (json.dumps([(name, skeleton(name)) for name in dict.fromkeys(names)]),),
        )
        return {name: holder for name, holder in rows if holder is not None}

    def create(self, users: Sequence[User]) -> list[User]:
        def add(some: Sequence[User]) -> list[User]:
            return [user for user in some if self._insert(user)]

        return [user for added in self._database.in_turns(users, CHUNK, add) for user in added]

    def _insert(self, user: User) -> bool:
        # The condition and the unique name decide between parallel calls.
        return (
            self._database.write(
                "INSERT INTO users (id, name, folded, skeleton, admin, created_at, last_activity_at, user_info,"
                " revision) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9"
                " WHERE NOT EXISTS (SELECT 1 FROM users WHERE skeleton = ?4) ON CONFLICT (name) DO NOTHING",
                (
                    user.id,
                    user.name,
                    user.name.casefold(),
                    skeleton(user.name),
                    user.admin,
                    to_number(user.created_at),
                    to_number(user.last_activity_at),
                    _json(user.user_info),
                    user.revision,
                ),
            )
            > 0
        )

    def change(self, before: User, after: User) -> None:
        try:
            changed = self._database.write(
                "UPDATE users SET name = ?1, folded = ?2, admin = ?3, user_info = ?4, revision = ?5, skeleton = ?8"
                " WHERE id = ?6 AND revision = ?7"  # the revision that was read, so that no other change is lost
                " AND (skeleton = ?8 OR NOT EXISTS (SELECT 1 FROM users o WHERE o.skeleton = ?8 AND o.id != ?6))"
                " AND (name = ?1 OR NOT EXISTS (SELECT 1 FROM servers s WHERE s.owner_id = ?6"
                " AND s.state NOT IN ('stopped', 'failed')))",
                (
                    after.name,
                    after.name.casefold(),
                    after.admin,
                    _json(after.user_info),
                    after.revision,
                    before.id,
                    before.revision,
                    skeleton(after.name),
                ),
            )
        except sqlite3.IntegrityError as taken:
            raise NameTakenError("User", after.name) from taken
        if not changed:
            if (
                after.name != before.name
                and (taken_by := self.holders([after.name]).get(after.name, before.name)) != before.name
            ):
                raise NameTakenError("User", after.name, looks_like=None if taken_by == after.name else taken_by)
            raise StoreConflictError(
                f"User {before.name} was changed or removed, or a server of theirs started, meanwhile"
            )

    def delete(self, user_id: str, *, at: datetime | None = None) -> None:
        with self._database.transaction():
            # An active server keeps its owner: otherwise its task would have no record.
            if self._database.read_one(
                "SELECT 1 FROM servers WHERE owner_id = ? AND state NOT IN ('stopped', 'failed')", (user_id,)
            ):
                raise StoreConflictError("A server of this user is active")
            self._database.write(
                "INSERT OR IGNORE INTO orphaned_homes (owner_id, name, removed_at) SELECT id, name, ? FROM users"
                " WHERE id = ?",
                (to_number(at), user_id),
            )
            self._database.write("DELETE FROM users WHERE id = ?", (user_id,))  # foreign keys remove the rest

    def count(self, *, active_since: datetime | None = None) -> int:
        if active_since is not None:
            return self._count("u.last_activity_at >= :since", {"since": to_number(active_since)})
        found: int = self._database.read_one("SELECT count(*) FROM users")[0]
        return found

    def recount(self, now: datetime) -> None:
        """Do nothing: each count reads the records."""

    def seen_since(self, since: datetime) -> list[str]:
        rows = self._database.read(
            "SELECT id, max(created_at, coalesce(last_activity_at, 0)) AS seen FROM users WHERE seen >= ?"
            " ORDER BY seen DESC, id",
            (to_number(since),),
        )
        return [str(row[0]) for row in rows]

    def _count(self, where: str, values: dict[str, Any]) -> int:
        found: int = self._database.read_one(f"SELECT count(*) FROM users u WHERE {where}", values)[0]  # noqa: S608 fixed words
        return found

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
        where, values = _conditions(name_contains, state, ids, groups)
        order = f"ORDER BY {_ORDERS[sort]} {'DESC' if descending else 'ASC'}, u.id"
        if where is None:
            window = {"limit": limit, "offset": offset}
            rows = self._database.read(f"SELECT {COLUMNS} FROM users u {order} LIMIT :limit OFFSET :offset", window)  # noqa: S608 fixed words
            return [user_of(row) for row in rows], self.count()
        # One scan finds all users that match; only those of the page are read completely.
        # Sorting only ids lets SQLite scan the index of names.
        walk = f"SELECT u.id FROM users u WHERE {where} {'' if sort == 'id' else order}"  # noqa: S608 fixed words
        found = [row[0] for row in self._database.read(walk, values)]
        if sort == "id":
            found.sort(reverse=descending)
        page = self.get_many(found[offset : offset + limit])
        return [page[user_id] for user_id in found[offset : offset + limit] if user_id in page], len(found)

    def few_named(self, name_contains: str, most: int) -> list[User] | None:
        if (phrase := _phrase(name_contains.casefold())) is None:
            return None
        named = "SELECT user_id FROM trigrams WHERE trigrams MATCH ? LIMIT ?"
        rows = self._database.read(
            f"SELECT {COLUMNS} FROM users u WHERE u.id IN ({named}) ORDER BY u.id",  # noqa: S608 constant
            (phrase, most + 1),
        )
        return None if len(rows) > most else [user_of(row) for row in rows]

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
        ids, cursors, more, total = page_of_ids(
            self._database, wanted, sort, limit=limit, descending=descending, cursor=cursor, backwards=backwards
        )
        users, servers = self.get_many(ids), dict[str, list[Server]]()
        for server in SqliteServerStore(self._database).of_owners(ids):
            servers.setdefault(server.owner_id, []).append(server)
        rows = tuple(Row(users[i], tuple(servers.get(i, ()))) for i in ids if i in users)
        behind = cursor is not None and bool(ids)
        first, last = (cursors[ids[0]], cursors[ids[-1]]) if ids else (None, None)
        has_before, has_after = (more, behind) if backwards else (behind, more)
        return TablePage(rows, sort, first if has_before else None, last if has_after else None, total)

    def sorts(self, wanted: TableFilter) -> tuple[Sort, ...]:  # noqa: ARG002 each filter has all
        return tuple(Sort)

    def admins(self) -> list[User]:
        rows = self._database.read(f"SELECT {COLUMNS} FROM users u WHERE u.admin = 1 ORDER BY u.id")  # noqa: S608 constant
        return [user_of(row) for row in rows]

    def touch(self, user_id: str, at: datetime) -> None:
        self._database.write(
            "UPDATE users SET last_activity_at = ?1 WHERE id = ?2 AND coalesce(last_activity_at, -1) < ?1",
            (to_number(at), user_id),
        )


def _conditions(
    name_contains: str | None, state: str | None, ids: Iterable[str] | None, groups: Iterable[str] | None
) -> tuple[str | None, dict[str, Any]]:
    """Return the condition for users, or None for all."""
    terms, values = list[str](), dict[str, Any]()
    if name_contains:
        part = values["part"] = name_contains.casefold()
        terms.append("instr(u.folded, :part) > 0")
        if (phrase := _phrase(part)) is not None:
            terms.append("u.id IN (SELECT user_id FROM trigrams WHERE trigrams MATCH :phrase)")
            values["phrase"] = phrase
    if state is not None:
        terms.append(_STATES[state])
    if ids is not None or groups is not None:
        terms.append(
            "(u.id IN (SELECT value FROM json_each(:ids)) OR u.id IN (SELECT m.user_id FROM members m"
            " JOIN groups g ON g.id = m.group_id WHERE g.name IN (SELECT value FROM json_each(:groups))))"
        )
        values |= {"ids": json.dumps(list(ids or ())), "groups": json.dumps(list(groups or ()))}
    return " AND ".join(terms) or None, values


def _phrase(part: str) -> str | None:
    """Return what finds names with the folded *part* in the index; None if the index has no such parts."""
    if len(part) < _TRIGRAM or "\0" in part:  # FTS5 stops at NUL, and no name has one
        return None
    return '"' + part.replace('"', '""') + '"'


class SqliteGroupStore:
    """Stores groups."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, name: str) -> Group | None:
        rows = self._groups("g.name = :name", {"name": name})
        return rows[0] if rows else None

    def names(self, group_ids: Iterable[str]) -> dict[str, str]:
        return dict(
            self._database.read(
                "SELECT id, name FROM groups WHERE id IN (SELECT value FROM json_each(?))",
                (json.dumps(list(group_ids)),),
            )
        )

    def create(self, *groups: Group) -> None:
        with self._database.transaction():
            for group in groups:
                self._create(group)

    def _create(self, group: Group) -> None:
        try:
            self._database.write(
                "INSERT INTO groups (id, name, properties) VALUES (?, ?, ?)",
                (group.id, group.name, json.dumps(dict(group.properties))),
            )
        except sqlite3.IntegrityError as taken:
            raise NameTakenError("Group", group.name) from taken
        self._add(group.id, group.users)

    def delete(self, group_id: str) -> None:
        self._database.write("DELETE FROM groups WHERE id = ?", (group_id,))

    def add_users(self, group_id: str, user_names: Sequence[str]) -> None:
        with self._database.transaction():
            if self._database.read_one("SELECT 1 FROM groups WHERE id = ?", (group_id,)) is None:
                raise NotFoundError("Group", group_id)
            self._add(group_id, user_names)

    def remove_users(self, group_id: str, user_names: Sequence[str]) -> None:
        self._database.write(
            "DELETE FROM members WHERE group_id = ? AND user_id IN"
            " (SELECT id FROM users WHERE name IN (SELECT value FROM json_each(?)))",
            (group_id, json.dumps(list(user_names))),
        )

    def set_memberships(self, user_id: str, groups: Sequence[Group]) -> None:
        wanted = json.dumps([group.name for group in groups])
        with self._database.transaction():
            if self._database.read_one("SELECT 1 FROM users WHERE id = ?", (user_id,)) is None:
                raise NotFoundError("User", user_id)
            self._database.write_many(
                "INSERT INTO groups (id, name, properties) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING",
                [(group.id, group.name, json.dumps(dict(group.properties))) for group in groups],
            )
            self._database.write(
                "DELETE FROM members WHERE user_id = ?1 AND group_id NOT IN"
                " (SELECT id FROM groups WHERE name IN (SELECT value FROM json_each(?2)))",
                (user_id, wanted),
            )
            self._database.write(
                "INSERT INTO members (group_id, user_id) SELECT id, ?1 FROM groups"
                " WHERE name IN (SELECT value FROM json_each(?2)) ON CONFLICT DO NOTHING",
                (user_id, wanted),
            )

    def set_properties(self, group_id: str, properties: Mapping[str, Any]) -> None:
        self._database.write("UPDATE groups SET properties = ? WHERE id = ?", (json.dumps(dict(properties)), group_id))

    def change_properties(self, group_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        with self._database.transaction():
            row = self._database.read_one("SELECT properties FROM groups WHERE id = ?", (group_id,))
            if row is None or json.loads(row[0]) != dict(before):
                return False
            self.set_properties(group_id, after)
        return True

    def summary(self, name: str) -> GroupSummary | None:
        found = self.summaries(limit=1, names=[name])
        return found[0] if found else None

    def summaries(
        self, *, limit: int, after: str = "", name_contains: str = "", names: Iterable[str] | None = None
    ) -> list[GroupSummary]:
        where = "1" if names is None else "g.name IN (SELECT value FROM json_each(:names))"
        values = {"after": after, "names": json.dumps(list(names or ()))}
        found = self._database.read(
            f"SELECT g.id, g.name FROM groups g WHERE g.name > :after AND {where} ORDER BY g.name",  # noqa: S608 fixed words
            values,
        )
        part = name_contains.casefold()
        page = [group_id for group_id, name in found if part in name.casefold()][:limit]
        rows = self._database.read(
            "SELECT g.id, g.name, g.properties, (SELECT count(*) FROM"
            " (SELECT 1 FROM members m WHERE m.group_id = g.id LIMIT :most))"
            " FROM groups g WHERE g.id IN (SELECT value FROM json_each(:ids)) ORDER BY g.name",
            {"most": MAX_COUNTED + 1, "ids": json.dumps(page)},
        )
        return [GroupSummary(i, name, members, json.loads(properties)) for i, name, properties, members in rows]

    def members(self, group_id: str, *, limit: int, after: str = "", name_contains: str = "") -> list[Member]:
        rows = self._database.read(
            "SELECT u.id, u.name FROM members m JOIN users u ON u.id = m.user_id WHERE m.group_id = :group"
            " AND m.user_id > :after AND instr(u.folded, :part) > 0 ORDER BY m.user_id LIMIT :limit",
            {"group": group_id, "after": after, "part": name_contains.casefold(), "limit": limit},
        )
        return [Member(*row) for row in rows]

    def page(self, *, offset: int, limit: int, names: Iterable[str] | None = None) -> tuple[list[Group], int]:
        where = "1" if names is None else "g.name IN (SELECT value FROM json_each(:names))"
        values = {} if names is None else {"names": json.dumps(list(names))}
        total: int = self._database.read_one(f"SELECT count(*) FROM groups g WHERE {where}", values)[0]  # noqa: S608 fixed words
        return self._groups(f"{where} ORDER BY g.id LIMIT {int(limit)} OFFSET {int(offset)}", values), total

    def _groups(self, where: str, values: dict[str, Any]) -> list[Group]:
        rows = self._database.read(
            "SELECT g.id, g.name, g.properties, (SELECT json_group_array(u.name) FROM members m"  # noqa: S608 fixed words
            f" JOIN users u ON u.id = m.user_id WHERE m.group_id = g.id) FROM groups g WHERE {where}",
            values,
        )
        return [
            Group(i, name, tuple(sorted(json.loads(users))), json.loads(properties))
            for i, name, properties, users in rows
        ]

    def _add(self, group_id: str, user_names: Sequence[str]) -> None:
        known: dict[str, str] = dict(
            self._database.read(
                "SELECT name, id FROM users WHERE name IN (SELECT value FROM json_each(?))",
                (json.dumps(list(user_names)),),
            )
        )
        for name in user_names:
            if name not in known:
                raise NotFoundError("User", name)
        self._database.write_many(
            "INSERT INTO members (group_id, user_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(group_id, known[name]) for name in user_names],
        )


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(dict(value))
