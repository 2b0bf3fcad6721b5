"""The web behind API Gateway (HTTP API, payload format 2.0), which is itself behind what browsers speak to."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import quote, urlsplit

from mangum import Mangum
from starlette.types import Receive, Scope, Send

from functions.api.app import create_app
from hubless.bootstrap.hub import Hub

# What stands in front of API Gateway hands on here what was asked for, as it was sent: API Gateway decodes paths, so that
# `%2F` and `/` become one, and cuts them at an encoded `?`.
PATH_HEADER = "x-hubless-path"
# And which host was asked, which an edge hands on as every proxy does. API Gateway is always asked by its own.
HOST_HEADERS = ("x-hubless-host", "x-forwarded-host")
_PLAIN = "/:@!$&'()*+,;=~"


@lru_cache(maxsize=1)
def adapter(hub: Hub) -> Mangum:
    """Return the web of *hub*, ready for API Gateway's events.

    Raises:
        SettingsError: when a role of the settings holds a scope that does not exist.
    """
    app, public = create_app(hub), urlsplit(hub.settings.hub.public_url)
    hub.roles  # noqa: B018 wrong roles stop the start

    async def as_it_was_asked(scope: Scope, receive: Receive, send: Send) -> None:
        event = scope["aws.event"]
        scope["raw_path"] = raw_path(event).encode()
        scope["client"] = (client_of(event, hub.settings.hub.trusted_proxies), 0)
        # Addresses that the hub tells are those that people know it by.
        scope["scheme"] = public.scheme
        host = host_of(event) if hub.origins.subdomains else public.netloc
        headers = [header for header in scope["headers"] if bytes(header[0]).lower() != b"host"]
        scope["headers"] = [*headers, (b"host", host.encode())]
        await app(scope, receive, send)

    return Mangum(as_it_was_asked, lifespan="off")


def handle(hub: Hub, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request."""
    answer: dict[str, Any] = adapter(hub)(dict(event), context)
    return answer


def raw_path(event: Mapping[str, Any]) -> str:
    """Return the path that was asked for, percent-encoded; without `x-hubless-path` as well as API Gateway lets one know."""
    given = str(event.get("headers", {}).get(PATH_HEADER, "")).partition("?")[0]
    if given.startswith("/"):
        return quote(given, safe=_PLAIN + "%")
    path = str(event.get("rawPath", "/"))
    # The address of a function itself has the same format and does not decode.
    is_as_sent = ".lambda-url." in str(event.get("requestContext", {}).get("domainName", ""))
    return quote(path, safe=_PLAIN + "%" if is_as_sent else _PLAIN)


def host_of(event: Mapping[str, Any]) -> str:
    """Return the host that a browser asked; nothing where nobody tells, as the hub's pages are at its own host alone."""
    headers = event.get("headers", {})
    told = next((str(headers[name]) for name in HOST_HEADERS if headers.get(name)), "")
    return told if told.isascii() and told.isprintable() else ""


def client_of(event: Mapping[str, Any], trusted_proxies: Iterable[str]) -> str:
    """Return who asks: whoever the last proxy that settings trust heard from.

    What stands further left in `X-Forwarded-For` is anybody's claim, so it is read from the right.
    """
    source = str(event.get("requestContext", {}).get("http", {}).get("sourceIp", ""))
    trusted = [ip_network(network) for network in trusted_proxies]
    claims = [claim.strip() for claim in str(event.get("headers", {}).get("x-forwarded-for", "")).split(",") if claim.strip()]
    while claims and _is_in(source, trusted):
        source = claims.pop()
    return source


def _is_in(address: str, networks: Iterable[Any]) -> bool:
    try:
        return any(ip_address(address) in network for network in networks)
    except ValueError:  # a claim may be anything
        return False
