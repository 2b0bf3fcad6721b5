"""The web behind API Gateway or a load balancer, and behind the CDN or edge before them."""

import logging
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from mangum import Mangum
from mangum.types import ASGI
from starlette.types import Receive, Scope, Send

from functions.api import lambda_events
from functions.api.app import create_app
from functions.api.auth.csrf import is_same
from functions.api.json_codec import JSONResponse
from hubless.bootstrap.cloud import CloudHub
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.trusted_headers import FRONT_HEADER, HOST_HEADER

logger = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def adapter(hub: CloudHub) -> Mangum:
    """Return the adapter that serves *hub* to AWS's events.

    Raises:
        SettingsError: when a role of the settings holds a scope that does not exist.
    """
    return Mangum(web(hub), lifespan="off")


def handle(hub: CloudHub, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request."""
    answer: dict[str, Any] = adapter(hub)(dict(event), context)
    return answer


def web(hub: CloudHub) -> ASGI:
    """Return the application of *hub* for Mangum's scopes, corrected to the client's path, host, scheme and address.

    Raises:
        SettingsError: when a role of the settings holds a scope that does not exist.
    """
    app, public = create_app(hub), urlsplit(hub.settings.hub.public_url)
    hub.roles  # noqa: B018 wrong roles must fail the start

    async def corrected(scope: Scope, receive: Receive, send: Send) -> None:
        event = scope["aws.event"]
        if refusal := _refusal(hub, event):
            await refusal(scope, receive, send)
            return
        client = lambda_events.front_client_of(event) if hub.front_secrets else ""
        scope["raw_path"] = lambda_events.raw_path(event).encode()
        scope["client"] = (client or lambda_events.client_of(event, hub.settings.hub.trusted_proxies), 0)
        # API Gateway has a host name of its own. The hub answers with its public addresses.
        scope["scheme"] = public.scheme
        headers = [(name, value) for name, value in scope["headers"] if bytes(name).lower() not in _REPLACED]
        scope["headers"] = [*headers, (b"host", _host(hub, event, public.netloc).encode())]
        if cookies := lambda_events.cookies(event):
            scope["headers"].append((b"cookie", cookies.encode()))
        await app(scope, receive, send)

    return corrected


_REPLACED = frozenset({b"host", b"cookie", FRONT_HEADER.encode()})


def _refusal(hub: CloudHub, event: Mapping[str, Any]) -> JSONResponse | None:
    """Return the refusal of a request that did not come through the front (CloudFront), where the hub has one."""
    try:
        right = hub.front_secrets
    except StoreUnavailableError as away:
        logger.warning("front secret unavailable, request refused: %s", away)
        return JSONResponse({"status": 503, "message": "The hub cannot answer just now. Try again in a moment."}, 503)
    if lambda_events.is_of_balancer(event):
        return None  # only the front reaches it, and it removes no header: servers would learn the secret (ADR 13)
    given = lambda_events.header(event, FRONT_HEADER)
    same = [is_same(text, given) for text in right]  # compares with all, so that the time reveals nothing
    if any(same) or not right:
        return None
    return JSONResponse(
        {"status": 403, "message": f"Ask the hub at its own address, {hub.settings.hub.public_url}"}, 403
    )


def _host(hub: CloudHub, event: Mapping[str, Any], public: str) -> str:
    """Return the host that the browser asked, where each user has a host; "" when nothing names it.

    A front sends the host itself. Without a front the edge does, as every proxy does.
    """
    if not hub.origins.subdomains:
        return public
    names = (HOST_HEADER,) if hub.front_secrets else (HOST_HEADER, "x-forwarded-host")
    host = next((given for name in names if (given := lambda_events.header(event, name).strip())), "")
    return host if host.isascii() and host.isprintable() else ""
