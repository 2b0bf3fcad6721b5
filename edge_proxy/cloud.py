"""What an edge in the cloud is made of, by its settings."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from edge_proxy.activity import Report
from edge_proxy.configuration import EdgeConfiguration, HttpsOrigin
from hubless.domain.routes import ServerKey
from hubless.ports.routes import RouteStore
from hubless.settings.edge import EdgeSettings

ANSWER_SECONDS = 2.0  # what an answer of the table may take: HAProxy is looked after in between


def configuration_of(settings: EdgeSettings) -> EdgeConfiguration:
    """Return what HAProxy is told."""
    api = urlsplit(settings.api)
    address = api.hostname or ""
    return EdgeConfiguration(
        host=settings.host,
        port=settings.port,
        api=HttpsOrigin(
            address,
            api.port or 443,
            settings.api_name or address,
            **({"authorities": settings.api_ca} if settings.api_ca else {}),
        ),
        run_folder=Path(settings.run_folder),
        trusted_proxies=settings.trusted_proxies,
        health_path=settings.health_path,
    )


def open_cloud_routes(table: str, region: str, endpoint: str = "") -> tuple[RouteStore, Report]:
    """Return the route table in DynamoDB and where activity is reported; nothing is asked yet.

    The client itself asks once: who follows the table tries again by itself, and has HAProxy to look after meanwhile.
    """
    from hubless.adapters.dynamodb.database import Database  # noqa: PLC0415 an edge elsewhere needs none
    from hubless.adapters.dynamodb.routes import DynamoRouteStore  # noqa: PLC0415
    from hubless.adapters.dynamodb.servers import DynamoServerStore  # noqa: PLC0415

    database = Database(table, region=region, endpoint=endpoint or None, read_seconds=ANSWER_SECONDS, retries=0)
    servers = DynamoServerStore(database)

    def report(seen: Mapping[ServerKey, datetime]) -> None:
        for server, at in seen.items():
            servers.touch(server.server_id, at, owner_id=server.owner_id)

    return DynamoRouteStore(database), report
