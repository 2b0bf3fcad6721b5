"""Settings of an edge that runs in a container or on an instance, in environment variables (docs/edge.md)."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from hubless.domain.origins import is_domain
from hubless.domain.values import value
from hubless.settings.environment import (
    EDGE_PREFIX,
    ENVIRON,
    FLAG_TEXT,
    NETWORKS_TEXT,
    PORT_TEXT,
    from_environment,
    of_text,
)
from hubless.settings.types import NAME, TEXT, URL, SettingsError, SettingType, count, setting

AWS_REGION = "AWS_REGION"  # set where AWS runs the edge
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_HEADER = re.compile(r"[A-Za-z0-9-]+")
_PATH = re.compile(r"(/[A-Za-z0-9_-]+)+")


def _origin(given: Any) -> str:
    if not given:
        return ""
    parts = urlsplit(TEXT.read(given))
    if parts.scheme != "https" or not _HOST.fullmatch(parts.hostname or "") or parts.username is not None:
        raise ValueError
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError
    return f"https://{parts.hostname}:{parts.port or 443}"


def _host(given: Any) -> str:
    if given and not _HOST.fullmatch(TEXT.read(given)):
        raise ValueError
    return str(given)


def _domain(given: Any) -> str:
    host = str(TEXT.read(given)).lower()
    if host and not is_domain(host):
        raise ValueError
    return host


def _header(given: Any) -> str:
    if given and not _HEADER.fullmatch(TEXT.read(given)):
        raise ValueError
    return str(given)


def _path(given: Any) -> str:
    if given and not _PATH.fullmatch(TEXT.read(given)):
        raise ValueError
    return str(given)


def _seconds(least: float, most: float) -> SettingType:
    def read(given: Any) -> float:
        seconds = float(given)
        if not least <= seconds <= most:
            raise ValueError
        return seconds

    return SettingType(f"a number of seconds from {least:g} to {most:g}", read)


@value
class EdgeSettings:
    """The settings of one edge."""

    table: str = setting(None, NAME, "The hub's DynamoDB table.")
    region: str = setting(None, NAME, "The table's region; the default is `AWS_REGION`.")
    api: str = setting(
        "",
        SettingType('an address such as https://api.example.org, without a path, or ""', _origin),
        "The API, which gets every request without a route. Without it, such a request gets 503.",
    )
    api_name: str = setting(
        "",
        SettingType('a host name, or ""', _host),
        "The API's host name in its certificate and in requests, if it differs from that in its address.",
    )
    api_ca: str = setting(
        "",
        TEXT,
        "A file with the certificate authorities that the API's certificate must have; empty for the system's.",
    )
    domain: str = setting(
        "",
        SettingType('a host name such as "hub.example.org", or ""', _domain),
        "The hub's host, if each user and each service has a subdomain of it; empty for one host for all.",
    )
    id: str = setting(
        "",
        TEXT,
        "The edge's id in its reports, which no other edge may have at the same time. The default is unique.",
    )
    host: str = setting("0.0.0.0", NAME, "The address to listen on.")  # noqa: S104 a container's purpose
    port: int = setting("8080", PORT_TEXT, "The port to listen on.")
    trusted_proxies: tuple[str, ...] = setting(
        "", NETWORKS_TEXT, "The networks of proxies whose `X-Forwarded-*` headers the edge trusts."
    )
    connections_per_address: int = setting(
        "4000",
        of_text(count(0), int),
        "Connections that one network address (IPv6: /64) has open at once; 0 for no limit.",
    )
    host_header: str = setting(
        "",
        SettingType('a header name such as "x-hubless-host", or ""', _header),
        "The header with the browser's Host, as CloudFront sends it. Set it only if CloudFront alone reaches the edge.",
    )
    direct: bool = setting(
        "false",
        FLAG_TEXT,
        "Whether browsers reach users' hosts directly by a load balancer that ends TLS and speaks PROXY protocol v2."
        " Set it only if that load balancer alone reaches the edge.",
    )
    health_path: str = setting(
        "/edge/health",
        SettingType('a path such as "/edge/health", or ""', _path),
        "The path of the health check: 503 before routes are loaded, while the edge drains, and after a minute without"
        " the table; otherwise 200.",
    )
    poll_seconds: float = setting(
        "1", _seconds(0.05, 3), "The interval at which the edge reads changes of the table (costs: docs/dynamodb.md)."
    )
    heartbeat_seconds: float = setting(
        "5",
        _seconds(0.05, 5),
        "The interval of its reports while nothing changes; after 10 seconds without one, launches ignore the edge.",
    )
    activity_seconds: float = setting(
        "60", _seconds(0.05, 3600), "The interval at which it reports activity of servers."
    )
    drain_seconds: float = setting("30", _seconds(0, 7200), "How long it keeps connections open after SIGTERM.")
    websocket_timeout_seconds: int = setting(
        "172800",
        of_text(count(60, 2_073_600), int),
        "How long a WebSocket may stay silent before HAProxy closes it (`timeout tunnel`).",
    )
    access_log: bool = setting(
        "false",
        FLAG_TEXT,
        "Whether the edge logs who reached which server: a line for each request that a person makes.",
    )
    run_folder: str = setting(
        "/run/hubless-edge", NAME, "The folder of HAProxy's configuration and socket; its path must be short."
    )
    endpoint: str = setting("", URL, "The address of DynamoDB, for emulators.")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = ENVIRON) -> "EdgeSettings":
        """Return the settings in *environ*.

        Raises:
            SettingsError: naming the variable that is missing, unknown or wrong, and the allowed values.
        """
        from_aws = {variable("region"): environ[AWS_REGION]} if AWS_REGION in environ else {}
        read = from_environment(cls, {**from_aws, **environ}, EDGE_PREFIX)
        if read.host_header and read.trusted_proxies:
            both = f"{variable('host_header')} and {variable('trusted_proxies')}"
            raise SettingsError(
                f"{both} exclude each other: use the first behind CloudFront, and the second behind other proxies"
            )
        if read.direct and (not read.domain or read.api or read.host_header or read.trusted_proxies):
            others = " and ".join(map(variable, ("api", "host_header", "trusted_proxies")))
            raise SettingsError(f"{variable('direct')} needs {variable('domain')}, and excludes {others}")
        if not read.api and (read.api_name or read.api_ca):
            raise SettingsError(
                f"{variable('api_name')} and {variable('api_ca')} have no effect without {variable('api')}"
            )
        return read


def variable(field: str) -> str:
    """Return the name of a field's variable."""
    return EDGE_PREFIX + field.upper()
