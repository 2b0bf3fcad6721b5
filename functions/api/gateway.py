"""The web behind API Gateway (HTTP API, payload format 2.0)."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from mangum import Mangum
from starlette.types import Receive, Scope, Send

from functions.api.app import create_app
from hubless.bootstrap.hub import Hub

# What stands in front of API Gateway hands on here what was asked for, as it was sent: API Gateway decodes paths, so that
# `%2F` and `/` become one, and cuts them at an encoded `?`.
PATH_HEADER = "x-hubless-path"
_PLAIN = "/:@!$&'()*+,;=~"


@lru_cache(maxsize=1)
def adapter(hub: Hub) -> Mangum:
    """Return the web of *hub*, ready for API Gateway's events."""
    app = create_app(hub)

    async def with_its_path(scope: Scope, receive: Receive, send: Send) -> None:
        scope["raw_path"] = raw_path(scope["aws.event"]).encode()
        await app(scope, receive, send)

    return Mangum(with_its_path, lifespan="off")


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
