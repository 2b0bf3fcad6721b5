"""The desired state of the edge in SQLite."""

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain.edges import INITIAL_STATE, DesiredEdgeState, EdgePower
from hubless.domain.errors import StoreConflictError


class SqliteDesiredEdgeStateStore:
    """Stores the desired state of the edge."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> DesiredEdgeState:
        wanted, since = self._database.read_one("SELECT wanted, since FROM edge_wish")
        return DesiredEdgeState(EdgePower(wanted), to_instant(since) or INITIAL_STATE.since)

    def write(self, before: DesiredEdgeState, after: DesiredEdgeState) -> None:
        changed = self._database.write(
            "UPDATE edge_wish SET wanted = ?, since = ? WHERE wanted = ? AND since = ?",
            (after.power.value, to_number(after.since), before.power.value, to_number(before.since)),
        )
        if not changed:
            raise StoreConflictError("Another process changed the desired state of the edge meanwhile")
