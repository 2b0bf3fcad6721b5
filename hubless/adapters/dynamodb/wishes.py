"""What is wanted of the edge, in DynamoDB."""

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import Database, Put
from hubless.adapters.dynamodb.table import EdgeWishItem
from hubless.domain.edges import FIRST, EdgeWish, Wanted
from hubless.domain.errors import StoreConflictError


class DynamoEdgeWishStore:
    """Holds what is wanted of the edge; no item at all before anybody wished anything."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> EdgeWish:
        there = self._database.get(EdgeWishItem, keys.EDGE_WISH)
        return FIRST if there is None else EdgeWish(Wanted(there.wanted), there.since)

    def write(self, before: EdgeWish, after: EdgeWish) -> None:
        as_read = (EdgeWishItem.wanted == before.wanted.value) & (EdgeWishItem.since == before.since)
        self._database.write(
            Put(
                EdgeWishItem(*keys.EDGE_WISH, wanted=after.wanted.value, since=after.since),
                EdgeWishItem.pk.does_not_exist() if before == FIRST else as_read,
                StoreConflictError("Something else is wanted of the edge meanwhile"),
            )
        )
