"""The number of active servers under a limit: counters that the transactions of servers change (docs/adr/0028).

A server that becomes active takes a place in one of many counters, and gives it back when it ends. Each counter has its
share of the limit in the condition, so the shares together are the limit. Many counters, because DynamoDB takes about
fifty transactions a second on one item, and a class starts at once.
"""

import secrets
from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import Check, ConditionFailedError, Database, Delete, Put, Step, Update
from hubless.adapters.dynamodb.table import Counter, Pointer, ServerItem
from hubless.domain.lifecycle import ACTIVE, Server

COUNTERS = 64
RECOUNT_AFTER = timedelta(hours=1)
_IN_USE = tuple(sorted(state.value for state in ACTIVE))


class ActiveServers:
    """Counts active servers; all its steps belong into the transaction that changes the server."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, server: Server, limit: int, counted: "Counted") -> list[Step]:
        """Return the steps by which *server* takes a place; none when all places are taken."""
        free = [number for number in range(COUNTERS) if counted.of[number] < share(limit, number)]
        if not free or counted.total >= limit:
            return []
        number = secrets.choice(free)
        return [_placed(server.id, number), _raised(number, Counter.n < share(limit, number))]

    def give_back(self, server: Server) -> list[Step]:
        """Return the steps by which *server* gives its place back; none if it started without a limit."""
        place = self._database.get(Pointer, keys.place(server.id))
        if place is None:
            return []
        return [Delete(place.key, Pointer.to == place.to), _lowered(int(place.to or 0))]

    def counted(self, limit: int) -> "Counted":
        """Return the counters, by one query."""
        found = {item.sk: item for item in self._database.query(Counter, keys.ACTIVE)}
        mark = found.get(keys.ACTIVE_RECOUNTED.sk)
        counters = {number: found.get(keys.active_counter(number).sk) for number in range(COUNTERS)}
        return Counted(counters, is_right=mark is not None and int(mark.n) == limit)

    def recount(self, servers: Iterable[Server], before: "Counted", limit: int, now: datetime) -> None:
        """Correct the counters, and give a place to each active server that has none.

        Servers that started before there was a limit have no place; a function of an older version, which still ran
        during an upgrade, may have left one too many.

        Args:
            servers: the active servers, read after *before*.
            before: the counters.
            limit: the limit for which the places are spread.
            now: when this begins.
        """
        active = {server.id: server for server in servers}
        found = self._database.get_many(keys.place(server_id) for server_id in active)
        places = {
            server_id: int(place.to or 0)
            for server_id in active
            if (place := found.item(Pointer, keys.place(server_id))) is not None
        }
        tally = Tally(places.values())
        done = [self._correct(number, counter, tally[number]) for number, counter in before.counters.items()]
        done += [self._move(server, places.get(server.id), tally, limit) for server in active.values()]
        if all(done):  # otherwise the next sweep tries again
            self._database.write(Put(Counter(*keys.ACTIVE_RECOUNTED, n=limit, at=now)))

    def is_due(self, limit: int, now: datetime) -> bool:
        """Say whether the counters were last corrected for another limit, long ago or never."""
        mark = self._database.get(Counter, keys.ACTIVE_RECOUNTED)
        if mark is None or int(mark.n) != limit:
            return True
        return not timedelta(0) <= now - mark.at < RECOUNT_AFTER  # a clock that was wrong does not stop it for long

    def _correct(self, number: int, counter: Counter | None, right: int) -> bool:
        """Set a counter if no transaction has changed it since it was read: then no place of it has changed either."""
        if (0 if counter is None else int(counter.n)) == right:
            return True
        as_read = Counter.pk.does_not_exist() if counter is None else Counter.changes == counter.changes
        try:
            self._database.write(
                Update(keys.active_counter(number), [Counter.n.set(right), Counter.changes.add(1)], as_read)
            )
        except ConditionFailedError:
            return False
        return True

    def _move(self, server: Server, number: int | None, tally: Tally[int], limit: int) -> bool:
        """Give a place to a server that has none, or move it from a counter that has more than its share."""
        if number is not None and tally[number] <= share(limit, number):
            return True
        roomiest = max(range(COUNTERS), key=lambda one: (share(limit, one) - tally[one], -one))
        has_room = tally[roomiest] < share(limit, roomiest)
        if number is not None and not has_room:
            return True  # the hub has more than the limit, which was higher
        there = Pointer.pk.does_not_exist() if number is None else Pointer.to == str(number)
        steps = [
            _is_active(server),
            Put(Pointer(*keys.place(server.id), to=str(roomiest)), there),
            _raised(roomiest, Counter.n < share(limit, roomiest) if has_room else None),
            *([] if number is None else [_lowered(number)]),
        ]
        try:
            self._database.transact(steps)
        except ConditionFailedError:
            return False  # it has ended, or another one took the place
        tally.update({roomiest: 1} if number is None else {roomiest: 1, number: -1})
        return True


class Counted:
    """The counters, as they were read."""

    def __init__(self, counters: Mapping[int, Counter | None], *, is_right: bool) -> None:
        """Keep *counters*; *is_right* says whether they were corrected since the limit was set."""
        self.counters, self.is_right = counters, is_right
        self.of = {number: 0 if counter is None else int(counter.n) for number, counter in counters.items()}
        self.total = sum(self.of.values())


def share(limit: int, number: int) -> int:
    """Return the part of *limit* that belongs to the counter with that *number*."""
    return limit // COUNTERS + (number < limit % COUNTERS)


def _placed(server_id: str, number: int) -> Step:
    return Put(Pointer(*keys.place(server_id), to=str(number)))


def _raised(number: int, within: object = None) -> Step:
    condition = None if within is None else Counter.pk.does_not_exist() | within
    return Update(keys.active_counter(number), [Counter.n.add(1), Counter.changes.add(1)], condition)


def _lowered(number: int) -> Step:
    return Update(keys.active_counter(number), [Counter.n.add(-1), Counter.changes.add(1)])


def _is_active(server: Server) -> Step:
    return Check(
        keys.server_item(server.owner_id, server.id),
        ServerItem.state.is_in(*_IN_USE) & (ServerItem.launch_id == (server.launch_id or "")),
    )
