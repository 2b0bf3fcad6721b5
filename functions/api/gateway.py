"""The web behind API Gateway (HTTP API, payload format 2.0)."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from mangum import Mangum

from functions.api.app import create_app
from hubless.bootstrap.hub import Hub


@lru_cache(maxsize=1)
def adapter(hub: Hub) -> Mangum:
    """Return the web of *hub*, ready for API Gateway's events."""
    return Mangum(create_app(hub), lifespan="off")


def handle(hub: Hub, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request."""
    answer: dict[str, Any] = adapter(hub)(dict(event), context)
    return answer
