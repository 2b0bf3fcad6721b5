"""What an edge in the cloud follows and reports to: the table alone."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hubless.domain.routes import ServerKey
    from hubless.ports.clock import Clock
    from hubless.ports.routes import RouteStore

ANSWER_SECONDS = 2.0  # what an answer of the table may take: HAProxy is looked after in between


def open_routes(
    table: str, region: str, endpoint: str = ""
) -> "tuple[RouteStore, Callable[[Mapping[ServerKey, datetime]], None]]":
    """Return the route table in DynamoDB and where activity is reported; nothing is asked yet.

    The client itself asks once: who follows the table tries again by itself, and has HAProxy to look after meanwhile.
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
