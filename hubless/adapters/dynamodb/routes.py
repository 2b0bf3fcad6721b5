"""The route table and its change log in DynamoDB.

The number of the newest change is its own item. The transaction that writes a change also raises it. So the log has no
gaps: a reader that has seen number n misses no later change. A parallel change finds the number raised, and
retries.
"""

from collections.abc import Iterator
from datetime import datetime

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import Database, Delete, Put, Step
from hubless.adapters.dynamodb.table import ChangeItem, Counter, EdgeItem, Item, RouteItem
from hubless.domain.routes import EdgeReport, Route, RouteChange, ServerKey, is_applied

TRIES = 40  # all routes share one number, for which a class that starts at once competes


class DynamoRouteStore:
    """Stores routes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, route: Route) -> int:
        return self._database.retry(lambda: self._put(route), TRIES)

    def remove(self, prefix: str, launch_id: str) -> int | None:
        return self._database.retry(lambda: self._remove(prefix, launch_id), TRIES)

    def all(self) -> Iterator[Route]:
        for item in self._database.query(RouteItem, "ROUTES"):
            yield _route(item)

    def sequence(self) -> int:
        counter = self._database.get(Counter, keys.SEQUENCE)
        return 0 if counter is None else int(counter.n)

    def changes_since(self, sequence: int, limit: int) -> list[RouteChange] | None:
        found = self._changes_from(sequence, limit + 1)
        if not found:
            newest = self.sequence()
            if newest <= sequence:
                return [] if newest == sequence else None
            found = self._changes_from(sequence, limit + 1)  # a change came in between, or the log was trimmed
        # If the reader's last change still exists, nothing after it was trimmed.
        after = [change for change in found if change.sequence > sequence][:limit]
        known = bool(found) and found[0].sequence <= sequence + 1
        return after if known else None

    def trim(self, keep: int) -> None:
        last = self.sequence() - keep
        if last > 0:
            old = self._database.query(Item, "CHANGES", Item.sk <= keys.change(last).sk)
            self._database.delete_many([item.key for item in old])

    def report(self, report: EdgeReport) -> None:
        item = EdgeItem(*keys.edge(report.edge_id), id=report.edge_id, sequence=report.sequence, seen_at=report.seen_at)
        self._database.write(Put(item))

    def reports(self) -> list[EdgeReport]:
        return [
            EdgeReport(item.id, int(item.sequence), item.seen_at) for item in self._database.query(EdgeItem, "EDGES")
        ]

    def is_applied(self, sequence: int, since: datetime) -> bool:
        return is_applied(self.reports(), sequence, since)

    def forget_edge(self, edge_id: str) -> None:
        self._database.write(Delete(keys.edge(edge_id)))

    def _changes_from(self, sequence: int, limit: int) -> list[RouteChange]:
        since = Item.sk >= keys.change(sequence).sk
        return [_change(item) for item in self._database.query(ChangeItem, "CHANGES", since, limit=limit)]

    def _put(self, route: Route) -> int:
        there, newest = self._read(route.prefix)
        if there is not None and _route(there) == route:
            return int(there.sequence)
        change = RouteChange(newest + 1, route.prefix, route.address, route.server)
        return self._log(change, _written(route, change.sequence, there))

    def _remove(self, prefix: str, launch_id: str) -> int | None:
        there, newest = self._read(prefix)
        if there is None or there.launch_id != launch_id:
            return None
        change = RouteChange(newest + 1, prefix, None)
        return self._log(change, Delete(there.key, RouteItem.sequence == there.sequence))

    def _read(self, prefix: str) -> tuple[RouteItem | None, int]:
        found = self._database.get_many([keys.route(prefix), keys.SEQUENCE])
        counter = found.item(Counter, keys.SEQUENCE)
        return found.item(RouteItem, keys.route(prefix)), 0 if counter is None else int(counter.n)

    def _log(self, change: RouteChange, changed: Step) -> int:
        sequence, newest = change.sequence, change.sequence - 1
        self._database.transact(
            [
                Put(Counter(*keys.SEQUENCE, n=sequence), Counter.n == newest if newest else Counter.n.does_not_exist()),
                Put(
                    ChangeItem(
                        *keys.change(sequence),
                        sequence=sequence,
                        prefix=change.prefix,
                        address=change.address,
                        server_id=_server_id(change.server),
                        owner_id=_owner_id(change.server),
                    )
                ),
                changed,
            ]
        )
        return sequence


def _written(route: Route, sequence: int, there: RouteItem | None) -> Step:
    item = RouteItem(
        *keys.route(route.prefix),
        prefix=route.prefix,
        address=route.address,
        launch_id=route.launch_id,
        sequence=sequence,
        server_id=_server_id(route.server),
        owner_id=_owner_id(route.server),
    )
    return Put(item, RouteItem.sequence == there.sequence if there else RouteItem.pk.does_not_exist())


def _route(item: RouteItem) -> Route:
    return Route(item.prefix, item.address, item.launch_id, _server(item))


def _change(item: ChangeItem) -> RouteChange:
    return RouteChange(int(item.sequence), item.prefix, item.address, _server(item))


def _server_id(server: ServerKey | None) -> str | None:
    return None if server is None else server.server_id


def _owner_id(server: ServerKey | None) -> str | None:
    return None if server is None else server.owner_id


def _server(item: RouteItem | ChangeItem) -> ServerKey | None:
    return ServerKey(item.server_id, item.owner_id) if item.server_id and item.owner_id else None
