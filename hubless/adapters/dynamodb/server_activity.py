"""When each server of a user was last active: in the user's item `SEEN`, in an attribute that no other item has.

An edge may write this attribute and no other, because IAM tells attributes apart, but not the items of a partition.
Version 1 used the name `servers`, which is also an attribute of accounts. Both are read; a sweep moves the numbers of
active servers, and a new server those of its owner.
"""

from collections.abc import Mapping
from contextlib import suppress

from pynamodb.expressions.update import Action

from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Step, Update
from hubless.adapters.dynamodb.keys import to_instant, to_number
from hubless.adapters.dynamodb.table import Seen


def of_server(seen: Seen | None, server_id: str) -> int:
    """Return when the server was last active, in microseconds since 1970; 0 if that is not known."""
    return 0 if seen is None else _merged(seen).get(server_id, 0)


def latest(seen: Seen) -> int:
    """Return when any of the user's servers was last active, in microseconds since 1970; 0 if that is not known."""
    return max(_merged(seen).values(), default=0)


def move(database: Database, seen: Seen) -> None:
    """Move the numbers of version 1 to the attribute of today. Change nothing if there are none."""
    stored, now, before = _of_today(seen), Seen.server_activity, Seen.servers
    if stored is not None and not seen.servers:
        return
    as_read = now.does_not_exist() if stored is None else now == stored
    with suppress(ConditionFailedError):  # the item changed meanwhile: the next sweep moves them
        database.write(Update(seen.key, [now.set(_merged(seen)), before.set({})], as_read & (before == seen.servers)))


def folded(seen: Seen | None, server_id: str) -> list[Step]:
    """Return the steps that remove a server from its owner's activity, which keeps its latest value."""
    if seen is None:
        return []
    held = [
        (attribute[server_id], numbers[server_id])
        for attribute, numbers in ((Seen.server_activity, _of_today(seen) or {}), (Seen.servers, seen.servers))
        if server_id in numbers
    ]
    if not held:
        return []
    actions: list[Action] = [path.remove() for path, _ in held]
    as_read = Seen.pk.exists()
    for path, at in held:
        as_read &= path == at
    last = of_server(seen, server_id)
    if last > (to_number(seen.at) if seen.at else 0):
        actions.append(Seen.at.set(to_instant(last)))
        as_read &= Seen.at == seen.at if seen.at else Seen.at.does_not_exist()
    return [Update(seen.key, actions, as_read)]


def _of_today(seen: Seen) -> Mapping[str, int] | None:
    """Return the attribute of today; None if the item has none, as before version 2."""
    stored: Mapping[str, int] | None = seen.attribute_values.get("server_activity")
    return stored


def _merged(seen: Seen) -> dict[str, int]:
    """Return the numbers of both attributes: during a deployment functions of both versions write."""
    now, before = _of_today(seen) or {}, seen.servers
    return {server_id: max(now.get(server_id, 0), before.get(server_id, 0)) for server_id in (*now, *before)}
