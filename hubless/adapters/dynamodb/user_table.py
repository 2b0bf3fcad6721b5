"""The table of users and their servers in DynamoDB (docs/adr/0058).

A page walks the one list that its filter suits best, from its cursor on: names, users in order of creation, a group's
members, admins, or servers by state. What the list does not say is looked up for each user, and no page looks further
than `MOST_NAMES` names or `MOST_RECORDS` users: it then says where the next one goes on.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from hubless.adapters.dynamodb import keys, user_records
from hubless.adapters.dynamodb.database import Database, chunks
from hubless.adapters.dynamodb.keys import Key
from hubless.adapters.dynamodb.servers import of_accounts
from hubless.adapters.dynamodb.table import ACTIVITY, Item, Pointer, Seen
from hubless.domain.errors import InvalidRequestError
from hubless.domain.lifecycle import State
from hubless.domain.user_table import RANKS, STATES, Row, Servers, Sort, TableFilter, TablePage
from hubless.domain.values import value

MOST_NAMES, MOST_RECORDS = 10_000, 500
_AT_ONCE = 49  # users of one round trip: two items each, and the hints


@value
class _Found:
    """A user in a list, and the cursor from which the list goes on."""

    cursor: str
    user_id: str
    name: str = ""  # in the list of names
    server_id: str = ""  # in a list of servers


class DynamoUserTable:
    """Reads pages of the table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sorts(self, wanted: TableFilter) -> tuple[Sort, ...]:
        """Return the orders of the list that *wanted* suits best."""
        if wanted.states is not None:
            return (Sort.STATE, Sort.STARTED) if wanted.states == {State.READY} else (Sort.STATE,)
        if wanted.group or wanted.reach is not None or wanted.admin:
            return (Sort.CREATED,)
        return (Sort.NAME, Sort.CREATED)

    def page(
        self, wanted: TableFilter, sort: Sort, *, limit: int, descending: bool, cursor: str | None, backwards: bool
    ) -> TablePage:
        """Return one page, as `UserStore.table` describes."""
        sorts = self.sorts(wanted)
        sort = sort if sort in sorts else sorts[0]
        most = _most(wanted, limit)
        walked = self._walk(wanted, sort, cursor, most + 1, is_down=descending != backwards)
        found = list(islice(walked, most + 1))
        has_more, found = len(found) > most, found[:most]
        rows = list(islice(self._rows(wanted, found, limit), limit + 1))
        is_full, rows = len(rows) > limit, rows[:limit]
        behind = rows[0][0] if cursor is not None and rows else None
        further = found[-1].cursor if has_more else None
        if is_full:
            further = rows[-1][0]
        if backwards:
            rows.reverse()
        before, after = (further, behind) if backwards else (behind, further)
        total = len(rows) if cursor is None and further is None else None
        is_cut = has_more and not is_full and not _is_said_by_list(wanted)
        return TablePage(tuple(row for _, row in rows), sort, before, after, total, is_cut, sorts)

    def _rows(self, wanted: TableFilter, found: Sequence[_Found], limit: int) -> Iterator[tuple[str, Row]]:
        """Yield the rows that the table shows, each with its cursor."""
        part_of_name = wanted.name_contains.casefold()
        named = [one for one in found if part_of_name in one.name.casefold() or not one.name]
        for part in chunks(named, min(limit + 1, _AT_ONCE)):
            ids = list(dict.fromkeys(one.user_id for one in part))
            read = self._database.get_many(user_records.keys_of(ids))
            users = user_records.users_of(self._database, read, ids)
            servers = of_accounts(self._database, read, users)
            for one in part:
                if one.user_id not in users:
                    continue
                row = Row(users[one.user_id], tuple(servers.get(one.user_id, ())))
                if wanted.matches(row.user, row.servers) and (not one.server_id or _stands_here(wanted, row, one)):
                    yield one.cursor, row

    def _walk(
        self, wanted: TableFilter, sort: Sort, cursor: str | None, most: int, *, is_down: bool
    ) -> Iterator[_Found]:
        if sort in {Sort.STATE, Sort.STARTED}:
            return self._by_state(wanted.states or frozenset(), cursor, most, is_down=is_down)
        if sort is Sort.NAME:
            pointers = self._range(keys.USER_NAMES, "=", ">", cursor, most, is_down=is_down)
            return (_Found(one.sk, one.to or "", one.sk[1:]) for one in pointers)
        if wanted.group:
            pointer = self._database.get(Pointer, keys.name("group", wanted.group))
            group = keys.group(pointer.to or "") if pointer else "GROUP#"
            pointers = self._range(group, "MEMBER#", "MEMBER$", cursor, most, is_down=is_down)
            return (_Found(one.sk, one.sk.removeprefix("MEMBER#")) for one in pointers)
        if wanted.reach is not None:
            ids = sorted(wanted.reach.ids | self.members(wanted.reach.groups), reverse=is_down)
            passed = (one for one in ids if cursor is None or (one < cursor if is_down else one > cursor))
            return (_Found(one, one) for one in passed)
        if wanted.admin:
            pointers = self._range(keys.ADMINS, "USER#", "USER$", cursor, most, is_down=is_down)
            return (_Found(one.sk, one.to or "") for one in pointers)
        return self._by_creation(cursor, most, is_down=is_down)

    def _by_creation(self, cursor: str | None, most: int, *, is_down: bool) -> Iterator[_Found]:
        _check("USER#", "USER$", cursor)
        low, high = _bounds("USER#", "USER$", cursor, is_down=is_down)
        seen = self._database.query(
            Seen, "user", Seen.pk.between(low, high), index=ACTIVITY, limit=most + 1, descending=is_down
        )
        return (_Found(one.pk, one.user_id) for one in seen if one.pk != cursor)

    def _by_state(self, states: frozenset[State], cursor: str | None, most: int, *, is_down: bool) -> Iterator[_Found]:
        """Yield servers by state and then by how long they are in it. A user may come once for each."""
        at, after = _cursor_in_states(cursor)
        ordered = [state for state in STATES if state in states]
        for state in reversed(ordered) if is_down else ordered:
            rank = RANKS[state]
            if at is not None and (rank > at if is_down else rank < at):
                continue
            start = after if rank == at else None
            for one in self._range(f"STATE#{state.value}", "0", ":", start, most, is_down=is_down):
                yield _Found(f"{rank} {one.sk}", one.owner or "", server_id=one.to or "")

    def _range(
        self, partition: str, first: str, last: str, cursor: str | None, most: int, *, is_down: bool
    ) -> Iterator[Pointer]:
        """Yield the pointers of *partition* with sort keys from *first* to *last*, after *cursor* in the direction."""
        _check(first, last, cursor)
        low, high = _bounds(first, last, cursor, is_down=is_down)
        found = self._database.query(Pointer, partition, Item.sk.between(low, high), limit=most + 1, descending=is_down)
        return (one for one in found if one.sk != cursor)

    def members(self, groups: Iterable[str]) -> set[str]:
        """Return the ids of the members of these groups (names)."""
        pointers = self._database.get_many(keys.name("group", name) for name in groups)
        found = [pointer for key in pointers if (pointer := pointers.item(Pointer, key)) is not None]
        return {
            member.sk.removeprefix("MEMBER#")
            for pointer in found
            for member in self._database.query(Pointer, keys.group(pointer.to or ""), Pointer.sk.startswith("MEMBER#"))
        }


def _is_said_by_list(wanted: TableFilter) -> bool:
    """Say whether each user in the list is shown, so that a page reads no more of it than it shows."""
    if wanted.name_contains or wanted.servers is Servers.INACTIVE or wanted.states is not None:
        return False
    return (bool(wanted.group), wanted.admin, wanted.reach is not None).count(True) <= 1


def _is_said_by_names(wanted: TableFilter) -> bool:
    """Say whether names alone decide who is shown."""
    others = (wanted.group, wanted.admin, wanted.reach is not None, wanted.servers, wanted.states is not None)
    return not any(others)


def _stands_here(wanted: TableFilter, row: Row, one: _Found) -> bool:
    """Say whether this server is the one by which the user stands in the list: a user is shown once."""
    shown = [server for server in row.servers if wanted.shows(server)]
    first = min(shown, key=lambda server: (RANKS[server.state], server.entered_at, server.id))
    return first.id == one.server_id


def _most(wanted: TableFilter, limit: int) -> int:
    """Return how many users of the list a page looks at: one more than it shows tells whether there is another."""
    if _is_said_by_list(wanted):
        return limit + 1
    return MOST_NAMES if _is_said_by_names(wanted) else MOST_RECORDS


def _check(first: str, last: str, cursor: str | None) -> None:
    """Refuse a cursor that DynamoDB would not compare with keys from *first* to *last*."""
    if cursor is not None and not (first <= cursor <= last and keys.is_possible(Key("", cursor))):
        raise _no_cursor()


def _bounds(first: str, last: str, cursor: str | None, *, is_down: bool) -> tuple[str, str]:
    if cursor is None:
        return first, last
    return (first, cursor) if is_down else (cursor, last)


def _cursor_in_states(cursor: str | None) -> tuple[int | None, str | None]:
    if cursor is None:
        return None, None
    rank, _, after = cursor.partition(" ")
    if not (rank.isdecimal() and rank.isascii() and len(rank) == 1 and after):
        raise _no_cursor()
    return int(rank), after


def _no_cursor() -> InvalidRequestError:
    return InvalidRequestError("This is no cursor in the table: begin at its first page")
