"""Path, headers, cookies and client of a request, read from the event that an AWS service makes of it.

The services are API Gateway's HTTP API (payload format 2.0) and REST API (1.0), load balancers, and function URLs.
"""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import quote

from hubless.domain.trusted_headers import ADDRESS_HEADER, PATH_HEADER

_PLAIN = "/:@!$&'()*+,;=~"


def header(event: Mapping[str, Any], name: str, between: str = ",") -> str:
    """Return the value of a header, all of them with *between* where there are several; "" where there is none."""
    several = event.get("multiValueHeaders")
    if several:
        return between.join(value for known, values in several.items() if known.lower() == name for value in values)
    return between.join(value for known, value in (event.get("headers") or {}).items() if known.lower() == name)


def cookies(event: Mapping[str, Any]) -> str:
    """Return all cookies, as one header would hold them."""
    return "; ".join(event.get("cookies") or ()) or header(event, "cookie", "; ")


def raw_path(event: Mapping[str, Any]) -> str:
    """Return the requested path, percent-encoded: from `x-hubless-path`, or else as exact as the event has it.

    An HTTP API decodes paths, so `%2F` and `/` become the same, and cuts them at an encoded `?`.
    """
    given = header(event, PATH_HEADER).partition("?")[0]
    if given.startswith("/"):
        return quote(given, safe=_PLAIN + "%")
    path = str(event.get("rawPath") or event.get("path") or "/")
    return quote(path, safe=_PLAIN + "%" if _keeps_paths(event) else _PLAIN)


def is_of_balancer(event: Mapping[str, Any]) -> bool:
    """Say whether a load balancer made the event. A client cannot fake it: the service itself writes this part."""
    return "elb" in (event.get("requestContext") or {})


def _keeps_paths(event: Mapping[str, Any]) -> bool:
    """Say whether the event has the path as the client sent it. Of the four services, only HTTP APIs decode it."""
    about = event.get("requestContext") or {}
    return "http" not in about or ".lambda-url." in str(about.get("domainName", ""))


def client_of(event: Mapping[str, Any], trusted_proxies: Iterable[str]) -> str:
    """Return the client's address: the one that the last trusted proxy received the request from.

    Any client can write the left part of `X-Forwarded-For`, so the hub reads it from the right.
    """
    claims = [claim for given in header(event, "x-forwarded-for").split(",") if (claim := given.strip())]
    if is_of_balancer(event):
        source = claims.pop() if claims else ""  # a load balancer writes its client nowhere else
    else:
        about = event.get("requestContext") or {}
        source = str((about.get("http") or about.get("identity") or {}).get("sourceIp") or "")
    trusted = [ip_network(network) for network in trusted_proxies]
    while claims and _is_in(source, trusted):
        source = claims.pop()
    return source


def front_client_of(event: Mapping[str, Any]) -> str:
    """Return the client's address as CloudFront sent it, or "". Call it only if the request has the front secret."""
    given = header(event, ADDRESS_HEADER).strip()
    try:
        return str(ip_address(given))
    except ValueError:
        return ""


def _is_in(address: str, networks: Iterable[Any]) -> bool:
    try:
        return any(ip_address(address) in network for network in networks)
    except ValueError:  # a claim may be anything
        return False
