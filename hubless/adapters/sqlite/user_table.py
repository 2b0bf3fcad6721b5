"""The table of users and their servers in SQLite: each order has an index, and a page continues in it at a cursor."""

import json
from typing import Any

from hubless.adapters.sqlite.database import Database, to_number
from hubless.domain.errors import InvalidRequestError
from hubless.domain.lifecycle import State
from hubless.domain.user_table import Servers, Sort, TableFilter

# By what rows are ordered, and then by name or id; each pair is unique and begins an index of schema.py.
ORDERS = {
    Sort.NAME: ("u.name", "u.id"),
    Sort.CREATED: ("u.id", "u.id"),
    Sort.LAST_ACTIVITY: ("u.active_at", "u.name"),
    Sort.STARTED: ("u.started_at", "u.name"),
    Sort.STATE: ("u.standing", "u.name"),
}
_NUMBERS = frozenset({Sort.LAST_ACTIVITY, Sort.STARTED, Sort.STATE})
_TRIGRAM = 3  # characters
_FEW = 500  # names
_ACTIVE = "(SELECT s.owner_id FROM servers s WHERE s.state NOT IN ('stopped', 'failed'))"


def page_of_ids(
    database: Database,
    wanted: TableFilter,
    sort: Sort,
    *,
    limit: int,
    descending: bool,
    cursor: str | None,
    backwards: bool,
) -> tuple[list[str], dict[str, str], bool, int]:
    """Return the ids of one page, the cursor of each, whether more follow in the direction, and the total.

    Raises:
        InvalidRequestError: when *cursor* is none of this order.
    """
    where, values = _conditions(wanted)
    if (phrase := _phrase(wanted.name_contains)) and _is_rare(database, phrase):
        where += " AND u.id IN (SELECT user_id FROM trigrams WHERE trigrams MATCH :phrase)"
        values["phrase"] = phrase
    total: int = database.read_one(f"SELECT count(*) FROM users u WHERE {where}", values)[0]  # noqa: S608 fixed words
    first, second = ORDERS[sort]
    is_down = descending != backwards
    if cursor is not None:
        where += f" AND ({first}, {second}) {'<' if is_down else '>'} (:first, :second)"
        values |= dict(zip(("first", "second"), _parsed(cursor, sort), strict=True))
    way = "DESC" if is_down else "ASC"
    rows = database.read(
        f"SELECT u.id, {first}, {second} FROM users u WHERE {where}"  # noqa: S608 fixed words
        f" ORDER BY {first} {way}, {second} {way} LIMIT :limit",
        values | {"limit": limit + 1},
    )
    found = [(str(row[0]), json.dumps(row[1:3], ensure_ascii=False)) for row in rows[:limit]]
    if backwards:
        found.reverse()
    return [user_id for user_id, _ in found], dict(found), len(rows) > limit, total


def _phrase(part: str) -> str:
    """Return what the index of trigrams is asked for *part*; "" if it cannot answer."""
    folded = part.casefold()
    is_long = len(folded) >= _TRIGRAM and "\0" not in folded  # FTS5 stops at NUL, and no name has one
    return '"' + folded.replace('"', '""') + '"' if is_long else ""


def _is_rare(database: Database, phrase: str) -> bool:
    """Say whether few names have the phrase: what many have is found faster by a walk of the names."""
    found: int = database.read_one(
        "SELECT count(*) FROM (SELECT 1 FROM trigrams WHERE trigrams MATCH ? LIMIT ?)", (phrase, _FEW)
    )[0]
    return found < _FEW


def _parsed(cursor: str, sort: Sort) -> tuple[Any, Any]:
    try:
        first, second = json.loads(cursor)
        f"{first}{second}".encode()  # no half of a surrogate pair
    except (ValueError, TypeError, RecursionError) as error:
        raise _no_cursor() from error
    is_number = isinstance(first, int) and abs(first) < 2**63
    if not (is_number if sort in _NUMBERS else isinstance(first, str)) or not isinstance(second, str):
        raise _no_cursor()
    return first, second


def _no_cursor() -> InvalidRequestError:
    return InvalidRequestError("This is no cursor in the table: begin at its first page")


def _conditions(wanted: TableFilter) -> tuple[str, dict[str, Any]]:
    terms, values = ["1"], dict[str, Any]()
    if wanted.name_contains:
        values["part"] = wanted.name_contains.casefold()
        terms.append("instr(u.folded, :part) > 0")
    if wanted.group:
        terms.append(
            "u.id IN (SELECT m.user_id FROM members m JOIN groups g ON g.id = m.group_id WHERE g.name = :group)"
        )
        values["group"] = wanted.group
    if wanted.admin:
        terms.append("u.admin = 1")
    if wanted.reach is not None:
        terms.append(
            "(u.id IN (SELECT value FROM json_each(:ids)) OR u.id IN (SELECT m.user_id FROM members m"
            " JOIN groups g ON g.id = m.group_id WHERE g.name IN (SELECT value FROM json_each(:groups))))"
        )
        values |= {"ids": json.dumps(sorted(wanted.reach.ids)), "groups": json.dumps(sorted(wanted.reach.groups))}
    if wanted.servers is Servers.INACTIVE:
        terms.append(f"u.id NOT IN {_ACTIVE}")
    elif wanted.states is not None:
        of_servers = _of_servers(wanted, wanted.states, values)
        terms.append(f"u.id IN (SELECT s.owner_id FROM servers s WHERE {of_servers})")  # noqa: S608 fixed words
    return " AND ".join(terms), values


def _of_servers(wanted: TableFilter, states: frozenset[State], values: dict[str, Any]) -> str:
    """Return the condition for one server, and add to *values*; each branch fits a partial index."""
    names = ", ".join(f"'{state.value}'" for state in sorted(states)) or "''"
    terms = [f"s.state IN ({names})"]
    terms.append("s.state = 'failed'" if State.FAILED in states else "s.state NOT IN ('stopped', 'failed')")
    if wanted.profile:
        terms.append("json_extract(s.facts, '$.profile') = :profile")
        values["profile"] = wanted.profile
    if wanted.servers is Servers.FROZEN:
        terms.append("json_extract(s.facts, '$.frozen_at') IS NOT NULL")
    if wanted.idle_since is not None:
        terms.append("coalesce(s.last_activity_at, s.entered_at) <= :idle_since")
        values["idle_since"] = to_number(wanted.idle_since)
    return " AND ".join(terms)
