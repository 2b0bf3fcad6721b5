"""The desired state of the edge in DynamoDB."""

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import Database, Put
from hubless.adapters.dynamodb.table import DesiredEdgeStateItem
from hubless.domain.edges import INITIAL_STATE, DesiredEdgeState, EdgePower
from hubless.domain.errors import StoreConflictError


class DynamoDesiredEdgeStateStore:
    """Stores the desired state of the edge; without an item it is the initial one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> DesiredEdgeState:
        there = self._database.get(DesiredEdgeStateItem, keys.EDGE_DESIRED_STATE)
        return INITIAL_STATE if there is None else DesiredEdgeState(EdgePower(there.wanted), there.since)

    def write(self, before: DesiredEdgeState, after: DesiredEdgeState) -> None:
        as_read = (DesiredEdgeStateItem.wanted == before.power.value) & (DesiredEdgeStateItem.since == before.since)
        self._database.write(
            Put(
                DesiredEdgeStateItem(*keys.EDGE_DESIRED_STATE, wanted=after.power.value, since=after.since),
                DesiredEdgeStateItem.pk.does_not_exist() if before == INITIAL_STATE else as_read,
                StoreConflictError("Another function changed the desired state of the edge meanwhile"),
            )
        )
