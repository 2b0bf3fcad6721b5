"""What an edge that runs by itself is told, in its environment: docs/edge.md lists the variables.

An edge in a container or on an instance has no file of settings; everything it needs are these few texts.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from hubless.domain.origins import is_domain
from hubless.domain.values import value
from hubless.settings.environment import (
    EDGE_PREFIX,
    ENVIRON,
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
    """What one edge is told."""

    table: str = setting(None, NAME, "The hub's table in DynamoDB.")
    region: str = setting(None, NAME, "Where the table is; AWS_REGION is read where this is not given.")
    api: str = setting(
        "",
        SettingType('an address such as https://api.example.org, without a path, or ""', _origin),
        "The API, which gets all that has no route; without one that is answered with 503, and CloudFront asks the API.",
    )
    api_name: str = setting(
        "",
        SettingType('a host\'s name, or ""', _host),
        "The name that the API's certificate bears and that it is asked by, where its address has another.",
    )
    api_ca: str = setting(
        "", TEXT, "A file of the authorities that the API's certificate is checked against; the system's without one."
    )
    domain: str = setting(
        "",
        SettingType('the name of a host such as "hub.example.org", or ""', _domain),
        "The hub's host, below which each user and service has one of its own; without it they share it.",
    )
    id: str = setting(
        "",
        TEXT,
        "Under which it reports; no two at once may have the same. The host's name and something random without one.",
    )
    host: str = setting("0.0.0.0", NAME, "Where it listens.")  # noqa: S104 a container's whole point
    port: int = setting("8080", PORT_TEXT, "Where it listens.")
    trusted_proxies: tuple[str, ...] = setting(
        "", NETWORKS_TEXT, "Who may say for whom requests are forwarded: the load balancer's or CloudFront's networks."
    )
    host_header: str = setting(
        "",
        SettingType('a header\'s name such as "x-hubless-host", or ""', _header),
        "In which CloudFront hands on the Host that browsers sent. Only where nothing but CloudFront can reach the edge: it is believed.",
    )
    health_path: str = setting(
        "/edge/health",
        SettingType('a path such as "/edge/health", or ""', _path),
        "What a load balancer asks: 200 once routes are loaded, 503 before, when it leaves, and while it has not known the table for a minute.",
    )
    poll_seconds: float = setting(
        "1", _seconds(0.05, 3), "How often the table is asked for changes; docs/dynamodb.md says what that costs."
    )
    heartbeat_seconds: float = setting(
        "5",
        _seconds(0.05, 5),
        "How often it says that it lives while nothing changes; after 10 seconds nobody waits for it.",
    )
    activity_seconds: float = setting("60", _seconds(0.05, 3600), "How often it reports who was active.")
    drain_seconds: float = setting(
        "30", _seconds(0, 7200), "For how long connections are kept when it is told to leave."
    )
    websocket_timeout_seconds: int = setting(
        "172800",
        of_text(count(60, 2_073_600), int),
        "How long a WebSocket may stay silent before HAProxy closes it (`timeout tunnel`).",
    )
    run_folder: str = setting(
        "/run/hubless-edge", NAME, "Where HAProxy's configuration and socket are; a short path of its own."
    )
    endpoint: str = setting("", URL, "Where DynamoDB is asked, for emulators.")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = ENVIRON) -> "EdgeSettings":
        """Return what *environ* says.

        Raises:
            SettingsError: naming the variable that is missing, unknown or wrong, and what is allowed.
        """
        where_aws_runs_it = {variable("region"): environ[AWS_REGION]} if AWS_REGION in environ else {}
        read = from_environment(cls, {**where_aws_runs_it, **environ}, EDGE_PREFIX)
        if read.host_header and read.trusted_proxies:
            both = f"{variable('host_header')} and {variable('trusted_proxies')}"
            raise SettingsError(
                f"{both} do not go together: either CloudFront alone reaches the edge, or proxies are named"
            )
        if not read.api and (read.api_name or read.api_ca):
            raise SettingsError(
                f"{variable('api_name')} and {variable('api_ca')} are nothing without {variable('api')}"
            )
        return read


def variable(field: str) -> str:
    """Return the name of the variable that a field is read from."""
    return EDGE_PREFIX + field.upper()
