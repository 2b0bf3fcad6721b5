"""The route table and its change log in SQLite."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain.routes import EdgeReport, Route, RouteChange, ServerKey, is_applied

BATCH = 1000
_ROUTE = "prefix, address, launch_id, server_id, owner_id"


class SqliteRouteStore:
    """Stores routes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, route: Route) -> int:
        with self._database.transaction():
            known = self._database.read_one(f"SELECT sequence, {_ROUTE} FROM routes WHERE prefix = ?", (route.prefix,))  # noqa: S608 constant
            if known is not None and _route(known[1:]) == route:
                sequence: int = known[0]
                return sequence
            ids = _ids(route.server)
            sequence = self._log(route.prefix, route.address, ids)
            self._database.write(
                f"INSERT OR REPLACE INTO routes ({_ROUTE}, sequence) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 constant
                (route.prefix, route.address, route.launch_id, *ids, sequence),
            )
            return sequence

    def remove(self, prefix: str, launch_id: str) -> int | None:
        with self._database.transaction():
            if not self._database.write("DELETE FROM routes WHERE prefix = ? AND launch_id = ?", (prefix, launch_id)):
                return None
            return self._log(prefix, None, (None, None))

    def all(self) -> Iterator[Route]:
        last = ""
        while True:
            rows = self._database.read(
                f"SELECT {_ROUTE} FROM routes WHERE prefix > ? ORDER BY prefix LIMIT ?",  # noqa: S608 constant
                (last, BATCH),
            )
            yield from (_route(row) for row in rows)
            if len(rows) < BATCH:
                return
            last = rows[-1][0]

    def sequence(self) -> int:
        # The counter, not the last entry: the log may be trimmed to nothing.
        row = self._database.read_one("SELECT seq FROM sqlite_sequence WHERE name = 'route_changes'")
        return 0 if row is None else int(row[0])

    def changes_since(self, sequence: int, limit: int) -> list[RouteChange] | None:
        newest = self.sequence()  # read first: a change between both reads is then among the rows
        rows = self._database.read(
            "SELECT sequence, prefix, address, server_id, owner_id FROM route_changes WHERE sequence > ?"
            " ORDER BY sequence LIMIT ?",
            (sequence, limit),
        )
        if rows:
            return [_change(row) for row in rows] if rows[0][0] == sequence + 1 else None
        return [] if newest == sequence else None

    def trim(self, keep: int) -> None:
        self._database.write("DELETE FROM route_changes WHERE sequence <= ?", (self.sequence() - keep,))

    def report(self, report: EdgeReport) -> None:
        self._database.write(
            "INSERT INTO edges (id, sequence, seen_at) VALUES (?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET sequence = excluded.sequence, seen_at = excluded.seen_at",
            (report.edge_id, report.sequence, to_number(report.seen_at)),
        )

    def reports(self) -> list[EdgeReport]:
        rows = self._database.read("SELECT id, sequence, seen_at FROM edges ORDER BY id")
        return [EdgeReport(i, sequence, at) for i, sequence, seen_at in rows if (at := to_instant(seen_at)) is not None]

    def is_applied(self, sequence: int, since: datetime) -> bool:
        return is_applied(self.reports(), sequence, since)

    def forget_edge(self, edge_id: str) -> None:
        self._database.write("DELETE FROM edges WHERE id = ?", (edge_id,))

    def _log(self, prefix: str, address: str | None, ids: tuple[str | None, str | None]) -> int:
        self._database.write(
            "INSERT INTO route_changes (prefix, address, server_id, owner_id) VALUES (?, ?, ?, ?)",
            (prefix, address, *ids),
        )
        sequence: int = self._database.read_one("SELECT last_insert_rowid()")[0]
        return sequence


def _route(row: Sequence[Any]) -> Route:
    return Route(row[0], row[1], row[2], _server(row[3], row[4]))


def _change(row: Sequence[Any]) -> RouteChange:
    return RouteChange(row[0], row[1], row[2], _server(row[3], row[4]))


def _server(server_id: str | None, owner_id: str | None) -> ServerKey | None:
    return ServerKey(server_id, owner_id) if server_id and owner_id else None


def _ids(server: ServerKey | None) -> tuple[str | None, str | None]:
    return (None, None) if server is None else (server.server_id, server.owner_id)
