"""The stores of an edge in the cloud: it reads routes from the table and reports to it."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hubless.domain.routes import ServerKey
    from hubless.ports.clock import Clock
    from hubless.ports.routes import RouteStore

ANSWER_SECONDS = 2.0  # time-out of the table: the edge also has to watch HAProxy


def open_routes(
    table: str, region: str, endpoint: str = ""
) -> "tuple[RouteStore, Callable[[Mapping[ServerKey, datetime]], None]]":
    """Return the route table in DynamoDB and a function that reports activity; no request is sent yet.

    The client does not retry: the edge's agent retries by itself, and watches HAProxy meanwhile.
    """
    from hubless.adapters.dynamodb.database import Database
    from hubless.adapters.dynamodb.routes import DynamoRouteStore
    from hubless.adapters.dynamodb.servers import DynamoServerStore

    database = Database(table, region=region, endpoint=endpoint or None, read_seconds=ANSWER_SECONDS, retries=0)
    servers = DynamoServerStore(database)

    def report(seen: "Mapping[ServerKey, datetime]") -> None:
        for server, at in seen.items():
            servers.touch(server.server_id, at, owner_id=server.owner_id)

    return DynamoRouteStore(database), report


def open_clock() -> "Clock":
    """Return the machine's clock."""
    from hubless.adapters.system_clock import SystemClock

    return SystemClock()
