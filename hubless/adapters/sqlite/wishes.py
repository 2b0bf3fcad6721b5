"""What is wanted of the edge, in SQLite."""

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain.edges import FIRST, EdgeWish, Wanted
from hubless.domain.errors import StoreConflictError


class SqliteEdgeWishStore:
    """Holds what is wanted of the edge."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> EdgeWish:
        wanted, since = self._database.read_one("SELECT wanted, since FROM edge_wish")
        return EdgeWish(Wanted(wanted), to_instant(since) or FIRST.since)

    def write(self, before: EdgeWish, after: EdgeWish) -> None:
        changed = self._database.write(
            "UPDATE edge_wish SET wanted = ?, since = ? WHERE wanted = ? AND since = ?",
            (after.wanted.value, to_number(after.since), before.wanted.value, to_number(before.since)),
        )
        if not changed:
            raise StoreConflictError("Something else is wanted of the edge meanwhile")
