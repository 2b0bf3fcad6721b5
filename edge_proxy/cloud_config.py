"""HAProxy's configuration of an edge in the cloud, from its environment."""

from pathlib import Path
from urllib.parse import urlsplit

from edge_proxy.haproxy_config import EdgeConfiguration, HttpsOrigin
from hubless.settings.edge import EdgeSettings


def edge_configuration(settings: EdgeSettings) -> EdgeConfiguration:
    """Return what HAProxy needs to know."""
    return EdgeConfiguration(
        host=settings.host,
        port=settings.port,
        api=_api_origin(settings) if settings.api else None,
        run_folder=Path(settings.run_folder),
        domain=settings.domain,
        trusted_proxies=settings.trusted_proxies,
        connections_per_address=settings.connections_per_address,
        health_path=settings.health_path,
        host_header=settings.host_header,
        is_direct=settings.direct,
        access_log=settings.access_log,
        websocket_timeout_seconds=settings.websocket_timeout_seconds,
    )


def _api_origin(settings: EdgeSettings) -> HttpsOrigin:
    api = urlsplit(settings.api)
    address = api.hostname or ""
    authorities = {"authorities": settings.api_ca} if settings.api_ca else {}
    return HttpsOrigin(address, api.port or 443, settings.api_name or address, **authorities)
